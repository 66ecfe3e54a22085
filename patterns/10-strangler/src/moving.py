"""Data that moves when it is asked for: the new table first, then the old application, whose answer is kept."""

import json
import os
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

TABLE = boto3.resource("dynamodb").Table(os.environ["TABLE"])
LEGACY_URL = os.environ["LEGACY_URL"]


def found(kind, id_):
    """The document of a kind, brought over from the old application when it is not here yet; None where it is nowhere."""
    document = _here(kind, id_)
    if document is not None:
        return document
    try:
        with urllib.request.urlopen(f"{LEGACY_URL}/{kind}/{id_}", timeout=10) as answer:
            document = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    keep(kind, id_, document, new=True)
    return _here(kind, id_)  # somebody may have been faster


def _here(kind, id_):
    item = TABLE.get_item(Key={"id": f"{kind}/{id_}"}, ConsistentRead=True).get("Item")
    return None if item is None else json.loads(item["document"])


def keep(kind, id_, document, new=False):
    """Keep a document; `new` leaves one that is there as it is. Whether it was kept."""
    item = {"id": f"{kind}/{id_}", "document": json.dumps(document)}
    try:
        if new:
            TABLE.put_item(Item=item, ConditionExpression="attribute_not_exists(id)")
        else:
            TABLE.put_item(Item=item)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def answer(status, body):
    headers = {"content-type": "application/json", "x-served-by": "serverless"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}

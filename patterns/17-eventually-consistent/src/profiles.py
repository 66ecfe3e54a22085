"""User Profile: write, read and delete profiles. Every write sets `last_updated`, greater than the one before."""

import base64
import json
import os
import time

import boto3
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
NAME_LIMIT = 200


def handler(event, context):
    operations = {"PUT": put, "GET": get, "DELETE": delete}
    return operations[event["requestContext"]["http"]["method"]](event["pathParameters"]["id"], event)


def answer(status, body=None):
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": "" if body is None else json.dumps(body),
    }


def profile_of(item):
    return {"id": item["id"], "name": item["name"], "last_updated": int(item["last_updated"])}


def put(profile, event):
    text = event.get("body") or ""
    try:
        name = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)["name"]
    except (ValueError, KeyError, TypeError):
        return answer(400, {"message": "The body must be a JSON object with a name."})
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LIMIT:
        return answer(400, {"message": f"A name has 1 to {NAME_LIMIT} characters."})
    return answer(200, profile_of(write(profile, name)))


def write(profile, name):
    """Write at the clock's microsecond or, where the clock is behind the last write (another's clock, the same tick), one after that."""
    at = time.time_ns() // 1000
    while True:
        try:
            return table.update_item(
                Key={"id": profile},
                UpdateExpression="SET #name = :name, last_updated = :at",
                ConditionExpression="attribute_not_exists(last_updated) OR last_updated < :at",
                ExpressionAttributeNames={"#name": "name"},
                ExpressionAttributeValues={":name": name, ":at": at},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )["Attributes"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            at = int(error.response["Item"]["last_updated"]["N"]) + 1


def get(profile, event):
    item = table.get_item(Key={"id": profile}, ConsistentRead=True).get("Item")
    return answer(404, {"message": "No such profile."}) if item is None else answer(200, profile_of(item))


def delete(profile, event):
    gone = table.delete_item(Key={"id": profile}, ReturnValues="ALL_OLD").get("Attributes")
    return answer(404, {"message": "No such profile."}) if gone is None else answer(204)

"""Create, read, update, list and delete items: one function behind five routes."""

import base64
import json
import os
import uuid
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class Refused(Exception):
    """An answer that is the client's fault."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def handler(event, context):
    operations = {
        "POST /items": create,
        "GET /items": list_items,
        "GET /items/{id}": read,
        "PUT /items/{id}": update,
        "DELETE /items/{id}": delete,
    }
    operation = operations[event["routeKey"]]
    print(json.dumps({"route": event["routeKey"], "request": context.aws_request_id}))
    try:
        return operation(event)
    except Refused as refusal:
        return answer(refusal.status, {"message": str(refusal)})


def answer(status, body=None):
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": "" if body is None else json.dumps(body, default=plain),
    }


def plain(value):
    """DynamoDB's numbers are Decimals; JSON wants numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def body_of(event):
    try:
        text = event.get("body") or ""
        if event.get("isBase64Encoded"):  # the media type is not a textual one, as with curl -d
            text = base64.b64decode(text)
        body = json.loads(text, parse_float=Decimal)
    except ValueError:
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    return body


def create(event):
    item = body_of(event)
    item.setdefault("id", str(uuid.uuid4()))
    try:
        table.put_item(Item=item, ConditionExpression=Attr("id").not_exists())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise Refused(409, f"Item {item['id']} exists.") from None
    return answer(201, item)


def read(event):
    item = table.get_item(Key={"id": event["pathParameters"]["id"]}, ConsistentRead=True).get("Item")
    if item is None:
        raise Refused(404, "No such item.")
    return answer(200, item)


def update(event):
    item = {**body_of(event), "id": event["pathParameters"]["id"]}
    try:
        table.put_item(Item=item, ConditionExpression=Attr("id").exists())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise Refused(404, "No such item.") from None
    return answer(200, item)


def list_items(event):
    found = table.scan()
    items = found["Items"]
    while "LastEvaluatedKey" in found:
        found = table.scan(ExclusiveStartKey=found["LastEvaluatedKey"])
        items += found["Items"]
    return answer(200, {"items": sorted(items, key=lambda item: item["id"])})


def delete(event):
    table.delete_item(Key={"id": event["pathParameters"]["id"]})
    return answer(204)

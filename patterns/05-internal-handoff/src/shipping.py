"""Makes one parcel per order, however often the order's event comes."""

import os
import time

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class AddressMissing(Exception):
    """The order cannot be shipped as it is."""


def handler(event, context):
    print(f"order {event['order']} in request {context.aws_request_id}")
    if "address" not in event:
        raise AddressMissing(f"order {event['order']} has no address")
    time.sleep(event.get("takes_s", 0))
    try:
        table.put_item(
            Item={"order": event["order"], "address": event["address"], "request": context.aws_request_id},
            ConditionExpression=Attr("order").not_exists(),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        print(f"order {event['order']} was shipped before")

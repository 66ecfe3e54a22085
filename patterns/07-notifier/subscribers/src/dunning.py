"""Writes a letter for each overdue invoice; a second notification of the same invoice changes nothing."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    for record in event["Records"]:
        notice = json.loads(record["Sns"]["Message"])
        table.put_item(Item={"invoice": notice["invoice"], "message": record["Sns"]["MessageId"]})

"""The three tasks. Each does its work once however often its event comes: the record's key is the event's id and the task."""

import os

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def welcome(event, context):
    done("welcome", event, {"text": event["greeting"]})


def invoice(event, context):
    done("invoice", event, {"cents": event["cents"]})


def reminder(event, context):
    done("reminder", event, {"cents": event["cents"], "level": event["level"]})


def done(task, event, result):
    if event.get("fails"):
        raise RuntimeError(f"{task} of {event['id']} fails")
    try:
        table.put_item(
            Item={"id": event["id"], "task": task, "customer": event["customer"], **result},
            ConditionExpression=Attr("id").not_exists(),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise

"""Splits a job: {"job": id, "numbers": [...], "per_part": n} becomes one event per part, for a worker each. It ends before they do."""

import json
import os

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

functions = boto3.client("lambda")
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    size = event.get("per_part", 10)
    parts = [event["numbers"][start : start + size] for start in range(0, len(event["numbers"]), size)]
    try:
        table.put_item(
            Item={"job": event["job"], "part": "~job", "parts": len(parts), "done": 0},
            ConditionExpression=Attr("job").not_exists(),
        )
    except ClientError as error:  # a second attempt: hand out all parts again, workers know what is done
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    for number, numbers in enumerate(parts):
        task = {"job": event["job"], "part": f"{number:05d}", "numbers": numbers, "fails": event.get("fails", [])}
        functions.invoke(FunctionName=os.environ["WORKER"], InvocationType="Event", Payload=json.dumps(task))
    return {"parts": len(parts)}

"""Takes an order and hands the rest to Shipping: the caller has its answer before the work is done."""

import json
import os

import boto3

functions = boto3.client("lambda")


def handler(event, context):
    answer = functions.invoke(FunctionName=os.environ["SHIPPING"], InvocationType="Event", Payload=json.dumps(event))
    return {"order": event["order"], "accepted": answer["StatusCode"] == 202}

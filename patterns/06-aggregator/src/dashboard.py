"""Asks three services at once and combines what they say; one that fails is named, and the others are still answered."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import BotoCoreError, ClientError

functions = boto3.client("lambda")
PARTS = {"profile": os.environ["PROFILE"], "orders": os.environ["ORDERS"], "shipping": os.environ["SHIPPING"]}


def handler(event, context):
    customer = {"customer": event["pathParameters"]["id"]}
    with ThreadPoolExecutor(len(PARTS)) as pool:
        answers = dict(zip(PARTS, pool.map(lambda name: ask(PARTS[name], customer), PARTS), strict=True))
    failed = sorted(name for name, answer in answers.items() if "error" in answer)
    body = {**customer, **answers, "incomplete": failed}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def ask(function, request):
    try:
        answer = functions.invoke(FunctionName=function, InvocationType="RequestResponse", Payload=json.dumps(request))
    except (BotoCoreError, ClientError) as error:  # throttled, deleted: that one is away, the others are not
        return {"error": type(error).__name__, "message": str(error)}
    result = json.load(answer["Payload"])
    if "FunctionError" in answer:
        return {"error": result.get("errorType", answer["FunctionError"]), "message": result.get("errorMessage", "")}
    return result

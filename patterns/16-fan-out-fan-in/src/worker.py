"""Works on one part: its result goes into the table and the job's folder. Whoever finishes the last part has them combined.

The result and the count of finished parts change in one transaction, so a part that is worked on twice counts once.
"""

import json
import os

import boto3
from botocore.exceptions import ClientError

dynamodb = boto3.client("dynamodb")
s3 = boto3.client("s3")
functions = boto3.client("lambda")
TABLE = os.environ["TABLE"]


class Faulty(Exception):
    """This part cannot be worked on."""


def handler(event, context):
    job, part = event["job"], event["part"]
    if int(part) in event["fails"]:
        raise Faulty(f"part {part} of job {job}")
    result = sum(number * number for number in event["numbers"])
    s3.put_object(
        Bucket=os.environ["BUCKET"], Key=f"{job}/{part}.json", Body=json.dumps({"part": part, "result": result})
    )
    finish(job, part, result)
    state = dynamodb.get_item(TableName=TABLE, Key=key(job, "~job"), ConsistentRead=True)["Item"]
    if int(state["done"]["N"]) == int(state["parts"]["N"]):
        functions.invoke(FunctionName=os.environ["COMBINE"], InvocationType="Event", Payload=json.dumps({"job": job}))
    return {"part": part, "result": result}


def finish(job, part, result):
    put = {"TableName": TABLE, "Item": {**key(job, part), "result": {"N": str(result)}}}
    put["ConditionExpression"] = "attribute_not_exists(part)"
    count = {
        "TableName": TABLE,
        "Key": key(job, "~job"),
        "UpdateExpression": "ADD done :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    while True:
        try:
            dynamodb.transact_write_items(TransactItems=[{"Put": put}, {"Update": count}])
            return
        except ClientError as error:
            reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", [])]
            if reasons[:1] == ["ConditionalCheckFailed"]:
                return  # this part was finished by an earlier attempt
            if "TransactionConflict" not in reasons:
                raise


def key(job, part):
    return {"job": {"S": job}, "part": {"S": part}}

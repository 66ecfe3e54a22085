"""The fan-in: reads what the workers wrote into the table and the folder, and writes the job's result."""

import json
import os

import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
s3 = boto3.client("s3")


def handler(event, context):
    job = event["job"]
    found = table.query(KeyConditionExpression=Key("job").eq(job), ConsistentRead=True)
    items = found["Items"]
    while "LastEvaluatedKey" in found:
        found = table.query(
            KeyConditionExpression=Key("job").eq(job),
            ConsistentRead=True,
            ExclusiveStartKey=found["LastEvaluatedKey"],
        )
        items += found["Items"]
    parts = {item["part"]: int(item["result"]) for item in items if not item["part"].startswith("~")}
    files = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=os.environ["BUCKET"], Prefix=f"{job}/"):
        files |= {item["Key"].removeprefix(f"{job}/").removesuffix(".json") for item in page.get("Contents", [])}
    if files != set(parts):
        raise RuntimeError(f"table and folder disagree about job {job}: {sorted(files ^ set(parts))}")
    body = json.dumps({"job": job, "parts": len(parts), "total": sum(parts.values())})
    s3.put_object(Bucket=os.environ["BUCKET"], Key=f"results/{job}.json", Body=body)
    return json.loads(body)

"""Applies the changes that were set aside: reads them from the stream again, by shard and sequence number, and hands them to Replicate."""

import json
import os

import boto3
from botocore.exceptions import ClientError

sqs, streams, functions = boto3.client("sqs"), boto3.client("dynamodbstreams"), boto3.client("lambda")
QUEUE, FUNCTION = os.environ["QUEUE"], os.environ["FUNCTION"]
GONE = {"TrimmedDataAccessException", "ResourceNotFoundException"}  # the stream keeps a record for 24 hours
MARGIN_MS = 15_000  # a batch takes Replicate 10 s at most


def handler(event, context):
    """Work off the queue; what cannot be applied stays in it, and is in the answer with the reason."""
    replayed, kept = 0, []
    while context.get_remaining_time_in_millis() > MARGIN_MS:
        messages = sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=1).get("Messages", [])
        if not messages:  # what was kept is invisible for a minute
            break
        lost = json.loads(messages[0]["Body"])["DDBStreamBatchInfo"]
        reason, count = apply(lost)
        if reason:
            kept.append({"reason": reason, **lost})
            continue
        replayed += count
        sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle=messages[0]["ReceiptHandle"])
    return {"replayed": replayed, "kept": kept}


def apply(lost):
    """(why it did not work or None, how many records were applied)."""
    count = 0
    try:
        for records in pages(lost):
            answer = functions.invoke(FunctionName=FUNCTION, Payload=json.dumps({"Records": records}))
            if "FunctionError" in answer:
                return json.load(answer["Payload"])["errorMessage"], count
            count += len(records)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return ("The stream no longer has the records." if code in GONE else str(error)), count
    return None, count


def pages(lost):
    """The records from `startSequenceNumber` to `endSequenceNumber`, a hundred at a time."""
    last = int(lost["endSequenceNumber"])
    position = streams.get_shard_iterator(
        StreamArn=lost["streamArn"],
        ShardId=lost["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=lost["startSequenceNumber"],
    )["ShardIterator"]
    while position:
        page = streams.get_records(ShardIterator=position, Limit=100)
        numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in page["Records"]]
        records = [plain(record) for record, number in zip(page["Records"], numbers, strict=True) if number <= last]
        if records:
            yield records
        if numbers and numbers[-1] >= last:  # a page may be empty though more follows
            break
        position = page.get("NextShardIterator")


def plain(record):
    """As Lambda's event has it, but for the time, which is no JSON here and which nobody asks for."""
    change = {name: value for name, value in record["dynamodb"].items() if name != "ApproximateCreationDateTime"}
    return {**record, "dynamodb": change}

"""Two services that have facts to tell: one at a time, and many at once."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["QUEUE"]


def signup(event, context):
    fact = {"source": "signups", "customer": event["customer"], "cents": 0}
    return sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(fact))["MessageId"]


def payments(event, context):
    """In batches of ten; SQS says for each message whether it was taken."""
    facts = [{"source": "payments", **payment} for payment in event["payments"]]
    for start in range(0, len(facts), 10):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(fact)}
            for number, fact in enumerate(facts[start : start + 10])
        ]
        refused = sqs.send_message_batch(QueueUrl=QUEUE, Entries=entries).get("Failed")
        if refused:
            raise RuntimeError(f"{len(refused)} facts were not taken: {refused[0]['Message']}")
    return len(facts)

"""Books amounts to accounts in the order of their messages. Two ways in: called by the queue's trigger, or by a rule every minute.

A booking is written together with the account's balance, on the condition that its message was not booked before: messages come
at least once.
"""

import json
import os

import boto3

sqs = boto3.client("sqs")
functions = boto3.client("lambda")
dynamodb = boto3.client("dynamodb")
TABLE = os.environ["TABLE"]
LIMIT = 1000


class Unbookable(Exception):
    """The message cannot be booked as things are."""


def triggered(event, context):
    """By the trigger: what cannot be booked, and what follows it in its group, goes back to the queue; order is kept."""
    messages = [(record["messageId"], record["body"], record["attributes"]) for record in event["Records"]]
    failed = book_in_order(messages, context)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def scheduled(event, context):
    """By the rule or by itself: up to ten messages, then again until there is none."""
    messages = sqs.receive_message(
        QueueUrl=os.environ["QUEUE"], MaxNumberOfMessages=10, AttributeNames=["SequenceNumber", "MessageGroupId"]
    ).get("Messages", [])
    failed = book_in_order([(m["MessageId"], m["Body"], m["Attributes"]) for m in messages], context)
    for message in messages:
        if message["MessageId"] not in failed:
            sqs.delete_message(QueueUrl=os.environ["QUEUE"], ReceiptHandle=message["ReceiptHandle"])
    if messages:
        functions.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=b'{"again": true}')
    return {"booked": len(messages)}


def book_in_order(messages, context):
    """Book (id, body, attributes) one after the other; the ids of those that failed or had to wait for one that did."""
    failed, held = [], set()
    for number, body, attributes in messages:
        group = attributes["MessageGroupId"]
        if group not in held:
            try:
                book(body, attributes["SequenceNumber"], context)
                continue
            except Unbookable as error:
                print(f"unbookable: {error}")
                held.add(group)
        failed.append(number)
    return failed


def book(body, sequence, context):
    """Write the booking and the account's new balance together. A message that was booked before changes nothing."""
    task = json.loads(body)
    account = {"S": task["account"]}
    approval = {"account": account, "sequence": {"S": "~approval"}}
    if task["amount"] > LIMIT and "Item" not in dynamodb.get_item(TableName=TABLE, Key=approval):
        raise Unbookable(f"{body}: amounts over {LIMIT} need an approval of the account")
    key = {"account": account, "sequence": {"S": "~balance"}}
    before = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    entries, balance = int(before.get("entries", {"N": "0"})["N"]), int(before.get("balance", {"N": "0"})["N"])
    booking = {
        "account": account,
        "sequence": {"S": sequence},
        "number": {"N": str(task["number"])},
        "entry": {"N": str(entries + 1)},
        "request": {"S": context.aws_request_id},
    }
    new = {**key, "entries": {"N": str(entries + 1)}, "balance": {"N": str(balance + task["amount"])}}
    guard = {
        "ConditionExpression": "attribute_not_exists(entries) OR entries = :entries",
        "ExpressionAttributeValues": {":entries": {"N": str(entries)}},
    }
    try:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": TABLE, "Item": booking, "ConditionExpression": "attribute_not_exists(account)"}},
                {"Put": {"TableName": TABLE, "Item": new, **guard}},
            ]
        )
    except dynamodb.exceptions.TransactionCanceledException as error:
        if error.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
            raise

"""Operations on messages: send, receive, delete, change visibility; one by one and in batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Wait
from cumulet.services.sqs import receipts, receiving, rows, sealing, sending
from cumulet.services.sqs.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    OverLimit,
    TooManyEntriesInBatchRequest,
    invalid,
)
from cumulet.services.sqs.lookup import open_at
from cumulet.services.sqs.model import IN_FLIGHT, MAX_BYTES, Open, seconds

_Json = dict[str, Any]
_BATCH = 10
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MAX_WAIT_S = 20


def send_message(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Put one message on a queue, visible after DelaySeconds (0-900 s; FIFO queues: the queue's alone).

    Limits: body, attributes and their names and types 1 to MaximumMessageSize bytes (1 MiB at most), 10 attributes.
    Idempotent on FIFO queues: a deduplication id repeated within 300 s adds nothing and gets the first message's id and number.
    Raises: QueueDoesNotExist, InvalidMessageContents, InvalidParameterValue, MissingParameter, KmsDisabled, KmsInvalidState,
    KmsNotFound.
    Source: SQS API_SendMessage; developer guide, "Exactly-once processing in Amazon SQS" (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    answer = sending.send(o, sending.Draft(o.queue, req))
    rows.close(o)
    return answer


def send_message_batch(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Put up to 10 messages on a queue; each succeeds or fails by itself, all together have 1 MiB at most.

    Raises: QueueDoesNotExist, EmptyBatchRequest, TooManyEntriesInBatchRequest, BatchEntryIdsNotDistinct, InvalidBatchEntryId,
    BatchRequestTooLong.
    Source: SQS API_SendMessageBatch; developer guide, "Amazon SQS message quotas" (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    entries = _batch(req.get("Entries", ()), "SendMessageBatchRequestEntry")
    total = sum(map(_length, entries))
    if total > MAX_BYTES:
        raise BatchRequestTooLong(
            f"Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {total} bytes."
        )
    if o.queue.kms_key:
        sealing.check(o)  # no key: nothing is sent at all
    answer = _each(entries, lambda entry: sending.send(o, sending.Draft(o.queue, entry)))
    rows.close(o)
    return answer


def _length(entry: Mapping[str, Any]) -> int:
    body: str = entry["MessageBody"]
    total = len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
    if "MessageAttributes" not in entry:
        return total
    for name, value in entry["MessageAttributes"].items():
        total += len(name.encode()) + len(value["DataType"].encode())
        total += len(value.get("StringValue", "").encode("utf-8", "surrogatepass")) + len(value.get("BinaryValue", b""))
    return total


def receive_message(ctx: Context, req: Mapping[str, Any]) -> _Json | Wait:
    """Take up to 10 messages; they are invisible for VisibilityTimeout seconds (0-43,200).

    With WaitTimeSeconds (0-20, by default the queue's ReceiveMessageWaitTimeSeconds) it waits for the first message. Messages
    received maxReceiveCount times move to the dead-letter queue instead. FIFO: messages of a group in order, none while others of
    the group are in flight; the same ReceiveRequestAttemptId within 300 s gets the same messages again.
    Raises: QueueDoesNotExist, InvalidParameterValue, InvalidAttributeName; OverLimit when a standard queue has 120,000 messages
    in flight and the request does not wait.
    Source: SQS API_ReceiveMessage; developer guide, "Amazon SQS queue quotas" (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    queue = o.queue
    wanted = _within(req, "MaxNumberOfMessages", 1, 10, 1, "Must be between 1 and 10, if provided.")
    hidden_s = _within(
        req, "VisibilityTimeout", 0, 43_200, queue.visibility_s, "Must be >= 0 and <= 43200, if provided."
    )
    wait_s = _within(req, "WaitTimeSeconds", 0, _MAX_WAIT_S, queue.wait_s, "Must be >= 0 and <= 20, if provided.")
    shape = receiving.Shape(req)
    attempt = receiving.attempt_of(queue, req)
    again = receiving.again(o, attempt, hidden_s) if attempt is not None else None
    if again:
        taken, changed = again, True
    else:
        taken, changed = receiving.take(o, wanted, hidden_s * 1000)
        if taken and attempt is not None:
            receiving.remember_attempt(o, attempt, taken)
    if not taken:
        deadline = ctx.arrived + wait_s
        if ctx.now < deadline:
            if changed:
                rows.close(o)
            return Wait(on=o.arrival, until=min(deadline, seconds(o.counts.due)), keep=changed)
        if wait_s == 0 and not queue.fifo and o.counts.flying >= IN_FLIGHT and o.counts.ready:
            raise OverLimit("The maximum number of in flight messages is reached.")
        o.count("NumberOfEmptyReceives", 1.0)
        rows.close(o)
        return {}
    o.count("NumberOfMessagesReceived", float(len(taken)))
    rows.close(o)
    return {"Messages": [receiving.shown(o, one, shape) for one in taken]}


def _within(req: Mapping[str, Any], name: str, low: int, high: int, default: int, reason: str) -> int:
    value: int = req.get(name, default)
    if not low <= value <= high:
        raise invalid(value, name, reason)
    return value


def delete_message(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Delete a message by the receipt handle of its latest receive. Repeating it, or an older handle, does nothing.

    Raises: QueueDoesNotExist, ReceiptHandleIsInvalid; InvalidParameterValue on a FIFO queue when the handle has expired.
    Source: SQS API_DeleteMessage (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    _delete(o, req)
    rows.close(o)
    return {}


def delete_message_batch(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Delete up to 10 messages; each succeeds or fails by itself.

    Raises: QueueDoesNotExist, EmptyBatchRequest, TooManyEntriesInBatchRequest, BatchEntryIdsNotDistinct, InvalidBatchEntryId.
    Source: SQS API_DeleteMessageBatch (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    answer = _each(_batch(req.get("Entries", ()), "DeleteMessageBatchRequestEntry"), lambda entry: _delete(o, entry))
    rows.close(o)
    return answer


def _delete(o: Open, req: Mapping[str, Any]) -> _Json:
    receipts.delete(o, req["ReceiptHandle"])
    o.count("NumberOfMessagesDeleted", 1.0)
    return {}


def change_message_visibility(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Make a message in flight invisible for VisibilityTimeout seconds (0-43,200) from now on; 0 returns it at once.

    Limits: 12 hours in all since it was received. The next receive uses the queue's timeout again.
    Raises: QueueDoesNotExist, ReceiptHandleIsInvalid, MessageNotInflight, InvalidParameterValue.
    Source: SQS API_ChangeMessageVisibility (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])
    receipts.change(o, req["ReceiptHandle"], req["VisibilityTimeout"])
    rows.close(o)
    return {}


def change_message_visibility_batch(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Change the visibility of up to 10 messages; each succeeds or fails by itself. Without VisibilityTimeout: 0.

    Raises: QueueDoesNotExist, EmptyBatchRequest, TooManyEntriesInBatchRequest, BatchEntryIdsNotDistinct, InvalidBatchEntryId.
    Source: SQS API_ChangeMessageVisibilityBatch (read 2026-11).
    """
    o = open_at(ctx, req["QueueUrl"])

    def change(entry: Mapping[str, Any]) -> _Json:
        receipts.change(o, entry["ReceiptHandle"], entry.get("VisibilityTimeout", 0))
        return {}

    answer = _each(_batch(req.get("Entries", ()), "ChangeMessageVisibilityBatchRequestEntry"), change)
    rows.close(o)
    return answer


# batches


def _batch(entries: Sequence[_Json], shape: str) -> Sequence[_Json]:
    """The entries of a batch that is in order as a whole."""
    if not entries:
        raise EmptyBatchRequest(f"There should be at least one {shape} in the request.")
    if len(entries) > _BATCH:
        raise TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {_BATCH}. You have sent {len(entries)}."
        )
    ids: set[str] = set()
    for entry in entries:
        if not _BATCH_ID.fullmatch(entry["Id"]):
            raise InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
        if entry["Id"] in ids:
            raise BatchEntryIdsNotDistinct(f"Id {entry['Id']} repeated.")
        ids.add(entry["Id"])
    return entries


def _each(entries: Sequence[_Json], work: Callable[[_Json], _Json]) -> _Json:
    successful: list[_Json] = []
    failed: list[_Json] = []
    for entry in entries:
        try:
            done = work(entry)
            done["Id"] = entry["Id"]
            successful.append(done)
        except AwsError as error:
            failed.append(
                {
                    "Id": entry["Id"],
                    "SenderFault": error.http_status < 500,
                    "Code": error.wire_code,
                    "Message": error.message,
                }
            )
    return {"Successful": successful, "Failed": failed}

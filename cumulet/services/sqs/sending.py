"""Putting messages on queues: what is checked, deduplicated, stored and answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import md5, sha256
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.sqs import attributes, rows, sealing
from cumulet.services.sqs.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    invalid,
    missing,
)
from cumulet.services.sqs.model import (
    DEDUPLICATION_S,
    Message,
    Open,
    Queue,
    Remembered,
    decode_remembered,
    encode,
    forget_key,
    seen_key,
)

_MAX_DELAY_S = 900
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_NOT_OF_THIS_TYPE = "The request include parameter that is not valid for this queue type."
_TRACE_HEADER = re.compile(r"(?:[^;]*;)*\s*Root=1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}(?:;.*)?", re.DOTALL)
_SEQUENCE_BASE = 18_870_000_000_000_000_000
_SEQUENCE_STEP = 256
_Json = dict[str, Any]


class Draft:
    """A message that was checked and may be added."""

    __slots__ = ("attributes", "body", "deduplication", "delay_s", "group", "size", "trace_header")

    def __init__(self, queue: Queue, req: Mapping[str, Any]) -> None:
        """Raises: InvalidMessageContents, InvalidParameterValue, MissingParameter."""
        body = req["MessageBody"]
        if not body:
            raise missing("MessageBody")
        bad = attributes.forbidden(body)
        if bad is not None:
            raise InvalidMessageContents(
                f"Invalid binary character '#x{ord(bad):X}' was found in the message body, the set of allowed characters is "
                "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
            )
        self.body: str = body
        self.size = len(body) if body.isascii() else len(body.encode())
        given = req.get("MessageAttributes")
        self.attributes = attributes.kept(given) if given else None
        if self.attributes:
            self.size += attributes.size_bytes(self.attributes)
        if self.size > queue.max_bytes:
            raise InvalidParameterValue(
                f"One or more parameters are invalid. Reason: Message must be shorter than {queue.max_bytes} bytes."
            )
        system = req.get("MessageSystemAttributes")
        self.trace_header = _trace_header(system) if system else ""
        self.group: str = req.get("MessageGroupId", "")
        if "MessageGroupId" in req:
            check_token("MessageGroupId", self.group)
        self.deduplication = ""
        self.delay_s = queue.delay_s
        if queue.fifo or "MessageDeduplicationId" in req:
            self._fifo(queue, req)
        if "DelaySeconds" in req:
            self.delay_s = req["DelaySeconds"]
            if queue.fifo:
                if self.delay_s:
                    raise invalid(self.delay_s, "DelaySeconds", _NOT_OF_THIS_TYPE)
                self.delay_s = queue.delay_s
            elif not 0 <= self.delay_s <= _MAX_DELAY_S:
                raise invalid(self.delay_s, "DelaySeconds", f"DelaySeconds must be >= 0 and <= {_MAX_DELAY_S}.")

    def _fifo(self, queue: Queue, req: Mapping[str, Any]) -> None:
        token = req.get("MessageDeduplicationId")
        if not queue.fifo:
            raise invalid(token, "MessageDeduplicationId", _NOT_OF_THIS_TYPE)
        if "MessageGroupId" not in req:
            raise missing("MessageGroupId")
        if token is not None:
            check_token("MessageDeduplicationId", token)
            self.deduplication = token
        elif queue.content_deduplication:
            self.deduplication = sha256(self.body.encode()).hexdigest()
        else:
            raise InvalidParameterValue(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
            )


def check_token(parameter: str, value: str) -> None:
    if not _TOKEN.fullmatch(value):
        raise invalid(
            value,
            parameter,
            f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )


def _trace_header(given: Mapping[str, Any]) -> str:
    header = given.get("AWSTraceHeader")
    if header is None or len(given) > 1:
        raise InvalidParameterValue(
            "Message (system) attribute name is invalid: the only supported message system attribute is AWSTraceHeader."
        )
    if header["DataType"] != "String":
        raise InvalidParameterValue("The message system attribute AWSTraceHeader must be of type String.")
    text: str = header.get("StringValue", "")
    if not _TRACE_HEADER.fullmatch(text):
        raise InvalidParameterValue(
            "The message system attribute AWSTraceHeader must be a correctly formatted X-Ray trace header."
        )
    return text


def send(o: Open, draft: Draft, finisher: str = "") -> _Json:
    """Add the message, or recognise it as a duplicate; the answer of SendMessage."""
    ctx, queue = o.ctx, o.queue
    body = draft.body
    answer: _Json = {}
    if not finisher:
        answer["MD5OfMessageBody"] = md5(body.encode(), usedforsecurity=False).hexdigest()
    digest = ""
    if draft.attributes:
        answer["MD5OfMessageAttributes"] = digest = attributes.digest(draft.attributes)
    if draft.trace_header:
        answer["MD5OfMessageSystemAttributes"] = attributes.digest({"AWSTraceHeader": ("String", draft.trace_header)})
    kept_attributes, size = draft.attributes, draft.size
    if queue.kms_key:
        body, size = sealing.seal(o, body, kept_attributes)
        kept_attributes, digest = None, ""
    sequence = ""
    if queue.fifo:
        first = _seen(o, draft)
        if first is not None:
            o.count("NumberOfDeduplicatedSentMessages", 1.0)
            answer["MessageId"], answer["SequenceNumber"] = first.id, first.sequence
            return answer
        answer["SequenceNumber"] = sequence = sequence_number(o)
    o.sent.append(draft.size)
    answer["MessageId"] = message_id = ctx.ids.uuid()
    if size <= 4096:
        kept, where = body, 0
    else:
        kept, where = rows.shelve_body(o, body, size)
    message = Message(
        message_id,
        kept,
        where,
        draft.size,
        o.now_ms,
        o.sender or _sender(o),
        o.trace,
        answer["MD5OfMessageBody"] if where and not finisher and not queue.kms_key else "",
        kept_attributes,
        digest,
        draft.trace_header,
        draft.group,
        draft.deduplication,
        sequence,
        delayed=draft.delay_s > 0,
        finisher=finisher,
        sealed=queue.kms_key != "",
    )
    rows.add(o, message, draft.delay_s * 1000)
    if queue.fifo:
        remember(o, "d", _scope(queue, draft), Remembered(message_id, sequence, o.now_ms + DEDUPLICATION_S * 1000))
    return answer


def sequence_number(o: Open) -> str:
    """Of the next message: 20 digits that grow."""
    return f"{_SEQUENCE_BASE + o.counts.tail * _SEQUENCE_STEP:020d}"


def _scope(queue: Queue, draft: Draft) -> str:
    """What a deduplication id is unique in: the queue, or the message group."""
    if queue.deduplication_scope == "messageGroup":
        return f"{draft.deduplication} {draft.group}"
    return draft.deduplication


def _seen(o: Open, draft: Draft) -> Remembered | None:
    raw = o.tx.get_bytes(seen_key(o.queue.uid, "d", _scope(o.queue, draft)))
    first = None if raw is None else decode_remembered(raw)
    return first if first is not None and o.due_ms < first.until_ms else None


def remember(o: Open, kind: str, name: str, what: Remembered) -> None:
    """Keep it for five minutes, until the end of the minute in which they are over."""
    uid = o.queue.uid
    minute = what.until_ms // 60_000 + 1
    o.tx.put(seen_key(uid, kind, name), encode(what))
    o.tx.put(forget_key(uid, minute, kind, name), b"")
    o.tx.wake(minute * 60.0, "sqs.forget", (uid, minute))


def _sender(o: Open) -> str:
    """SenderId: the account for its root, a user's or role's id with the session's name otherwise.

    Source: API_ReceiveMessage, SenderId (read 2026-11).
    """
    o.sender = _sender_of(o.ctx)
    return o.sender


def _sender_of(ctx: Context) -> str:
    principal = ctx.principal
    if principal.endswith(":root") or not principal.startswith("arn:"):
        return ctx.account if principal.startswith("arn:") or not principal else principal
    known: dict[str, str] = ctx.pipeline.volatile.setdefault("sqs.senders", {})
    found = known.get(ctx.access_key)
    if found is None:
        try:
            identity = ctx.call("sts", "cumulet:Identity", {"AccessKeyId": ctx.access_key})
        except AwsError:
            identity = {}
        found = identity.get("UserId", ctx.account)
        if len(known) > 10_000:
            known.clear()
        known[ctx.access_key] = found
    return found

"""A published message: what a Publish asks for, checked, with what its deliveries share.

Limits: 256 KiB or the topic's MaximumMessageSize with attributes; subjects under 100 characters; texts for single
protocols in a JSON object (MessageStructure "json").
Source: SNS API_Publish; developer guide, "Amazon SNS message attributes" (read 2026-11).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.sns import filters
from cumulet.services.sns.errors import InvalidParameter, ParameterValueInvalid
from cumulet.services.sns.model import SIZE_BYTES, Topic

Json = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_ATTRIBUTE = re.compile(r"[a-zA-Z0-9_\-]+(\.[a-zA-Z0-9_\-]+)*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # a queue takes no others either
_PROTOCOLS = frozenset(("http", "https", "email", "email-json", "sms", "sqs", "lambda", "application", "firehose"))
_MISSING: Any = object()


@dataclass(slots=True)
class Message:
    """One message. `texts` holds what single protocols get instead of `text`; the rest is made when it is first needed."""

    id: str
    text: str
    texts: dict[str, str]
    subject: str | None
    attributes: Json
    at: float
    size: int
    md5: str = ""
    group: str = ""
    deduplication: str = ""
    sequence: str = ""
    rendered: dict[str, str] = field(default_factory=dict)
    _values: Any = _MISSING
    _body: Any = _MISSING
    _timestamp: str = ""

    def text_for(self, protocol: str) -> str:
        return self.texts.get(protocol, self.text) if self.texts else self.text

    @property
    def timestamp(self) -> str:
        if not self._timestamp:
            self._timestamp = timestamp(self.at)
        return self._timestamp

    @property
    def values(self) -> dict[str, Sequence[filters.Value]] | None:
        """Attributes as filters compare them; None when one of them cannot be read."""
        if self._values is _MISSING:
            try:
                self._values = filters.attribute_values(self.attributes)
            except filters.UnreadableAttribute:
                self._values = None
        return self._values  # type: ignore[no-any-return]

    @property
    def body(self) -> Json | None:
        """The message as a JSON object; None when it is none."""
        if self._body is _MISSING:
            try:
                found = read_json(self.text)
            except NotJson:
                found = None
            self._body = found if isinstance(found, dict) else None
        return self._body  # type: ignore[no-any-return]


def timestamp(at: float) -> str:
    """2012-05-02T00:54:06.655Z"""
    second, micros = divmod(round(at * 1e6), 1_000_000)
    return f"{_second(second)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()[:-6]


def message_of(req: Json, topic: Topic | None, id_: str, now: float) -> Message:
    """What a Publish request or an entry of a batch asks for. Raises: InvalidParameter, ParameterValueInvalid."""
    text: str = req["Message"]
    if not text:
        raise InvalidParameter.of("Empty message")
    attributes = req.get("MessageAttributes", {})
    size = len(text.encode()) + sum(_checked_size(name, attribute) for name, attribute in attributes.items())
    if size > (topic.size_bytes if topic is not None else SIZE_BYTES):
        raise InvalidParameter.of("Message too long")
    if "Subject" in req:
        _check_subject(req["Subject"])
    texts: dict[str, str] = {}
    if "MessageStructure" in req:
        if req["MessageStructure"] != "json":
            raise InvalidParameter.of("MessageStructure")
        text, texts = _structured(text)
    return Message(id_, text, texts, req.get("Subject"), attributes, now, size)


def _check_subject(subject: str) -> None:
    if not 0 < len(subject) <= 100 or any(ord(letter) < 32 or ord(letter) == 127 for letter in subject):
        raise InvalidParameter.of("Subject")


def _structured(text: str) -> tuple[str, dict[str, str]]:
    """(default text, texts by protocol) of a message with MessageStructure json."""

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("duplicate keys")
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter.of("Message Structure - JSON message body failed to parse") from error
    if not isinstance(found, dict):
        raise InvalidParameter.of("Message Structure - JSON message body failed to parse")
    default = found.get("default")
    if not isinstance(default, str):
        raise InvalidParameter.of("Message Structure - No default entry in JSON message body")
    return default, {key: value for key, value in found.items() if key in _PROTOCOLS and isinstance(value, str)}


def _checked_size(name: str, attribute: Json) -> int:
    """A message attribute's bytes: name, type and value."""
    if not 0 < len(name) <= 256 or not _ATTRIBUTE.fullmatch(name):
        raise ParameterValueInvalid(
            f"The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), "
            "hyphen (-), and period (.) characters."
        )
    if name.lower().startswith(("aws.", "amazon.")) and not name.startswith("AWS.SNS."):
        raise ParameterValueInvalid(f"The message attribute name '{name}' can not start with a reserved prefix.")
    kind: str = attribute["DataType"]
    if not kind:
        raise ParameterValueInvalid(f"The message attribute '{name}' must contain non-empty message attribute type.")
    base = kind.partition(".")[0]
    if base not in ("String", "Number", "Binary") or len(kind) > 256:
        raise ParameterValueInvalid(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is "
            "Binary, Number, and String."
        )
    member, other = ("BinaryValue", "StringValue") if base == "Binary" else ("StringValue", "BinaryValue")
    if not attribute.get(member):
        if attribute.get(other):
            raise ParameterValueInvalid(
                f"The message attribute '{name}' with type '{kind}' must use field '{member.removesuffix('Value')}'."
            )
        raise ParameterValueInvalid(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type "
            f"'{kind}'."
        )
    value = attribute[member]
    if base == "Number":
        try:
            if not _NUMBER.fullmatch(value):
                raise ValueError("not a number")
            filters.fixed(value)
        except ValueError as error:
            raise ParameterValueInvalid(f"Could not cast message attribute '{name}' value to number.") from error
    return len(name.encode()) + len(kind) + len(value if isinstance(value, bytes) else value.encode())


def order(message: Message, topic: Topic, req: Json) -> None:
    """Fill in a message's group and deduplication id. Raises: InvalidParameter."""
    group, deduplication = req.get("MessageGroupId"), req.get("MessageDeduplicationId")
    if group is not None:
        _check_id("MessageGroupId", group)
        message.group = group
    if not topic.fifo:
        if deduplication is not None:
            raise InvalidParameter.of(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for "
                "this topic type"
            )
        return
    if group is None:
        raise InvalidParameter.of("The MessageGroupId parameter is required for FIFO topics")
    if deduplication is not None:
        _check_id("MessageDeduplicationId", deduplication)
        message.deduplication = deduplication
    elif topic.attributes.get("ContentBasedDeduplication") == "true":
        message.deduplication = hashlib.sha256(req["Message"].encode()).hexdigest()
    else:
        raise InvalidParameter.of(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
        )


def _check_id(member: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise InvalidParameter.of(
            f"{member} Reason: {member} can only include alphanumeric and punctuation characters, 1 to 128 of them"
        )

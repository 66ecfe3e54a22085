"""Message attributes: what they may be, how they are kept, and their MD5.

Source: SQS developer guide, "Amazon SQS message attributes" with "Calculating the MD5 message digest for message attributes";
API_MessageAttributeValue (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import md5
from typing import Any

from cumulet.services.sqs.errors import InvalidParameterValue

Kept = dict[str, tuple[str, Any]]  # name -> (type, str or bytes)

_MOST = 10
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")
_TYPES = ("String", "Number", "Binary")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,4}))?")
_DIGITS = 38
_LEAST, _GREATEST = Decimal("1E-128"), Decimal("1E+126")
_TYPE_LENGTH = 256


def kept(given: Mapping[str, Any]) -> Kept:
    """A request's attributes as they are stored: name -> (type, value). Raises: InvalidParameterValue."""
    if len(given) > _MOST:
        raise InvalidParameterValue(
            f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{_MOST}]."
        )
    return {name: _checked(name, value) for name, value in given.items()}


def _checked(name: str, value: Mapping[str, Any]) -> tuple[str, str | bytes]:
    _check_name(name)
    if "StringListValues" in value or "BinaryListValues" in value:
        raise InvalidParameterValue("Message attribute list values in SendMessage operation are not supported.")
    type_ = value["DataType"]
    if not type_:
        raise InvalidParameterValue(f"The message attribute '{name}' must contain non-empty message attribute type.")
    logical = type_.split(".", 1)[0]
    if logical not in _TYPES:
        raise InvalidParameterValue(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is "
            "Binary, Number, and String."
        )
    if len(type_) > _TYPE_LENGTH:
        raise InvalidParameterValue("Message (user) attribute type can be up to 256 characters long.")
    member = "BinaryValue" if logical == "Binary" else "StringValue"
    found: str | bytes = value.get(member, b"" if logical == "Binary" else "")
    if not found:
        raise InvalidParameterValue(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type "
            f"'{logical}'."
        )
    if logical == "Number" and not _is_number(str(found)):
        raise InvalidParameterValue(f"Can't cast the value of message (user) attribute '{name}' to a number.")
    if isinstance(found, str):
        check_text(found, "message attribute value")
    return type_, found


def _is_number(text: str) -> bool:
    """Whether a text is a number of 38 digits at most, from 10^-128 to 10^126; zeros at its ends do not count."""
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        return False
    digits = parts[1].replace(".", "").strip("0")
    return not digits or (len(digits) <= _DIGITS and _LEAST <= abs(Decimal(text)) <= _GREATEST)


def _check_name(name: str) -> None:
    if len(name) > _TYPE_LENGTH:
        raise InvalidParameterValue("Message (user) attribute name can be up to 256 characters long.")
    if not _NAME.fullmatch(name):
        raise InvalidParameterValue(
            "Message (user) attribute name can only include alphanumeric characters, hyphens, underscores, and periods."
        )
    if name.lower().startswith(("aws.", "amazon.")):
        raise InvalidParameterValue(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal "
            "use."
        )
    if name.startswith(".") or name.endswith(".") or ".." in name:
        raise InvalidParameterValue(
            "Invalid message attribute name: the name can't start or end with a period, or have periods in succession."
        )


def size_bytes(attributes: Kept) -> int:
    """Names, types and values count towards a message's size."""
    total = 0
    for name, (type_, value) in attributes.items():
        total += len(name.encode()) + len(type_.encode())
        total += len(value) if isinstance(value, bytes) else len(value.encode())
    return total


def digest(attributes: Kept) -> str:
    """The MD5 that SDKs compare with their own."""
    sink = md5(usedforsecurity=False)
    for name in sorted(attributes):
        type_, value = attributes[name]
        raw, transport = (value, b"\x02") if isinstance(value, bytes) else (value.encode(), b"\x01")
        for part in (name.encode(), type_.encode()):
            sink.update(len(part).to_bytes(4, "big") + part)
        sink.update(transport + len(raw).to_bytes(4, "big") + raw)
    return sink.hexdigest()


def wanted(attributes: Kept, names: Iterable[str]) -> Kept:
    """The attributes that MessageAttributeNames asks for: names, `prefix.*`, `All` or `.*`."""
    names = list(names)
    if "All" in names or ".*" in names:
        return attributes
    exact = set(names)
    prefixes = tuple(name[:-1] for name in names if name.endswith(".*"))
    return {
        name: value for name, value in attributes.items() if name in exact or (prefixes and name.startswith(prefixes))
    }


def shown(attributes: Kept) -> dict[str, Any]:
    """As the API gives them."""
    return {
        name: {"BinaryValue" if isinstance(value, bytes) else "StringValue": value, "DataType": type_}
        for name, (type_, value) in attributes.items()
    }


_CONTROLS = bytes(set(range(32)) - {9, 10, 13})
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def forbidden(text: str) -> str | None:
    """The first character that a message may not contain."""
    if text.isascii():  # two C loops, where the expression steps through every character
        raw = text.encode()
        if len(raw.translate(None, _CONTROLS)) == len(raw):
            return None
    found = _FORBIDDEN.search(text)
    return None if found is None else found[0]


def check_text(text: str, where: str) -> None:
    """Raises: InvalidParameterValue."""
    bad = forbidden(text)
    if bad is not None:
        raise InvalidParameterValue(
            f"Invalid binary character '#x{ord(bad):X}' was found in the {where}, the set of allowed characters is #x9 | #xA | "
            "#xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
        )

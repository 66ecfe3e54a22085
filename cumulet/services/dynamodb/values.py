"""Attribute values: one pass that checks, measures and normalises them; their order and equality.

In memory a value is what is on the wire, `{"S": "x"}`, with numbers in DynamoDB's plain form (no exponent, no leading
or trailing zeros) and binary as canonical base64, so that equal values are equal dicts, sets apart.
Source: developer guide, "Item sizes and capacity unit consumption", "Naming rules and data types" (read 2026-11).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from decimal import Context, Decimal, Inexact
from typing import Any

from cumulet.services.dynamodb.errors import SerializationException, ValidationException, invalid
from cumulet.services.dynamodb.model import AttributeValue, Item

MAX_ITEM_BYTES = 400 * 1024
MAX_DEPTH = 32
_DIGITS = 38
_plain_integer = re.compile(r"-?[1-9][0-9]{0,37}|0").fullmatch
_number = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?", re.ASCII).fullmatch
_ARITHMETIC = Context(prec=400, Emax=2000, Emin=-2000, traps=[Inexact])
_KINDS = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL")
_SET_ELEMENT = {"SS": "S", "NS": "N", "BS": "B"}


def number_parts(text: str) -> tuple[bool, str, int]:
    """(negative, digits without zeros at either end, exponent e) of `0.digits * 10**e`; zero is (False, "", 0).

    Raises: ValidationException for what is no number, more than 38 digits, or a magnitude out of range.
    """
    match = _number(text)
    if match is None or not (match[2] or match[3]):
        raise ValidationException(
            f"The parameter cannot be converted to a numeric value: {text}"
            if text
            else "The parameter cannot be converted to a numeric value"
        )
    whole, fraction, power = match[2].lstrip("0"), match[3] or "", match[4] or "0"
    digits = (whole + fraction).lstrip("0")
    leading = len(whole) if whole else len(digits) - len(fraction)
    digits = digits.rstrip("0")
    if not digits:
        return False, "", 0
    sign = -1 if power[0] == "-" else 1
    magnitude = power.lstrip("+-").lstrip("0")
    exponent = leading + sign * (int(magnitude or "0") if len(magnitude) < 9 else 10**9)
    if exponent > 126:
        raise ValidationException(
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        )
    if exponent < -129:
        raise ValidationException(
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
        )
    if len(digits) > _DIGITS:
        raise ValidationException("Attempting to store more than 38 significant digits in a Number")
    return match[1] == "-", digits, exponent


def normal_number(text: str) -> str:
    """A number in plain notation: "1.50e1" is "15"."""
    if _plain_integer(text):
        return text
    negative, digits, exponent = number_parts(text)
    if not digits:
        return "0"
    if exponent <= 0:
        plain = "0." + "0" * -exponent + digits
    elif exponent >= len(digits):
        plain = digits + "0" * (exponent - len(digits))
    else:
        plain = f"{digits[:exponent]}.{digits[exponent:]}"
    return "-" + plain if negative else plain


def number_size(text: str) -> int:
    """Bytes of a normal number: one per two significant digits, one more, and one for a minus."""
    if text[0] == "-":
        return 1 + number_size(text[1:])
    digits = text.replace(".", "").strip("0") if "." in text else text.rstrip("0")
    return (len(digits) + 1) // 2 + 1 if digits else 1


def add_numbers(left: str, right: str, sign: int = 1) -> str:
    """The sum (or difference) of two normal numbers. Raises: ValidationException beyond 38 digits or out of range."""
    other = Decimal(right)
    total = _ARITHMETIC.add(Decimal(left), other if sign > 0 else -other)
    return normal_number(format(total, "f"))


def text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _mismatch(value: Any, wanted: str) -> SerializationException:
    if isinstance(value, list):
        return SerializationException(
            "Unexpected value type in payload" if wanted == "Structure" else "Start of list found where not expected"
        )
    if isinstance(value, dict):
        return SerializationException("Start of structure or map found where not expected.")
    words = {
        bool: "TRUE_VALUE" if value is True else "FALSE_VALUE",
        int: "NUMBER_VALUE",
        float: "NUMBER_VALUE",
        str: "STRING_VALUE",
    }
    if value is not None and wanted == "Structure":
        return SerializationException("Unexpected value type in payload")
    return SerializationException(f"{words.get(type(value), 'NULL_VALUE')} cannot be converted to {wanted}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _mismatch(value, "String")
    return value


def canonical_binary(value: Any) -> tuple[int, str]:
    """(bytes, canonical base64 text). Raises: SerializationException."""
    if isinstance(value, bytes):
        return len(value), b64encode(value).decode()
    text = _text(value)
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SerializationException(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}"
            if len(text) % 4
            else "Invalid Base64 encoding"
        ) from error
    again = b64encode(raw).decode()
    return len(raw), text if again == text else again


def measured(item: Item) -> tuple[int, Item]:
    """(size in bytes, the item with normal values), checking every value. The same object where nothing changes.

    Raises: ValidationException, SerializationException.
    """
    size = 0
    changed: Item | None = None
    for name, value in item.items():
        size += len(name) if name.isascii() else text_size(name)
        if not name:
            raise invalid("Empty attribute name")
        if type(value) is dict and len(value) == 1:
            for kind, raw in value.items():  # noqa: B007
                pass
            if type(raw) is str:
                if kind == "S":
                    size += len(raw) if raw.isascii() else text_size(raw)
                    continue
                if kind == "N" and _plain_integer(raw):
                    size += number_size(raw)
                    continue
            elif kind == "BOOL" and (raw is True or raw is False):
                size += 1
                continue
        grown, normal = measure(value)
        size += grown
        if normal is not value:
            changed = changed or {}
            changed[name] = normal
    return size, item if changed is None else {**item, **changed}


def measure(value: Any, depth: int = 0) -> tuple[int, AttributeValue]:
    """(size in bytes, the normal value). Raises: ValidationException, SerializationException."""
    if type(value) is not dict:
        raise _mismatch(value, "Structure")
    known = [(kind, raw) for kind, raw in value.items() if raw is not None and kind in _KINDS]
    if len(known) != 1:
        if not known:
            raise ValidationException(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
            )
        for kind, raw in known:  # what is no number is said first
            for text in [raw] if kind == "N" else raw if kind == "NS" and type(raw) is list else []:
                normal_number(_text(text))
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
        )
    kind, raw = known[0]
    same = len(value) == 1
    if kind == "S":
        return text_size(_text(raw)), value if same else {"S": raw}
    if kind == "N":
        number = normal_number(_text(raw))
        return number_size(number), value if same and number == raw else {"N": number}
    if kind == "B":
        size, text = canonical_binary(raw)
        return size, value if same and text == raw else {"B": text}
    if kind == "BOOL":
        if raw is not True and raw is not False:
            raise _mismatch(raw, "Boolean")
        return 1, value if same else {"BOOL": raw}
    if kind == "NULL":
        if raw is not True and raw is not False:
            raise _mismatch(raw, "Boolean")
        if not raw:
            raise invalid("Null attribute value types must have the value of true")
        return 1, value if same else {"NULL": True}
    if kind == "M":
        return _measure_map(raw, depth + 1)
    if kind == "L":
        return _measure_list(raw, depth + 1)
    return _measure_set(kind, raw)


def _deeper(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValidationException("Nesting Levels have exceeded supported limits")


def _measure_map(raw: Any, depth: int) -> tuple[int, AttributeValue]:
    if type(raw) is not dict:
        raise _mismatch(raw, "Map")
    _deeper(depth)
    size = 3
    normal: Item = {}
    for name, value in raw.items():
        if value is None:
            raise ValidationException(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
            )
        grown, normal[name] = measure(value, depth)
        size += 1 + text_size(name) + grown
    return size, {"M": normal}


def _measure_list(raw: Any, depth: int) -> tuple[int, AttributeValue]:
    if type(raw) is not list:
        raise _mismatch(raw, "List")
    _deeper(depth)
    size = 3
    normal: list[AttributeValue] = []
    for value in raw:
        grown, element = measure(value, depth)
        size += 1 + grown
        normal.append(element)
    return size, {"L": normal}


def _measure_set(kind: str, raw: Any) -> tuple[int, AttributeValue]:
    if type(raw) is not list:
        raise _mismatch(raw, "List")
    if not raw:
        if kind == "BS":
            raise invalid("Binary sets should not be empty")
        raise invalid(f"An {'string' if kind == 'SS' else 'number'} set  may not be empty")
    size = 0
    normal: list[str] = []
    for element in raw:
        if kind == "BS":
            grown, text = canonical_binary(element)
        elif kind == "NS":
            text = normal_number(_text(element))
            grown = number_size(text)
        else:
            text = _text(element)
            grown = text_size(text)
        size += grown
        normal.append(text)
    if len(set(normal)) != len(normal):
        if kind == "NS":
            raise ValidationException("Input collection contains duplicates")
        raise invalid(f"Input collection [{', '.join(map(str, raw))}] contains duplicates.")
    return size, {kind: normal}


def kind_of(value: AttributeValue) -> str:
    return next(iter(value))


def equal(left: AttributeValue, right: AttributeValue) -> bool:
    """Whether two normal values are the same; sets have no order."""
    if left == right:
        return True
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    a, b = left[kind], right[kind]
    if kind in _SET_ELEMENT:
        return set(a) == set(b)
    if kind == "L":
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if kind == "M":
        return a.keys() == b.keys() and all(equal(value, b[name]) for name, value in a.items())
    return False


def ordered(kind: str, value: AttributeValue) -> Any:
    """A Python value that orders as DynamoDB orders values of this kind (S, N, B)."""
    if kind == "N":
        return Decimal(value["N"])
    if kind == "B":
        return b64decode(value["B"])
    return value["S"]


def shown(value: AttributeValue) -> str:
    """A value in the words of AWS's messages: `{S:abc}`."""
    kind = kind_of(value)
    raw = value[kind]
    if kind == "L":
        raw = f"[{', '.join(map(shown, raw))}]"
    elif kind == "M":
        raw = "{" + ", ".join(f"{name}={shown(part)}" for name, part in raw.items()) + "}"
    elif isinstance(raw, list):
        raw = f"[{', '.join(raw)}]"
    elif isinstance(raw, bool):
        raw = str(raw).lower()
    return f"{{{kind}:{raw}}}"

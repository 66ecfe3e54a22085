"""Holds requests against the model's constraints: compiled yes/no functions, and an explanation where the answer is no.

Styles of explanation, chosen per service in `metadata.validation` ([code, style]):
detected   "2 validation errors detected: Value 'x' at 'tableName' failed to satisfy constraint: ...; ..."
parameter  MissingParameter, "The request must contain the parameter X."; InvalidParameterValue; enums are the service's
s3         MalformedXML for what a body lacks, InvalidRequest for what headers and query lack; the rest is the service's
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.wire import patterns
from cumulet.wire.json import mismatch
from cumulet.wire.shapes import MESSAGE_LOCATIONS, Json

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel, ServiceModel

Holds = Callable[[Any], bool]
_FLOAT_WORDS = frozenset(("NaN", "Infinity", "-Infinity"))
_SHOWN = 2000  # characters of a value that an error message repeats
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (float, int),
    "float": (float, int),
    "double": (float, int),
    "blob": (bytes,),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}
_WIRE_WORDS = {"string": "String", "integer": "Integer", "long": "Long", "boolean": "Boolean", "float": "Float",
               "double": "Double", "timestamp": "Timestamp", "blob": "Blob", "list": "List", "map": "Map",
               "structure": "Structure", "character": "String"}  # fmt: skip


class Rules:
    """What a service validates."""

    def __init__(self, service: ServiceModel) -> None:
        self.service = service
        code, self.style = service.metadata["validation"]
        self.code: str = code
        self.enums = self.style == "detected"
        self.constraints = self.style != "s3"

    def matches(self, pattern: str) -> patterns.Matches | None:
        """The compiled pattern, None where it cannot be expressed."""
        key = ("pattern", pattern)
        compiled = self.service.compiled
        if key not in compiled:
            classes = self.service.models.unicode_classes() if "\\p" in pattern.lower() else {}
            compiled[key] = patterns.compile_pattern(pattern, classes)
        found: patterns.Matches | None = compiled[key]
        return found


# The fast answer


def holds(rules: Rules, name: str) -> Holds:
    """Whether a value fits the shape `name`."""
    return rules.service.cached(("check", name), lambda: _build(rules, rules.service.shapes[name]))


def _build(rules: Rules, shape: Json) -> Holds:
    kind = shape["type"]
    if shape.get("document") or shape.get("eventstream"):
        return lambda value: True
    if shape.get("opaque"):
        return lambda value: type(value) is dict
    if kind == "structure":
        return _structure(rules, shape)
    if kind == "list":
        return _list(rules, shape)
    if kind == "map":
        return _map(rules, shape)
    if kind in ("string", "character"):
        return _string(rules, shape)
    if kind in ("integer", "long"):
        return _integer(rules, shape)
    if kind == "boolean":
        return lambda value: value is True or value is False
    return _other(rules, shape)


def _structure(rules: Rules, shape: Json) -> Holds:
    shapes = rules.service.shapes
    members = {
        m: holds(rules, ref["shape"]) for m, ref in shape.get("members", {}).items() if not _streams(shapes, ref)
    }
    find = members.get
    required: tuple[str, ...] = tuple(shape.get("required", ()))

    def structure_holds(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name in required:
            if name not in value:
                return False
        for name, item in value.items():
            check = find(name)
            if check is not None and not check(item):
                return False
        return True

    return structure_holds


def _streams(shapes: dict[str, Json], ref: Json) -> bool:
    return bool(ref.get("streaming") or ref.get("jsonvalue") or shapes[ref["shape"]].get("streaming"))


def _size(rules: Rules, shape: Json) -> tuple[float, float]:
    if not rules.constraints:
        return 0, float("inf")
    return shape.get("min", 0), shape.get("max", float("inf"))


def _list(rules: Rules, shape: Json) -> Holds:
    element = holds(rules, shape["member"]["shape"])
    low, high = _size(rules, shape)

    def list_holds(value: Any) -> bool:
        if type(value) is not list or not low <= len(value) <= high:
            return False
        for item in value:  # noqa: SIM110  (a loop is twice as fast as all())
            if not element(item):
                return False
        return True

    return list_holds


def _map(rules: Rules, shape: Json) -> Holds:
    key_holds, value_holds = holds(rules, shape["key"]["shape"]), holds(rules, shape["value"]["shape"])
    low, high = _size(rules, shape)

    def map_holds(value: Any) -> bool:
        if type(value) is not dict or not low <= len(value) <= high:
            return False
        for key, item in value.items():  # noqa: SIM110
            if not (key_holds(key) and value_holds(item)):
                return False
        return True

    return map_holds


def _string(rules: Rules, shape: Json) -> Holds:
    low, high = _size(rules, shape)
    pattern: str | None = shape.get("pattern") if rules.constraints else None
    enum = frozenset(shape["enum"]) if rules.enums and "enum" in shape else None
    if enum is not None:
        return lambda value: type(value) is str and value in enum
    if pattern is not None:
        text = pattern

        def pattern_holds(value: Any) -> bool:
            if type(value) is not str or not low <= len(value) <= high:
                return False
            matches = rules.matches(text)
            return matches is None or matches(value) is not None

        return pattern_holds
    if low <= 0 and high == float("inf"):
        return lambda value: type(value) is str
    return lambda value: type(value) is str and low <= len(value) <= high


def _integer(rules: Rules, shape: Json) -> Holds:
    if not rules.constraints or ("min" not in shape and "max" not in shape):
        return lambda value: type(value) is int
    low, high = shape.get("min", float("-inf")), shape.get("max", float("inf"))
    return lambda value: type(value) is int and low <= value <= high


def _other(rules: Rules, shape: Json) -> Holds:
    """Blobs, timestamps and floats."""
    kind = shape["type"]
    if kind == "blob":
        low, high = _size(rules, shape)
        return lambda value: type(value) is bytes and low <= len(value) <= high
    if kind == "timestamp":
        return lambda value: type(value) is float or type(value) is int
    low, high = shape.get("min", float("-inf")), shape.get("max", float("inf"))
    if not rules.constraints:
        low, high = float("-inf"), float("inf")

    def number_holds(value: Any) -> bool:
        if type(value) is float or type(value) is int:
            return low <= value <= high or isnan(value)
        return type(value) is str and value in _FLOAT_WORDS

    return number_holds


# The explanation


def _shown(value: Any) -> str:
    """A value in AWS's (Java's) words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}={_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _limits(shape: Json) -> list[str]:
    """All constraints of a scalar shape in AWS's words."""
    out = []
    if "pattern" in shape:
        out.append(f"Member must satisfy regular expression pattern: {shape['pattern']}")
    measure = "value" if shape["type"] in ("integer", "long", "float", "double") else "length"
    if "max" in shape:
        out.append(f"Member must have {measure} less than or equal to {shape['max']}")
    if "min" in shape:
        out.append(f"Member must have {measure} greater than or equal to {shape['min']}")
    if "enum" in shape:
        out.append(f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]")
    return out


class Explanation:
    """Finds everything wrong with a request. `found`: (path, constraint, value, missing, sensitive)."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.shapes = rules.service.shapes
        self.messages: list[str] = []
        self.missing: list[tuple[str, str | None]] = []  # (path in wire names, location)

    def walk(self, name: str, value: Any, path: str, names: str) -> None:
        shape = self.shapes[name]
        kind = shape["type"]
        if shape.get("document") or shape.get("eventstream"):
            return
        self.expect_type(kind, value)
        if shape.get("opaque"):
            return
        if kind == "structure":
            self.walk_structure(shape, value, path, names)
            return
        failures = self.failures(shape, value)
        self.report(shape, value, path, failures)
        if kind == "list":
            self.walk_elements(shape, value, path, names)
        elif kind == "map":
            self.walk_entries(shape, value, path, names)

    def expect_type(self, kind: str, value: Any) -> None:
        if type(value) not in _PYTHON[kind] and not (kind in ("float", "double") and value in _FLOAT_WORDS):
            raise GenericAwsError("SerializationException", str(mismatch(value, _WIRE_WORDS[kind])))

    def walk_structure(self, shape: Json, value: Json, path: str, names: str) -> None:
        members = shape.get("members", {})
        for member in shape.get("required", ()):
            if value.get(member) is None:
                where = f"{path}.{_lower(member)}" if path else _lower(member)
                self.messages.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
                self.missing.append((f"{names}.{member}" if names else member, members[member].get("location")))
        for member, item in value.items():
            ref = members.get(member)
            if ref is not None and item is not None and not _streams(self.shapes, ref):
                where = f"{path}.{_lower(member)}" if path else _lower(member)
                self.walk(ref["shape"], item, where, f"{names}.{member}" if names else member)

    def walk_elements(self, shape: Json, value: list[Any], path: str, names: str) -> None:
        element = self.shapes[shape["member"]["shape"]]
        scalar = element["type"] not in ("structure", "list", "map")
        for index, item in enumerate(value, 1):
            if scalar:
                self.expect_type(element["type"], item)
                if self.failures(element, item):
                    limits = ", ".join(_limits(element))
                    self.report(shape, value, path, [f"Member must satisfy constraint: [{limits}]"])
                    return
            else:
                self.walk(shape["member"]["shape"], item, f"{path}.{index}.member", f"{names}.{index}")

    def walk_entries(self, shape: Json, value: Json, path: str, names: str) -> None:
        key_shape, item_shape = self.shapes[shape["key"]["shape"]], self.shapes[shape["value"]["shape"]]
        scalar = item_shape["type"] not in ("structure", "list", "map")
        for key, item in value.items():
            if self.failures(key_shape, key):
                limits = ", ".join(_limits(key_shape))
                self.report(shape, value, path, [f"Map keys must satisfy constraint: [{limits}]"])
                return
            if scalar:
                self.expect_type(item_shape["type"], item)
                if self.failures(item_shape, item):
                    limits = ", ".join(_limits(item_shape))
                    self.report(shape, value, path, [f"Map value must satisfy constraint: [{limits}]"])
                    return
            else:
                if isinstance(item, list) and self.failures(item_shape, item):
                    limits = ", ".join(_limits(item_shape))
                    self.report(shape, value, path, [f"Map value must satisfy constraint: [{limits}]"])
                    return
                self.walk(shape["value"]["shape"], item, f"{path}.{key}.member", f"{names}.{key}")

    def failures(self, shape: Json, value: Any) -> list[str]:
        """The constraints of the shape itself that the value breaks."""
        rules = self.rules
        if not rules.constraints:
            return []
        kind = shape["type"]
        if kind in ("timestamp", "boolean", "structure"):
            return []
        out = []
        if kind in ("string", "character") and "enum" in shape:
            if rules.enums and value not in shape["enum"]:
                out.append(_limits({"type": kind, "enum": shape["enum"]})[0])
            return out
        if "pattern" in shape:
            matches = rules.matches(shape["pattern"])
            if matches is not None and matches(value) is None:
                out.append(f"Member must satisfy regular expression pattern: {shape['pattern']}")
        number = kind in ("integer", "long", "float", "double")
        if number and (isinstance(value, str) or isnan(value)):
            return out
        size = value if number else len(value)
        measure = "value" if number else "length"
        if "max" in shape and size > shape["max"]:
            out.append(f"Member must have {measure} less than or equal to {shape['max']}")
        if "min" in shape and size < shape["min"]:
            out.append(f"Member must have {measure} greater than or equal to {shape['min']}")
        return out

    def report(self, shape: Json, value: Any, path: str, failures: list[str]) -> None:
        shown = "" if shape.get("sensitive") else f" '{_shown(value)}'"
        self.messages += [f"Value{shown} at '{path}' failed to satisfy constraint: {text}" for text in failures]


def _error(rules: Rules, found: Explanation) -> AwsError:
    if rules.style == "s3" and found.missing:
        name, location = found.missing[0]
        if location in MESSAGE_LOCATIONS:
            return GenericAwsError("InvalidRequest", f"Missing required parameter for this request: {name}")
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return GenericAwsError("MalformedXML", message)
    if rules.style == "parameter":
        if found.missing:
            return GenericAwsError(rules.code, f"The request must contain the parameter {found.missing[0][0]}.")
        return GenericAwsError("InvalidParameterValue", found.messages[0])
    count = len(found.messages)
    errors = "error" if count == 1 else "errors"
    return GenericAwsError(rules.code, f"{count} validation {errors} detected: {'; '.join(found.messages)}")


def compile_check(op: OperationModel) -> Callable[[Json], None]:
    """The check of an operation's request. It raises AwsError."""
    if op.input is None:
        return lambda req: None
    rules = Rules(op.service)
    name: str = op.input["shape"]
    fits = holds(rules, name)

    def check(req: Json) -> None:
        try:
            if fits(req):
                return
            found = Explanation(rules)
            found.walk(name, req, "", "")
        except RecursionError as e:
            raise GenericAwsError("SerializationException", "The request is nested too deeply") from e
        if found.messages:
            raise _error(rules, found)

    return check

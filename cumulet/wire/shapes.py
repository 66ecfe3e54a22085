"""Questions that the codecs ask of a model's shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cumulet.wire.models import ServiceModel

Json = dict[str, Any]
Convert = Callable[[Any], Any]
MESSAGE_LOCATIONS = frozenset(("header", "headers", "uri", "querystring", "statusCode"))


def references(shape: Json) -> Iterator[Json]:
    """The references that a shape makes to other shapes."""
    yield from shape.get("members", {}).values()
    for part in ("member", "key", "value"):
        if part in shape:
            yield shape[part]


def any_reachable(service: ServiceModel, name: str, question: str, test: Callable[[Json], bool]) -> bool:
    """Whether `test` holds for the shape `name` or one that it reaches; remembered under `question`."""
    known = service.compiled.get((question, name))
    if known is not None:
        return bool(known)
    seen: set[str] = set()
    todo = [name]
    answer = False
    while todo and not answer:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        shape = service.shapes[current]
        if shape.get("opaque") or shape.get("document"):
            continue
        answer = test(shape)
        todo += [ref["shape"] for ref in references(shape)]
    service.compiled[question, name] = answer
    return answer


def wire_name(ref: Json, member: str) -> str:
    """A member's name on the wire in protocols other than query and ec2."""
    name: str = ref.get("locationName", member)
    return name


def renames(shape: Json) -> bool:
    return any(wire_name(ref, member) != member for member, ref in shape.get("members", {}).items())


def has_message_locations(shape: Json) -> bool:
    """Whether members travel outside the body."""
    return any(ref.get("location") in MESSAGE_LOCATIONS for ref in shape.get("members", {}).values())


def body_members(shape: Json) -> dict[str, Json]:
    members: dict[str, Json] = shape.get("members", {})
    return {name: ref for name, ref in members.items() if ref.get("location") not in MESSAGE_LOCATIONS}


def timestamp_format(service: ServiceModel, ref: Json, default: str) -> str:
    found: str = ref.get("timestampFormat") or service.shapes[ref["shape"]].get("timestampFormat") or default
    return found


def is_streaming(service: ServiceModel, ref: Json) -> bool:
    return bool(ref.get("streaming") or service.shapes[ref["shape"]].get("streaming"))

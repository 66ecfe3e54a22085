"""Updates of lists against a model: a dict of the list's places, in which every path means the list as it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.update import apply_update

LENGTHS = st.integers(0, 5)
ACTIONS = st.dictionaries(
    st.integers(0, 8),  # the place in the list
    st.tuples(st.sampled_from(["SET", "REMOVE", "ADD", "DELETE", "SET .n", "REMOVE .n", "DELETE .s"]), st.integers(10, 19)),
    max_size=6,
)  # fmt: skip


def element(number: int) -> dict[str, Any]:
    """Elements take turns: a number, a set, and a map of both."""
    kinds: list[dict[str, Any]] = [
        {"N": str(number)},
        {"SS": ["gone", "kept"]},
        {"M": {"n": {"N": str(number)}, "s": {"SS": ["gone"]}}},
    ]
    return kinds[number % 3]


def wanted(length: int, actions: dict[int, tuple[str, int]]) -> tuple[list[Any], dict[int, tuple[str, int]]]:
    """(the list afterwards, the actions that fit what is there)."""
    places = {number: element(number) for number in range(length)}
    before, fitting = dict(places), {}
    for place, (what, number) in actions.items():
        there = before.get(place)
        kind = next(iter(there)) if there else None
        if what == "SET":
            places[place] = {"N": str(number)}
        elif what == "REMOVE":
            places.pop(place, None)
        elif what == "ADD" and kind in (None, "N"):
            places[place] = {"N": str(number + (int(there["N"]) if there else 0))}
        elif what == "DELETE" and kind in (None, "SS"):
            if there:
                places[place] = {"SS": ["kept"]}
        elif what == "SET .n" and kind == "M":
            places[place] = {"M": {"n": {"N": str(number)}, "s": {"SS": ["gone"]}}}
        elif what == "REMOVE .n" and kind == "M":
            places[place] = {"M": {"s": {"SS": ["gone"]}}}
        elif what == "DELETE .s" and kind == "M":
            places[place] = {"M": {"n": {"N": str(place)}}}
        else:
            continue
        fitting[place] = (what, number)
    return [places[place] for place in sorted(places)], fitting


@settings(max_examples=300, deadline=None)
@given(LENGTHS, ACTIONS)
def test_an_update_of_a_list_means_the_list_as_it_was(length: int, actions: dict[int, tuple[str, int]]) -> None:
    after, actions = wanted(length, actions)
    if not actions:
        return
    sections: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for place, (what, number) in actions.items():
        section, _, below = what.partition(" ")
        path = f"l[{place}]{below}"
        value = {"SS": ["gone"]} if section == "DELETE" else {"N": str(number)}
        if section != "REMOVE":
            values[f":v{place}"] = value
        sign = " = " if section == "SET" else " "
        sections.setdefault(section, []).append(path if section == "REMOVE" else f"{path}{sign}:v{place}")
    text = " ".join(f"{section} {', '.join(paths)}" for section, paths in sections.items())
    request = {"UpdateExpression": text, **({"ExpressionAttributeValues": values} if values else {})}
    binding = Binding(request, ("UpdateExpression",), ("UpdateExpression",))
    update = binding.update(text)
    item = {"l": {"L": [element(number) for number in range(length)]}}
    assert apply_update(update, item, binding.values) == {"l": {"L": after}}

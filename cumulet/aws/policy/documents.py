"""Policy documents, parsed once: statements as tests of principal, action, resource and context."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.aws.policy.conditions import Holds, UnknownOperator, condition
from cumulet.aws.policy.facts import Facts, flattened
from cumulet.aws.policy.patterns import Matches, pattern

_KEPT = 2000

Match = Callable[["Names"], str]
Names = Mapping[
    str, str
]  # what a principal is called in policies ("AWS:arn:...", "Service:sqs..."), and how it is meant


class MalformedPolicy(ValueError):
    """A text that is no policy document."""


class Statement:
    """One statement. `principal` says how it speaks of a caller: "direct", "role", "account", or "" for not at all; `keys` are those
    of its conditions."""

    __slots__ = (
        "_actions",
        "_conditions",
        "_not_action",
        "_not_resource",
        "_resources",
        "allows",
        "keys",
        "principal",
        "unknown",
    )

    def __init__(self, raw: Mapping[str, Any], variables: bool, known: Collection[str] | None) -> None:
        effect = raw.get("Effect")
        if effect not in ("Allow", "Deny"):
            raise MalformedPolicy("a statement's Effect is Allow or Deny")
        self.allows = effect == "Allow"
        self.principal = _principals(raw)
        self._not_action, self._not_resource = "NotAction" in raw, "NotResource" in raw
        self._actions = _patterns(raw, "Action", variables=False, ignore_case=True)
        self._resources = _patterns(raw, "Resource", variables=variables)
        self._conditions: list[Holds] = []
        self.unknown = False
        self.keys: list[str] = []
        conditions = raw.get("Condition") or {}
        if not isinstance(conditions, Mapping):
            raise MalformedPolicy("a Condition is an object")
        for name, keys in conditions.items():
            if not isinstance(keys, Mapping) or not keys:
                self.unknown = True
                continue
            self.keys += keys
            for key, wanted in keys.items():
                if known is not None and key.lower() not in known:
                    self.unknown = True
                    continue
                try:
                    self._conditions.append(condition(name, key, wanted, variables=variables))
                except UnknownOperator:
                    self.unknown = True

    def speaks_of(self, action: str, resource: str, facts: Facts) -> bool:
        """Whether the action, the resource and the conditions fit. A condition that nobody knows holds for a Deny alone."""
        if self.unknown and self.allows:
            return False
        if self._actions is not None and self._not_action is any(test(action, facts) for test in self._actions):
            return False
        if self._resources is not None and self._not_resource is any(test(resource, facts) for test in self._resources):
            return False
        return all(holds(facts) for holds in self._conditions)


class Document:
    """A policy: its denying and its allowing statements.

    `known` are the keys of the context that can be told here, in lower case: a condition on another one is like one that nobody
    knows. Without it, such a key counts as absent.
    """

    __slots__ = ("allowing", "denying")

    def __init__(self, raw: Any, known: Collection[str] | None = None) -> None:
        if not isinstance(raw, Mapping):
            raise MalformedPolicy("a policy is an object")
        variables = (
            raw.get("Version") == "2012-10-17"
        )  # the older version has none, and is what counts where none is named
        statements = []
        for each in flattened(raw.get("Statement") or ()):
            if not isinstance(each, Mapping):
                raise MalformedPolicy("a statement is an object")
            statements.append(Statement(each, variables, known))
        self.denying = [each for each in statements if not each.allows]
        self.allowing = [each for each in statements if each.allows]

    def denies(self, action: str, resource: str, facts: Facts, names: Names | None = None) -> bool:
        """Whether a statement denies; with `names`, one that speaks of these principals."""
        return any(
            (names is None or each.principal(names) != "") and each.speaks_of(action, resource, facts)
            for each in self.denying
        )

    def allows(self, action: str, resource: str, facts: Facts) -> bool:
        """Whether a statement allows, whoever the principal is."""
        return any(each.speaks_of(action, resource, facts) for each in self.allowing)

    def grants(self, action: str, resource: str, facts: Facts, names: Names) -> str:
        """How a resource policy allows: "direct" (the principal itself), "role" (its role), "account" (its account), or ""."""
        best = ""
        for each in self.allowing:
            how = each.principal(names)
            if how and how != best and each.speaks_of(action, resource, facts):
                if how == "direct":
                    return how
                best = "role" if "role" in (best, how) else how
        return best


class Documents:
    """Parsed documents by their text, the last used ones."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._known: dict[str, Document] = {}

    def of(self, text: str) -> Document:
        """Raises: MalformedPolicy."""
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= self._kept:
                self._known.clear()
            known = self._known[text] = parse(text)
        return known


def parse(text: str) -> Document:
    """Raises: MalformedPolicy."""
    try:
        raw = read_json(text)
    except NotJson as error:
        raise MalformedPolicy(str(error)) from error
    return Document(raw)


def _patterns(
    raw: Mapping[str, Any], member: str, *, variables: bool, ignore_case: bool = False
) -> list[Matches] | None:
    """Tests of Action or NotAction, Resource or NotResource; None where a statement has neither and so means all."""
    given = raw.get(member, raw.get(f"Not{member}"))
    if given is None:
        return None
    return [
        pattern(text, variables=variables, ignore_case=ignore_case)
        for text in flattened(given)
        if isinstance(text, str)
    ]


def _principals(raw: Mapping[str, Any]) -> Match:
    """A test of a caller's names. A statement without principals speaks of everybody (identity policies)."""
    if "Principal" in raw:
        listed = _listed(raw["Principal"])
        if "*" in listed:
            return lambda names: "direct"
        return lambda names: _best(names, listed)
    if "NotPrincipal" in raw:
        excluded = _listed(raw["NotPrincipal"])
        return lambda names: "" if "*" in excluded or _best(names, excluded) else "direct"
    return lambda names: "direct"


def _best(names: Names, listed: frozenset[str]) -> str:
    found = {how for name, how in names.items() if name in listed}
    return next((how for how in ("direct", "role", "account") if how in found), "")


def _listed(principal: Any) -> frozenset[str]:
    if principal == "*":
        return frozenset("*")
    if not isinstance(principal, Mapping):
        return frozenset()
    listed = set()
    for kind, names in principal.items():
        for name in flattened(names):
            listed.add("*" if name == "*" and kind == "AWS" else f"{kind}:{name}")
    return frozenset(listed)

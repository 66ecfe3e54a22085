"""The paths of one REST service as a tree of segments: literals before labels before greedy labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cumulet.aws.http import HttpRequest
from cumulet.wire.rest import parse_query

Found = tuple[str, dict[str, str]]


@dataclass(slots=True)
class Candidate:
    """An operation at a path: what else it asks of the request."""

    operation: str
    labels: tuple[str, ...]  # of the path, in order
    constants: tuple[tuple[str, str | None], ...]  # of the query string: (name, value, or None where any will do)
    query: tuple[str, ...]  # required query members
    headers: tuple[str, ...]  # required headers
    deprecated: bool

    @property
    def weight(self) -> tuple[int, int, bool]:
        return len(self.constants), len(self.query) + len(self.headers), not self.deprecated

    @property
    def missing_last(self) -> tuple[int, int]:
        """Sorts the operation first that a request with required members missing most likely means."""
        return -len(self.constants), len(self.query) + len(self.headers)

    def fits(self, query: dict[str, list[str]]) -> bool:
        return all(name in query and (value is None or value in query[name]) for name, value in self.constants)

    def has_required(self, query: dict[str, list[str]], headers: dict[str, str]) -> bool:
        return all(name in query for name in self.query) and all(name in headers for name in self.headers)


class Choice:
    """The operations of one method and path, found by what the query string holds."""

    def __init__(self) -> None:
        self._plain: list[Candidate] = []
        self._by_constant: dict[str, list[Candidate]] = {}

    def add(self, candidate: Candidate) -> None:
        names = [name for name, _ in candidate.constants]
        found = self._by_constant.setdefault(names[0], []) if names else self._plain
        found.append(candidate)
        found.sort(key=lambda c: c.weight, reverse=True)

    def choose(self, request: HttpRequest) -> Candidate | None:
        """The most specific operation whose constants, required query members and required headers are there."""
        plain = self._plain
        if len(plain) == 1 and (not request.query or not self._by_constant):
            return plain[0]
        query = parse_query(request.query) if request.query else {}
        fitting = [c for name in query if name in self._by_constant for c in self._by_constant[name] if c.fits(query)]
        fitting.sort(key=lambda c: c.weight, reverse=True)
        for candidate in (*fitting, *plain):
            if candidate.has_required(query, request.headers):
                return candidate
        return min((*fitting, *plain), key=lambda c: c.missing_last, default=None)


@dataclass(slots=True)
class Node:
    """A place in the tree; `methods` says which operations end here."""

    literals: dict[str, Node] = field(default_factory=dict)
    label: Node | None = None
    greedy: Node | None = None
    methods: dict[str, Choice] = field(default_factory=dict)


class Routes:
    """Finds the operation of a request by method, path, and where these leave a choice by query string and headers."""

    def __init__(self, root: Node, exact: bool) -> None:
        self._root = root
        self._exact = exact  # a path ends where its last segment ends: `/a/` and `//` mean something (S3's keys)

    def find(self, request: HttpRequest, path: str) -> Found | None:
        path = path.removeprefix("/")
        if self._exact:
            bucket, slash, key = path.partition("/")
            segments = [] if not bucket and not slash else [bucket, key] if key else [bucket]
        else:
            segments = path.removesuffix("/").split("/") if path.removesuffix("/") else []
        return self._search(self._root, segments, 0, (), request)

    def _search(
        self, node: Node, segments: list[str], at: int, values: tuple[str, ...], request: HttpRequest
    ) -> Found | None:
        if at == len(segments):
            choice = node.methods.get(request.method)
            chosen = choice.choose(request) if choice is not None else None
            if chosen is None:
                return None
            return chosen.operation, {label: unquote(v) for label, v in zip(chosen.labels, values, strict=True)}
        segment = segments[at]
        found: Found | None = None
        literal = node.literals.get(segment) or (node.literals.get(unquote(segment)) if "%" in segment else None)
        if literal is not None:
            found = self._search(literal, segments, at + 1, values, request)
        if found is None and node.label is not None and segment:
            found = self._search(node.label, segments, at + 1, (*values, segment), request)
        if found is None and node.greedy is not None:
            for end in range(len(segments), at, -1):
                taken = "/".join(segments[at:end])
                found = self._search(node.greedy, segments, end, (*values, taken), request)
                if found is not None:
                    break
        return found


def build_routes(table: dict[str, list[Any]], exact: bool) -> Routes:
    """The tree of an index entry's `routes`."""
    root = Node()
    for operation, (method, uri, query, headers, deprecated) in table.items():
        path, _, constant_text = uri.partition("?")
        constants = []
        for part in constant_text.split("&") if constant_text else ():
            name, equals, value = part.partition("=")
            constants.append((name, value if equals else None))
        node, labels = root, []
        for segment in path.strip("/").split("/") if path.strip("/") else ():
            if segment.startswith("{"):
                labels.append(segment.strip("{}+"))
                kind = "greedy" if segment.endswith("+}") else "label"
                inner = getattr(node, kind) or Node()
                setattr(node, kind, inner)
            else:
                inner = node.literals.setdefault(segment, Node())
            node = inner
        candidate = Candidate(operation, tuple(labels), tuple(constants), tuple(query), tuple(headers), deprecated)
        node.methods.setdefault(method, Choice()).add(candidate)
    return Routes(root, exact)

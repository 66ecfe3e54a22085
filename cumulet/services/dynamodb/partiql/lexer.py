"""Splits a PartiQL statement into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cumulet.services.dynamodb.errors import ValidationException

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*)"
    r"|(?P<text>'(?:[^']|'')*')"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_$][A-Za-z0-9_$]*)"
    r"|(?P<mark><<|>>|<=|>=|<>|!=|[=<>()\[\]{},.:;+*?-])",
    re.ASCII,
)


@dataclass(slots=True, frozen=True)
class Token:
    """`kind` is text ('x'), quoted ("x"), number, word, mark or end; `text` is without quotes."""

    kind: str
    text: str
    start: int


def malformed(why: str) -> ValidationException:
    """A statement that is not PartiQL for DynamoDB."""
    return ValidationException(f"Statement wasn't well formed, can't be processed: {why}")


def tokens_of(statement: str) -> list[Token]:
    """Raises: ValidationException."""
    out: list[Token] = []
    at = 0
    while at < len(statement):
        match = _TOKEN.match(statement, at)
        if match is None:
            raise malformed(f"Unexpected character {statement[at]!r} at position {at + 1}")
        kind = match.lastgroup or ""
        text = match[0]
        if kind == "text":
            text = text[1:-1].replace("''", "'")
        elif kind == "quoted":
            text = text[1:-1].replace('""', '"')
        if kind != "space":
            out.append(Token(kind, text, at))
        at = match.end()
    if out and out[-1].kind == "mark" and out[-1].text == ";":
        out.pop()
    out.append(Token("end", "", at))
    return out

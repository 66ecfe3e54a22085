"""Splits an expression into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cumulet.services.dynamodb.errors import ValidationException

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<name>\#[A-Za-z0-9_]*)|(?P<value>:[A-Za-z0-9_]*)|(?P<int>[0-9]+)"
    r"|(?P<mark><>|<=|>=|[=<>()\[\],.+\-]))",
    re.ASCII,
)
MAX_EXPRESSION_BYTES = 4096


@dataclass(slots=True, frozen=True)
class Token:
    """One token and where it stands; `kind` is word, name (#x), value (:x), int, mark or end."""

    kind: str
    text: str
    start: int
    stop: int


class Syntax:
    """The words of errors in one expression: `Invalid {kind}: ...`."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text

    def error(self, why: str) -> ValidationException:
        return ValidationException(f"Invalid {self.kind}: {why}")

    def near(self, tokens: list[Token], at: int) -> ValidationException:
        """A syntax error at a token, shown between its neighbours."""
        token = tokens[at]
        first = tokens[max(at - 1, 0)].start
        last = tokens[min(at + 1, len(tokens) - 1)].stop
        shown = "<EOF>" if token.kind == "end" else token.text
        return self.error(f'Syntax error; token: "{shown}", near: "{self.text[first:last].strip()}"')


def tokens_of(syntax: Syntax) -> list[Token]:
    """Raises: ValidationException for an empty, an overlong or a malformed expression."""
    text = syntax.text
    if len(text.encode("utf-8", "surrogatepass")) > MAX_EXPRESSION_BYTES:
        raise syntax.error(
            "Expression size has exceeded the maximum allowed size; "
            f"expression size: {len(text.encode('utf-8', 'surrogatepass'))}"
        )
    out: list[Token] = []
    at, end = 0, len(text.rstrip())
    if end == 0:
        raise syntax.error("The expression can not be empty;")
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            out.append(Token("mark", text[start], start, start + 1))
            following = _TOKEN.match(text, start + 1)
            if following is not None:
                out.append(Token("mark", "", following.start(), following.end()))
            raise syntax.near(out, len(out) - (2 if following is not None else 1))
        kind = match.lastgroup or ""
        out.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
        if kind in ("name", "value") and len(match[kind]) == 1:
            raise syntax.near(out, len(out) - 1)
        at = match.end()
    out.append(Token("end", "", end, end))
    return out

"""The models' regular expressions (Java's dialect) as Python's."""

from __future__ import annotations

import re
from collections.abc import Callable

Matches = Callable[[str], object]
_POSIX = {
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Lower": "a-z",
    "Upper": "A-Z",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "ASCII": r"\x00-\x7f",
    "Space": r"\s",
    "XDigit": "0-9a-fA-F",
    "Cntrl": r"\x00-\x1f\x7f",
}
_HIGH_LOW = re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE)
_BRACED = re.compile(r"\\x\{([0-9a-fA-F]+)\}")


class Untranslatable(ValueError):
    """A pattern that Python's `re` cannot express."""


def _class_of(name: str, classes: dict[str, str]) -> str:
    found = _POSIX.get(name) or classes.get(name.removeprefix("Is"))
    if name in ("IsAlphabetic", "IsLetter"):
        found = classes["L"]
    if found is None:
        raise Untranslatable(name)
    return found


def translate(pattern: str, classes: dict[str, str]) -> str:
    """Python's spelling of a Java pattern. `classes`: Unicode category -> character ranges. Raises: Untranslatable."""
    pattern = _HIGH_LOW.sub(r"\\U00010000-\\U0010ffff", pattern)
    pattern = _BRACED.sub(lambda m: f"\\U{int(m[1], 16):08x}", pattern)
    out: list[str] = []
    inside = False
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\" and i + 1 < len(pattern):
            step, text = _escape_at(pattern, i, inside, classes)
            out.append(text)
            i += step
            if inside and pattern[i - 1] in "wWdDsS" and pattern[i : i + 1] == "-":
                out.append("\\-")  # no range can start with a class
                i += 1
            continue
        if inside and char in "[&~|":
            out.append("\\" + char)  # plain in a class; Python reserves some doubled ones
        elif char == "[" and not inside:
            inside = True
            out.append(char)
            if pattern[i + 1 : i + 2] == "^":
                out.append("^")
                i += 1
            if pattern[i + 1 : i + 2] == "]":
                out.append("\\]")
                i += 1
        else:
            inside = inside and char != "]"
            out.append(char)
        i += 1
    return "".join(out)


def _escape_at(pattern: str, i: int, inside: bool, classes: dict[str, str]) -> tuple[int, str]:
    """Length and translation of the escape at `i`."""
    char = pattern[i + 1]
    if char in "pP" and pattern[i + 2 : i + 3]:
        if pattern[i + 2] == "{":
            end = pattern.index("}", i)
            name, step = pattern[i + 3 : end], end + 1 - i
        else:
            name, step = pattern[i + 2], 3
        ranges = _class_of(name, classes)
        if char == "P" and inside:
            raise Untranslatable(pattern)
        return step, ranges if inside else f"[{'^' if char == 'P' else ''}{ranges}]"
    if char == "z":
        return 2, r"\Z"
    if char == "h":
        return 2, r"\t\x20" if inside else r"[\t\x20]"
    if char.isalpha() and char not in "bBdDsSwWtnrfvaAZuUxN":
        return 2, char
    return 2, pattern[i : i + 2]


def compile_pattern(pattern: str, classes: dict[str, str]) -> Matches | None:
    """A function that is true of what AWS accepts; None where Python cannot say it.

    AWS matches the whole text; a pattern anchored at one end only is taken at its word.
    """
    try:
        compiled = re.compile(translate(pattern, classes), re.DOTALL)
    except (re.error, Untranslatable, OverflowError):
        return None
    starts, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    if starts and not ends:
        return compiled.match
    return compiled.search if ends and not starts else compiled.fullmatch

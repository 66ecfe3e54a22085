"""The filter pattern language: terms, regular expressions, JSON conditions, space-delimited fields.

    ERROR "out of memory" -test ?a ?b %4\\d\\d%         terms: all plain ones, none with -, or any of the ? ones
    { $.status >= 500 && $.path = "/api/*" }          a message that is a JSON object
    [ip, user, ..., status = 4*, bytes > 1000]        a message that is a line of fields

Terms are case-sensitive and match anywhere in the message.
Source: CloudWatch Logs user guide, "Filter pattern syntax" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cumulet.services.logs.errors import InvalidParameterException, LimitExceededException
from cumulet.services.logs.fields import compiled_fields
from cumulet.services.logs.json_patterns import compiled_json
from cumulet.services.logs.model import MetricFilter, SubscriptionFilter

Matches = Callable[[str], bool]

_TERM = re.compile(r'\s*(?P<mark>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]*)%|(?P<word>[^\s"]+))')
_REGEX = re.compile(r"%[^%]*%")
_REGEXES, _REGEXES_OF_GROUP = 2, 5
_REGEX_ALLOWED = re.compile(r"[A-Za-z0-9:_#=@/;,\-\^$?\[\]{}|\\*+. ]*")


def compiled(pattern: str) -> Matches:
    """The test that a pattern describes. Raises: InvalidParameterException."""
    text = pattern.strip()
    if not text:
        return lambda message: True
    if text.startswith("{") and text.endswith("}"):
        return compiled_json(text[1:-1])
    if text.startswith("[") and text.endswith("]"):
        return compiled_fields(text[1:-1])
    return _terms(text)


def check_patterns(pattern: str, *filters: Mapping[str, SubscriptionFilter | MetricFilter] | None) -> None:
    """Hold a filter's pattern, and those of its group's filters by name, against the quotas of regular expressions.

    Raises: InvalidParameterException, LimitExceededException. Source: user guide, "CloudWatch Logs quotas" (read 2026-11).
    """
    if len(_REGEX.findall(pattern)) > _REGEXES:
        raise InvalidParameterException(f"A filter pattern can have at most {_REGEXES} regular expressions.")
    patterns = [each.pattern for named in filters for each in (named or {}).values()]
    if sum(len(_REGEX.findall(each)) for each in patterns) > _REGEXES_OF_GROUP:
        raise LimitExceededException("Resource limit exceeded.")


def _terms(text: str) -> Matches:
    required: list[Matches] = []
    excluded: list[Matches] = []
    optional: list[Matches] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise InvalidParameterException("Invalid filter pattern")
        at = found.end()
        group = {"": required, "-": excluded, "?": optional}[found["mark"]]
        group.append(_term(found))
    if not (required or excluded):
        return lambda message: any(matches(message) for matches in optional)
    return lambda message: (
        all(matches(message) for matches in required) and not any(matches(message) for matches in excluded)
    )


def _term(found: re.Match[str]) -> Matches:
    if found["regex"] is not None:
        search = regex(found["regex"]).search
        return lambda message: search(message) is not None
    wanted = found["word"] if found["word"] is not None else re.sub(r"\\(.)", r"\1", found["phrase"])
    return lambda message: wanted in message


def regex(text: str) -> re.Pattern[str]:
    """A pattern's regular expression. Raises: InvalidParameterException."""
    if not _REGEX_ALLOWED.fullmatch(text):
        raise InvalidParameterException("Invalid character(s) in term")
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidParameterException("Invalid filter pattern") from error

"""The filter pattern language of CloudWatch Logs."""

import pytest

from cumulet.services.logs.errors import InvalidParameterException
from cumulet.services.logs.patterns import compiled

JSON = (
    '{"level": "ERROR", "code": 503, "ok": false, "none": null, "user": {"name": "ann lee", "id-x": 7},'
    ' "list": [{"n": 1}, {"n": 5}], "tags": ["a", "b"], "size": 1.5e3}'
)
LINE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR timeout", "timeout then ERROR", True),
        ("ERROR timeout", "ERROR alone", False),
        ('"out of memory"', "it is out of memory now", True),
        ('"out of memory"', "memory is out of it", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an INFO", False),
        ("ERROR -timeout", "ERROR: disk", True),
        ("ERROR -timeout", "ERROR: timeout", False),
        ('ERROR -"time out"', "ERROR time out", False),
        ("-DEBUG", "INFO", True),
        ("%4[0-9]{2}%", "status 404", True),
        ("%4[0-9]{2}%", "status 200", False),
        (r'"say \"hi\""', 'they say "hi"', True),
    ],
)
def test_terms(pattern, message, expected):
    assert compiled(pattern)(message) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{ $.level = "ERR*" }', True),
        ('{ $.level = "*RO*" }', True),
        ('{ $.level != "ERROR" }', False),
        ('{ $.level != "INFO" }', True),
        ('{ $.missing != "INFO" }', False),
        ("{ $.level = %^ERR% }", True),
        ("{ $.code = 503 }", True),
        ("{ $.code >= 500 && $.code < 504 }", True),
        ("{ $.code > 503 || $.code < 503 }", False),
        ("{ $.size = 1500 }", True),
        ('{ ($.code = 1 || $.code = 503) && $.level = "ERROR" }', True),
        ('{ $.code = 503 || $.code = 1 && $.level = "NO" }', True),
        ("{ $.ok IS FALSE }", True),
        ("{ $.ok IS TRUE }", False),
        ("{ $.none IS NULL }", True),
        ("{ $.missing IS NULL }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.none NOT EXISTS }", False),
        ('{ $.user.name = "ann*" }', True),
        ("{ $.user.id-x = 7 }", True),
        ("{ $.user['id-x'] = 7 }", True),
        ("{ $.list[1].n = 5 }", True),
        ("{ $.list[0].n = 5 }", False),
        ("{ $.list[*].n = 5 }", True),
        ('{ $.tags[0] = "a" }', True),
        ("{ $.list[7].n NOT EXISTS }", True),
    ],
)
def test_json_conditions(pattern, expected):
    assert compiled(pattern)(JSON) is expected


def test_a_json_pattern_holds_for_no_other_text():
    matches = compiled("{ $.a NOT EXISTS }")
    assert [matches(text) for text in ("{}", "plain", '"text"', "{broken", "12")] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, identity, user, time, request, status, size]", True),
        ("[ip, user, time]", False),
        ("[ip, ..., size]", True),
        ("[..., status = 404, size]", True),
        ("[..., status = 4*, size > 1000]", True),
        ("[..., status = 5*, size]", False),
        ("[..., status = 500 || status = 404, size]", True),
        ("[..., size < 1000]", False),
        ('[ip = "127.*", ...]', True),
        ('[ip != "127.*", ...]', False),
        ("[ip, identity, user = frank && user != bob, ...]", True),
        ("[ip, id, user, time, request = %html%, ...]", True),
        ('[ip, id, user, time, request = "GET */index.html *", status, size]', True),
    ],
)
def test_space_delimited_fields(pattern, expected):
    assert compiled(pattern)(LINE) is expected


@pytest.mark.parametrize(
    "pattern",
    ["{ $.a = }", "{ $.a ~ 1 }", "{ a = 1 }", "{ $.a > x }", "{ ($.a = 1 }", "{ $ = 1 }", "{ }", "[a, ..., b, ...]", "[= 1]",
     "[a,,b]", '"open', "%(x)%", "%[%", "{ $.a IS MAYBE }", "{ $.a = 1 $.b = 2 }"],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(InvalidParameterException):
        compiled(pattern)

"""SNS filter policies: every operator, their limits, and a matcher written another way."""

import ipaddress
import json
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cumulet.services.sns.errors import InvalidParameter
from cumulet.services.sns.filters import UnreadableAttribute, attribute_values, compiled, fixed


def attribute(value):
    if isinstance(value, list):
        return {"DataType": "String.Array", "StringValue": json.dumps(value)}
    if isinstance(value, int | float):
        return {"DataType": "Number", "StringValue": repr(value)}
    return {"DataType": "String", "StringValue": value}


def by_attributes(conditions, *value):
    """Whether {"key": conditions} takes a message whose attribute `key` has the value (or is not there)."""
    attributes = {"key": attribute(value[0])} if value else {"other": attribute("x")}
    return compiled(json.dumps({"key": conditions}), False)(attribute_values(attributes))


def by_body(policy, body):
    return compiled(json.dumps(policy), True)(body)


CASES = [
    # conditions, values that match, values that do not
    (["rugby", "tennis"], ["rugby", "tennis", ["golf", "rugby"]], ["Rugby", "rugb", "", ["golf"], 1]),
    ([{"prefix": "bas"}], ["baseball", "bas"], ["ba", "a bas", "Bas", 1]),
    ([{"suffix": "ball"}], ["baseball", "ball", ["x", "ball"]], ["balls", "BALL", 1]),
    ([{"equals-ignore-case": "tennis"}], ["tennis", "TENNIS", "Tennis"], ["tenni", "tennis "]),
    ([{"anything-but": "rugby"}], ["tennis", 1, ["tennis", "golf"]], ["rugby", ["rugby", "golf"]]),
    ([{"anything-but": ["rugby", "golf"]}], ["tennis"], ["rugby", "golf", ["tennis", "golf"]]),
    ([{"anything-but": [100, 500]}], [101, 100.1, "100"], [100, 1e2, 500]),
    ([{"anything-but": 100}], [99], [100]),
    ([{"anything-but": {"prefix": "order-"}}], ["data-order", "order"], ["order-1", ["x", "order-2"]]),
    ([{"anything-but": {"suffix": "ball"}}], ["balls"], ["ball", "football"]),
    ([{"numeric": ["=", 301.5]}], [301.5, 3.015e2, 301.500001], [301.51, 301, "301.5"]),
    ([301.5], [301.5, 301.500001], [301.49999, "301.5"]),
    ([{"numeric": ["<", 0]}], [-1, -0.00001], [0, 1]),
    ([{"numeric": ["<=", 5]}], [5, 4], [5.00001]),
    ([{"numeric": [">", 0, "<=", 150]}], [0.00001, 150, [200, 3]], [0, 150.00001, -1, [200]]),
    ([{"numeric": [">=", 1, "<", 2]}], [1, 1.99999], [2, 0.99999]),
    ([{"exists": True}], ["x", "0", 0, ["a"], [None, "a"], [False]], [[], [None], [""]]),
    ([{"wildcard": "*ball"}], ["ball", "football", ["x", "baseball"]], ["balls", "Ball", 5]),
    ([{"wildcard": "a*b*c"}], ["abc", "a-b-c", "abbc"], ["ab", "acb", "abcd"]),
    ([{"wildcard": "a\\*b"}], ["a*b"], ["axb"]),
    ([{"wildcard": "plain"}], ["plain"], ["plainer"]),
    ([{"anything-but": {"wildcard": "*/lib/*"}}], ["/usr/bin/x"], ["/usr/lib/x", ["ok", "/lib/"]]),
    ([{"cidr": "10.0.0.0/24"}], ["10.0.0.0", "10.0.0.255"], ["10.0.1.0", "ten", "10.0.0.1/24", 10]),
    ([{"cidr": "2001:db8::/126"}], ["2001:db8::3"], ["2001:db8::4", "10.0.0.1"]),
    ([True, None], [[True], [None, "x"]], ["true", "null", [False], ["true"], 1]),
    (["a", {"prefix": "b"}, 7], ["a", "bcd", 7], ["c", 8]),
    ([{"exists": False}, "a"], ["a"], ["b"]),
]


@pytest.mark.parametrize(("conditions", "good", "bad"), CASES, ids=lambda value: json.dumps(value)[:40])
def test_conditions_on_attributes(conditions, good, bad):
    assert [value for value in good if not by_attributes(conditions, value)] == []
    assert [value for value in bad if by_attributes(conditions, value)] == []
    assert by_attributes(conditions) == ({"exists": False} in conditions)


@pytest.mark.parametrize(("conditions", "good", "bad"), CASES, ids=lambda value: json.dumps(value)[:40])
def test_the_same_conditions_on_a_body(conditions, good, bad):
    assert [value for value in good if not by_body({"key": conditions}, {"key": value})] == []
    assert [value for value in bad if by_body({"key": conditions}, {"key": value})] == []
    assert by_body({"key": conditions}, {"other": 1}) == ({"exists": False} in conditions)


def test_all_keys_must_match_and_other_attributes_do_not_matter():
    policy = compiled('{"a":["1"],"b":[{"numeric":[">",1]}]}', False)
    assert policy(attribute_values({"a": attribute("1"), "b": attribute(2), "c": attribute("x")}))
    assert not policy(attribute_values({"a": attribute("1"), "b": attribute(1)}))
    assert not policy(attribute_values({"a": attribute("1")}))


def test_binary_attributes_are_not_seen():
    policy = compiled('{"a":[{"exists":false}]}', False)
    assert policy(attribute_values({"a": {"DataType": "Binary", "BinaryValue": b"x"}}))


@pytest.mark.parametrize("text", ["no json", '"a"', '{"a":1}', '[["a"]]', '[{"a":1}]'])
def test_an_array_attribute_that_is_none_cannot_be_read(text):
    with pytest.raises(UnreadableAttribute):
        attribute_values({"a": {"DataType": "String.Array", "StringValue": text}})


def test_custom_types_are_compared_by_what_they_begin_with():
    values = attribute_values(
        {
            "a": {"DataType": "String.address", "StringValue": '["x"]'},
            "b": {"DataType": "Number.int", "StringValue": "5"},
        }
    )
    assert compiled('{"a":["[\\"x\\"]"],"b":[5]}', False)(values)


OR = {"source": ["shop"], "$or": [{"metric": ["cpu"]}, {"space": ["ec2"], "size": [{"numeric": [">", 1]}]}]}


@pytest.mark.parametrize(
    ("body", "matches"),
    [
        ({"source": "shop", "metric": "cpu"}, True),
        ({"source": "shop", "space": "ec2", "size": 2}, True),
        ({"source": "shop", "space": "ec2"}, False),
        ({"metric": "cpu"}, False),
        ({"source": "shop"}, False),
    ],
)
def test_or_gives_alternatives_of_keys(body, matches):
    assert by_body(OR, body) is matches
    values = attribute_values({name: attribute(value) for name, value in body.items()})
    assert compiled(json.dumps(OR), False)(values) is matches


def test_or_is_an_ordinary_key_with_one_alternative_or_reserved_names():
    assert by_body({"$or": ["a"]}, {"$or": "a"})
    assert by_body({"$or": [{"prefix": "a"}, {"suffix": "b"}]}, {"$or": "ax"})
    assert not by_body({"$or": [{"prefix": "a"}, {"suffix": "b"}]}, {"prefix": "a"})


@pytest.mark.parametrize(
    ("policy", "body", "matches"),
    [
        ({"a": {"b": {"c": ["x"]}}}, {"a": {"b": {"c": "x"}}}, True),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
        ({"a": {"b": ["x"]}}, {"b": "x"}, False),
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": {"b": None}}, False),
        ({"a": {"b": [{"exists": True}]}}, {"a": {"b": {"c": 1}}}, False),
        ({"a": {"b": [{"exists": True}]}}, {"a": {"b": None}}, False),
        ({"a": {"b": [{"exists": True}]}}, {"a": {"b": ""}}, False),
        ({"a": {"b": [{"exists": True}]}}, {"a": {"b": False}}, True),
        ({"a": ["x"]}, {"a": [["y", ["x"]]]}, True),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "x"}, {"c": "y"}]}, False),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "z"}, {"b": "x", "c": "y"}]}, True),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [False]}, {"a": 0}, False),
        ({"a": [1]}, {"a": True}, False),
    ],
)
def test_nested_bodies(policy, body, matches):
    assert by_body(policy, body) is matches


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("no json", "failed to parse JSON"),
        ('["a"]', "Filter is not an object"),
        ('{"a":"b"}', '"a" must be an object or an array'),
        ('{"a":[]}', "Empty arrays are not allowed"),
        ('{"a":[["b"]]}', "Match value must be String, number, true, false, or null"),
        ('{"a":[{"prefix":1}]}', "prefix match pattern must be a string"),
        ('{"a":[{"suffix":null}]}', "suffix match pattern must be a string"),
        ('{"a":[{"equals-ignore-case":["a"]}]}', "equals-ignore-case match pattern must be a string"),
        ('{"a":[{"wildcard":5}]}', "wildcard match pattern must be a string"),
        ('{"a":[{"wildcard":"a**b"}]}', "Consecutive wildcard characters"),
        ('{"a":[{"wildcard":"*a*b*c*"}]}', "can not have more than 3 wildcards"),
        ('{"a":[{"anything-but":{"wildcard":"*a*b*c*"}}]}', "can not have more than 3 wildcards"),
        ('{"a":[{"exists":"true"}]}', "exists match pattern must be either true or false."),
        ('{"a":[{"like":"x"}]}', "Unrecognized match type like"),
        ('{"a":[{"prefix":"a","suffix":"b"}]}', "Only one key allowed in match expression"),
        ('{"a":[{}]}', "Only one key allowed in match expression"),
        ('{"a":[{"cidr":"10.0.0"}]}', "Malformed CIDR"),
        ('{"a":[{"cidr":"10.0.0.1"}]}', "Malformed CIDR"),
        ('{"a":[{"anything-but":[]}]}', "Empty arrays are not allowed"),
        ('{"a":[{"anything-but":["a",1]}]}', "Inside anything-but list"),
        ('{"a":[{"anything-but":null}]}', "Inside anything-but list"),
        ('{"a":[{"anything-but":{"cidr":"x"}}]}', "Unsupported anything-but pattern"),
        ('{"a":[{"numeric":5}]}', "Value of numeric must be an array."),
        ('{"a":[{"numeric":[]}]}', "Value of numeric must be an array."),
        ('{"a":[{"numeric":["<"]}]}', "Invalid member in numeric match"),
        ('{"a":[{"numeric":["<","5"]}]}', "Value of numeric must be numeric"),
        ('{"a":[{"numeric":["!=",5]}]}', "Unrecognized numeric range operator: !="),
        ('{"a":[{"numeric":[">",5,"<",5]}]}', "Bottom must be less than top"),
        ('{"a":[{"numeric":["<",5,">",1]}]}', "Bad numeric range operator"),
        ('{"a":[{"numeric":["=",1,"=",1,"=",1]}]}', "Too many elements in numeric expression"),
        ('{"a":[{"numeric":["=",1000000000.1]}]}', "between -1.0E9 and 1.0E9"),
        ('{"a":[-1000000001]}', "between -1.0E9 and 1.0E9"),
    ],
)
def test_policies_are_checked(policy, words):
    for body in (False, True):
        with pytest.raises(InvalidParameter) as error:
            compiled(policy, body)
        assert error.value.message.startswith("Invalid parameter: FilterPolicy: ")
        assert words in error.value.message


def test_nesting_is_for_bodies_alone():
    with pytest.raises(InvalidParameter, match="MessageAttributes does not support nested filter policy"):
        compiled('{"a":{"b":["c"]}}', False)
    compiled('{"a":{"b":["c"]}}', True)


# quotas


def test_a_policy_has_five_keys():
    def policy(count):
        return json.dumps({f"k{n}": ["x"] for n in range(count)})

    compiled(policy(5), False)
    with pytest.raises(InvalidParameter, match="can not have more than 5 keys"):
        compiled(policy(6), False)


def test_a_policy_has_150_combinations_of_values():
    def policy(*counts):
        return json.dumps({f"k{n}": [str(value) for value in range(count)] for n, count in enumerate(counts)})

    for good in ((150,), (5, 30), (3, 10, 5), (1, 1, 150)):
        compiled(policy(*good), False)
    for bad in ((151,), (8, 19), (3, 17, 3)):
        with pytest.raises(InvalidParameter, match="too complex"):
            compiled(policy(*bad), False)


def test_a_nested_value_counts_once_for_each_level():
    def policy(count):
        return json.dumps({"a": {"b": {"c": [str(value) for value in range(count)]}}})

    compiled(policy(50), True)
    with pytest.raises(InvalidParameter, match="too complex"):
        compiled(policy(51), True)


def test_the_wildcards_of_a_policy_cost_100_points_at_most():
    def policy(*counts, stars=1):
        return json.dumps(
            {
                f"k{n}": [{"wildcard": f"{value}{'*-' * stars}"} for value in range(count)]
                for n, count in enumerate(counts)
            }
        )

    for good in (policy(10), policy(8, 6), policy(5, stars=3), policy(5, 2, stars=2)):
        compiled(good, False)
    for bad in (policy(11), policy(8, 6, 1), policy(6, stars=2)):
        with pytest.raises(InvalidParameter, match="too complex"):
            compiled(bad, False)
    some = [{"wildcard": f"{n}*"} for n in range(7)]
    compiled(json.dumps({"$or": [{"a": some}, {"b": some}]}), False)
    compiled(json.dumps({"a": {"b": some[:6]}, "c": {"d": some[:6]}}), True)
    with pytest.raises(InvalidParameter, match="too complex"):
        compiled(json.dumps({"$or": [{"a": some}, {"b": some}], "c": [{"anything-but": {"wildcard": "x*y*"}}]}), False)


def test_a_policy_has_256_kilobytes():
    def policy(size):
        return json.dumps({"a": ["x" * (size - 11)]})

    assert len(policy(262_144)) == 262_144
    compiled(policy(262_144), False)
    with pytest.raises(InvalidParameter, match="too large"):
        compiled(policy(262_145), False)


def test_numbers_go_from_minus_to_plus_a_billion():
    assert by_attributes([{"numeric": ["=", 1_000_000_000]}], 1_000_000_000)
    assert by_attributes([-1e9], -1_000_000_000)


@pytest.mark.parametrize("number", [1e308, -1e308, 10**400, 10**4000, 123456789012345678901234567890])
def test_numbers_beyond_all_policies_match_none(number):
    assert not by_body({"key": [5, {"numeric": ["=", 1e9]}]}, {"key": number})
    assert by_body({"key": [{"anything-but": 5}]}, {"key": number})


def test_depth_is_no_trouble():
    deep = "x"
    for _ in range(900):
        deep = [deep]
    assert by_body({"key": ["x"]}, {"key": deep})
    for depth in (151, 900, 30_000):
        with pytest.raises(InvalidParameter, match=r"too complex|failed to parse JSON"):
            compiled('{"k":' * depth + '["x"]' + "}" * depth, True)
    compiled('{"k":' * 150 + '["x"]' + "}" * 150, True)


@pytest.mark.parametrize("text", ["1e309", "1e999999999", "NaN", "Infinity", "1,5", ""])
def test_a_number_attribute_that_is_none_is_noticed_at_once(text):
    with pytest.raises(ValueError, match="not a number"):
        fixed(text)


# a matcher written another way: it interprets the policy, in exact decimals, with no compilation


def same(condition, value):
    if isinstance(condition, bool) or condition is None or isinstance(value, bool) or value is None:
        return condition is value
    if isinstance(condition, str) or isinstance(value, str):
        return type(condition) is type(value) and condition == value
    return abs(Decimal(str(condition)) - Decimal(str(value))) < Decimal("0.000005")


def holds(condition, found):
    """Does a condition hold for the list of values found (None: the key is missing)?"""
    if condition == {"exists": False}:
        return found is None
    if condition == {"exists": True}:
        return any(value is not None and value != "" for value in found or [])
    if not found:
        return False
    if not isinstance(condition, dict):
        return any(same(condition, value) for value in found)
    [(name, operand)] = condition.items()
    if name == "anything-but":
        if isinstance(operand, dict):
            return not any(holds(operand, [value]) for value in found)
        unwanted = operand if isinstance(operand, list) else [operand]
        return not any(same(one, value) for one in unwanted for value in found)
    if name == "numeric":
        return any(
            isinstance(value, int | float) and not isinstance(value, bool) and in_range(operand, value)
            for value in found
        )
    texts = [value for value in found if isinstance(value, str)]
    if name == "prefix":
        return any(text[: len(operand)] == operand for text in texts)
    if name == "suffix":
        return any(text[len(text) - len(operand) :] == operand for text in texts if len(text) >= len(operand))
    if name == "equals-ignore-case":
        return any(text.lower() == operand.lower() for text in texts)
    if name == "wildcard":
        expression = ".*".join(re.escape(part) for part in operand.split("*"))
        return any(re.fullmatch(expression, text, re.DOTALL) for text in texts)
    return any(is_address(text) and ipaddress.ip_network(operand).supernet_of(host(text)) for text in texts)


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return ":" not in text


def host(text):
    return ipaddress.ip_network(f"{text}/32")


def in_range(operand, value):
    compare = {"=": 0, "<": -1, "<=": -1, ">": 1, ">=": 1}
    for sign, bound in zip(operand[::2], operand[1::2], strict=True):
        difference = Decimal(str(value)) - Decimal(str(bound))
        order = (
            0
            if abs(difference) < Decimal("0.000005")
            else int(difference.copy_sign(1) * 0 + (1 if difference > 0 else -1))
        )
        if order != compare[sign] and not (order == 0 and sign.endswith("=")):
            return False
    return True


def accepts(policy, message):
    """The reference: `message` maps keys to lists of values or to nested messages."""
    for key, value in policy.items():
        if key == "$or":
            if not any(accepts(part, message) for part in value):
                return False
        elif isinstance(value, dict):
            inner = message.get(key)
            if not accepts(value, inner if isinstance(inner, dict) else {}):
                return False
        else:
            found = message.get(key)
            listed = [] if isinstance(found, dict) else found
            if not any(holds(condition, listed) for condition in value):
                return False
    return True


WORDS = st.sampled_from(["", "a", "A", "ab", "abc", "b", "Bc", "order-1", "order-", "10.0.0.1", "10.0.1.1", "1"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -0.5, 1.00001, 2.5]))
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans(), st.none())
BOUNDS = st.sampled_from([-2, -0.5, 0, 1, 1.5, 3])
WILDCARDS = (
    st.lists(st.sampled_from(["*", "a", "b", "c", "order", "-", "1"]), min_size=1, max_size=4)
    .map("".join)
    .filter(lambda text: "**" not in text and text.count("*") <= 3)
)
CONDITIONS = st.one_of(
    SCALARS,
    WORDS.map(lambda text: {"prefix": text}),
    WORDS.map(lambda text: {"suffix": text}),
    WORDS.map(lambda text: {"equals-ignore-case": text}),
    st.booleans().map(lambda there: {"exists": there}),
    st.sampled_from([{"cidr": "10.0.0.0/24"}, {"cidr": "10.0.0.0/8"}]),
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), BOUNDS).map(lambda pair: {"numeric": list(pair)}),
    st.tuples(st.sampled_from([">", ">="]), st.sampled_from(["<", "<="]), st.sampled_from([-2, 0]), st.sampled_from([1, 3])).map(
        lambda four: {"numeric": [four[0], four[2], four[1], four[3]]}
    ),
    st.lists(WORDS, min_size=1, max_size=3).map(lambda words: {"anything-but": words}),
    st.lists(NUMBERS, min_size=1, max_size=3).map(lambda numbers: {"anything-but": numbers}),
    WORDS.filter(bool).map(lambda text: {"anything-but": {"prefix": text}}),
    WORDS.filter(bool).map(lambda text: {"anything-but": {"suffix": text}}),
    WILDCARDS.map(lambda text: {"wildcard": text}),
    WILDCARDS.map(lambda text: {"anything-but": {"wildcard": text}}),
)  # fmt: skip
KEYS = st.sampled_from("xyz")
LISTS = st.lists(CONDITIONS, min_size=1, max_size=2)
FLAT = st.dictionaries(KEYS, LISTS, min_size=1, max_size=2)
WITH_OR = st.builds(
    lambda flat, parts: {**flat, "$or": parts} if parts else flat,
    FLAT,
    st.one_of(st.just([]), st.lists(FLAT, min_size=2, max_size=3)),
)
INNER = st.dictionaries(KEYS, st.lists(CONDITIONS, min_size=1, max_size=1), min_size=1, max_size=2)
NESTED = st.dictionaries(KEYS, st.one_of(LISTS, INNER), min_size=1, max_size=3)
MESSAGE = st.dictionaries(KEYS, st.lists(SCALARS, min_size=1, max_size=3), max_size=3)


@given(WITH_OR, st.dictionaries(KEYS, st.one_of(WORDS, NUMBERS, st.lists(SCALARS, min_size=1, max_size=3)), max_size=3))
def test_attributes_match_as_the_reference_says(policy, attributes):
    values = attribute_values({name: attribute(value) for name, value in attributes.items()})
    listed = {name: value if isinstance(value, list) else [value] for name, value in attributes.items()}
    assert compiled(json.dumps(policy), False)(values) == accepts(policy, listed)


@example({"x": {"x": [{"exists": False}]}}, {"x": [""]})
@given(NESTED, st.dictionaries(KEYS, st.one_of(st.lists(SCALARS, min_size=1, max_size=3), MESSAGE), max_size=3))
def test_bodies_match_as_the_reference_says(policy, body):
    assert compiled(json.dumps(policy), True)(body) == accepts(policy, body)


@given(
    st.recursive(
        SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=5), inner)), max_leaves=12
    )
)
def test_whatever_a_policy_is_it_compiles_or_is_refused(policy):
    for body in (False, True):
        try:
            compiled(json.dumps(policy), body)
        except InvalidParameter as error:
            assert error.message.startswith("Invalid parameter: FilterPolicy: ")

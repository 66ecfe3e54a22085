"""Event patterns: every operator, what is refused, and a comparison with a slow and simple matcher."""

import fnmatch
import ipaddress
import itertools
import json
import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.eventpattern import InvalidPattern, compile_pattern

EVENT = {
    "source": "aws.ec2",
    "detail-type": "EC2 Instance State-change Notification",
    "time": "2017-10-02T18:43:48Z",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-1", "arn:aws:autoscaling:x"],
    "detail": {
        "state": "initializing",
        "Name": "Alice",
        "empty": "",
        "nothing": None,
        "flag": True,
        "off": False,
        "zero": 0,
        "one": 1,
        "limit": 100,
        "price": 3.018e2,
        "ip": "10.0.0.77",
        "ip6": "2001:db8::1",
        "file": "dir/lib/photo.png",
        "loud": "PHOTO.PNG",
        "stars": r"a*b\c",
        "deep": {"x": {"y": [1, 2, 3]}},
        "blank": [],
        "hollow": {},
        "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2, "tags": ["t", "u"]}],
    },
}


def detail(**fields):
    return {"detail": fields}


MATCHES = [
    ({"source": ["aws.ec2"]}, True),
    ({"source": ["aws.s3", "aws.ec2"]}, True),
    ({"source": ["AWS.EC2"]}, False),
    ({"source": ["aws.ec2"], "detail": {"state": ["running"]}}, False),
    ({"missing": ["x"]}, False),
    ({"resources": ["arn:aws:autoscaling:x"]}, True),
    ({"resources": ["nothing"]}, False),
    (detail(nothing=[None]), True),
    (detail(state=[None]), False),
    (detail(missing=[None]), False),
    (detail(empty=[""]), True),
    (detail(nothing=[""]), False),
    (detail(flag=[True]), True),
    (detail(flag=["true"]), False),
    (detail(flag=[1]), False),
    (detail(one=[True]), False),
    (detail(zero=[False]), False),
    (detail(off=[False]), True),
    (detail(one=[1.0]), True),
    (detail(limit=["100"]), False),
    (detail(price=[301.8]), True),
    (detail(state=[{"prefix": "init"}]), True),
    (detail(state=[{"prefix": ""}]), True),
    (detail(limit=[{"prefix": "1"}]), False),
    (detail(state=[{"prefix": "Init"}]), False),
    (detail(state=[{"prefix": {"equals-ignore-case": "INIT"}}]), True),
    (detail(state=[{"prefix": {"equals-ignore-case": "NIT"}}]), False),
    (detail(file=[{"suffix": ".png"}]), True),
    (detail(file=[{"suffix": ".PNG"}]), False),
    (detail(file=[{"suffix": {"equals-ignore-case": ".PNG"}}]), True),
    (detail(file=[{"suffix": {"equals-ignore-case": ".gif"}}]), False),
    (detail(loud=[{"suffix": {"equals-ignore-case": ".png"}}]), True),
    (detail(loud=[{"prefix": {"equals-ignore-case": "photo"}}]), True),
    (detail(Name=[{"equals-ignore-case": "aLICE"}]), True),
    (detail(Name=[{"equals-ignore-case": "alic"}]), False),
    (detail(file=[{"wildcard": "dir/*.png"}]), True),
    (detail(file=[{"wildcard": "*/lib/*"}]), True),
    (detail(file=[{"wildcard": "*/src/*"}]), False),
    (detail(file=[{"wildcard": "dir/lib/photo.png"}]), True),
    (detail(file=[{"wildcard": "dir*"}]), True),
    (detail(file=[{"wildcard": "*dir"}]), False),
    (detail(file=[{"wildcard": "dir/lib/photo.png*photo.png"}]), False),
    (detail(file=[{"wildcard": "*o.png*png"}]), False),  # parts may not overlap
    (detail(stars=[{"wildcard": r"a\*b\\c"}]), True),
    (detail(file=[{"wildcard": r"dir\*"}]), False),
    (detail(limit=[{"wildcard": "*"}]), False),
    (detail(state=[{"anything-but": "initializing"}]), False),
    (detail(state=[{"anything-but": "running"}]), True),
    (detail(limit=[{"anything-but": "100"}]), True),
    (detail(limit=[{"anything-but": 100}]), False),
    (detail(limit=[{"anything-but": [100, 200]}]), False),
    (detail(limit=[{"anything-but": [200, 300]}]), True),
    (detail(one=[{"anything-but": [1.0]}]), False),
    (detail(flag=[{"anything-but": [1]}]), True),
    (detail(state=[{"anything-but": ["a", "initializing"]}]), False),
    (detail(missing=[{"anything-but": "x"}]), False),
    (detail(nothing=[{"anything-but": "x"}]), True),
    ({"resources": [{"anything-but": "arn:aws:autoscaling:x"}]}, True),
    (detail(state=[{"anything-but": {"prefix": "init"}}]), False),
    (detail(state=[{"anything-but": {"prefix": ["run", "init"]}}]), False),
    (detail(state=[{"anything-but": {"prefix": "run"}}]), True),
    (detail(limit=[{"anything-but": {"prefix": "1"}}]), True),
    (detail(file=[{"anything-but": {"suffix": ".png"}}]), False),
    (detail(file=[{"anything-but": {"suffix": [".gif", ".jpg"]}}]), True),
    (detail(Name=[{"anything-but": {"equals-ignore-case": "ALICE"}}]), False),
    (detail(Name=[{"anything-but": {"equals-ignore-case": ["bob", "carol"]}}]), True),
    (detail(file=[{"anything-but": {"wildcard": "*/lib/*"}}]), False),
    (detail(file=[{"anything-but": {"wildcard": ["*/src/*", "*.txt"]}}]), True),
    (detail(price=[{"numeric": ["=", 3.018e2]}]), True),
    (detail(limit=[{"numeric": [">", 100]}]), False),
    (detail(limit=[{"numeric": [">=", 100]}]), True),
    (detail(limit=[{"numeric": ["<", 100]}]), False),
    (detail(limit=[{"numeric": ["<=", 100]}]), True),
    (detail(limit=[{"numeric": [">", 0, "<=", 100]}]), True),
    (detail(limit=[{"numeric": [">", 0, "<", 100]}]), False),
    (detail(limit=[{"numeric": [">=", 100, "<", 101]}]), True),
    (detail(state=[{"numeric": [">", 0]}]), False),
    (detail(flag=[{"numeric": [">", 0]}]), False),
    (detail(ip=[{"cidr": "10.0.0.0/24"}]), True),
    (detail(ip=[{"cidr": "10.0.1.0/24"}]), False),
    (detail(ip=[{"cidr": "10.0.0.5/24"}]), True),
    (detail(ip=[{"cidr": "2001:db8::/32"}]), False),
    (detail(ip6=[{"cidr": "2001:db8::/32"}]), True),
    (detail(state=[{"cidr": "10.0.0.0/24"}]), False),
    (detail(state=[{"exists": True}]), True),
    (detail(nothing=[{"exists": True}]), True),
    (detail(missing=[{"exists": True}]), False),
    (detail(missing=[{"exists": False}]), True),
    (detail(state=[{"exists": False}]), False),
    (detail(deep=[{"exists": True}]), False),  # no leaf
    (detail(hollow=[{"exists": False}]), True),
    (detail(blank=[{"exists": False}]), True),
    (detail(blank=[{"exists": True}]), False),
    (detail(missing=[{"exists": False}, "x"]), True),
    (detail(state=[{"exists": False}, "initializing"]), True),
    (detail(state=[{"exists": False}, "running"]), False),
    (detail(deep={"x": {"y": [3]}}), True),
    (detail(deep={"x": {"y": [4]}}), False),
    (detail(state={"x": [1]}), False),
    (detail(items={"sku": ["b"], "n": [2]}), True),
    (detail(items={"sku": ["a"], "n": [2]}), False),  # of one element
    (detail(items={"sku": ["b"], "tags": ["u"]}), True),
    (detail(items={"sku": ["a"], "tags": ["u"]}), False),
    (detail(items={"sku": ["a"], "tags": [{"exists": False}]}), True),
    (detail(items={"sku": ["b"], "tags": [{"exists": False}]}), False),
    (detail(**{"$or": [{"state": ["x"]}, {"limit": [{"numeric": ["=", 100]}]}]}), True),
    (detail(**{"$or": [{"state": ["x"]}, {"limit": [1]}]}), False),
    (detail(**{"$or": [{"state": ["x"]}, {"limit": [100]}], "flag": [False]}), False),
    (detail(**{"$or": [{"$or": [{"one": [2]}, {"one": [1]}]}, {"limit": [1]}]}), True),
    ({"$or": [{"source": ["x"]}, {"detail": {"one": [1]}}]}, True),
    (detail(Name=["Bob", {"prefix": "A"}, {"numeric": [">", 3]}]), True),
]


@pytest.mark.parametrize(("pattern", "matches"), MATCHES, ids=lambda value: json.dumps(value)[:80])
def test_every_operator(pattern, matches):
    assert compile_pattern(pattern)(EVENT) is matches
    assert compile_pattern(json.dumps(pattern))(EVENT) is matches


def test_a_field_may_be_called_or():
    assert compile_pattern({"$or": ["a"]})({"$or": "a"})
    assert not compile_pattern({"$or": [{"prefix": "a"}, {"prefix": "c"}]})({"$or": "b"})


REFUSED = [
    ("[]", "Filter is not an object"),
    ('"text"', "Filter is not an object"),
    ({}, "Empty objects are not allowed"),
    ({"a": {}}, "Empty objects are not allowed"),
    ({"a": []}, "Empty arrays are not allowed"),
    ({"a": "x"}, '"a" must be an object or an array'),
    ({"detail": {"b": 5}}, '"b" must be an object or an array'),
    ({"a": [["x"]]}, "Match value must be String, number, true, false, or null"),
    ({"a": [{"like": "x"}]}, "Unrecognized match type like"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed in match expression"),
    ({"a": [{"prefix": 5}]}, "prefix match pattern must be a string"),
    ({"a": [{"suffix": None}]}, "suffix match pattern must be a string"),
    ({"a": [{"equals-ignore-case": ["x"]}]}, "equals-ignore-case match pattern must be a string"),
    ({"a": [{"exists": "yes"}]}, "exists match pattern must be either true or false."),
    ({"a": [{"wildcard": 1}]}, "wildcard match pattern must be a string"),
    ({"a": [{"wildcard": "a**b"}]}, "Consecutive wildcard characters at pos 1"),
    ({"a": [{"wildcard": "a\\b"}]}, "Invalid escape character at pos 1"),
    ({"a": [{"numeric": 5}]}, "Value of numeric must be an array."),
    ({"a": [{"numeric": []}]}, "Empty arrays are not allowed"),
    ({"a": [{"numeric": ["!=", 5]}]}, "Unrecognized numeric range operator: !="),
    ({"a": [{"numeric": [">", "5"]}]}, "Value of > must be numeric"),
    ({"a": [{"numeric": ["="]}]}, "Value of equals must be numeric"),
    ({"a": [{"numeric": [5]}]}, "Invalid member in numeric match: 5"),
    ({"a": [{"numeric": [">", 5, "<"]}]}, "Value of < must be numeric"),
    ({"a": [{"numeric": [">", 5, ">", 6]}]}, "Bad numeric range operator: >"),
    ({"a": [{"numeric": ["<", 5, ">", 6]}]}, "Too many elements in numeric expression"),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "Bottom must be less than top"),
    ({"a": [{"numeric": ["=", 5_000_000_001]}]}, "Value must be between -5.0E9 and 5.0E9, inclusive: 5000000001"),
    ({"a": [{"cidr": "10.0.0.0"}]}, "Malformed CIDR, one '/' required"),
    ({"a": [{"anything-but": []}]}, "Empty arrays are not allowed"),
    ({"a": [{"anything-but": None}]}, "Value of anything-but must be an array or single string/number value."),
    ({"a": [{"anything-but": ["x", True]}]}, "Inside anything but list, start|null|boolean is not supported."),
    (
        {"a": [{"anything-but": ["x", 1]}]},
        "Inside anything but list, either all values are number or string, mixed type is not supported",
    ),
    ({"a": [{"anything-but": {"numeric": ["=", 5]}}]}, "Unsupported anything-but pattern: numeric"),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix not allowed"),
]


@pytest.mark.parametrize(("pattern", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_no_pattern_is_refused(pattern, reason):
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == f"Event pattern is not valid. Reason: {reason}"


@pytest.mark.parametrize("text", ["", "{", "{'a': ['b']}", '{"a": [NaN]}', "\ud800", '{"a":' * 5000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InvalidPattern):
        compile_pattern(text)


def test_the_largest_number_is_allowed():
    assert compile_pattern({"a": [{"numeric": ["<=", 5_000_000_000]}]})({"a": 5_000_000_000})


def ors(*sizes):
    """A pattern with an `$or` of each size."""
    return {f"f{n}": {"$or": [{f"x{m}": [m]} for m in range(size)]} for n, size in enumerate(sizes)}


def test_a_thousand_combinations_are_allowed_and_one_more_is_not():
    assert compile_pattern(ors(10, 10, 10))({f"f{n}": {"x9": 9} for n in range(3)})
    with pytest.raises(InvalidPattern, match="too complex"):
        compile_pattern(ors(7, 11, 13))


def test_a_patterns_strings_help_to_find_it():
    both = compile_pattern({"$or": [{"source": ["a", "b"]}, {"source": ["c"]}]})
    assert both.strings("source") == {"a", "b", "c"}
    assert compile_pattern({"$or": [{"source": ["a"]}, {"x": ["c"]}]}).strings("source") is None
    assert compile_pattern({"source": ["a", {"prefix": "b"}]}).strings("source") is None
    assert compile_pattern({"source": ["a", {"exists": False}]}).strings("source") is None


# a slow and simple matcher

TEXTS = st.sampled_from(["", "a", "A", "ab", "b", "ba", "abc", "a*b", "10.0.0.1", "10.0.1.1"])
NUMBERS = st.sampled_from([-1, 0, 1, 1.0, 2.5, 300])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
NAMES = st.sampled_from(["a", "b", "c"])
FOLDED = st.builds(lambda text: {"equals-ignore-case": text}, TEXTS)
NOT_EMPTY = TEXTS.filter(bool)
WILD = st.lists(st.sampled_from(["a", "b", "\\*"]), max_size=3).map("*".join)
COMPARISONS = st.one_of(
    st.builds(lambda v: {"prefix": v}, TEXTS | FOLDED),
    st.builds(lambda v: {"suffix": v}, TEXTS | FOLDED),
    FOLDED,
    st.builds(lambda v: {"wildcard": v}, WILD),
    st.builds(lambda o, v: {"numeric": [o, v]}, st.sampled_from(["<", "<=", "=", ">=", ">"]), NUMBERS),
    st.builds(lambda v: {"numeric": [">", v, "<=", v + 1]}, NUMBERS),
    st.builds(lambda v: {"anything-but": v}, TEXTS | NUMBERS | st.lists(TEXTS, min_size=1, max_size=2)),
    st.builds(
        lambda o, v: {"anything-but": {o: v}}, st.sampled_from(["prefix", "suffix", "equals-ignore-case"]), NOT_EMPTY
    ),
    st.builds(lambda v: {"anything-but": {"wildcard": v}}, WILD),
    st.just({"cidr": "10.0.0.0/24"}),
    st.just({"exists": True}),
)
LEAVES = st.lists(SCALARS | COMPARISONS, min_size=1, max_size=3)


def patterns(leaves):
    def node(inner):
        fields = st.dictionaries(NAMES, leaves | inner, min_size=1, max_size=2)
        return fields | st.builds(
            lambda arms, rest: {**rest, "$or": arms},
            st.lists(fields, min_size=2, max_size=2),
            st.dictionaries(NAMES, leaves, max_size=1),
        )

    return st.recursive(st.dictionaries(NAMES, leaves, min_size=1, max_size=2), node, max_leaves=4)


def events(lists):
    def node(inner):
        made = st.dictionaries(NAMES, SCALARS | inner, max_size=3)
        return made | st.lists(SCALARS | made, max_size=2) if lists else made

    return st.dictionaries(NAMES, st.recursive(SCALARS, node, max_leaves=6), max_size=3)


def naive_leaf(value, leaf):
    if not isinstance(leaf, dict):
        return value == leaf and isinstance(value, bool) == isinstance(leaf, bool)
    ((kind, wanted),) = leaf.items()
    text = value if isinstance(value, str) else None
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    match kind:
        case "exists":
            return True
        case "prefix" | "suffix":
            if isinstance(wanted, dict):
                wanted, text = wanted["equals-ignore-case"].lower(), text and text.lower()
            if kind == "suffix":
                wanted, text = wanted[::-1], text and text[::-1]
            return text is not None and text[: len(wanted)] == wanted
        case "equals-ignore-case":
            return text is not None and text.lower() == wanted.lower()
        case "wildcard":
            escaped = wanted.replace("\\*", "\0").replace("[", "[[]").replace("\0", "[*]")
            return text is not None and fnmatch.fnmatchcase(text, escaped)
        case "numeric":
            checks = {"<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt}
            pairs = zip(wanted[::2], wanted[1::2], strict=True)
            return number is not None and all(checks[sign](number, bound) for sign, bound in pairs)
        case "cidr":
            try:
                return ipaddress.ip_address(text or "") in ipaddress.ip_network(wanted)
            except ValueError:
                return False
        case "anything-but":
            if isinstance(wanted, dict):
                return not naive_leaf(value, wanted)
            return not any(naive_leaf(value, each) for each in (wanted if isinstance(wanted, list) else [wanted]))
    raise AssertionError(kind)


def naive(pattern, event):
    """Whether an event without lists matches."""
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(naive(arm, event) for arm in wanted):
                return False
            continue
        value = event.get(name, ...) if isinstance(event, dict) else ...
        if isinstance(wanted, dict):
            if not naive(wanted, value):
                return False
        elif value is ... or isinstance(value, dict):
            if {"exists": False} not in wanted:
                return False
        elif not any(naive_leaf(value, leaf) for leaf in wanted if leaf != {"exists": False}):
            return False
    return True


def choices(node):
    """The event with each list replaced by one of its elements, in all ways."""
    if isinstance(node, list):
        for element in node:
            yield from choices(element)
    elif isinstance(node, dict):
        options = [[(name, choice) for choice in choices(value)] or [None] for name, value in node.items()]
        for picked in itertools.product(*options):
            yield dict(pair for pair in picked if pair is not None)
    else:
        yield node


@settings(max_examples=300, deadline=None)
@given(patterns(st.lists(SCALARS | COMPARISONS | st.just({"exists": False}), min_size=1, max_size=3)), events(False))
def test_patterns_match_as_a_simple_matcher_says(pattern, event):
    assert compile_pattern(pattern)(event) == naive(pattern, event)


@settings(max_examples=300, deadline=None)
@given(patterns(LEAVES), events(True))
def test_in_lists_one_choice_of_elements_must_match(pattern, event):
    assert compile_pattern(pattern)(event) == any(naive(pattern, choice) for choice in choices(event))


SMALL = st.sampled_from([1, 2])
ELEMENTS = st.lists(st.dictionaries(st.sampled_from(["b", "c"]), SMALL | st.lists(SMALL, max_size=2)), max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["b", "c"]), st.lists(SMALL, min_size=1, max_size=1), min_size=1),
    ELEMENTS | st.lists(ELEMENTS, max_size=2),
)
def test_one_element_must_meet_all_conditions(wanted, elements):
    pattern, event = {"a": wanted}, {"a": elements}
    assert compile_pattern(pattern)(event) == any(naive(pattern, choice) for choice in choices(event))

"""DynamoDB's expressions: what they mean, and AWS's words for what is wrong with them."""

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import project
from cumulet.services.dynamodb.expressions.update import apply_update, copied
from cumulet.services.dynamodb.values import measured

ITEM = {
    "pk": {"S": "k"},
    "n": {"N": "5"},
    "neg": {"N": "-3.5"},
    "txt": {"S": "hello world"},
    "bin": {"B": "AAEC"},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "list": {"L": [{"N": "1"}, {"S": "two"}, {"M": {"deep": {"BOOL": True}}}]},
    "mp": {"M": {"x": {"N": "1"}, "y": {"M": {"z": {"S": "zed"}}}}},
    "yes": {"BOOL": True},
    "nil": {"NULL": True},
}
VALUES = {
    ":n5": {"N": "5.0"}, ":n6": {"N": "6"}, ":n10": {"N": "10"}, ":h": {"S": "hello"}, ":s5": {"S": "5"}, ":a": {"S": "a"},
    ":ss": {"SS": ["b", "a"]}, ":two": {"S": "two"}, ":typeN": {"S": "N"}, ":typeM": {"S": "M"}, ":one": {"N": "1"},
    ":b": {"B": "AAE="}, ":t": {"BOOL": True}, ":nil": {"NULL": True}, ":zero": {"N": "0"}, ":zed": {"S": "zed"},
    ":ns": {"NS": ["2", "1"]}, ":three": {"N": "3"}, ":eleven": {"N": "11"},
}  # fmt: skip
NAMES = {"#s": "size", "#l": "list", "#m": "mp", "#y": "y", "#z": "z", "#2": "deep"}


def used(text, everything):
    import re

    words = set(re.findall(r"[#:][A-Za-z0-9_]+", text))
    return {name: value for name, value in everything.items() if name in words}


def request(text, names=None, values=None, field="ConditionExpression"):
    req = {field: text}
    names = used(text, NAMES) if names is None else names
    values = used(text, VALUES) if values is None else values
    if names:
        req["ExpressionAttributeNames"] = names
    if values:
        req["ExpressionAttributeValues"] = values
    return req


def holds(text, item=ITEM):
    req = request(text)
    binding = Binding(req, ("ConditionExpression",), ("ConditionExpression",))
    test = binding.test("ConditionExpression", text)
    binding.finish()
    return test(item)


def updated(text, item=ITEM, values=None):
    req = request(text, values=values, field="UpdateExpression")
    binding = Binding(req, ("UpdateExpression",), ("UpdateExpression",))
    update = binding.update(text)
    binding.finish()
    copy = {name: copied(value) for name, value in item.items()}
    return apply_update(update, copy, binding.values)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("n = :n5", True), ("n <> :n5", False), ("n = :s5", False), ("n <> :s5", True), ("n < :n10", True), ("n < :n5", False),
        ("n <= :n5", True), ("neg < :zero", True), ("n > :n10", False), ("lost = :n5", False), ("lost <> :n5", True),
        ("n BETWEEN :n5 AND :n10", True), ("n between :n6 and :n10", False), ("n IN (:n6, :n5)", True), ("n in (:n6)", False),
        ("txt = :h", False), ("begins_with(txt, :h)", True), ("begins_with(bin, :b)", True), ("begins_with(n, :h)", False),
        ("contains(txt, :h)", True), ("contains(ss, :a)", True), ("contains(ss, :h)", False), ("contains(#l, :two)", True),
        ("contains(ns, :one)", True), ("contains(lost, :a)", False), ("ss = :ss", True), ("ns = :ns", True),
        ("attribute_exists(mp.y.z)", True), ("attribute_exists(mp.y.q)", False), ("attribute_not_exists(#l[3])", True),
        ("#l[2].deep = :t", True), ("mp.y.z = :zed", True), ("attribute_type(n, :typeN)", True),
        ("attribute_type(n, :typeM)", False), ("size(txt) = :eleven", True), ("size(#l) = :three", True),
        ("size(bin) = :three", True), ("size(lost) = :three", False), ("size(n) > :zero", False), ("yes = :t", True),
        ("nil = :nil", True), ("NOT n = :n6", True), ("n = :n6 OR n = :n5 AND yes = :t", True),
        ("(n = :n6 OR n = :n5) AND NOT yes = :t", False), ("not (n = :n6) and n = :n5", True), ("n < neg", False),
        ("neg < n", True), ("#m.#y.#z = :zed", True), ("mp.#y.z = :zed", True), ("#l[2].#2 = :t", True), (":n5 = n", True), ("(n) = (:n5)", True),
    ],
)  # fmt: skip
def test_conditions_hold_as_documented(text, answer):
    assert holds(text) is answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The expression can not be empty;"),
        ("n = ", 'Syntax error; token: "<EOF>", near: "="'),
        ("n == :n5", 'Syntax error; token: "=", near: "== :n5"'),
        ("size = :n5", "Attribute name is a reserved keyword; reserved keyword: size"),
        ("Name = :n5", "Attribute name is a reserved keyword; reserved keyword: Name"),
        ("foo(n)", "Invalid function name; function: foo"),
        (
            "attribute_exists(:n5)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "begins_with(n)",
            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
        ),
        (
            "begins_with(n, :n5)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("n < :t", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        (
            "n = n",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            "operator: =, first operand: [n]",
        ),
        (
            "n BETWEEN :n10 AND :n5",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {N:10}, upper bound operand: AttributeValue: {N:5}",
        ),
        (
            "#unknown = :n5",
            "An expression attribute name used in the document path is not defined; attribute name: #unknown",
        ),
        ("n = :unknown", "An expression attribute value used in expression is not defined; attribute value: :unknown"),
        ("size(n)", "The function is not allowed to be used this way in an expression; function: size"),
        ("if_not_exists(n, :n5)", "The function is not allowed in a condition expression; function: if_not_exists"),
        ("# = :n5", 'Syntax error; token: "#", near: "#"'),
        ("#m-y = :n5", 'Syntax error; token: "-", near: "#m-y"'),
        ("((n = :n5))", "The expression has redundant parentheses;"),
    ],
)
def test_wrong_conditions_are_refused_in_aws_words(text, words):
    with pytest.raises(AwsError) as caught:
        holds(text)
    assert caught.value.message == f"Invalid ConditionExpression: {words}"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("SET n = :n6", "n", {"N": "6"}), ("SET n = n + :one", "n", {"N": "6"}), ("SET n = n - :n10", "n", {"N": "-5"}),
        ("SET fresh = if_not_exists(fresh, :zero) + :one", "fresh", {"N": "1"}),
        ("SET n = if_not_exists(n, :zero)", "n", {"N": "5"}), ("SET dup = mp.y", "dup", {"M": {"z": {"S": "zed"}}}),
        ("SET mp.x = :n6", "mp", {"M": {"x": {"N": "6"}, "y": {"M": {"z": {"S": "zed"}}}}}),
        ("SET #m.x=#m.x-:n5", "mp", {"M": {"x": {"N": "-4"}, "y": {"M": {"z": {"S": "zed"}}}}}),
        ("REMOVE #m.#y.#z", "mp", {"M": {"x": {"N": "1"}, "y": {"M": {}}}}),
        ("REMOVE mp.y.z", "mp", {"M": {"x": {"N": "1"}, "y": {"M": {}}}}), ("REMOVE n", "n", None),
        ("REMOVE #l[0], #l[2]", "list", {"L": [{"S": "two"}]}),
        ("SET #l[1] = :one", "list", {"L": [{"N": "1"}, {"N": "1"}, {"M": {"deep": {"BOOL": True}}}]}),
        ("SET #l[9] = :n6, #l[7] = :n5", "list", {"L": [*ITEM["list"]["L"], {"N": "5"}, {"N": "6"}]}),
        ("ADD n :one", "n", {"N": "6"}), ("ADD fresh :one", "fresh", {"N": "1"}), ("ADD fresh :ss", "fresh", {"SS": ["b", "a"]}),
        ("DELETE ss :ss", "ss", None), ("DELETE ns :ns REMOVE n", "ns", None), ("DELETE fresh :ss", "fresh", None),
        ("set a1 = n, n = neg", "a1", {"N": "5"}), ("set a1 = n, n = neg", "n", {"N": "-3.5"}),
    ],
)  # fmt: skip
def test_updates_do_as_documented(text, name, value):
    assert updated(text).get(name) == value


def test_lists_are_joined_in_either_order():
    more = {":more": {"L": [{"S": "x"}]}}
    assert updated("SET #l = list_append(#l, :more)", values=more)["list"]["L"][-1] == {"S": "x"}
    assert updated("SET #l = list_append(:more, #l)", values=more)["list"]["L"][0] == {"S": "x"}


def test_a_copied_attribute_is_its_own():
    once = updated("SET dup = mp")
    twice = updated("SET mp.x = :n6", once)
    assert twice["dup"]["M"]["x"] == {"N": "1"}


def test_addition_is_exact_to_38_digits():
    values = {":v": {"N": "0.00000000000000000000000000000000000001"}}
    assert updated("SET neg = neg + :v", {"neg": {"N": "0.1"}}, values)["neg"] == {
        "N": "0.10000000000000000000000000000000000001"
    }
    with pytest.raises(AwsError, match="more than 38 significant digits"):
        updated("SET neg = neg + :v", {"neg": {"N": "10"}}, values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SET n = :n5 SET txt = :n5", 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
        (
            "SET mp = :n5, mp.x = :n6",
            "Invalid UpdateExpression: Two document paths overlap with each other; "
            "must remove or rewrite one of these paths; path one: [mp], path two: [mp, x]",
        ),
        (
            "SET a.b = :n5 REMOVE a[0]",
            "Invalid UpdateExpression: Two document paths conflict with each other; "
            "must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]",
        ),
        ("SET n = lost", "The provided expression refers to an attribute that does not exist in the item"),
        ("SET n = txt + :one", "An operand in the update expression has an incorrect data type"),
        ("SET nix.nowhere = :one", "The document path provided in the update expression is invalid for update"),
        ("SET n[0] = :one", "The document path provided in the update expression is invalid for update"),
        ("ADD txt :one", "An operand in the update expression has an incorrect data type"),
        (
            "ADD n :h",
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, "
            "typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        ("SET n = attribute_exists(n)", "Invalid UpdateExpression: The function is not allowed in an update expression; "
         "function: attribute_exists"),
        ("SET n = n + :h", "Invalid UpdateExpression: Incorrect operand type for operator or function; "
         "operator or function: +, operand type: S"),
        ("n = :one", 'Invalid UpdateExpression: Syntax error; token: "n", near: "n ="'),
    ],
)  # fmt: skip
def test_wrong_updates_are_refused_in_aws_words(text, words):
    with pytest.raises(AwsError) as caught:
        updated(text)
    assert caught.value.message == words


def test_projections_pick_nested_parts():
    text = "n, #m.y.#z, #l[2].#2, #l[0], nowhere, mp.nowhere"
    binding = Binding(request(text, values={}, field="ProjectionExpression"), ("ProjectionExpression",))
    assert project(ITEM, binding.projection(text)) == {
        "n": {"N": "5"},
        "mp": {"M": {"y": {"M": {"z": {"S": "zed"}}}}},
        "list": {"L": [{"N": "1"}, {"M": {"deep": {"BOOL": True}}}]},
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"ExpressionAttributeNames": {"#a": "b"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeValues": {":a": {"S": "b"}}},
            "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        ),
        (
            {"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"#a": "b"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}",
        ),
        (
            {
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeValues": {":a": {"S": "b"}, ":b": {"S": ""}},
            },
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:a, :b}",
        ),
        (
            {"ConditionExpression": "attribute_exists(#a)", "ExpressionAttributeNames": {"a": "b"}},
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
        ),
        (
            {"ConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"NS": []}}},
            "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
            "An number set  may not be empty for key :a",
        ),
        (
            {"ConditionExpression": "pk = :a", "Expected": {"pk": {"Exists": False}}},
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
        ),
    ],
)
def test_names_and_values_must_be_defined_and_used(aws, more, words):
    with pytest.raises(ClientError) as caught:
        aws("dynamodb").put_item(TableName="any", Item={"pk": {"S": "x"}}, **more)
    assert caught.value.response["Error"] == {"Code": "ValidationException", "Message": words}


WORDS = st.sampled_from([
    "n", "mp", "list", "size", "#s", "#", "#m.#y", "#-", ":n5", ":h", "(", ")", "[", "]", ".", ",", "=", "<", "<>", "AND", "OR", "NOT", "IN",
    "BETWEEN", "begins_with", "contains", "attribute_exists", "size(", "0", "1", "SET", "REMOVE", "ADD", "DELETE", "+", "-",
    "if_not_exists", "list_append", ":ss", "@", "\"", "é", "mp.x", "#l[0]", "attribute_type", "",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=14), st.booleans())
def test_no_expression_breaks_anything(words, update):
    """Whatever is asked: an answer or an AwsError, never another exception."""
    text = " ".join(words)
    try:
        if update:
            measured(updated(text))
        else:
            assert holds(text) in (True, False)
    except AwsError as error:
        assert error.message


ATOMS = st.sampled_from(
    ["n = :n5", "n < :n6", "attribute_exists(nope)", "contains(ss, :a)", "neg BETWEEN :zero AND :one"]
)
TREES = st.recursive(
    ATOMS.map(lambda a: (a, a)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) AND ({p[1][0]})", (p[0][1], "and", p[1][1]))),
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) OR ({p[1][0]})", (p[0][1], "or", p[1][1]))),
        inner.map(lambda p: (f"NOT ({p[0]})", ("not", p[1]))),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_and_or_not_are_pythons(tree):
    text, shape = tree

    def value(node):
        if isinstance(node, str):
            return holds(node)
        if node[0] == "not":
            return not value(node[1])
        return (value(node[0]) and value(node[2])) if node[1] == "and" else (value(node[0]) or value(node[2]))

    assert holds(text) is value(shape)


def test_the_deepest_expressions_are_answered_and_deeper_ones_refused():
    assert holds(" AND ".join(["n = :n5"] * 150))
    assert holds("NOT " * 90 + "n = :n5")
    for text in ("(" * 2000 + "n = :n5", "NOT (" * 101 + "n = :n5" + ")" * 101, " OR ".join(["n = :n5"] * 152)):
        with pytest.raises(AwsError):
            holds(text)

"""Random expressions and statements through the whole operations: whatever is asked, an answer or an error of AWS's, never a 500."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services.dynamodb import SERVICE
from cumulet.testing.inprocess import InProcess

NAMES = ["pk", "sk", "n", "s", "m", "l", "ss", "size", "#n", "#gone"]
VALUES: dict[str, Any] = {
    ":n": {"N": "5"}, ":s": {"S": "a"}, ":b": {"B": "AAE="}, ":l": {"L": [{"N": "1"}]}, ":m": {"M": {"x": {"S": "y"}}},
    ":ss": {"SS": ["a", "b"]}, ":ns": {"NS": ["1"]}, ":t": {"BOOL": True}, ":0": {"NULL": True}, ":big": {"N": "9" * 38},
}  # fmt: skip
ITEM: dict[str, Any] = {
    "pk": {"S": "a"}, "sk": {"N": "1"}, "n": {"N": "5"}, "s": {"S": "abc"}, "m": {"M": {"x": {"S": "y"}, "l": {"L": []}}},
    "l": {"L": [{"N": "1"}, {"S": "a"}, {"M": {"x": {"N": "2"}}}]}, "ss": {"SS": ["a", "b"]}, "g": {"S": "g"},
}  # fmt: skip

PATHS = st.builds(
    lambda head, rest: head + "".join(rest),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from([".x", ".l", "[0]", "[2]", "[99]", ".#n"]), max_size=3),
)
LEAVES = st.one_of(PATHS, st.sampled_from(list(VALUES)))
OPERANDS = st.one_of(LEAVES, LEAVES.map(lambda inner: f"size({inner})"))
TESTS = st.one_of(
    st.builds(lambda a, o, b: f"{a} {o} {b}", OPERANDS, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), OPERANDS),
    st.builds(lambda a, b, c: f"{a} BETWEEN {b} AND {c}", OPERANDS, OPERANDS, OPERANDS),
    st.builds(lambda a, b: f"{a} IN ({', '.join(b)})", OPERANDS, st.lists(OPERANDS, min_size=1, max_size=4)),
    st.builds(
        lambda f, args: f"{f}({', '.join(args)})",
        st.sampled_from(
            ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"]
        ),
        st.lists(OPERANDS, min_size=1, max_size=3),
    ),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(lambda a, o, b: f"{a} {o} {b}", inner, st.sampled_from(["AND", "OR"]), inner),
        inner.map(lambda a: f"NOT {a}"),
        inner.map(lambda a: f"({a})"),
    ),
    max_leaves=5,
)
TERMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, o, b: f"{a} {o} {b}", inner, st.sampled_from(["+", "-"]), inner),
        st.builds(lambda f, a, b: f"{f}({a}, {b})", st.sampled_from(["if_not_exists", "list_append"]), inner, inner),
    ),
    max_leaves=3,
)
UPDATES = st.lists(
    st.one_of(
        st.builds(lambda p, t: f"SET {p} = {t}", PATHS, TERMS),
        PATHS.map(lambda p: f"REMOVE {p}"),
        st.builds(lambda w, p, v: f"{w} {p} {v}", st.sampled_from(["ADD", "DELETE"]), PATHS, LEAVES),
    ),
    min_size=1,
    max_size=3,
).map(" ".join)
LITERALS = st.sampled_from(
    ["1", "-2.5", "'a'", "''", "true", "null", "[1, 'a']", "{'x': 1}", "<<1>>", "<<'a', 'b'>>", "?", "missing"]
)
QL_OPERANDS = st.one_of(PATHS.map(lambda path: path.replace("#", "")), LITERALS)
QL_TESTS = st.one_of(
    st.builds(lambda a, o, b: f"{a} {o} {b}", QL_OPERANDS, st.sampled_from(["=", "<>", "<", ">="]), QL_OPERANDS),
    st.builds(lambda a, b: f"{a} IN [{', '.join(b)}]", QL_OPERANDS, st.lists(QL_OPERANDS, min_size=1, max_size=3)),
    st.builds(lambda a, b, c: f"{a} BETWEEN {b} AND {c}", QL_OPERANDS, QL_OPERANDS, QL_OPERANDS),
    st.builds(lambda a, b: f"{a} IS {b}", QL_OPERANDS, st.sampled_from(["MISSING", "NOT NULL"])),
    st.builds(lambda f, a, b: f"{f}({a}, {b})", st.sampled_from(["begins_with", "contains", "attribute_type"]), QL_OPERANDS, QL_OPERANDS),
)  # fmt: skip
WHERES = st.builds(
    lambda keys, tests: " WHERE " + " AND ".join([*keys, *tests]),
    st.sampled_from([["pk = 'a'", "sk = 1"], ["pk = 'a'"], ["pk IN ['a', 'b']"], ["sk > 1"]]),
    st.lists(QL_TESTS, max_size=2),
)
STATEMENTS = st.one_of(
    st.builds(lambda p, i, w, o: f"SELECT {p} FROM {i}{w}{o}", st.one_of(st.just("*"), PATHS.map(lambda p: p.replace("#", ""))),
              st.sampled_from(["fuzz", '"fuzz"."global"']), WHERES, st.sampled_from(["", " ORDER BY sk DESC"])),
    st.builds(lambda p, v, w: f"UPDATE fuzz SET {p} = {v}{w} RETURNING ALL NEW *", PATHS.map(lambda p: p.replace("#", "")),
              st.one_of(QL_OPERANDS, QL_OPERANDS.map(lambda o: f"list_append(l, {o})"), QL_OPERANDS.map(lambda o: f"set_add(ss, {o})"),
                        QL_OPERANDS.map(lambda o: f"n + {o}")), WHERES),
    WHERES.map(lambda w: f"DELETE FROM fuzz{w} RETURNING ALL OLD *"),
    st.builds(lambda a, b: f"INSERT INTO fuzz VALUE {{'pk': {a}, 'sk': {b}}}", LITERALS, LITERALS),
)  # fmt: skip
REQUESTS = st.one_of(
    st.tuples(st.just("UpdateItem"), UPDATES, st.one_of(st.none(), CONDITIONS)),
    st.tuples(st.just("PutItem"), CONDITIONS, st.none()),
    st.tuples(st.just("Scan"), CONDITIONS, st.one_of(st.none(), PATHS)),
    st.tuples(st.just("Query"), CONDITIONS, st.one_of(st.none(), CONDITIONS)),
    st.tuples(st.just("ExecuteStatement"), STATEMENTS, st.none()),
)


def request(operation: str, first: str, second: str | None) -> dict[str, Any]:
    if operation == "ExecuteStatement":
        count = first.count("?")
        return {"Statement": first, **({"Parameters": [{"S": "a"}] * count} if count else {})}
    text = f"{first} {second or ''}"
    names = {"#n": "n", "#gone": "gone"}
    more: dict[str, Any] = {}
    if used := {name: names[name] for name in names if name in text}:
        more["ExpressionAttributeNames"] = used
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    if values := {name: VALUES[name] for name in VALUES if name in words}:
        more["ExpressionAttributeValues"] = values
    match operation:
        case "UpdateItem":
            more |= {
                "Key": {"pk": {"S": "a"}, "sk": {"N": "1"}},
                "UpdateExpression": first,
                "ReturnValues": "UPDATED_NEW",
            }
            if second is not None:
                more["ConditionExpression"] = second
        case "PutItem":
            more |= {"Item": ITEM, "ConditionExpression": first}
        case "Scan":
            more |= {"FilterExpression": first, **({"ProjectionExpression": second} if second is not None else {})}
        case "Query":
            more |= {"KeyConditionExpression": first, **({"FilterExpression": second} if second is not None else {})}
    return {"TableName": "fuzz", **more}


async def ask(asked: list[tuple[str, str, str | None]]) -> int:
    """Run the requests against one table; how many were answered."""
    answered = 0
    async with InProcess([SERVICE], seed=1) as cloud:
        await cloud.call(
            "dynamodb",
            "CreateTable",
            {
                "TableName": "fuzz",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"), ("g", "S"))],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                "GlobalSecondaryIndexes": [
                    {"IndexName": "global", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
                ],
            },
        )  # fmt: skip
        await cloud.quiet()
        await cloud.call("dynamodb", "PutItem", {"TableName": "fuzz", "Item": ITEM})
        for operation, first, second in asked:
            try:
                await cloud.call("dynamodb", operation, request(operation, first, second))
                answered += 1
            except AwsError as error:
                assert error.http_status == 400, (operation, first, second, error.hint)
                assert error.message
    return answered


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=10, max_size=25))
def test_no_expression_or_statement_yields_a_500(asked: list[Any]) -> None:
    asyncio.run(ask(asked))


def test_the_fuzz_reaches_what_works() -> None:
    """The requests are put together so that sound ones are answered."""
    sound = [
        ("UpdateItem", "SET m.x = if_not_exists(m.x, :s)", "attribute_exists(#n) AND size(ss) = :n OR n = :n"),
        ("Scan", "n = :n", "l[2].x"),
        ("Query", "pk = :s", "contains(ss, :s)"),
        ("ExecuteStatement", "SELECT * FROM fuzz WHERE pk = ? AND m.x = 'y' ORDER BY sk DESC", None),
        (
            "ExecuteStatement",
            "UPDATE fuzz SET l = list_append(l, [1, 'a']) WHERE pk = 'a' AND sk = 1 RETURNING ALL NEW *",
            None,
        ),
    ]
    assert asyncio.run(ask(sound)) == len(sound)

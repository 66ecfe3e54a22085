"""The policy evaluator: matching, conditions, and which policy decides."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.policy.conditions import known_operator
from cumulet.aws.policy.decisions import Caller, Decision, decide
from cumulet.aws.policy.documents import Document, Documents, MalformedPolicy, parse
from cumulet.aws.policy.facts import Facts, lowered
from cumulet.aws.policy.kinds import BOUNDARY, IDENTITY, RESOURCE, SESSION, TRUST
from cumulet.aws.policy.patterns import pattern

Json = dict[str, Any]
USER, ROLE = "arn:aws:iam::111111111111:user/ada", "arn:aws:iam::111111111111:role/R"
SESSION_ARN = "arn:aws:sts::111111111111:assumed-role/R/s"
NOTHING = Facts()


def of(*statements: Json, version: str | None = "2012-10-17") -> Document:
    return Document({"Statement": list(statements), **({"Version": version} if version else {})})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> Json:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def user(*identity: Json, **more: Any) -> Caller:
    names = {f"AWS:{USER}": "direct", "AWS:111111111111": "account", "AWS:arn:aws:iam::111111111111:root": "account"}
    return Caller(USER, "111111111111", names, identity=(of(*identity),) if identity else (), **more)


def session(*identity: Json, **more: Any) -> Caller:
    names = {f"AWS:{SESSION_ARN}": "direct", f"AWS:{ROLE}": "role", "AWS:arn:aws:iam::111111111111:root": "account"}
    return Caller(SESSION_ARN, "111111111111", names, identity=(of(*identity),) if identity else (), **more)


def holds(condition: Json, version: str | None = "2012-10-17", **facts: Any) -> bool:
    context = Facts(lowered({name.replace("__", ":").replace("_of_", "/"): value for name, value in facts.items()}))
    return of(allow(Condition=condition), version=version).allows("s3:GetObject", "arn:aws:s3:::b/k", context)


# wildcards

_texts = st.text(alphabet="ab:/*?.$[", max_size=8)


def oracle(wanted: str, value: str) -> bool:
    """Wildcards by dynamic programming, without regular expressions."""
    reach = {0}
    for letter in wanted:
        if letter == "*":
            reach = set(range(min(reach), len(value) + 1)) if reach else set()
        else:
            reach = {at + 1 for at in reach if at < len(value) and letter in ("?", value[at])}
    return len(value) in reach


@given(_texts, _texts)
def test_wildcards_match_what_they_say(wanted: str, value: str) -> None:
    assert pattern(wanted)(value, NOTHING) is oracle(wanted, value)


@given(st.text(alphabet="ab*?$", max_size=6))
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    escaped = re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", text)
    assert pattern(escaped)(text, NOTHING)
    assert not pattern(escaped)(text + "x", NOTHING)


@pytest.mark.parametrize(
    ("action", "asked", "fits"),
    [
        ("s3:GetObject", "s3:getobject", True),
        ("S3:Get*", "s3:GetObjectAcl", True),
        ("s3:*Object", "s3:GetObject", True),
        ("s3:GetObject?", "s3:GetObject", False),
        ("*", "iam:CreateUser", True),
        (["sqs:*", "sns:Publish"], "sns:Publish", True),
        ("s3:Put*", "s3:GetObject", False),
    ],
)
def test_actions_match_without_regard_to_case(action: Any, asked: str, fits: bool) -> None:
    assert of(allow(action)).allows(asked, "arn:x", NOTHING) is fits
    other = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    assert of(other).allows(asked, "arn:x", NOTHING) is not fits


def test_resources_keep_their_case_and_may_be_excluded() -> None:
    arn = "arn:aws:s3:::bucket/Key"
    assert not of(allow(resource="arn:aws:s3:::bucket/key")).allows("s3:GetObject", arn, NOTHING)
    excluded = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bucket/*"}
    assert not of(excluded).allows("s3:GetObject", arn, NOTHING)
    assert of(excluded).allows("s3:GetObject", "arn:aws:s3:::other/k", NOTHING)


# variables


@pytest.mark.parametrize(
    ("resource", "facts", "fits"),
    [
        ("arn:aws:s3:::b/${aws:username}/*", {"aws:username": "ada"}, True),
        ("arn:aws:s3:::b/${AWS:UserName}/*", {"aws:username": "ada"}, True),
        ("arn:aws:s3:::b/${aws:username}/*", {"aws:username": "bob"}, False),
        ("arn:aws:s3:::b/${aws:username}/*", {}, False),
        ("arn:aws:s3:::b/${aws:username, 'ada'}/*", {}, True),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team}/k", {"aws:principaltag/team": "ada"}, True),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team}/k", {"aws:principaltag/team": "*"}, False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team}/k", {"aws:principaltag/team": ["ada"]}, False),
    ],
)
def test_variables_stand_for_values_of_the_request(resource: str, facts: Json, fits: bool) -> None:
    assert of(allow(resource=resource)).allows("s3:GetObject", "arn:aws:s3:::b/ada/k", Facts(facts)) is fits


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_variables_are_plain_text_in_the_older_version(version: str | None) -> None:
    document = of(allow(resource="arn:aws:s3:::b/${aws:username}"), version=version)
    assert document.allows("s3:GetObject", "arn:aws:s3:::b/${aws:username}", Facts({"aws:username": "ada"}))
    assert not document.allows("s3:GetObject", "arn:aws:s3:::b/ada", Facts({"aws:username": "ada"}))


# conditions: (operator, wanted, a value that fits, one that does not)

_OPERATORS = [
    ("StringEquals", ["a", "b"], "b", "B"),
    ("StringEqualsIgnoreCase", "Ab", "aB", "a"),
    ("StringLike", "pre*", "prefix", "PREFIX"),
    ("NumericEquals", "10", 10, 11),
    ("NumericLessThan", "10", 9, 10),
    ("NumericLessThanEquals", "10", 10, 11),
    ("NumericGreaterThan", "10", 11, 10),
    ("NumericGreaterThanEquals", "10", 10, 9.5),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-02T00:00:00Z"),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
    ("DateLessThanEquals", "1767225600", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
    ("DateGreaterThan", "2026-01-01", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
    ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", 1767225600, 1767225599),
    ("Bool", "true", True, False),
    ("Bool", True, "TRUE", "false"),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "QmluYXI="),
    ("IpAddress", "203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
    ("IpAddress", ["10.0.0.1", "2001:db8::/32"], "2001:db8::7", "10.0.0.2"),
    ("ArnEquals", "arn:aws:sns:*:1:topic", "arn:aws:sns:us-east-1:1:topic", "arn:aws:sns:us-east-1:2:topic"),
    ("ArnLike", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k:l", "arn:aws:s3:::c/k"),
]
_NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}


@pytest.mark.parametrize(("name", "wanted", "fits", "other"), _OPERATORS)
def test_condition_operators(name: str, wanted: Any, fits: Any, other: Any) -> None:
    assert holds({name: {"a:key": wanted}}, a__key=fits)
    assert not holds({name: {"a:KEY": wanted}}, a__key=other)
    assert not holds({name: {"a:key": wanted}})
    assert holds({f"{name}IfExists": {"a:key": wanted}})
    assert not holds({f"{name}IfExists": {"a:key": wanted}}, a__key=other)
    if name in _NEGATED:
        assert not holds({_NEGATED[name]: {"a:key": wanted}}, a__key=fits)
        assert holds({_NEGATED[name]: {"a:key": wanted}}, a__key=other)
        assert holds({_NEGATED[name]: {"a:key": wanted}})


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "x"], False),
        ("ForAllValues:StringEquals", [], True),
        ("ForAllValues:StringEquals", None, True),
        ("ForAnyValue:StringEquals", ["x", "a"], True),
        ("ForAnyValue:StringEquals", ["x"], False),
        ("ForAnyValue:StringEquals", None, False),
        ("ForAllValues:StringNotEquals", ["x", "y"], True),
        ("ForAllValues:StringNotEquals", ["x", "a"], False),
        ("ForAnyValue:StringNotEquals", ["x", "a"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], False),
        ("ForAnyValue:StringNotEquals", None, False),
    ],
)
def test_set_operators(condition: str, values: Any, expected: bool) -> None:
    assert holds({condition: {"aws:TagKeys": ["a", "b"]}}, aws__TagKeys=values) is expected


def test_null_asks_whether_a_key_is_there() -> None:
    assert holds({"Null": {"aws:TokenIssueTime": "true"}})
    assert not holds({"Null": {"aws:TokenIssueTime": "true"}}, aws__TokenIssueTime="x")
    assert holds({"Null": {"aws:TokenIssueTime": False}}, aws__TokenIssueTime="x")


def test_all_keys_and_operators_must_hold_and_one_of_the_values() -> None:
    both = {"StringEquals": {"a:x": ["1", "2"], "a:y": "3"}, "Bool": {"a:z": "true"}}
    assert holds(both, a__x="2", a__y="3", a__z=True)
    assert not holds(both, a__x="2", a__y="3", a__z=False)
    assert not holds(both, a__x="2", a__z=True)


def test_variables_and_escapes_in_conditions() -> None:
    assert holds({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, s3__prefix="home/ada/x", aws__username="ada")
    assert holds({"StringEquals": {"a:x": "${aws:PrincipalTag/t}"}}, **{"a__x": "v", "aws__PrincipalTag_of_t": "v"})
    assert holds({"StringEquals": {"a:x": "3${*}"}}, a__x="3*")
    assert not holds({"StringEquals": {"a:x": "3*"}}, a__x="33")
    assert not holds({"StringLike": {"a:x": "3${*}"}}, a__x="33")
    arn = {"ArnLike": {"a:x": "arn:aws:iam::1:user/${aws:username}"}}
    assert holds(arn, a__x="arn:aws:iam::1:user/ada", aws__username="ada")


def test_an_unknown_operator_allows_nothing_and_does_not_soften_a_deny() -> None:
    odd = {"StringSimilar": {"a:x": "y"}}
    assert not of(allow(Condition=odd)).allows("s3:GetObject", "r", NOTHING)
    assert of(deny(Condition=odd)).denies("s3:GetObject", "r", NOTHING)
    assert not known_operator("StringSimilar")
    assert not known_operator("NullIfExists")
    assert known_operator("ForAnyValue:StringNotLikeIfExists")


@pytest.mark.parametrize(
    "text", ["no", "[]", '{"Statement": ["x"]}', '{"Statement": {"Effect": "allow"}}', "[" * 100_000]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        parse(text)


def test_documents_are_parsed_once_and_forgotten_in_time() -> None:
    documents = Documents(kept=2)
    texts = [json.dumps({"Statement": allow(f"s3:{number}")}) for number in range(3)]
    first = documents.of(texts[0])
    assert documents.of(texts[0]) is first
    documents.of(texts[1])
    documents.of(texts[2])
    assert documents.of(texts[0]) is not first


# which policy decides. Source: "Evaluating identity-based policies with resource-based policies", "Permissions boundaries"


def policy(principal: Any, effect: str = "Allow", member: str = "Principal") -> Document:
    return of({"Effect": effect, member: principal, "Action": "*", "Resource": "*"})


EVERYTHING, OTHER = of(allow()), of(allow("other:*"))
GRANTED = {
    "nobody": policy({"AWS": "222222222222"}),
    "user": policy({"AWS": USER}),
    "role": policy({"AWS": ROLE}),
    "session": policy({"AWS": SESSION_ARN}),
    "account": policy({"AWS": "arn:aws:iam::111111111111:root"}),
    "all": policy("*"),
    "deny": policy({"AWS": [USER, ROLE]}, "Deny"),
}


@pytest.mark.parametrize(
    ("caller", "granted", "owner", "verdict"),
    [
        (user(), None, "", IDENTITY),
        (user(allow()), None, "", ""),
        (user(allow()), "nobody", "", ""),
        (user(), "user", "", ""),
        (user(), "all", "", ""),
        (user(), "account", "", IDENTITY),
        (user(allow()), "account", "", ""),
        (user(allow()), "deny", "", f"!{RESOURCE}"),
        (user(allow(), deny("s3:*")), "user", "", f"!{IDENTITY}"),
        (user(allow(), boundary=OTHER), None, "", BOUNDARY),
        (user(boundary=EVERYTHING), None, "", IDENTITY),
        (user(allow(), boundary=of(deny())), None, "", f"!{BOUNDARY}"),
        (user(boundary=OTHER), "user", "", ""),
        (session(allow(), session=(OTHER,)), None, "", SESSION),
        (session(allow(), session=(OTHER, EVERYTHING)), None, "", ""),
        (session(session=(EVERYTHING,)), None, "", IDENTITY),
        (session(allow(), session=(EVERYTHING, of(deny()))), None, "", f"!{SESSION}"),
        (session(), "role", "", ""),
        (session(boundary=OTHER), "role", "", BOUNDARY),
        (session(session=(OTHER,)), "role", "", SESSION),
        (session(session=(OTHER,), boundary=OTHER), "session", "", ""),
        (session(allow()), "deny", "", f"!{RESOURCE}"),
        (user(allow()), None, "222222222222", RESOURCE),
        (user(allow()), "account", "222222222222", ""),
        (user(), "user", "222222222222", IDENTITY),
        (user(allow(), boundary=OTHER), "user", "222222222222", BOUNDARY),
        (Caller("sns.amazonaws.com", "", {"Service:sns.amazonaws.com": "direct"}, limited=False), "user", "", RESOURCE),
        (Caller("anonymous", "", {}, limited=False), "all", "", ""),
        (Caller("anonymous", "", {}, limited=False), "user", "", RESOURCE),
        (Caller("anonymous", "", {}, limited=False), None, "", RESOURCE),
    ],
)
def test_which_policy_decides(caller: Caller, granted: str | None, owner: str, verdict: str) -> None:
    found = decide(caller, "s3:GetObject", "arn:x", NOTHING, policy=GRANTED[granted] if granted else None, owner=owner)
    assert ("!" if found.explicit else "") + found.policy == verdict
    assert found.allowed is (verdict == "")


def test_a_trust_policy_must_let_everybody_in() -> None:
    def asked(caller: Caller, trust: Document) -> Decision:
        return decide(caller, "sts:AssumeRole", ROLE, NOTHING, policy=trust, owner="111111111111", kind=TRUST)

    assert asked(user(allow()), of()) == Decision(False, TRUST)
    assert asked(user(), GRANTED["account"]) == Decision(False, IDENTITY)
    assert asked(user(allow()), GRANTED["account"]).allowed
    assert asked(user(), GRANTED["user"]).allowed


def test_a_service_is_let_in_by_its_name_and_for_its_source() -> None:
    sns = Caller("sns.amazonaws.com", "", {"Service:sns.amazonaws.com": "direct"}, limited=False)
    condition = {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:1:t"}}
    statement = {"Principal": {"Service": "sns.amazonaws.com"}, "Condition": condition, **allow("sqs:SendMessage")}
    for source, allowed in (("arn:aws:sns:us-east-1:1:t", True), ("arn:aws:sns:us-east-1:1:u", False)):
        facts = Facts({"aws:sourcearn": source})
        assert decide(sns, "sqs:SendMessage", "q", facts, policy=of(statement)).allowed is allowed


def test_not_principal_speaks_of_everybody_else() -> None:
    excluded = policy({"AWS": USER}, "Deny", "NotPrincipal")
    assert not excluded.denies("a:b", "r", NOTHING, user().names)
    assert excluded.denies("a:b", "r", NOTHING, session().names)


def test_messages_name_the_kind_of_policy() -> None:
    assert Decision(False, IDENTITY).why("a:b") == "because no identity-based policy allows the a:b action"
    assert Decision(False, BOUNDARY).why("a:b") == "because no permissions boundary allows the a:b action"
    assert Decision(False, TRUST).why("a:b") == "because no role trust policy allows the a:b action"
    assert Decision(False, IDENTITY, True).why("a:b") == "with an explicit deny in an identity-based policy"
    assert Decision(False, SESSION, True).why("a:b") == "with an explicit deny in a session policy"
    assert Decision(False, TRUST, True).why("a:b") == "with an explicit deny in the role trust policy"


# properties

_actions = st.sampled_from(["s3:GetObject", "s3:*", "s3:Put*", "sqs:SendMessage", "*"])
_resources = st.sampled_from(["*", "arn:aws:s3:::a", "arn:aws:s3:::a*", "arn:aws:s3:::b"])
_conditions = st.sampled_from([{}, {"Bool": {"a:x": "true"}}, {"StringNotEquals": {"a:y": "1"}}])
_statements = st.builds(
    lambda effect, action, resource, condition: {
        "Effect": effect, "Action": action, "Resource": resource, **({"Condition": condition} if condition else {}),
    },
    st.sampled_from(["Allow", "Deny"]), _actions, _resources, _conditions,
)  # fmt: skip
_asked = st.tuples(
    st.sampled_from(["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]),
    st.sampled_from(["arn:aws:s3:::a", "arn:aws:s3:::ab", "arn:aws:s3:::b"]),
    st.sampled_from([{}, {"a:x": True}, {"a:x": False, "a:y": "1"}]),
)


def verdict(statements: list[Json], asked: tuple[str, str, Json]) -> Decision:
    caller = Caller(USER, "1", {}, identity=tuple(of(each) for each in statements))
    return decide(caller, asked[0], asked[1], Facts(asked[2]))


@settings(max_examples=150)
@given(st.lists(_statements, max_size=6), _asked, st.randoms())
def test_the_order_and_the_split_of_statements_do_not_matter(
    statements: list[Json], asked: tuple[str, str, Json], random: Any
) -> None:
    shuffled = random.sample(statements, len(statements))
    whole = Caller(USER, "1", {}, identity=(of(*shuffled),))
    assert decide(whole, asked[0], asked[1], Facts(asked[2])) == verdict(statements, asked)


@settings(max_examples=150)
@given(st.lists(_statements, max_size=6), _asked)
def test_a_deny_wins_and_without_an_allow_nothing_is_allowed(
    statements: list[Json], asked: tuple[str, str, Json]
) -> None:
    found = verdict(statements, asked)
    denied = verdict([*statements, deny(asked[0], asked[1])], asked)
    assert denied == Decision(False, IDENTITY, True)
    assert not verdict([each for each in statements if each["Effect"] == "Deny"], asked).allowed
    if not found.explicit:
        assert verdict([*statements, allow(asked[0], asked[1])], asked).allowed


@settings(max_examples=150)
@given(st.lists(_statements, max_size=4), st.lists(_statements, max_size=4), _asked)
def test_a_boundary_and_a_session_policy_only_take_away(
    identity: list[Json], limit: list[Json], asked: tuple[str, str, Json]
) -> None:
    plain = Caller(USER, "1", {}, identity=(of(*identity),))
    for narrowed in (
        Caller(USER, "1", {}, identity=plain.identity, boundary=of(*limit)),
        Caller(USER, "1", {}, identity=plain.identity, session=(of(*limit),)),
    ):
        allowed = decide(narrowed, asked[0], asked[1], Facts(asked[2])).allowed
        expected = verdict(identity, asked).allowed and verdict(limit, asked).allowed
        assert allowed is expected

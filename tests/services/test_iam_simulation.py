"""SimulateCustomPolicy and SimulatePrincipalPolicy: the evaluator, asked."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.iam_people import ACCOUNT, Person, allow, deny, document

TODAY = {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}


def results(answer: Any) -> list[tuple[str, str, str]]:
    members = ("EvalActionName", "EvalResourceName", "EvalDecision")
    return [tuple(each[member] for member in members) for each in answer["EvaluationResults"]]


def test_a_custom_policy_is_tried_for_each_action_and_resource(aws: Any) -> None:
    policy = document(allow("s3:*", "arn:aws:s3:::one*"), deny("s3:Delete*"))
    answer = aws("iam").simulate_custom_policy(
        PolicyInputList=[policy], ActionNames=["s3:GetObject", "s3:DeleteObject"], ResourceArns=["arn:aws:s3:::one/k", "arn:aws:s3:::two/k"]
    )  # fmt: skip
    assert results(answer) == [
        ("s3:GetObject", "arn:aws:s3:::one/k", "allowed"),
        ("s3:GetObject", "arn:aws:s3:::two/k", "implicitDeny"),
        ("s3:DeleteObject", "arn:aws:s3:::one/k", "explicitDeny"),
        ("s3:DeleteObject", "arn:aws:s3:::two/k", "explicitDeny"),
    ]
    matched = [each["MatchedStatements"] for each in answer["EvaluationResults"]]
    assert matched[0] == [{"SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "IAM Policy"}]
    assert matched[1] == []


def test_context_boundary_and_resource_policy_count(aws: Any) -> None:
    iam = aws("iam")
    request = {"PolicyInputList": [document(allow("sqs:*", Condition=TODAY))], "ActionNames": ["sqs:SendMessage"]}
    first = iam.simulate_custom_policy(**request)["EvaluationResults"][0]
    assert (first["EvalDecision"], first["MissingContextValues"]) == ("implicitDeny", ["aws:CurrentTime"])
    entry = {
        "ContextKeyName": "aws:CurrentTime",
        "ContextKeyValues": ["2025-01-01T00:00:00Z"],
        "ContextKeyType": "date",
    }
    told = iam.simulate_custom_policy(**request, ContextEntries=[entry])["EvaluationResults"][0]
    assert (told["EvalDecision"], told["MissingContextValues"]) == ("allowed", [])
    bound = iam.simulate_custom_policy(
        **request, ContextEntries=[entry], PermissionsBoundaryPolicyInputList=[document(allow("sns:*"))]
    )["EvaluationResults"][0]
    assert bound["EvalDecision"] == "implicitDeny"
    assert bound["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    ada = f"arn:aws:iam::{ACCOUNT}:user/ada"
    lets_in = {"Effect": "Allow", "Principal": {"AWS": ada}, "Action": "*", "Resource": "*"}
    granted = {"ResourcePolicy": document(lets_in), "CallerArn": ada}
    assert results(iam.simulate_custom_policy(**request, **granted))[0][2] == "allowed"
    with pytest.raises(ClientError, match="CallerArn"):
        iam.simulate_custom_policy(**request, ResourcePolicy=document(lets_in))
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        iam.simulate_custom_policy(PolicyInputList=["{}"], ActionNames=["a:b"])


def test_a_principals_policies_are_tried_with_its_groups_and_its_boundary(aws: Any) -> None:
    iam = aws("iam")
    ada = Person(aws, "ada", allow("sqs:*"))
    iam.create_group(GroupName="ops")
    iam.put_group_policy(GroupName="ops", PolicyName="p", PolicyDocument=document(allow("sns:*")))
    iam.add_user_to_group(GroupName="ops", UserName="ada")
    request = {"PolicySourceArn": ada.arn, "ActionNames": ["sqs:SendMessage", "sns:Publish", "s3:GetObject"]}
    assert [each[2] for each in results(iam.simulate_principal_policy(**request))] == [
        "allowed",
        "allowed",
        "implicitDeny",
    ]
    more = iam.simulate_principal_policy(**request, PolicyInputList=[document(allow("s3:*"))])
    assert [each[2] for each in results(more)] == ["allowed"] * 3
    arn = iam.create_policy(PolicyName="b", PolicyDocument=document(allow("sns:*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=arn)
    assert [each[2] for each in results(iam.simulate_principal_policy(**request))] == [
        "implicitDeny",
        "allowed",
        "implicitDeny",
    ]
    page = iam.simulate_principal_policy(**request, MaxItems=2)
    assert page["IsTruncated"]
    assert len(iam.simulate_principal_policy(**request, Marker=page["Marker"])["EvaluationResults"]) == 1
    for wrong in (f"arn:aws:s3:::{ACCOUNT}bucket-of-it", f"arn:aws:iam::{ACCOUNT}:policy/b"):
        with pytest.raises(ClientError, match="InvalidInput"):
            iam.simulate_principal_policy(**{**request, "PolicySourceArn": wrong})
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(**{**request, "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/bob"})

"""EventBridge's buses, rules, targets, permissions and tags, as boto3 sees them."""

import json

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

BUS_ARN = "arn:aws:events:us-east-1:000000000000:event-bus/"
RULE_ARN = "arn:aws:events:us-east-1:000000000000:rule/"
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:"
PATTERN = '{"source": ["app"]}'


@pytest.fixture
def client(aws):
    return aws("events")


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def unimplemented(action, **request):
    code, message = refused(action, **request)
    assert code == "NotImplemented"
    return message


TOO_MANY = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.")


# buses


def test_the_default_bus_is_always_there(client):
    assert [bus["Name"] for bus in client.list_event_buses()["EventBuses"]] == ["default"]
    assert client.describe_event_bus()["Arn"] == f"{BUS_ARN}default"
    assert refused(client.delete_event_bus, Name="default") == (
        "ValidationException",
        "Cannot delete event bus default.",
    )


def test_buses_are_made_listed_changed_and_deleted(client, clock):
    made = client.create_event_bus(Name="orders", Description="of orders", Tags=[{"Key": "team", "Value": "a"}])
    assert (made["EventBusArn"], made["Description"]) == (f"{BUS_ARN}orders", "of orders")
    assert refused(client.create_event_bus, Name="orders") == (
        "ResourceAlreadyExistsException", "Event bus orders already exists.",
    )  # fmt: skip
    client.create_event_bus(Name="a.b-c_d")
    assert [bus["Name"] for bus in client.list_event_buses()["EventBuses"]] == ["a.b-c_d", "default", "orders"]
    assert [bus["Name"] for bus in client.list_event_buses(NamePrefix="or")["EventBuses"]] == ["orders"]
    clock.advance(60)
    changed = client.update_event_bus(Name="orders", Description="of all orders")
    assert (changed["Name"], changed["Arn"], changed["Description"]) == ("orders", f"{BUS_ARN}orders", "of all orders")
    described = client.describe_event_bus(Name=f"{BUS_ARN}orders")
    assert described["Description"] == "of all orders"
    assert described["LastModifiedTime"].timestamp() - described["CreationTime"].timestamp() == pytest.approx(60)
    client.delete_event_bus(Name="orders")
    client.delete_event_bus(Name="orders")  # gone already
    assert refused(client.describe_event_bus, Name="orders") == (
        "ResourceNotFoundException", "Event bus orders does not exist.",
    )  # fmt: skip


def test_a_bus_with_rules_is_not_deleted(client):
    client.create_event_bus(Name="b")
    client.put_rule(Name="r", EventBusName="b", EventPattern=PATTERN)
    assert refused(client.delete_event_bus, Name="b")[0] == "ValidationException"
    client.delete_rule(Name="r", EventBusName="b")
    client.delete_event_bus(Name="b")


def test_there_are_100_buses_and_no_more(client):
    for number in range(99):
        client.create_event_bus(Name=f"b{number:03d}")
    assert refused(client.create_event_bus, Name="one-more") == TOO_MANY
    page = client.list_event_buses(Limit=60)
    rest = client.list_event_buses(Limit=60, NextToken=page["NextToken"])
    assert (len(page["EventBuses"]), len(rest["EventBuses"])) == (60, 40)
    assert "NextToken" not in rest
    assert refused(client.list_event_buses, NextToken="?")[0] == "InvalidToken"


def test_what_buses_do_not_honour_is_refused_by_name(client):
    assert "KmsKeyIdentifier" in unimplemented(client.create_event_bus, Name="b", KmsKeyIdentifier="k")
    assert "DeadLetterConfig" in unimplemented(
        client.create_event_bus, Name="b", DeadLetterConfig={"Arn": f"{QUEUE_ARN}q"}
    )
    assert "LogConfig" in unimplemented(client.update_event_bus, Name="default", LogConfig={"Level": "INFO"})
    assert "partner" in unimplemented(
        client.create_event_bus, Name="aws.partner/x/y", EventSourceName="aws.partner/x/y"
    )
    assert refused(client.create_event_bus, Name="a/b")[0] == "ValidationException"
    assert "ListEventSources" in unimplemented(client.list_event_sources)
    assert "CreateEndpoint" in unimplemented(
        client.create_endpoint, Name="e", EventBuses=[{"EventBusArn": f"{BUS_ARN}a"}, {"EventBusArn": f"{BUS_ARN}b"}],
        RoutingConfig={"FailoverConfig": {"Primary": {"HealthCheck": "arn:aws:route53:::healthcheck/x"},
                                          "Secondary": {"Route": "us-west-2"}}},
    )  # fmt: skip


# rules


def test_a_rule_is_made_replaced_switched_and_deleted(client):
    made = client.put_rule(
        Name="r", EventPattern=PATTERN, Description="d", RoleArn="arn:aws:iam::000000000000:role/r",
        Tags=[{"Key": "k", "Value": "v"}],
    )  # fmt: skip
    assert made["RuleArn"] == f"{RULE_ARN}r"
    described = client.describe_rule(Name="r")
    del described["ResponseMetadata"]
    assert described == {
        "Name": "r", "Arn": f"{RULE_ARN}r", "EventPattern": PATTERN, "State": "ENABLED", "Description": "d",
        "RoleArn": "arn:aws:iam::000000000000:role/r", "EventBusName": "default", "CreatedBy": "000000000000",
    }  # fmt: skip
    client.put_rule(Name="r", ScheduleExpression="rate(5 minutes)", State="DISABLED", Tags=[{"Key": "x", "Value": "y"}])
    described = client.describe_rule(Name="r")
    assert "EventPattern" not in described and "Description" not in described
    assert (described["ScheduleExpression"], described["State"]) == ("rate(5 minutes)", "DISABLED")
    assert client.list_tags_for_resource(ResourceARN=f"{RULE_ARN}r")["Tags"] == [{"Key": "k", "Value": "v"}]
    client.enable_rule(Name="r")
    assert client.describe_rule(Name="r")["State"] == "ENABLED"
    client.disable_rule(Name="r")
    assert client.describe_rule(Name="r")["State"] == "DISABLED"
    client.delete_rule(Name="r")
    client.delete_rule(Name="r")
    gone = ("ResourceNotFoundException", "Rule r does not exist on EventBus default.")
    assert refused(client.describe_rule, Name="r") == gone
    assert refused(client.enable_rule, Name="r") == gone
    assert refused(client.disable_rule, Name="r") == gone


def test_rules_of_a_custom_bus_have_its_name_in_their_arn(client):
    client.create_event_bus(Name="b")
    assert client.put_rule(Name="r", EventBusName=f"{BUS_ARN}b", EventPattern=PATTERN)["RuleArn"] == f"{RULE_ARN}b/r"
    assert client.describe_rule(Name="r", EventBusName="b")["EventBusName"] == "b"
    assert client.list_rules()["Rules"] == []
    no_bus = ("ResourceNotFoundException", "Event bus nowhere does not exist.")
    assert refused(client.put_rule, Name="r", EventBusName="nowhere", EventPattern=PATTERN) == no_bus
    assert refused(client.delete_rule, Name="r", EventBusName="nowhere") == no_bus


def test_what_is_no_rule_is_refused(client):
    assert refused(client.put_rule, Name="r") == (
        "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.",
    )  # fmt: skip
    assert refused(client.put_rule, Name="r", EventPattern='{"source": []}') == (
        "InvalidEventPatternException", "Event pattern is not valid. Reason: Empty arrays are not allowed",
    )  # fmt: skip
    assert refused(client.put_rule, Name="r", ScheduleExpression="rate(1 minutes)") == (
        "ValidationException", "Parameter ScheduleExpression is not valid.",
    )  # fmt: skip
    client.create_event_bus(Name="b")
    assert refused(client.put_rule, Name="r", EventBusName="b", ScheduleExpression="rate(1 minute)") == (
        "ValidationException", "ScheduleExpression is supported only on the default event bus.",
    )  # fmt: skip
    state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    assert state in unimplemented(client.put_rule, Name="r", EventPattern=PATTERN, State=state)


def test_a_pattern_has_2048_characters_and_no_more(client):
    def pattern(size):
        return json.dumps({"source": ["x" * (size - len(json.dumps({"source": [""]})))]})

    assert len(pattern(2048)) == 2048
    client.put_rule(Name="r", EventPattern=pattern(2048))
    assert refused(client.put_rule, Name="r", EventPattern=pattern(2049))[0] == "LimitExceededException"


def test_a_bus_has_300_rules_and_no_more(client):
    for number in range(300):
        client.put_rule(Name=f"r{number:03d}", EventPattern=PATTERN)
    assert refused(client.put_rule, Name="one-more", EventPattern=PATTERN) == TOO_MANY
    client.put_rule(Name="r000", EventPattern=PATTERN)  # replaced
    pages = [page["Rules"] for page in client.get_paginator("list_rules").paginate()]
    assert [len(page) for page in pages] == [100, 100, 100]
    names = [rule["Name"] for page in pages for rule in page]
    assert names == sorted(names) and len(set(names)) == 300
    assert len(client.list_rules(NamePrefix="r29", Limit=7)["Rules"]) == 7


# targets


def target(number, **settings):
    return {"Id": str(number), "Arn": f"{QUEUE_ARN}q{number}", **settings}


def test_targets_are_put_replaced_listed_and_removed(client):
    client.put_rule(Name="r", EventPattern=PATTERN)
    assert client.put_targets(Rule="r", Targets=[target(2), target(1)])["FailedEntryCount"] == 0
    client.put_targets(Rule="r", Targets=[target(2, Input='{"a": 1}')])
    assert client.list_targets_by_rule(Rule="r")["Targets"] == [target(1), target(2, Input='{"a": 1}')]
    page = client.list_targets_by_rule(Rule="r", Limit=1)
    assert page["Targets"] == [target(1)]
    assert client.list_targets_by_rule(Rule="r", NextToken=page["NextToken"])["Targets"][0]["Id"] == "2"
    assert refused(client.delete_rule, Name="r") == (
        "ValidationException", "Rule can't be deleted since it has targets.",
    )  # fmt: skip
    removed = client.remove_targets(Rule="r", Ids=["1", "7"])
    assert removed["FailedEntryCount"] == 1
    assert removed["FailedEntries"][0]["TargetId"] == "7"
    assert removed["FailedEntries"][0]["ErrorCode"] == "ResourceNotFoundException"
    client.remove_targets(Rule="r", Ids=["2"])
    client.delete_rule(Name="r")
    gone = ("ResourceNotFoundException", "Rule r does not exist on EventBus default.")
    assert refused(client.put_targets, Rule="r", Targets=[target(1)]) == gone
    assert refused(client.remove_targets, Rule="r", Ids=["1"]) == gone
    assert refused(client.list_targets_by_rule, Rule="r") == gone


def test_replacing_a_rule_keeps_its_targets(client):
    client.put_rule(Name="r", EventPattern=PATTERN)
    client.put_targets(Rule="r", Targets=[target(1)])
    client.put_rule(Name="r", EventPattern='{"source": ["other"]}')
    assert client.list_targets_by_rule(Rule="r")["Targets"] == [target(1)]


def test_rules_are_found_by_their_target(client):
    for name in ("a", "b", "c"):
        client.put_rule(Name=name, EventPattern=PATTERN)
    client.put_targets(Rule="a", Targets=[target(1)])
    client.put_targets(Rule="c", Targets=[target(1), target(2)])
    assert client.list_rule_names_by_target(TargetArn=f"{QUEUE_ARN}q1")["RuleNames"] == ["a", "c"]
    assert client.list_rule_names_by_target(TargetArn=f"{QUEUE_ARN}q2")["RuleNames"] == ["c"]
    assert client.list_rule_names_by_target(TargetArn=f"{QUEUE_ARN}q3")["RuleNames"] == []
    page = client.list_rule_names_by_target(TargetArn=f"{QUEUE_ARN}q1", Limit=1)
    more = client.list_rule_names_by_target(TargetArn=f"{QUEUE_ARN}q1", NextToken=page["NextToken"])
    assert (page["RuleNames"], more["RuleNames"]) == (["a"], ["c"])


def test_a_rule_has_5_targets_and_no_more_and_10_are_put_at_once(client):
    client.put_rule(Name="r", EventPattern=PATTERN)
    client.put_targets(Rule="r", Targets=[target(n) for n in range(5)])
    assert refused(client.put_targets, Rule="r", Targets=[target(5)]) == TOO_MANY
    client.put_targets(Rule="r", Targets=[target(n % 5) for n in range(10)])  # replaced, ten at once
    assert refused(client.put_targets, Rule="r", Targets=[target(n % 5) for n in range(11)])[0] == "ValidationException"
    assert client.remove_targets(Rule="r", Ids=[str(n) for n in range(10)])["FailedEntryCount"] == 5
    assert refused(client.remove_targets, Rule="r", Ids=[str(n) for n in range(11)])[0] == "ValidationException"


MALFORMED = "Parameter {} is not valid. Reason: Provided Arn is not in correct format."
PATHS = {"InputPathsMap": {"x": "$.detail.x"}}
WRONG_TARGETS = [
    ({"Arn": "queue"}, MALFORMED.format("queue")),
    ({"Arn": "arn:aws:lambda:us-east-1:000000000000:layer:x"}, MALFORMED.format("arn:aws:lambda:us-east-1:000000000000:layer:x")),
    ({"Arn": f"{RULE_ARN}r"}, MALFORMED.format(f"{RULE_ARN}r")),
    ({"Arn": f"{BUS_ARN}default"}, f"Parameter {BUS_ARN}default is not valid. Reason: Event bus cannot be a target of its own rule."),
    ({"Input": "{"}, "JSON syntax error in input for target 1."),
    ({"Input": "1", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer must be provided for target 1."),
    ({"InputPath": "detail"}, "Invalid JsonPath for target 1: detail"),
    ({"InputTransformer": {**PATHS, "InputTemplate": "x is <x>"}}, "Invalid InputTemplate for target 1 : it is not valid JSON."),
    ({"InputTransformer": {**PATHS, "InputTemplate": '{"x": <y>}'}}, "Invalid InputTemplate for target 1 : it is not valid JSON."),
    (
        {"InputTransformer": {"InputPathsMap": {"aws-x": "$"}, "InputTemplate": '"x"'}},
        "InputPathsMap of target 1 is not valid. Reason: aws-x is a reserved name.",
    ),
    ({"Arn": f"{QUEUE_ARN}q.fifo"}, "Parameter(s) SqsParameters must be specified for target: 1."),
    (
        {"Arn": "arn:aws:sns:us-east-1:000000000000:t", "SqsParameters": {"MessageGroupId": "g"}},
        "Parameter(s) SqsParameters not valid for target: 1.",
    ),
    ({"KinesisParameters": {"PartitionKeyPath": "$.id"}}, "Parameter(s) KinesisParameters not valid for target: 1."),
    ({"HttpParameters": {}}, "Parameter(s) HttpParameters not valid for target: 1."),
    ({"DeadLetterConfig": {"Arn": "dlq"}}, MALFORMED.format("dlq")),
    (
        {"DeadLetterConfig": {"Arn": f"{QUEUE_ARN}d.fifo"}},
        f"Parameter {QUEUE_ARN}d.fifo is not valid. Reason: a dead-letter queue must be a standard Amazon SQS queue.",
    ),
    (
        {"Arn": f"{BUS_ARN}other", "Input": "{}"},
        "Input, InputPath, and InputTransformer are not available with an event bus as target 1.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), WRONG_TARGETS)
def test_what_is_no_target_is_refused(client, settings, message):
    client.put_rule(Name="r", EventPattern=PATTERN)
    assert refused(client.put_targets, Rule="r", Targets=[target(1, **settings)]) == ("ValidationException", message)
    assert client.list_targets_by_rule(Rule="r")["Targets"] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c"},
        {"Arn": "arn:aws:batch:us-east-1:000000000000:job-queue/q"},
        {"RunCommandParameters": {"RunCommandTargets": [{"Key": "tag:x", "Values": ["y"]}]}},
        {"EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task-definition/t"}},
        {"BatchParameters": {"JobDefinition": "d", "JobName": "n"}},
        {"RedshiftDataParameters": {"Database": "d"}},
        {"SageMakerPipelineParameters": {}},
        {"AppSyncParameters": {}},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_targets_that_are_not_there_are_refused_by_name(client, settings):
    client.put_rule(Name="r", EventPattern=PATTERN)
    message = unimplemented(client.put_targets, Rule="r", Targets=[target(1, **settings)])
    name, value = next(iter(settings.items()))
    assert (value if name == "Arn" else name) in message


@pytest.mark.parametrize(
    "policy",
    [
        {"MaximumRetryAttempts": 186},
        {"MaximumRetryAttempts": -1},
        {"MaximumEventAgeInSeconds": 59},
        {"MaximumEventAgeInSeconds": 86_401},
    ],
)
def test_a_retry_policy_has_its_limits(aws, policy):
    client = aws("events", config=Config(parameter_validation=False))
    client.put_rule(Name="r", EventPattern=PATTERN)
    assert refused(client.put_targets, Rule="r", Targets=[target(1, RetryPolicy=policy)])[0] == "ValidationException"
    allowed = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}
    client.put_targets(Rule="r", Targets=[target(1, RetryPolicy=allowed)])


# permissions


def policy(client, bus="default"):
    return json.loads(client.describe_event_bus(Name=bus)["Policy"])


def test_permissions_are_put_and_removed(client):
    put = {"Action": "events:PutEvents", "Principal": "111122223333", "StatementId": "one"}
    client.put_permission(**put)
    statement = {
        "Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "events:PutEvents", "Resource": f"{BUS_ARN}default",
    }  # fmt: skip
    assert policy(client) == {"Version": "2012-10-17", "Statement": [statement]}
    condition = {"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"}
    client.put_permission(**{**put, "Principal": "*", "StatementId": "two", "Condition": condition})
    assert policy(client)["Statement"][1]["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    client.put_permission(**{**put, "Principal": "444455556666"})  # in the place of the first
    assert [each["Sid"] for each in policy(client)["Statement"]] == ["two", "one"]
    client.remove_permission(StatementId="one")
    assert refused(client.remove_permission, StatementId="one") == (
        "ResourceNotFoundException", "Statement with the provided id does not exist.",
    )  # fmt: skip
    client.remove_permission(RemoveAllPermissions=True)
    assert "Policy" not in client.describe_event_bus()
    assert refused(client.remove_permission, StatementId="one") == (
        "ResourceNotFoundException", "EventBus does not have a policy.",
    )  # fmt: skip


def test_a_whole_policy_is_put_and_checked(client):
    client.create_event_bus(Name="b")
    given = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "events:*", "Resource": f"{BUS_ARN}b"}
        ],
    }
    client.put_permission(EventBusName="b", Policy=json.dumps(given))
    assert policy(client, "b") == given
    assert refused(client.put_permission, EventBusName="b", Policy="{") == (
        "ValidationException", "This policy contains invalid Json",
    )  # fmt: skip
    for wrong in ({}, {"Statement": []}, {"Statement": [{"Effect": "Maybe", "Principal": "*", "Action": "*"}]}):
        assert refused(client.put_permission, EventBusName="b", Policy=json.dumps(wrong))[0] == "ValidationException"
    assert refused(client.put_permission, Policy=json.dumps(given), StatementId="x")[0] == "ValidationException"
    assert refused(client.put_permission, StatementId="x", Principal="*")[0] == "ValidationException"
    assert refused(client.put_permission, StatementId="x", Principal="*", Action="events:PutRule") == (
        "ValidationException", "Provided value in parameter 'action' is not supported.",
    )  # fmt: skip


def test_a_policy_has_10240_characters_and_no_more(client):
    def statement(size):
        given = {"Effect": "Allow", "Principal": "*", "Action": "events:PutEvents", "Sid": ""}
        whole = len(json.dumps({"Version": "2012-10-17", "Statement": [given]}, separators=(",", ":")))
        return json.dumps({"Statement": [{**given, "Sid": "x" * (size - whole)}]})

    client.put_permission(Policy=statement(10_240))
    assert len(client.describe_event_bus()["Policy"]) == 10_240
    assert refused(client.put_permission, Policy=statement(10_241))[0] == "PolicyLengthExceededException"


# tags


def test_tags_of_buses_and_rules(client):
    client.create_event_bus(Name="b", Tags=[{"Key": "a", "Value": "1"}])
    client.put_rule(Name="r", EventBusName="b", EventPattern=PATTERN)
    for arn, first in ((f"{BUS_ARN}b", [{"Key": "a", "Value": "1"}]), (f"{RULE_ARN}b/r", [])):
        assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == first
        client.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
        client.untag_resource(ResourceARN=arn, TagKeys=["b", "c"])
        assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    assert refused(client.tag_resource, ResourceARN=f"{BUS_ARN}no", Tags=[])[0] == "ResourceNotFoundException"
    assert refused(client.list_tags_for_resource, ResourceARN=f"{RULE_ARN}b/no")[0] == "ResourceNotFoundException"
    assert refused(client.untag_resource, ResourceARN=f"{QUEUE_ARN}q", TagKeys=["a"])[0] == "ValidationException"
    assert refused(client.tag_resource, ResourceARN="bus", Tags=[])[0] == "ValidationException"


def test_there_are_50_tags_and_no_more_and_none_of_awss(client):
    arn = f"{BUS_ARN}default"
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": str(n), "Value": ""} for n in range(50)])
    assert refused(client.tag_resource, ResourceARN=arn, Tags=[{"Key": "x", "Value": ""}])[0] == "ValidationException"
    assert (
        refused(client.tag_resource, ResourceARN=arn, Tags=[{"Key": "aws:x", "Value": ""}])[0] == "ValidationException"
    )
    assert len(client.list_tags_for_resource(ResourceARN=arn)["Tags"]) == 50


def test_a_pattern_is_tested(client):
    event = {
        "id": "1", "source": "app", "account": "1", "time": "2026-11-01T00:00:00Z", "region": "r", "resources": [],
        "detail-type": "t", "detail": {"n": 5},
    }  # fmt: skip

    def matches(pattern, given=event):
        return client.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(given))["Result"]

    assert matches({"detail": {"n": [5]}}) is True
    assert matches({"detail": {"n": [6]}}) is False
    assert refused(client.test_event_pattern, EventPattern='{"a": 1}', Event="{}") == (
        "InvalidEventPatternException", 'Event pattern is not valid. Reason: "a" must be an object or an array',
    )  # fmt: skip
    assert refused(client.test_event_pattern, EventPattern='{"a": [1]}', Event="{")[0] == "ValidationException"
    for member in ("id", "account", "source", "time", "region", "resources", "detail-type"):
        without = {name: value for name, value in event.items() if name != member}
        code, message = refused(client.test_event_pattern, EventPattern='{"a": [1]}', Event=json.dumps(without))
        assert (code, f"{member} is a required argument" in message) == ("ValidationException", True)

"""EventBridge's CloudFormation types, and SAM's events that become rules, through stacks."""

import json

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
CODE = "def handler(event, context):\n    print('got', event['source'], event.get('detail', {}).get('n'))\n"


@pytest.fixture
def stack(aws, clock):
    """Creates a stack, updates it the next time; returns its outputs."""
    cloudformation = aws("cloudformation")

    def deploy(resources, outputs=None, **template):
        request = {
            "StackName": "s",
            "TemplateBody": json.dumps({
                "Resources": resources, "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()}, **template,
            }),
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }  # fmt: skip
        try:
            cloudformation.describe_stacks(StackName="s")
        except ClientError:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            pytest.fail("\n".join(str(event.get("ResourceStatusReason")) for event in events))
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}

    return deploy


@pytest.fixture
def gone(aws, clock):
    def delete():
        aws("cloudformation").delete_stack(StackName="s")
        clock.advance(120)
        with pytest.raises(ClientError, match="does not exist"):
            aws("cloudformation").describe_stacks(StackName="s")

    return delete


def put(client, n, bus="default"):
    entry = {"Source": "app", "DetailType": "t", "Detail": json.dumps({"n": n}), "EventBusName": bus}
    assert client.put_events(Entries=[entry])["FailedEntryCount"] == 0


def bodies(sqs, url):
    return [
        json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


QUEUE = {"Type": "AWS::SQS::Queue"}


def bus(**properties):
    return {"Type": "AWS::Events::EventBus", "Properties": {"Name": "orders", **properties}}


def rule(*targets, **properties):
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventBusName": {"Ref": "Bus"},
            "EventPattern": {"source": ["app"]},
            "Targets": targets,
            **properties,
        },
    }


def queue_target(number="1", **more):
    return {"Id": number, "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}, **more}


def test_a_bus_with_a_rule_is_created_updated_and_deleted(aws, stack, gone):
    client, sqs = aws("events"), aws("sqs")
    shown = {
        "Bus": {"Ref": "Bus"}, "BusArn": {"Fn::GetAtt": ["Bus", "Arn"]}, "BusName": {"Fn::GetAtt": ["Bus", "Name"]},
        "Rule": {"Ref": "Rule"}, "RuleArn": {"Fn::GetAtt": ["Rule", "Arn"]}, "Url": {"Ref": "Queue"},
    }  # fmt: skip
    policy = {
        "RetryPolicy": {"MaximumRetryAttempts": "4"},
        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Queue", "Arn"]}},
    }
    first = stack(
        {
            "Bus": bus(Description="d", Tags=[{"Key": "team", "Value": "a"}]),
            "Queue": QUEUE,
            "Rule": rule(queue_target(**policy), queue_target("2", InputPath="$.detail")),
        },
        shown,
    )
    assert (first["Bus"], first["BusName"]) == ("orders", "orders")
    assert first["BusArn"] == "arn:aws:events:us-east-1:000000000000:event-bus/orders"
    name = first["Rule"].removeprefix("orders|")
    assert name.startswith("s-Rule-")
    assert first["RuleArn"] == f"arn:aws:events:us-east-1:000000000000:rule/orders/{name}"
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=first["BusArn"])["Tags"]}
    assert (tags["team"], tags["aws:cloudformation:stack-name"]) == ("a", "s")
    put(client, 1, "orders")
    assert sorted(map(len, bodies(sqs, first["Url"]))) == [1, 9]
    second = stack(
        {
            "Bus": bus(),
            "Queue": QUEUE,
            "Rule": rule(
                queue_target(
                    "2",
                    InputTransformer={"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"N": <n>}'},
                ),
                Description="changed",
                EventPattern={"detail": {"n": [{"numeric": [">", 1]}]}},
            ),
        },
        shown,
    )
    assert second["Rule"] == first["Rule"]
    described = client.describe_rule(Name=name, EventBusName="orders")
    assert described["Description"] == "changed"
    assert "Description" not in client.describe_event_bus(Name="orders")
    assert "team" not in {tag["Key"] for tag in client.list_tags_for_resource(ResourceARN=first["BusArn"])["Tags"]}
    put(client, 1, "orders")
    put(client, 2, "orders")
    assert {"N": 2} in bodies(sqs, first["Url"])
    assert len(client.list_targets_by_rule(Rule=name, EventBusName="orders")["Targets"]) == 1
    gone()
    assert [each["Name"] for each in client.list_event_buses()["EventBuses"]] == ["default"]


def test_a_scheduled_rule_of_the_default_bus(aws, stack, gone, clock):
    client, sqs = aws("events"), aws("sqs")
    properties = {
        "ScheduleExpression": "rate(1 minute)",
        "Name": "tick",
        "State": "DISABLED",
        "Targets": [queue_target()],
    }
    resource = {"Type": "AWS::Events::Rule", "Properties": properties}
    first = stack({"Queue": QUEUE, "Rule": resource}, {"Rule": {"Ref": "Rule"}, "Url": {"Ref": "Queue"}})
    assert first["Rule"] == "tick"
    clock.advance(300)
    assert bodies(sqs, first["Url"]) == []
    properties["State"] = "ENABLED"
    stack({"Queue": QUEUE, "Rule": resource})
    clock.advance(60)
    assert bodies(sqs, first["Url"])[0]["source"] == "aws.events"
    gone()
    assert client.list_rules()["Rules"] == []


def test_policies_of_a_bus(aws, stack, gone):
    client = aws("events")
    account = {
        "Type": "AWS::Events::EventBusPolicy",
        "Properties": {
            "EventBusName": {"Ref": "Bus"}, "StatementId": "account", "Action": "events:PutEvents", "Principal": "111122223333",
        },
    }  # fmt: skip
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "444455556666"},
        "Action": ["events:PutEvents"],
        "Resource": "*",
    }
    other = {
        "Type": "AWS::Events::EventBusPolicy",
        "DependsOn": "Account",
        "Properties": {"EventBusName": {"Ref": "Bus"}, "StatementId": "other", "Statement": statement},
    }
    stack({"Bus": bus(), "Account": account, "Other": other})
    policy = json.loads(client.describe_event_bus(Name="orders")["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["account", "other"]
    assert policy["Statement"][1] == {**statement, "Sid": "other"}
    stack({"Bus": bus(), "Account": account})
    policy = json.loads(client.describe_event_bus(Name="orders")["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["account"]
    gone()


def test_a_policy_in_the_bus_itself(aws, stack, gone):
    client = aws("events")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "x", "Effect": "Allow", "Principal": "*", "Action": "events:*"}],
    }
    stack({"Bus": bus(Policy=policy)})
    assert json.loads(client.describe_event_bus(Name="orders")["Policy"]) == policy
    stack({"Bus": bus(Description="without")})
    assert "Policy" not in client.describe_event_bus(Name="orders")
    gone()


def test_an_archive(aws, stack, gone):
    client = aws("events")
    properties = {
        "SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]},
        "EventPattern": {"source": ["app"]},
        "RetentionDays": "3",
    }
    resource = {"Type": "AWS::Events::Archive", "Properties": properties}
    first = stack({"Bus": bus(), "A": resource}, {"Name": {"Ref": "A"}, "Arn": {"Fn::GetAtt": ["A", "Arn"]}})
    assert first["Arn"] == f"arn:aws:events:us-east-1:000000000000:archive/{first['Name']}"
    assert client.describe_archive(ArchiveName=first["Name"])["RetentionDays"] == 3
    properties["Description"] = "d"
    del properties["RetentionDays"]
    stack({"Bus": bus(), "A": resource})
    described = client.describe_archive(ArchiveName=first["Name"])
    assert (described["Description"], described["RetentionDays"]) == ("d", 0)
    gone()
    assert client.list_archives()["Archives"] == []


def test_an_api_destination(aws, stack, gone):
    client = aws("events")
    connection = {
        "Type": "AWS::Events::Connection",
        "Properties": {
            "AuthorizationType": "BASIC",
            "AuthParameters": {"BasicAuthParameters": {"Username": "u", "Password": "p"}},
        },
    }
    properties = {
        "ConnectionArn": {"Fn::GetAtt": ["C", "Arn"]}, "HttpMethod": "POST", "InvocationEndpoint": "https://example.com/",
        "InvocationRateLimitPerSecond": "7",
    }  # fmt: skip
    destination = {"Type": "AWS::Events::ApiDestination", "Properties": properties}
    target = {"Id": "1", "Arn": {"Fn::GetAtt": ["D", "Arn"]}}
    resource = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["app"]}, "Targets": [target]}}
    first = stack({"C": connection, "D": destination, "R": resource}, {"C": {"Ref": "C"}, "D": {"Ref": "D"}})
    assert client.describe_api_destination(Name=first["D"])["InvocationRateLimitPerSecond"] == 7
    properties["HttpMethod"] = "PUT"
    connection["Properties"]["Description"] = "d"
    stack({"C": connection, "D": destination, "R": resource})
    assert client.describe_api_destination(Name=first["D"])["HttpMethod"] == "PUT"
    assert client.describe_connection(Name=first["C"])["Description"] == "d"
    gone()
    assert client.list_connections()["Connections"] == client.list_api_destinations()["ApiDestinations"] == []


def test_what_a_rule_cannot_do_fails_the_stack(aws, clock):
    resource = {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "ScheduleExpression": "rate(1 minute)",
            "Targets": [{"Id": "1", "Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"}}],
        },
    }  # fmt: skip
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": {"R": resource}}))
    clock.advance(120)
    events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
    assert any("arn:aws:ecs" in event.get("ResourceStatusReason", "") for event in events)
    assert aws("events").list_rules()["Rules"] == []


def test_sams_events_become_rules(aws, stack, clock):
    client, logs = aws("events"), aws("logs")
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "InlineCode": CODE, "FunctionName": "f",
            "Events": {
                "Bridge": {"Type": "EventBridgeRule", "Properties": {
                    "EventBusName": {"Ref": "Bus"}, "Pattern": {"source": ["app"]}, "RetryPolicy": {"MaximumRetryAttempts": 5},
                    "DeadLetterConfig": {"Type": "SQS"}}},
                "Old": {"Type": "CloudWatchEvent", "Properties": {"Pattern": {"detail": {"n": [7]}}}},
                "Tick": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 hour)", "Name": "tick", "Enabled": True}},
            },
        },
    }  # fmt: skip
    stack({"F": function, "Bus": bus()}, Transform="AWS::Serverless-2016-10-31")
    put(client, 1, "orders")
    put(client, 7)
    clock.advance(3600)
    lines = [
        line["message"] for line in logs.filter_log_events(logGroupName="/aws/lambda/f", filterPattern="got")["events"]
    ]
    assert sorted(line.strip() for line in lines) == ["got app 1", "got app 7", "got aws.events None"]

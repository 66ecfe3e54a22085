"""Subscription filters: what a function gets of a log group's events, and what happens when it cannot be had."""

import io
import json
import random
import zipfile

import pytest
from botocore.exceptions import ClientError

READER = """
import base64, gzip, json
def handler(event, context):
    print("GOT " + gzip.decompress(base64.b64decode(event["awslogs"]["data"])).decode())
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:function:reader"
WHERE = {"logGroupName": "g", "logStreamName": "s"}


@pytest.fixture
def logs(aws):
    client = aws("logs")
    client.create_log_group(logGroupName="g")
    client.create_log_stream(**WHERE)
    return client


@pytest.fixture
def reader(aws):
    make_reader(aws)


def make_reader(aws):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", READER)
    aws("lambda").create_function(
        FunctionName="reader", Runtime="python3.12", Handler="index.handler", Code={"ZipFile": packed.getvalue()},
        Role="arn:aws:iam::000000000000:role/r",
    )  # fmt: skip


def got(aws, cloud, group="/aws/lambda/reader"):
    """What the function was given, message by message."""
    cloud.quiet()
    try:
        events = aws("logs").filter_log_events(logGroupName=group, filterPattern='"GOT "')["events"]
    except aws("logs").exceptions.ResourceNotFoundException:
        return []
    return [json.loads(event["message"].removeprefix("GOT ")) for event in events]


def subscribe(logs, name="f", pattern="", arn=ARN, **more):
    logs.put_subscription_filter(
        logGroupName="g", filterName=name, filterPattern=pattern, destinationArn=arn, **more
    )  # fmt: skip


def write(logs, clock, *messages):
    now = int(clock.now() * 1000)
    logs.put_log_events(**WHERE, logEvents=[{"timestamp": now, "message": message} for message in messages])


def refused(action, *args, **request):
    with pytest.raises(ClientError) as caught:
        action(*args, **request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_function_gets_the_events_that_match(aws, cloud, clock, logs, reader):
    subscribe(logs, pattern='{ $.level = "error" }')
    now = int(clock.now() * 1000)
    first, second = '{"level": "error", "n": 1}', '{"level": "error", "n": 2}'
    write(logs, clock, first, '{"level": "info"}', second)
    write(logs, clock, '{"level": "info"}')
    ids = [e["eventId"] for e in logs.filter_log_events(logGroupName="g", filterPattern="error")["events"]]
    assert got(aws, cloud) == [
        {
            "messageType": "DATA_MESSAGE",
            "owner": "000000000000",
            "logGroup": "g",
            "logStream": "s",
            "subscriptionFilters": ["f"],
            "logEvents": [
                {"id": ids[0], "timestamp": now, "message": first},
                {"id": ids[1], "timestamp": now, "message": second},
            ],
        }
    ]
    clock.advance(60)
    metric = {
        "Namespace": "AWS/Logs",
        "Period": 300,
        "Statistics": ["Sum"],
        "StartTime": clock.now() - 600,
        "EndTime": clock.now() + 1,
    }
    names = {"LogGroupName": "g", "DestinationType": "Lambda", "FilterName": "f"}
    dimensions = [{"Name": name, "Value": value} for name, value in names.items()]
    found = aws("cloudwatch").get_metric_statistics(MetricName="ForwardedLogEvents", Dimensions=dimensions, **metric)
    assert [point["Sum"] for point in found["Datapoints"]] == [2]


def test_a_pattern_of_fields_gives_them(aws, cloud, clock, logs, reader):
    subscribe(logs, pattern="[ip, user, status = 4*]")
    write(logs, clock, "1.2.3.4 bob 404", "1.2.3.4 bob 200")
    (message,) = got(aws, cloud)
    assert [event["extractedFields"] for event in message["logEvents"]] == [
        {"ip": "1.2.3.4", "user": "bob", "status": "404"}
    ]


def test_a_functions_own_lines_go_to_another_function(aws, cloud, logs, reader):
    aws("logs").create_log_group(logGroupName="/aws/lambda/writer")
    logs.put_subscription_filter(
        logGroupName="/aws/lambda/writer", filterName="f", filterPattern="hello", destinationArn=ARN
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): print('hello', event)")
    client = aws("lambda")
    client.create_function(
        FunctionName="writer", Runtime="python3.12", Handler="index.handler", Code={"ZipFile": packed.getvalue()},
        Role="arn:aws:iam::000000000000:role/r",
    )  # fmt: skip
    client.invoke(FunctionName="writer", Payload=b'"you"')
    (message,) = got(aws, cloud)
    assert (message["logGroup"], [e["message"] for e in message["logEvents"]]) == (
        "/aws/lambda/writer",
        ["hello you"],
    )


def test_filters_are_listed_changed_and_taken_away(aws, cloud, clock, logs, reader):
    subscribe(logs, "b", "x")
    clock.advance(5)
    subscribe(logs, "a", "")
    made = logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"]
    assert [each["filterName"] for each in made] == ["a", "b"]
    assert made[1] == {
        "filterName": "b", "logGroupName": "g", "filterPattern": "x", "destinationArn": ARN, "distribution": "ByLogStream",
        "creationTime": made[0]["creationTime"] - 5000,
    }  # fmt: skip
    pages = logs.get_paginator("describe_subscription_filters").paginate(
        logGroupName="g", PaginationConfig={"PageSize": 1}
    )
    assert [each["filterName"] for page in pages for each in page["subscriptionFilters"]] == ["a", "b"]
    one = logs.describe_subscription_filters(logGroupName="g", filterNamePrefix="b")["subscriptionFilters"]
    assert [each["filterName"] for each in one] == ["b"]
    subscribe(logs, "b", "y", distribution="Random")
    logs.delete_subscription_filter(logGroupName="g", filterName="a")
    (left,) = logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"]
    assert (left["filterPattern"], left["distribution"], left["creationTime"]) == (
        "y",
        "Random",
        made[1]["creationTime"],
    )
    write(logs, clock, "x", "y")
    assert [[e["message"] for e in m["logEvents"]] for m in got(aws, cloud)] == [["y"]]
    missing = ("ResourceNotFoundException", "The specified subscription filter does not exist.")
    assert refused(logs.delete_subscription_filter, logGroupName="g", filterName="a") == missing


def test_a_filter_that_cannot_be_is_refused(logs, reader):
    invalid = "InvalidParameterException"
    unable = "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your function."
    assert refused(subscribe, logs, arn=ARN + "x") == (invalid, unable)
    assert refused(subscribe, logs, pattern="{ $.a = }")[0] == invalid
    role = {"roleArn": "arn:aws:iam::000000000000:role/r"}
    assert refused(subscribe, logs, **role) == (
        invalid, "destinationArn for vendor lambda cannot be used with roleArn",
    )  # fmt: skip
    assert refused(subscribe, logs, arn="nobody")[0] == invalid
    kinesis = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    assert refused(subscribe, logs, arn=kinesis) == (
        "NotImplemented", f"CloudWatch Logs' destination {kinesis} is not implemented by Cumulet.",
    )  # fmt: skip
    assert "emitSystemFields" in refused(subscribe, logs, emitSystemFields=["@aws.account"])[1]
    assert refused(subscribe, logs, pattern="%a% %b% %c%")[0] == invalid
    assert logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"] == []


def test_a_group_has_two_filters_and_five_regular_expressions(logs, reader):
    subscribe(logs, "a")
    subscribe(logs, "b", "%a% %b%")
    assert refused(subscribe, logs, "c") == ("LimitExceededException", "Resource limit exceeded.")
    subscribe(logs, "a", "%a% %b%")


def test_what_a_function_refuses_is_tried_again_for_a_day(aws, cloud, clock, logs, reader):
    subscribe(logs)
    aws("lambda").delete_function(FunctionName="reader")
    write(logs, clock, "kept")
    clock.advance(600)
    make_reader(aws)
    clock.advance(300)
    assert [[e["message"] for e in m["logEvents"]] for m in got(aws, cloud)] == [["kept"]]
    aws("lambda").delete_function(FunctionName="reader")
    write(logs, clock, "given up")
    clock.advance(86_400 + 300)
    make_reader(aws)
    clock.advance(600)
    assert len(got(aws, cloud)) == 1


def test_what_was_refused_ends_with_its_filter(aws, cloud, clock, logs, reader):
    subscribe(logs)
    aws("lambda").delete_function(FunctionName="reader")
    write(logs, clock, "gone")
    logs.delete_subscription_filter(logGroupName="g", filterName="f")
    make_reader(aws)
    clock.advance(600)
    assert got(aws, cloud) == []


def test_many_large_events_come_in_several_messages(aws, cloud, clock, logs, reader):
    subscribe(logs)
    letters = random.Random(7)
    messages = ["".join(letters.choices("0123456789abcdef", k=60_000)) for _ in range(12)]
    write(logs, clock, *messages)
    cloud.quiet()
    client = aws("logs")
    starts = client.filter_log_events(logGroupName="/aws/lambda/reader", filterPattern="RequestId -REPORT -END")[
        "events"
    ]
    assert 1 < len(starts) <= 8
    total = sum(
        e["message"].count("GOT ") for e in client.filter_log_events(logGroupName="/aws/lambda/reader")["events"]
    )
    assert total == len(starts)


def test_the_function_must_let_cloudwatch_logs_in(aws, cloud, clock, logs, reader, iam_enforced):
    assert "given CloudWatch Logs permission" in refused(subscribe, logs)[1]
    aws("lambda").add_permission(
        FunctionName="reader", StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com",
        SourceArn="arn:aws:logs:us-east-1:000000000000:log-group:g:*",
    )  # fmt: skip
    subscribe(logs)
    assert len(logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"]) == 1


SERVERLESS = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: g2}}
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: reader
      Runtime: python3.12
      Handler: index.handler
      InlineCode: |
CODE
      Events:
        Lines: {Type: CloudWatchLogs, Properties: {LogGroupName: !Ref Group, FilterPattern: PATTERN}}
""".replace("CODE", READER.replace("\n", "\n        "))


def test_a_serverless_function_has_log_events(aws, cloud, clock):
    cfn, logs = aws("cloudformation"), aws("logs")
    given = {"StackName": "s", "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}

    def settled():
        cloud.quiet()
        clock.advance(60)
        cloud.quiet()
        return cfn.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"]

    cfn.create_stack(TemplateBody=SERVERLESS.replace("PATTERN", "ERROR"), **given)
    assert settled() == "CREATE_COMPLETE", cfn.describe_stack_events(StackName="s")["StackEvents"]
    where = {"logGroupName": "g2", "logStreamName": "s"}
    logs.create_log_stream(**where)

    def say(*messages):
        now = int(clock.now() * 1000)
        logs.put_log_events(**where, logEvents=[{"timestamp": now, "message": message} for message in messages])

    say("ERROR one", "fine")
    assert [[e["message"] for e in m["logEvents"]] for m in got(aws, cloud)] == [["ERROR one"]]
    cfn.update_stack(TemplateBody=SERVERLESS.replace("PATTERN", "fine"), **given)
    assert settled() == "UPDATE_COMPLETE"
    say("ERROR two", "fine two")
    assert [[e["message"] for e in m["logEvents"]] for m in got(aws, cloud)][1:] == [["fine two"]]
    cfn.delete_stack(StackName="s")
    cloud.quiet()
    clock.advance(60)
    assert logs.describe_log_groups(logGroupNamePrefix="g2")["logGroups"] == []

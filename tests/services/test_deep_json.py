"""JSON nested deeper than a program can follow is refused where it is said, and holds nothing up where it is met later."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from cumulet.aws.eventpattern import compile_pattern
from cumulet.aws.jsontext import MAX_DEPTH, NotJson, read_json
from cumulet.services.lambda_.sources.records import failed_of
from cumulet.services.lambda_.sources.trials import first_failure
from cumulet.services.lambda_.sources.windows import state_in

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:{}:us-east-1:000000000000:{}"


def lists(depth):
    return "[" * depth + "]" * depth


def objects(depth):
    return '{"a":' * depth + "1" + "}" * depth


def code(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def function(aws):
    def make(body, **settings):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), "import json\ndef handler(event, context):\n    " + body)
        aws("lambda").create_function(FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="index.handler",
                                      Code={"ZipFile": sink.getvalue()}, Timeout=20, **settings)  # fmt: skip

    return make


@pytest.fixture
def queue(aws):
    return aws("sqs").create_queue(QueueName="q", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]


def held(aws, queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return [int(found[name]) for name in names]


@given(
    st.recursive(
        st.text(alphabet='[]{}",\\a') | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"\\a'), inner, max_size=3),
    ),
    st.integers(0, MAX_DEPTH + 1),
)
def test_levels_are_counted_outside_of_strings_alone(value, around):
    def levels(part):
        inside = part if isinstance(part, list) else part.values() if isinstance(part, dict) else None
        return 0 if inside is None else 1 + max(map(levels, inside), default=0)

    text = "[" * around + json.dumps(value) + "]" * around
    if around + levels(value) <= MAX_DEPTH:
        read_json(text)
    else:
        with pytest.raises(NotJson, match="too deep"):
            read_json(text)


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
@pytest.mark.parametrize("text", [lists, objects])
def test_a_payload_that_is_too_deep_is_refused(aws, function, kind, text):
    function("return 1")
    request = {"FunctionName": "f", "InvocationType": kind}
    for depth in (MAX_DEPTH + 1, 2000, 100_000):
        assert code(aws("lambda").invoke, **request, Payload=text(depth)) == "InvalidRequestContentException"
    assert "FunctionError" not in aws("lambda").invoke(**request, Payload=text(MAX_DEPTH))


@pytest.mark.parametrize(
    "text", [lists(2000), objects(2000), objects(100_000), objects(400), '{"k":' + lists(490) + "}"]
)
def test_a_deep_message_passes_a_filter_by_and_the_others_behind_it_reach_the_function(
    aws, function, queue, clock, text
):
    function("print('got', [r['body'] for r in event['Records']])")
    criteria = {"Filters": [{"Pattern": '{"body": {"k": ["v"]}}'}]}
    source = ARN.format("sqs", "q")
    aws("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=source, FilterCriteria=criteria)
    clock.advance(1)
    aws("sqs").send_message(QueueUrl=queue, MessageBody=text)
    aws("sqs").send_message(QueueUrl=queue, MessageBody='{"k": "v"}')
    clock.advance(5)
    events = aws("logs").filter_log_events(logGroupName="/aws/lambda/f")["events"]
    assert [event["message"].strip() for event in events if event["message"].startswith("got")] == [
        'got [\'{"k": "v"}\']'
    ]
    assert held(aws, queue) == [0, 0]


def test_a_deep_answer_about_a_batch_means_that_all_failed():
    assert failed_of(lists(3000).encode(), {"a", "b"}) == {"a", "b"}
    assert first_failure(lists(3000).encode(), ["1", "2"]) == 0
    assert state_in(f'{{"state": {lists(3000)}}}'.encode()) is None


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 2000, 100_000])
def test_a_deep_detail_is_refused_or_reaches_every_kind_of_target(aws, depth):
    """Behind another bus and a template, which read the event again."""
    events, sqs = aws("events"), aws("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("a", "b")]
    events.create_event_bus(Name="b")
    for name, bus in (("a", "default"), ("b", "b")):
        events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["app"]}')
        shaped = {"InputPathsMap": {"d": "$.detail"}, "InputTemplate": '{"a": {"b": [<d>]}}'}
        target = {"Id": "q", "Arn": ARN.format("sqs", name), "InputTransformer": shaped}
        events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
    events.put_targets(Rule="a", Targets=[{"Id": "bus", "Arn": ARN.format("events", "event-bus/b")}])
    (answer,) = events.put_events(Entries=[{"Source": "app", "DetailType": "t", "Detail": f'{{"k": {lists(depth)}}}'}])[
        "Entries"
    ]
    bodies = [sqs.receive_message(QueueUrl=url).get("Messages", []) for url in urls]
    if depth < MAX_DEPTH:
        assert "EventId" in answer
        assert [len(found) for found in bodies] == [1, 1]
    else:
        assert answer["ErrorCode"] == "MalformedDetail"
        assert bodies == [[], []]


def test_a_list_of_lists_of_lists_matches_nothing():
    deep = []
    for _ in range(3000):
        deep = [deep]
    assert compile_pattern({"k": ["v"]})({"k": deep}) is False


def test_deep_policies_and_reasons_are_refused(aws):
    events, cloudwatch = aws("events"), aws("cloudwatch")
    assert code(events.put_permission, Policy=objects(2000)) == "ValidationException"
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="N", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    request = {"AlarmName": "a", "StateValue": "ALARM", "StateReason": "r", "StateReasonData": lists(MAX_DEPTH)}
    cloudwatch.set_alarm_state(**request)
    request["StateReasonData"] = lists(MAX_DEPTH + 1)
    assert code(cloudwatch.set_alarm_state, **request) == "InvalidFormat"


def test_a_deep_log_line_does_not_hold_up_the_others(aws, clock):
    logs = aws("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    lines = [{"timestamp": int(clock.now() * 1000), "message": text} for text in (objects(2000), '{"a": 1}')]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=lines)
    found = logs.filter_log_events(logGroupName="g", filterPattern="{ $.a = 1 }")["events"]
    assert [event["message"] for event in found] == ['{"a": 1}']


@pytest.mark.parametrize(
    ("service", "operation", "request_", "expected"),
    [
        ("sqs", "create_queue", {"QueueName": "x", "Attributes": {"RedrivePolicy": "?"}}, "InvalidParameterValue"),
        ("kms", "create_key", {"Policy": "?"}, "MalformedPolicyDocumentException"),
        ("iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "?"}, "MalformedPolicyDocument"),
        ("iam", "create_policy", {"PolicyName": "x", "PolicyDocument": "?"}, "MalformedPolicyDocument"),
        ("s3", "put_bucket_policy", {"Bucket": "rain", "Policy": "?"}, "MalformedPolicy"),
        ("secretsmanager", "put_resource_policy", {"SecretId": "s", "ResourcePolicy": "?"}, "MalformedPolicyDocumentException"),
        ("dynamodb", "put_resource_policy", {"ResourceArn": ARN.format("dynamodb", "table/rain"), "Policy": "?"}, "ValidationException"),
        ("sns", "create_topic", {"Name": "x", "Attributes": {"DeliveryPolicy": "?"}}, "InvalidParameter"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 3000])
def test_a_document_that_is_too_deep_is_refused(aws, service, operation, request_, expected, depth):
    if service == "s3":
        aws("s3").create_bucket(Bucket="rain")
    elif service == "secretsmanager":
        aws("secretsmanager").create_secret(Name="s", SecretString="x")
    elif service == "dynamodb":
        aws("dynamodb").create_table(TableName="rain", BillingMode="PAY_PER_REQUEST",
                                     AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                                     KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}])  # fmt: skip
    deep = objects(depth)

    def filled(value):
        return deep if value == "?" else {k: filled(v) for k, v in value.items()} if isinstance(value, dict) else value

    assert code(getattr(aws(service), operation), **filled(request_)) == expected

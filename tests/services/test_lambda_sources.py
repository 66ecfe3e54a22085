"""Lambda: operations on event source mappings, their settings, states and refusals."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def packed(code):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


@pytest.fixture
def client(aws):
    made = aws("lambda")
    for name in ("f", "g"):
        made.create_function(
            FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="index.handler",
            Code={"ZipFile": packed("def handler(event, context):\n    return None\n")},
        )  # fmt: skip
    return made


@pytest.fixture
def queue(aws):
    """Makes a queue; returns its ARN."""
    sqs = aws("sqs")

    def make(name="q", **attributes):
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    return make


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def state(client, uuid):
    return client.get_event_source_mapping(UUID=uuid)["State"]


def test_a_mapping_is_created_and_is_enabled_a_moment_later(client, queue, clock):
    source = queue()
    made = client.create_event_source_mapping(EventSourceArn=source, FunctionName="f")
    uuid = made["UUID"]
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert {name: made[name] for name in made if name not in ("UUID", "LastModified", "ResponseMetadata")} == {
        "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": source, "FunctionArn": ARN,
        "LastProcessingResult": "No records processed", "State": "Creating", "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}",
    }  # fmt: skip
    assert made["LastModified"].timestamp() == pytest.approx(clock.now(), abs=0.01)
    clock.advance(1)
    found = client.get_event_source_mapping(UUID=uuid)
    assert found["State"] == "Enabled"
    assert found["LastModified"] > made["LastModified"]


def test_every_setting_is_shown_as_it_was_given(client, queue, clock):
    settings = {
        "BatchSize": 10_000,
        "MaximumBatchingWindowInSeconds": 300,
        "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"body": {"kind": [str(n)]}})} for n in range(5)]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }
    client.create_alias(
        FunctionName="f", Name="live", FunctionVersion=client.publish_version(FunctionName="f")["Version"]
    )
    made = client.create_event_source_mapping(
        EventSourceArn=queue(), FunctionName=f"{ARN}:live", Enabled=False, Tags={"team": "a"}, **settings
    )
    clock.advance(1)
    found = client.get_event_source_mapping(UUID=made["UUID"])
    assert {name: found[name] for name in settings} == settings
    assert (found["FunctionArn"], found["State"]) == (f"{ARN}:live", "Disabled")
    assert client.list_tags(Resource=made["EventSourceMappingArn"])["Tags"] == {"team": "a"}


def test_mappings_are_listed_by_source_and_by_function_and_in_pages(client, queue, clock):
    first, second = queue("first"), queue("second")
    uuids = {
        (source, name): client.create_event_source_mapping(EventSourceArn=source, FunctionName=name)["UUID"]
        for source in (first, second)
        for name in ("f", "g")
    }

    def listed(**request):
        pages = client.get_paginator("list_event_source_mappings").paginate(**request)
        return sorted(each["UUID"] for page in pages for each in page["EventSourceMappings"])

    assert listed() == sorted(uuids.values())
    assert listed(PaginationConfig={"PageSize": 1}) == sorted(uuids.values())
    assert listed(EventSourceArn=first) == sorted([uuids[first, "f"], uuids[first, "g"]])
    assert listed(FunctionName="g") == sorted([uuids[first, "g"], uuids[second, "g"]])
    assert listed(FunctionName=ARN, EventSourceArn=second) == [uuids[second, "f"]]
    assert listed(FunctionName="f:live") == []
    assert len(client.list_event_source_mappings(MaxItems=3)["EventSourceMappings"]) == 3


def test_a_page_has_at_most_a_hundred_mappings(client, queue, clock):
    for number in range(101):
        client.create_event_source_mapping(EventSourceArn=queue(f"q{number}"), FunctionName="f", Enabled=False)
    page = client.list_event_source_mappings(MaxItems=10_000)
    assert len(page["EventSourceMappings"]) == 100
    rest = client.list_event_source_mappings(Marker=page["NextMarker"])
    assert len(rest["EventSourceMappings"]) == 1
    assert "NextMarker" not in rest


def test_an_update_changes_settings_and_an_empty_one_takes_them_away(client, queue, clock):
    uuid = client.create_event_source_mapping(
        EventSourceArn=queue(), FunctionName="f", ScalingConfig={"MaximumConcurrency": 5},
        FunctionResponseTypes=["ReportBatchItemFailures"], MetricsConfig={"Metrics": ["EventCount"]},
        FilterCriteria={"Filters": [{"Pattern": '{"body": ["x"]}'}]},
    )["UUID"]  # fmt: skip
    clock.advance(1)
    changed = client.update_event_source_mapping(
        UUID=uuid, FunctionName="g", BatchSize=100, MaximumBatchingWindowInSeconds=1, ScalingConfig={}, FilterCriteria={},
        FunctionResponseTypes=[], MetricsConfig={},
    )  # fmt: skip
    assert (changed["State"], changed["ResponseMetadata"]["HTTPStatusCode"]) == ("Updating", 202)
    clock.advance(1)
    found = client.get_event_source_mapping(UUID=uuid)
    assert (found["State"], found["BatchSize"], found["MaximumBatchingWindowInSeconds"]) == ("Enabled", 100, 1)
    assert found["FunctionArn"].endswith(":function:g")
    assert not found.keys() & {"ScalingConfig", "FilterCriteria", "MetricsConfig"}
    assert found["FunctionResponseTypes"] == []


def test_the_states_of_a_mappings_life(client, queue, clock):
    uuid = client.create_event_source_mapping(EventSourceArn=queue(), FunctionName="f")["UUID"]
    seen = [state(client, uuid)]
    for request in ({"Enabled": False}, {"BatchSize": 5}, {"Enabled": True}, {"BatchSize": 6}):
        clock.advance(1)
        seen.append(state(client, uuid))
        seen.append(client.update_event_source_mapping(UUID=uuid, **request)["State"])
    clock.advance(1)
    seen.append(state(client, uuid))
    assert seen == ["Creating", "Enabled", "Disabling", "Disabled", "Updating", "Disabled", "Enabling", "Enabled",
                    "Updating", "Enabled"]  # fmt: skip
    assert client.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert state(client, uuid) == "Deleting"
    clock.advance(1)
    code, message, status = refused(client.get_event_source_mapping, UUID=uuid)
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message == "The resource you requested does not exist."
    for action in (client.update_event_source_mapping, client.delete_event_source_mapping):
        assert refused(action, UUID=uuid)[0] == "ResourceNotFoundException"


def test_a_mapping_that_changes_is_in_use(client, queue, clock):
    uuid = client.create_event_source_mapping(EventSourceArn=queue(), FunctionName="f")["UUID"]
    for verb, action in (
        ("update", client.update_event_source_mapping),
        ("delete", client.delete_event_source_mapping),
    ):
        code, message, status = refused(action, UUID=uuid)
        assert (code, status) == ("ResourceInUseException", 400)
        assert message == f"Cannot {verb} the event source mapping because it is in use."


def test_a_queue_and_a_function_have_one_mapping(client, queue, clock):
    source = queue()
    uuid = client.create_event_source_mapping(EventSourceArn=source, FunctionName="f")["UUID"]
    other = client.create_event_source_mapping(EventSourceArn=source, FunctionName="g")["UUID"]
    clock.advance(1)
    expected = (
        f'An event source mapping with SQS arn (" {source} ") and function (" f ") already exists. Please update or delete '
        f"the existing mapping with UUID {uuid}"
    )
    assert refused(client.create_event_source_mapping, EventSourceArn=source, FunctionName=ARN) == (
        "ResourceConflictException", expected, 409,
    )  # fmt: skip
    assert refused(client.update_event_source_mapping, UUID=other, FunctionName="f")[:2] == (
        "ResourceConflictException", expected,
    )  # fmt: skip
    client.delete_event_source_mapping(UUID=uuid)
    clock.advance(1)
    client.update_event_source_mapping(UUID=other, FunctionName="f")
    client.create_event_source_mapping(EventSourceArn=source, FunctionName="g")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        ({"StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources."),
        (
            {"ParallelizationFactor": 2},
            "Unsupported ParallelizationFactor parameter for given event source mapping type.",
        ),
        (
            {"BisectBatchOnFunctionError": True},
            "Unsupported BisectBatchOnFunctionError parameter for given event source mapping type.",
        ),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{no"}]}}, "Invalid filter pattern definition."),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": "x"}'}]}}, "Invalid filter pattern definition."),
        ({"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}, "Unsupported metric for an SQS event source: KafkaMetrics"),
        ({"FunctionName": "nobody"}, "Function does not exist"),
        ({"FunctionName": "f:live"}, "Function does not exist"),
    ],
)
def test_what_a_queue_cannot_have_is_refused(client, queue, request_, message):
    request = {"EventSourceArn": queue(), "FunctionName": "f", **request_}
    assert refused(client.create_event_source_mapping, **request) == ("InvalidParameterValueException", message, 400)
    assert client.list_event_source_mappings()["EventSourceMappings"] == []


@pytest.mark.parametrize(
    "request_",
    [
        {"BatchSize": 0},
        {"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1},
        {"MaximumBatchingWindowInSeconds": 301},
        {"ScalingConfig": {"MaximumConcurrency": 1}},
        {"ScalingConfig": {"MaximumConcurrency": 1001}},
    ],
)
def test_numbers_outside_their_range_are_refused(aws, client, queue, request_):
    from botocore.config import Config

    unchecked = aws("lambda", config=Config(parameter_validation=False))
    request = {"EventSourceArn": queue(), "FunctionName": "f", **request_}
    code, _, status = refused(unchecked.create_event_source_mapping, **request)
    assert (code, status) == ("ValidationException", 400)


@pytest.mark.parametrize("request_", [{"BatchSize": 1}, {"BatchSize": 10}, {"ScalingConfig": {"MaximumConcurrency": 1000}},
                                      {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300}])  # fmt: skip
def test_numbers_at_the_ends_of_their_range_are_accepted(client, queue, request_):
    client.create_event_source_mapping(EventSourceArn=queue(), FunctionName="f", **request_)


def test_more_than_five_filters_are_refused(client, queue):
    filters = [{"Pattern": '{"body": ["x"]}'}] * 6
    code, message, _ = refused(
        client.create_event_source_mapping,
        EventSourceArn=queue(),
        FunctionName="f",
        FilterCriteria={"Filters": filters},
    )
    assert code == "InvalidParameterValueException"
    assert "5" in message


def test_a_fifo_queue_has_small_batches_and_no_window(client, queue, clock):
    source = queue("q.fifo")
    for request in ({"BatchSize": 11}, {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}):
        assert refused(client.create_event_source_mapping, EventSourceArn=source, FunctionName="f", **request)[0] == (
            "InvalidParameterValueException"
        )
    code, message, _ = refused(
        client.create_event_source_mapping, EventSourceArn=source, FunctionName="f", MaximumBatchingWindowInSeconds=1
    )
    assert (code, message) == ("InvalidParameterValueException", "Batching window is not supported for FIFO queues")
    client.create_event_source_mapping(EventSourceArn=source, FunctionName="f", BatchSize=10)


def test_a_queue_that_hides_messages_for_less_than_the_function_may_take_is_refused(client, queue, clock):
    client.update_function_configuration(FunctionName="f", Timeout=60)
    source = queue()
    expected = (
        "InvalidParameterValueException", "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds", 400,
    )  # fmt: skip
    assert refused(client.create_event_source_mapping, EventSourceArn=source, FunctionName="f") == expected
    uuid = client.create_event_source_mapping(EventSourceArn=source, FunctionName="g")["UUID"]
    clock.advance(1)
    assert refused(client.update_event_source_mapping, UUID=uuid, FunctionName="f") == expected
    client.update_function_configuration(FunctionName="f", Timeout=30)
    client.update_event_source_mapping(UUID=uuid, FunctionName="f")


def test_a_source_that_is_not_there_is_refused(client):
    def create(**request):
        return refused(client.create_event_source_mapping, FunctionName="f", **request)

    code, message, _ = create(EventSourceArn="arn:aws:sqs:us-east-1:000000000000:nothing")
    assert code == "InvalidParameterValueException"
    assert message == (
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: "
        "The specified queue does not exist."
    )
    assert create()[0] == "InvalidParameterValueException"
    assert create(EventSourceArn="arn:aws:s3:::bucket")[:2] == (
        "InvalidParameterValueException", "Unrecognized event source.",
    )  # fmt: skip
    assert "us-east-1" in create(EventSourceArn="arn:aws:sqs:eu-west-1:000000000000:q")[1]


def test_what_is_not_implemented_is_refused_by_name(client, queue):
    source = queue()
    requests = [
        (
            {"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "StartingPosition": "LATEST"},
            "kinesis",
        ),
        ({"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["h:1"]}}}, "SelfManagedEventSource"),
        ({"EventSourceArn": source, "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}, "KMSKeyArn"),
        ({"EventSourceArn": source, "ProvisionedPollerConfig": {"MinimumPollers": 2}}, "ProvisionedPollerConfig"),
    ]
    for request, name in requests:
        code, message, status = refused(client.create_event_source_mapping, FunctionName="f", **request)
        assert (code, status) == ("NotImplemented", 501)
        assert name in message


def test_tags_of_a_mapping_are_added_and_taken_off(client, queue, clock):
    arn = client.create_event_source_mapping(EventSourceArn=queue(), FunctionName="f")["EventSourceMappingArn"]
    client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a", "c"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    unknown = arn[:-4] + ("0000" if not arn.endswith("0000") else "1111")
    assert refused(client.list_tags, Resource=unknown)[0] == "ResourceNotFoundException"

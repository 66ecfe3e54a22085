"""Lambda: mappings of DynamoDB streams over the wire, with real functions: settings, refusals, destinations, metrics, templates."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
CODE = """
import json
count = 0
def handler(event, context):
    global count
    count += 1
    changes = [[r["eventName"], r["dynamodb"].get("NewImage", {}).get("v", {}).get("S")] for r in event["Records"]]
    print("got " + json.dumps([count, changes]))
    if any(value == "bad" for _, value in changes):
        raise ValueError("bad")
"""


def packed(code=CODE):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


@pytest.fixture
def client(aws):
    made = aws("lambda")
    made.create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": packed()}
    )
    return made


@pytest.fixture
def stream(aws, clock):
    """The ARN of a table's stream; the table is provisioned, so that it has one shard."""
    found = aws("dynamodb").create_table(
        TableName="orders", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    clock.advance(10)
    return aws("dynamodb").describe_table(TableName=found["TableDescription"]["TableName"])["Table"]["LatestStreamArn"]


def put(aws, *values, key="a"):
    for value in values:
        aws("dynamodb").put_item(TableName="orders", Item={"k": {"S": key}, "v": {"S": value}})


def got(aws, function="f"):
    """The changes of each invocation, in the order in which the environment counted them: a frozen clock orders no log."""
    pages = aws("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    found = [json.loads(e["message"][4:]) for page in pages for e in page["events"] if e["message"].startswith("got ")]
    return [changes for _, changes in sorted(found)]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_mapping_of_a_stream_shows_awss_defaults(client, stream, clock):
    made = client.create_event_source_mapping(EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST")
    uuid = made["UUID"]
    assert {name: made[name] for name in made if name not in ("UUID", "LastModified", "ResponseMetadata")} == {
        "StartingPosition": "LATEST", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1,
        "EventSourceArn": stream, "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "LastProcessingResult": "No records processed", "State": "Creating", "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {}}, "MaximumRecordAgeInSeconds": -1, "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1, "TumblingWindowInSeconds": 0, "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}",
    }  # fmt: skip
    clock.advance(1)
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"


def test_every_setting_is_shown_and_changed(client, stream, clock):
    target = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}}
    settings = {
        "BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300, "ParallelizationFactor": 10,
        "MaximumRecordAgeInSeconds": 604_800, "BisectBatchOnFunctionError": True, "MaximumRetryAttempts": 10_000,
        "TumblingWindowInSeconds": 900, "FunctionResponseTypes": ["ReportBatchItemFailures"], "DestinationConfig": target,
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }  # fmt: skip
    made = client.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="f", StartingPosition="TRIM_HORIZON", **settings
    )
    clock.advance(1)
    found = client.get_event_source_mapping(UUID=made["UUID"])
    assert {name: found[name] for name in settings} == settings
    changed = {
        "BatchSize": 1, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1, "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": False, "MaximumRetryAttempts": 0, "TumblingWindowInSeconds": 0,
        "DestinationConfig": {"OnFailure": {}},
    }  # fmt: skip
    client.update_event_source_mapping(UUID=made["UUID"], **changed)
    clock.advance(1)
    found = client.get_event_source_mapping(UUID=made["UUID"])
    assert {name: found[name] for name in changed} == changed
    assert found["StartingPosition"] == "TRIM_HORIZON"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"StartingPosition": None}, "1 validation error detected: Value null at 'startingPosition'"),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
            "Unsupported starting position for arn type",
        ),
        ({"StartingPositionTimestamp": 1}, "StartingPositionTimestamp is only valid with AT_TIMESTAMP."),
        ({"MaximumRecordAgeInSeconds": 59}, "MaximumRecordAgeInSeconds must be -1 or at least 60: 59"),
        ({"MaximumRecordAgeInSeconds": 0}, "MaximumRecordAgeInSeconds must be -1 or at least 60: 0"),
        ({"MaximumRecordAgeInSeconds": 604_801}, "604800"),
        ({"MaximumRetryAttempts": 10_001}, "10000"),
        ({"ParallelizationFactor": 11}, "10"),
        ({"BatchSize": 10_001}, "10000"),
        ({"TumblingWindowInSeconds": 901}, "900"),
        ({"MaximumBatchingWindowInSeconds": 301}, "300"),
        (
            {"ScalingConfig": {"MaximumConcurrency": 2}},
            "Unsupported ScalingConfig parameter for given event source mapping",
        ),
        ({"Topics": ["topic"]}, "Unsupported Topics parameter for given event source mapping type."),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 2}}, "Unsupported ProvisionedPollerConfig parameter"),
        ({"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}, "Unsupported metric for a stream: KafkaMetrics"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "Invalid filter pattern definition."),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:lambda:us-east-1:000000000000:function:g"}}},
            "The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination=arn:aws:lambda",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}}},
            "is invalid.",
        ),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
    ],
)
def test_what_a_stream_does_not_take_is_refused(client, stream, settings, message):
    request = {"EventSourceArn": stream, "FunctionName": "f", "StartingPosition": "LATEST", **settings}
    request = {name: value for name, value in request.items() if value is not None}
    code, text = refused(client.create_event_source_mapping, **request)
    assert code in ("InvalidParameterValueException", "ValidationException")
    assert message in text
    assert client.list_event_source_mappings()["EventSourceMappings"] == []


def test_a_stream_that_is_not_there_is_refused(client, stream):
    request = {"FunctionName": "f", "StartingPosition": "LATEST"}
    missing = stream.replace("orders", "others")
    code, text = refused(client.create_event_source_mapping, EventSourceArn=missing, **request)
    assert (code, text) == ("InvalidParameterValueException", f"Stream not found: {missing}")
    table = stream.partition("/stream/")[0]
    _, text = refused(client.create_event_source_mapping, EventSourceArn=table, **request)
    assert text.endswith(f"Unsupported source arn : {table}")
    elsewhere = stream.replace("us-east-1", "eu-west-1")
    _, text = refused(client.create_event_source_mapping, EventSourceArn=elsewhere, **request)
    assert text.startswith("The stream and the function must be in the same region")


def test_a_stream_and_a_function_have_one_mapping(client, stream):
    request = {"EventSourceArn": stream, "FunctionName": "f", "StartingPosition": "LATEST"}
    uuid = client.create_event_source_mapping(**request)["UUID"]
    code, text = refused(client.create_event_source_mapping, **request)
    assert code == "ResourceConflictException"
    assert text == (
        f'The event source arn (" {stream} ") and function (" f ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )


def test_every_change_of_a_table_reaches_its_function(aws, client, stream, clock):
    """D2, B17.1: INSERT, MODIFY and REMOVE each once."""
    client.create_event_source_mapping(EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST", BatchSize=1)
    put(aws, "1", "2", "2")
    aws("dynamodb").delete_item(TableName="orders", Key={"k": {"S": "a"}})
    clock.advance(1)
    assert got(aws) == [[["INSERT", "1"]], [["MODIFY", "2"]], [["REMOVE", None]]]


def test_two_functions_read_a_stream_at_their_own_pace(aws, client, stream, clock):
    client.create_function(
        FunctionName="g", Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": packed()}
    )
    for name in ("f", "g"):
        client.create_event_source_mapping(EventSourceArn=stream, FunctionName=name, StartingPosition="TRIM_HORIZON")
    client.put_function_concurrency(FunctionName="g", ReservedConcurrentExecutions=0)
    put(aws, "1")
    clock.advance(1)
    assert (got(aws, "f"), aws("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/g")["logGroups"]) == (
        [[["INSERT", "1"]]],
        [],
    )
    client.delete_function_concurrency(FunctionName="g")
    clock.advance(1)
    assert got(aws, "g") == [[["INSERT", "1"]]]


def test_a_report_goes_to_a_queue_a_topic_or_a_bucket(aws, client, stream, clock):
    """B17.4: into a bucket with the whole event."""
    aws("sqs").create_queue(QueueName="lost")
    url = aws("sqs").create_queue(QueueName="told")["QueueUrl"]
    topic = aws("sns").create_topic(Name="lost")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:told",
                         Attributes={"RawMessageDelivery": "true"})  # fmt: skip
    aws("s3").create_bucket(Bucket="lost")
    uuid = client.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": topic}},
    )["UUID"]  # fmt: skip
    clock.advance(1)
    put(aws, "bad")
    clock.advance(1)
    [message] = aws("sqs").receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["DDBStreamBatchInfo"]["streamArn"] == stream
    client.update_event_source_mapping(UUID=uuid, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::lost"}})
    clock.advance(1)
    put(aws, "good", "bad")
    clock.advance(5)
    [entry] = aws("s3").list_objects_v2(Bucket="lost")["Contents"]
    report = json.loads(aws("s3").get_object(Bucket="lost", Key=entry["Key"])["Body"].read())
    shard = report["DDBStreamBatchInfo"]["shardId"]
    assert entry["Key"].startswith(f"aws/lambda/{uuid}/{shard}/20")
    [record] = json.loads(report["payload"])["Records"]
    assert record["dynamodb"]["NewImage"]["v"] == {"S": "bad"}
    assert record["dynamodb"]["SequenceNumber"] == report["DDBStreamBatchInfo"]["startSequenceNumber"]


def test_a_report_that_nobody_takes_does_not_hold_up_the_shard(aws, client, stream, clock, caplog):
    client.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST", MaximumRetryAttempts=0, BatchSize=1,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:nowhere"}},
    )  # fmt: skip
    clock.advance(1)
    put(aws, "bad", "good")
    clock.advance(61)
    assert got(aws)[-1] == [["MODIFY", "good"]]
    assert total(aws, "DestinationDeliveryFailures", FunctionName="f") == 1
    assert "did not reach" in caplog.text


def total(aws, metric, statistic="Sum", **dimensions):
    found = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName=metric, StartTime=0, EndTime=4_000_000_000, Period=3_600_000, Statistics=[statistic],
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
    )["Datapoints"]  # fmt: skip
    return sum(point[statistic] for point in found)


def test_metrics_tell_how_far_behind_a_function_is_and_what_became_of_records(aws, client, stream, clock):
    aws("sqs").create_queue(QueueName="lost")
    put(aws, "no", "yes", "bad")
    clock.advance(100)
    uuid = client.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="f", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0, BatchSize=1,
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"dynamodb": {"NewImage": {"v": {"S": ["yes", "bad"]}}}})}]},
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}},
        MetricsConfig={"Metrics": ["EventCount"]},
    )["UUID"]  # fmt: skip
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    clock.advance(1)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    clock.advance(120)
    assert 100_000 <= total(aws, "IteratorAge", "Maximum", FunctionName="f") < 103_000
    counts = {
        name: total(aws, name, EventSourceMappingUUID=uuid)
        for name in ("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount",
                     "DroppedEventCount", "OnFailureDestinationDeliveredEventCount")
    }  # fmt: skip
    assert counts == {
        "PolledEventCount": 3, "FilteredOutEventCount": 1, "InvokedEventCount": 2, "FailedInvokeEventCount": 1,
        "DroppedEventCount": 1, "OnFailureDestinationDeliveredEventCount": 1,
    }  # fmt: skip


TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    },
}  # fmt: skip


@pytest.fixture
def stack(aws, clock):
    """Creates a stack, updates it the next time; returns its status and its resources' physical ids."""
    cloudformation = aws("cloudformation")
    made = []

    def deploy(template):
        body = json.dumps(template)
        action = cloudformation.update_stack if made else cloudformation.create_stack
        made.append(body)
        action(StackName="s", TemplateBody=body, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        resources = cloudformation.describe_stack_resources(StackName="s")["StackResources"]
        return found["StackStatus"], {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources}

    return deploy


def template(**properties):
    return {
        "Resources": {
            "T": TABLE,
            "F": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": CODE}},
            },
            "M": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["T", "StreamArn"]}, "FunctionName": {"Ref": "F"}, **properties,
                },
            },
        }
    }  # fmt: skip


def test_a_template_maps_a_tables_stream(aws, stack, clock):
    settings = {
        "BatchSize": 7, "BisectBatchOnFunctionError": True, "MaximumRecordAgeInSeconds": 3600, "MaximumRetryAttempts": 3,
        "ParallelizationFactor": 2, "TumblingWindowInSeconds": 30,
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}},
    }  # fmt: skip
    status, ids = stack(template(StartingPosition="TRIM_HORIZON", **settings))
    assert status == "CREATE_COMPLETE"
    found = aws("lambda").get_event_source_mapping(UUID=ids["M"])
    assert {name: found[name] for name in settings} == settings
    status, again = stack(template(StartingPosition="TRIM_HORIZON"))
    assert (status, again["M"]) == ("UPDATE_COMPLETE", ids["M"])
    found = aws("lambda").get_event_source_mapping(UUID=ids["M"])
    assert {name: found[name] for name in settings} == {
        "BatchSize": 100, "BisectBatchOnFunctionError": False, "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1, "TumblingWindowInSeconds": 0, "DestinationConfig": {"OnFailure": {}},
    }  # fmt: skip
    put(aws, "1")
    clock.advance(1)
    assert got(aws, ids["F"]) == [[["INSERT", "1"]]]


def test_sams_dynamodb_event_deploys_and_runs(aws, stack, clock):
    event = {
        "Stream": {"Fn::GetAtt": ["T", "StreamArn"]}, "StartingPosition": "TRIM_HORIZON", "BatchSize": 5,
        "BisectBatchOnFunctionError": True, "MaximumRetryAttempts": 2, "ParallelizationFactor": 3,
        "MaximumBatchingWindowInSeconds": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["Q", "Arn"]}}},
    }  # fmt: skip
    status, ids = stack(
        {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {
                "T": TABLE,
                "Q": {"Type": "AWS::SQS::Queue"},
                "F": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {
                        "Runtime": "python3.12", "Handler": "index.handler", "InlineCode": CODE,
                        "Events": {"E": {"Type": "DynamoDB", "Properties": event}},
                    },
                },
            },
        }
    )  # fmt: skip
    assert status == "CREATE_COMPLETE"
    found = aws("lambda").get_event_source_mapping(UUID=ids["FE"])
    assert (found["BatchSize"], found["ParallelizationFactor"], found["MaximumRetryAttempts"]) == (5, 3, 2)
    assert found["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:sqs:us-east-1:000000000000:")
    put(aws, "1", "2")
    put(aws, "3", key="b")
    clock.advance(2)
    assert sorted(change for batch in got(aws, ids["F"]) for change in batch) == [["INSERT", "1"], ["INSERT", "3"]]

"""Metric filters: what CloudWatch counts of a log group's events."""

import json

import pytest
from botocore.exceptions import ClientError

WHERE = {"logGroupName": "g", "logStreamName": "s"}
COUNT = {"metricName": "Errors", "metricNamespace": "Shop", "metricValue": "1"}


@pytest.fixture
def logs(aws):
    client = aws("logs")
    client.create_log_group(logGroupName="g")
    client.create_log_stream(**WHERE)
    return client


def put(logs, name="f", pattern="ERROR", group="g", **transformation):
    logs.put_metric_filter(
        logGroupName=group, filterName=name, filterPattern=pattern, metricTransformations=[{**COUNT, **transformation}]
    )


def write(logs, clock, *messages):
    now = int(clock.now() * 1000)
    logs.put_log_events(**WHERE, logEvents=[{"timestamp": now, "message": message} for message in messages])


def points(aws, clock, name="Errors", **dimensions):
    """(sum, count) of each minute, oldest first."""
    found = aws("cloudwatch").get_metric_statistics(
        Namespace="Shop", MetricName=name, Period=60, Statistics=["Sum", "SampleCount"],
        StartTime=clock.now() - 3600, EndTime=clock.now() + 60,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
    )["Datapoints"]  # fmt: skip
    return [(point["Sum"], point["SampleCount"]) for point in sorted(found, key=lambda point: point["Timestamp"])]


def refused(action, *args, **request):
    with pytest.raises(ClientError) as caught:
        action(*args, **request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_events_that_match_are_counted(aws, clock, logs):
    write(logs, clock, "ERROR before there was a filter")
    put(logs, unit="Count")
    write(logs, clock, "ERROR a", "fine", "ERROR b")
    write(logs, clock, "ERROR c")
    clock.advance(60)
    write(logs, clock, "ERROR d")
    assert points(aws, clock) == [(3, 3), (1, 1)]
    (metric,) = aws("cloudwatch").list_metrics(Namespace="Shop")["Metrics"]
    assert (metric["MetricName"], metric["Dimensions"]) == ("Errors", [])


def test_a_minute_without_a_match_has_the_default_value_once(aws, clock, logs):
    put(logs, defaultValue=0, metricValue="5")
    write(logs, clock, "fine")
    write(logs, clock, "fine", "fine")
    clock.advance(60)
    clock.advance(60)
    write(logs, clock, "ERROR")
    write(logs, clock, "fine")
    assert points(aws, clock) == [(0, 1), (5, 1)]


def test_a_field_of_json_is_the_value_and_others_are_dimensions(aws, clock, logs):
    put(logs, pattern="{ $.ms > 0 }", metricValue="$.ms", dimensions={"Path": "$.request.path", "Status": "$.status"})

    def event(path, ms, status=200):
        return json.dumps({"ms": ms, "status": status, "request": {"path": path}})

    write(logs, clock, event("/a", 7), event("/a", 1.5), event("/b", 4), event("/a", 2, 500), '{"ms": 3, "status": 200}',
          '{"ms": "x"}')  # fmt: skip
    assert points(aws, clock, Path="/a", Status="200") == [(8.5, 2)]
    assert points(aws, clock, Path="/b", Status="200") == [(4, 1)]
    assert points(aws, clock, Path="/a", Status="500") == [(2, 1)]
    assert points(aws, clock) == points(aws, clock, Status="200") == []  # an event without a dimension counts nowhere


def test_a_value_that_is_no_metrics_takes_no_other_with_it(aws, clock, logs):
    put(logs, pattern="{ $.a = 1 }", metricValue="$.ms")
    for odd in ("1" + "0" * 400, "1e300", '"NaN"', '"inf"', "[" * 2000 + "]" * 2000, "null"):
        write(logs, clock, f'{{"a": 1, "ms": {odd}}}', '{"a": 1, "ms": 7}')
    assert points(aws, clock) == [(42, 6)]


def test_a_field_of_a_line_is_the_value(aws, clock, logs):
    put(logs, pattern="[ip, ..., status = 4*, size]", metricValue="$size", dimensions={"From": "$ip"})
    write(logs, clock, '1.2.3.4 - "GET /" 404 120', "1.2.3.4 x y z 200 5", "1.2.3.4 404 30")
    assert points(aws, clock, From="1.2.3.4") == [(150, 2)]


def test_filters_are_listed_changed_and_taken_away(clock, logs):
    logs.create_log_group(logGroupName="h")
    put(logs, "b")
    put(logs, "a", metricName="Other")
    put(logs, "c", group="h")
    shown = logs.describe_metric_filters(logGroupName="g")["metricFilters"]
    assert [each["filterName"] for each in shown] == ["a", "b"]
    assert shown[1] == {
        "filterName": "b", "filterPattern": "ERROR", "metricTransformations": [COUNT], "logGroupName": "g",
        "creationTime": int(clock.now() * 1000),
    }  # fmt: skip
    pages = logs.get_paginator("describe_metric_filters").paginate(PaginationConfig={"PageSize": 1})
    assert [each["filterName"] for page in pages for each in page["metricFilters"]] == ["a", "b", "c"]
    of_metric = logs.describe_metric_filters(metricName="Errors", metricNamespace="Shop")["metricFilters"]
    assert [each["filterName"] for each in of_metric] == ["b", "c"]
    assert refused(logs.describe_metric_filters, metricName="Errors")[0] == "InvalidParameterException"
    assert [g["metricFilterCount"] for g in logs.describe_log_groups()["logGroups"]] == [2, 1]
    clock.advance(5)
    put(logs, "b", "WARN")
    logs.delete_metric_filter(logGroupName="g", filterName="a")
    (left,) = logs.describe_metric_filters(logGroupName="g", filterNamePrefix="b")["metricFilters"]
    assert (left["filterPattern"], left["creationTime"]) == ("WARN", shown[1]["creationTime"])
    assert refused(logs.delete_metric_filter, logGroupName="g", filterName="a") == (
        "ResourceNotFoundException", "The specified metric filter does not exist.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "transformation", "message"),
    [
        ("{ $.a = }", {}, "Invalid filter pattern"),
        ("ERROR", {"metricValue": "$.a"}, "is not a field"),
        ("[a, b]", {"metricValue": "$c"}, "is not a field"),
        ("ERROR", {"dimensions": {"A": "$.a"}}, "is not a field"),
        ("{ $.a = 1 }", {"dimensions": {"A": "$.a"}, "defaultValue": 0}, "mutually exclusive"),
        ("{ $.a = 1 }", {"dimensions": {name: "$.a" for name in "ABCD"}}, "at most 3 dimensions"),
        ("%a% %b% %c%", {}, "at most 2 regular expressions"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(logs, pattern, transformation, message):
    code, said = refused(put, logs, pattern=pattern, **transformation)
    assert (code, message in said) == ("InvalidParameterException", True), said


def test_a_group_has_100_filters_and_five_regular_expressions(logs):
    put(logs, "0", "%a% %b%")
    put(logs, "1", "%a% %b%")
    assert refused(put, logs, "2", "%a% %b%") == ("LimitExceededException", "Resource limit exceeded.")
    for number in range(2, 100):
        put(logs, str(number))
    assert refused(put, logs, "100") == ("LimitExceededException", "Resource limit exceeded.")
    put(logs, "99", "changed")


def test_a_pattern_is_tried_on_messages(logs):
    json_matches = logs.test_metric_filter(
        filterPattern='{ $.code = "A*" && $.n > 1 }', logEventMessages=['{"code": "AX", "n": 5}', '{"code": "B"}']
    )["matches"]
    assert json_matches == [
        {"eventNumber": 1, "eventMessage": '{"code": "AX", "n": 5}', "extractedValues": {"$.code": "AX", "$.n": "5"}}
    ]
    lines = logs.test_metric_filter(filterPattern="[ip, ..., size > 10]", logEventMessages=["a 1", "a b c 20"])[
        "matches"
    ]
    assert lines == [
        {
            "eventNumber": 2,
            "eventMessage": "a b c 20",
            "extractedValues": {"$ip": "a", "$2": "b", "$3": "c", "$size": "20"},
        }
    ]


def test_an_alarm_on_a_filters_metric_fires(aws, cloud, clock):
    """B5.6: a template's filter and alarm tell a topic that errors are logged."""
    arn = {"Fn::GetAtt": ["Queue", "Arn"]}
    resources = {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "g"}},
        "Filter": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {
                "LogGroupName": {"Ref": "Group"},
                "FilterPattern": "ERROR",
                "MetricTransformations": [
                    {"MetricName": "Errors", "MetricNamespace": "Shop", "MetricValue": "1", "DefaultValue": 0}
                ],
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "told"}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"Subscription": [{"Protocol": "sqs", "Endpoint": arn}]}},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
                "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
                "AlarmActions": [{"Ref": "Topic"}],
            },
        },
    }  # fmt: skip
    cfn, logs = aws("cloudformation"), aws("logs")

    def settled():
        cloud.quiet()
        clock.advance(60)
        return cfn.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"]

    cfn.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": resources}))
    assert settled() == "CREATE_COMPLETE", cfn.describe_stack_events(StackName="s")["StackEvents"]
    logs.create_log_stream(**WHERE)
    write(logs, clock, "ERROR: out of stock")
    clock.advance(180)
    cloud.quiet()
    url = aws("sqs").get_queue_url(QueueName="told")["QueueUrl"]
    (message,) = aws("sqs").receive_message(QueueUrl=url)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"
    filter_ = resources["Filter"]["Properties"]
    filter_["FilterPattern"] = "{ $.level = 5 }"
    filter_["MetricTransformations"] = [
        {
            "MetricName": "Errors",
            "MetricNamespace": "Shop",
            "MetricValue": "2",
            "Dimensions": [{"Key": "L", "Value": "$.level"}],
        }
    ]
    cfn.update_stack(StackName="s", TemplateBody=json.dumps({"Resources": resources}))
    assert settled() == "UPDATE_COMPLETE"
    write(logs, clock, '{"level": 5}')
    assert points(aws, clock, L="5") == [(2, 1)]

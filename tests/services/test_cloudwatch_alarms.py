"""CloudWatch's alarms: evaluation, states, actions, composite alarms, history."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.cloudwatch import reasons, rules
from cumulet.services.cloudwatch.judgement import judge
from cumulet.services.cloudwatch.rules import BadRule

MINUTE, HOUR, DAY = 60, 3600, 86400
ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"


@pytest.fixture
def client(aws, clock):
    clock.advance(MINUTE - clock.now() % MINUTE + 30)
    return aws("cloudwatch")


@pytest.fixture
def alarm(client):
    """alarm("a", Threshold=5): an alarm on the sum of App/n, greater than 10 in one minute."""

    def alarm(name="a", **changes):
        request = {
            "AlarmName": name, "Namespace": "App", "MetricName": "n", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold", **changes,
        }  # fmt: skip
        client.put_metric_alarm(**{member: value for member, value in request.items() if value is not None})

    return alarm


@pytest.fixture
def minutes(client, clock):
    """minutes(1, None, 3): a value in each of the next minutes, None for a minute without one."""

    def minutes(*values, name="n", **datum):
        for value in values:
            if value is not None:
                data = [{"MetricName": name, "Value": float(value), **datum}]
                client.put_metric_data(Namespace="App", MetricData=data)
            clock.advance(MINUTE)

    return minutes


@pytest.fixture
def described(client):
    def described(name="a"):
        answer = client.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        (one,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return one

    return described


@pytest.fixture
def state(described):
    return lambda name="a": described(name)["StateValue"]


@pytest.fixture
def history(client):
    def history(name="a", kind="StateUpdate"):
        items = client.describe_alarm_history(
            AlarmName=name, HistoryItemType=kind, ScanBy="TimestampAscending", MaxRecords=100
        )
        return items["AlarmHistoryItems"]

    return history


def refused(action, *arguments, **request):
    with pytest.raises(ClientError) as caught:
        action(*arguments, **request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# how missing data counts: the tables of the user guide, the oldest data point first

A, OK, INS, KEEP = "ALARM", "OK", "INSUFFICIENT_DATA", None
TABLE_3_OF_3 = [
    ("0 - X - X", OK, OK, OK, OK),
    ("0 - - - -", OK, OK, OK, OK),
    ("- - - - -", INS, KEEP, A, OK),
    ("0 X X - X", A, A, A, A),
    ("- - X - -", A, KEEP, A, OK),
    ("X - - - -", A, KEEP, A, OK),
    ("- - - - X", INS, KEEP, A, OK),
    ("- - - X -", INS, KEEP, A, OK),
]
TABLE_2_OF_3 = [
    ("0 - X - X", A, A, A, A),
    ("0 0 X 0 X", A, A, A, A),
    ("0 - X - -", OK, OK, A, OK),
    ("- - - - 0", OK, OK, A, OK),
    ("- - - X -", A, KEEP, A, OK),
    ("- - - - X", INS, KEEP, A, OK),
]


@pytest.mark.parametrize(("m", "row"), [(3, row) for row in TABLE_3_OF_3] + [(2, row) for row in TABLE_2_OF_3], ids=str)
@pytest.mark.parametrize(
    ("column", "treatment"), [(1, "missing"), (2, "ignore"), (3, "breaching"), (4, "notBreaching")]
)
def test_missing_data_counts_as_in_the_user_guide(m, row, column, treatment):
    values = [{"0": 0.0, "X": 1.0, "-": None}[point] for point in reversed(row[0].split())]
    assert judge(values, lambda value: value > 0, 3, m, treatment).state == row[column]


# evaluation


def test_an_alarm_begins_without_data_goes_off_and_comes_back(alarm, minutes, state, described, history):
    alarm()
    assert (state(), described()["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    minutes(10)
    assert state() == "OK"
    minutes(11)
    assert state() == "ALARM"
    minutes(3)
    assert state() == "OK"
    assert [item["HistorySummary"] for item in history()] == [
        "Alarm updated from INSUFFICIENT_DATA to OK", "Alarm updated from OK to ALARM", "Alarm updated from ALARM to OK",
    ]  # fmt: skip


def test_an_alarm_without_data_gives_up_after_its_evaluation_range(alarm, minutes, state, described):
    alarm()
    minutes(11, None, None)
    assert state() == "ALARM"
    minutes(None)
    assert state() == "INSUFFICIENT_DATA"
    assert described()["StateReason"] == "Insufficient Data: 1 datapoint was unknown."


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        ("GreaterThanThreshold", "OK", "OK", "ALARM"),
        ("GreaterThanOrEqualToThreshold", "OK", "ALARM", "ALARM"),
        ("LessThanThreshold", "ALARM", "OK", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
    ],
)
def test_every_comparison(alarm, minutes, state, operator, below, at, above):
    alarm(ComparisonOperator=operator)
    for value, expected in ((9, below), (10, at), (11, above)):
        minutes(value)
        assert state() == expected


def test_m_out_of_n(alarm, minutes, state, described):
    alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    minutes(11, 1, 1)
    assert state() == "OK"
    minutes(12)
    assert state() == "OK"  # 1, 1, 12
    minutes(13)
    assert state() == "ALARM"
    reason = described()["StateReason"]
    assert reason.startswith("Threshold Crossed: 2 out of the last 3 datapoints [13.0 (")
    assert reason.endswith(
        ")] were greater than the threshold (10.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_reason_and_data_are_in_awss_words(alarm, minutes, described, clock):
    alarm(Unit="Count")
    start = clock.now() - 30
    minutes(11.5, Unit="Count")
    one = described()
    assert one["StateReason"].startswith("Threshold Crossed: 1 datapoint [11.5 (")
    assert one["StateReason"].endswith(")] was greater than the threshold (10.0).")
    data = json.loads(one["StateReasonData"])
    assert list(data) == [
        "version", "queryDate", "startDate", "unit", "statistic", "period", "recentDatapoints", "threshold",
        "evaluatedDatapoints",
    ]  # fmt: skip
    assert (data["recentDatapoints"], data["threshold"], data["period"]) == ([11.5], 10.0, 60)
    assert data["evaluatedDatapoints"] == [{"timestamp": data["startDate"], "value": 11.5, "sampleCount": 1.0}]
    assert one["StateUpdatedTimestamp"].timestamp() == one["StateTransitionedTimestamp"].timestamp() == start + 63


def test_missing_data_may_breach(alarm, minutes, state, described):
    alarm(TreatMissingData="breaching")
    minutes(None)
    assert state() == "ALARM"
    assert described()["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching]."
    )


def test_missing_data_may_be_fine(alarm, minutes, state, described):
    alarm(TreatMissingData="notBreaching")
    minutes(None)
    assert state() == "OK"
    assert described()["StateReason"].endswith("1 missing datapoint was treated as [NonBreaching].")
    minutes(11)
    assert state() == "ALARM"
    minutes(None, None, None)
    assert state() == "OK"


def test_missing_data_may_be_ignored(alarm, minutes, state):
    alarm(TreatMissingData="ignore")
    minutes(11, *[None] * 10)
    assert state() == "ALARM"


def test_a_longer_period_looks_back_from_every_minute(alarm, minutes, state):
    alarm(Period=300)
    minutes(6, 6)
    assert state() == "ALARM"  # 12 in the five minutes that end now
    minutes(None, None, None, None)
    assert state() == "OK"  # the first is out of them


def test_a_short_period_is_evaluated_every_ten_seconds(alarm, client, clock, state):
    alarm(Period=10)
    data = [{"MetricName": "n", "Value": 11.0, "StorageResolution": 1}]
    client.put_metric_data(Namespace="App", MetricData=data)
    clock.advance(13)
    assert state() == "ALARM"


def test_a_percentile_can_be_watched_and_may_wait_for_enough_samples(alarm, client, minutes, state):
    alarm("p", Statistic=None, ExtendedStatistic="p90")
    alarm("w", Statistic=None, ExtendedStatistic="p90", EvaluateLowSampleCountPercentile="ignore")
    minutes(11)
    assert (state("p"), state("w")) == ("ALARM", "INSUFFICIENT_DATA")
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Values": [12.0], "Counts": [99.0]}])
    minutes(None)
    assert state("w") == "INSUFFICIENT_DATA"  # 99 of the 10 / (1 - 0.9) samples
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Values": [12.0], "Counts": [100.0]}])
    minutes(None)
    assert state("w") == "ALARM"


def test_dynamodbs_alarms_ignore_missing_data(client, clock, state, cloud):
    client.put_metric_alarm(
        AlarmName="a", Namespace="AWS/DynamoDB", MetricName="ThrottledRequests", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="breaching",
    )  # fmt: skip
    clock.advance(5 * MINUTE)
    assert state() == "INSUFFICIENT_DATA"


def test_the_metric_of_an_alarm_has_its_dimensions_and_unit(alarm, minutes, state):
    dimensions = [{"Name": "f", "Value": "x"}]
    alarm(Dimensions=dimensions, Unit="Count")
    minutes(11)
    assert state() == "INSUFFICIENT_DATA"
    minutes(11, Dimensions=dimensions)
    assert state() == "INSUFFICIENT_DATA"
    minutes(11, Dimensions=dimensions, Unit="Count")
    assert state() == "ALARM"


def test_an_idle_alarm_has_no_timer_and_wakes_when_data_comes(alarm, minutes, state, cloud, clock):
    def timers():
        keys = cloud.cloud.store.begin(None).scan_keys(("~timer",))
        return [key for key in keys if key[2] == "cloudwatch.evaluate"]

    alarm()
    minutes(1)
    assert (state(), len(timers())) == ("OK", 1)
    minutes(None, None, None, None)
    assert (state(), timers()) == ("INSUFFICIENT_DATA", [])
    clock.advance(30 * DAY)
    minutes(11)
    assert state() == "ALARM"


def test_data_ahead_of_time_keeps_an_alarm_awake(alarm, client, clock, minutes, state):
    alarm()
    ahead = clock.now() + HOUR
    data = [{"MetricName": "n", "Value": 11.0, "Timestamp": ahead}]
    client.put_metric_data(Namespace="App", MetricData=data)
    clock.advance(50 * MINUTE)
    assert state() == "INSUFFICIENT_DATA"
    clock.advance(12 * MINUTE)
    assert state() == "ALARM"


def test_an_alarm_on_metric_math(client, alarm, minutes, state, described):
    def queries(expression):
        stats = [
            {"Id": id_, "ReturnData": False,
             "MetricStat": {"Metric": {"Namespace": "App", "MetricName": name}, "Period": 60, "Stat": "Sum"}}
            for id_, name in (("errors", "e"), ("calls", "n"))
        ]  # fmt: skip
        return [{"Id": "rate", "Expression": expression, "Label": "error rate"}, *stats]

    plain = {"Namespace": None, "MetricName": None, "Statistic": None, "Period": None}
    alarm(Metrics=queries("100 * errors / calls"), **plain)
    client.put_metric_data(Namespace="App", MetricData=[{"MetricName": "e", "Value": 1.0}])
    minutes(8)
    assert state() == "ALARM"
    assert "12.5" in described()["StateReason"]
    minutes(8)
    assert state() == "OK"
    for expression, words in (
        ("METRICS()", "single time series"),
        ("SUM(errors)", "single time series"),
        ("SUM(SEARCH('{App} n', 'Sum', 60))", "SEARCH is not supported"),
        ("nothing", "Unrecognized id"),
    ):
        code, message = refused(alarm, Metrics=queries(expression), **plain)
        assert (code, words in message) == ("ValidationError", True), message
    two = queries("errors")
    two[1] = {**two[1], "ReturnData": True}
    assert "Exactly one element" in refused(alarm, Metrics=two, **plain)[1]
    many = [{**queries("m")[1], "Id": f"m{number}"} for number in range(11)]
    many[0]["ReturnData"] = True
    assert "10 metrics" in refused(alarm, Metrics=many, **plain)[1]
    alarm(Metrics=many[:10], **plain)


def test_an_update_keeps_the_state_and_replaces_the_settings(alarm, client, minutes, described, history):
    alarm(AlarmDescription="first", Tags=[{"Key": "a", "Value": "1"}])
    minutes(11)
    alarm(Threshold=20.0, MetricName="m", Tags=[{"Key": "b", "Value": "2"}])
    one = described()
    assert (one["StateValue"], one["Threshold"], one["MetricName"]) == ("ALARM", 20.0, "m")
    assert "AlarmDescription" not in one
    assert client.list_tags_for_resource(ResourceARN=f"{ARN}a")["Tags"] == [{"Key": "a", "Value": "1"}]
    minutes(None, None, None, None)
    minutes(25, name="m")
    assert described()["StateValue"] == "ALARM"
    assert [item["HistorySummary"] for item in history(kind="ConfigurationUpdate")] == [
        'Alarm "a" created', 'Alarm "a" updated',
    ]  # fmt: skip


def test_set_alarm_state_lasts_until_the_next_evaluation(alarm, client, minutes, described, state):
    alarm()
    minutes(1)
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a test", StateReasonData='{"a": 1}')
    one = described()
    assert (one["StateValue"], one["StateReason"], one["StateReasonData"]) == ("ALARM", "a test", '{"a": 1}')
    minutes(1)
    assert state() == "OK"
    minutes(None, None, None, None, None)
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="while it sleeps")
    minutes(None)
    assert state() == "INSUFFICIENT_DATA"
    request = {"StateValue": "OK", "StateReason": "x"}
    assert refused(client.set_alarm_state, AlarmName="absent", **request)[0] == "ResourceNotFound"
    assert refused(client.set_alarm_state, AlarmName="a", StateReasonData="{", **request)[0] == "InvalidFormat"


# refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Period": 45}, "Period must be"),
        ({"Period": 5}, "Period must be"),
        ({"Period": None}, "Period must not be null"),
        ({"Namespace": None}, "Namespace must not be null"),
        ({"Threshold": None}, "Threshold must not be null"),
        ({"Threshold": float("nan")}, "finite"),
        ({"EvaluationPeriods": None}, "EvaluationPeriods must not be null"),
        ({"Statistic": None}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"ExtendedStatistic": "p90"}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"Statistic": None, "ExtendedStatistic": "p200"}, "ExtendedStatistic"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"EvaluationPeriods": 1441}, "more than a day"),
        ({"EvaluationPeriods": 169, "Period": 3600}, "more than a week"),
        ({"TreatMissingData": "perhaps"}, "TreatMissingData"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "EvaluateLowSampleCountPercentile"),
        ({"MetricName": None}, "Exactly one of MetricName and Metrics"),
        ({"Metrics": []}, "Exactly one of MetricName and Metrics"),
        ({"AlarmActions": ["nonsense"]}, "Invalid arn syntax"),
        ({"AlarmActions": ["arn:aws:sqs:us-east-1:000000000000:q"]}, "Invalid arn syntax"),
        ({"AlarmActions": [TOPIC, TOPIC]}, "duplicates"),
        ({"AlarmActions": [f"{TOPIC}{number}" for number in range(6)]}, "alarmActions"),
        ({"AlarmName": "a\nb"}, "control"),
    ],
)
def test_wrong_settings_are_refused(alarm, changes, words):
    code, message = refused(alarm, **changes)
    assert code == "ValidationError"
    assert words in message


def test_the_longest_evaluation_ranges_are_accepted(alarm, minutes):
    alarm(EvaluationPeriods=1440)
    alarm(EvaluationPeriods=168, Period=3600)
    alarm(EvaluationPeriods=7, Period=86400, AlarmActions=[f"{TOPIC}{number}" for number in range(5)])
    minutes(1, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "t"}, "ThresholdMetricId"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "anomaly detection"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "arn:aws:automate:us-east-1:ec2:stop"),
        ({"OKActions": ["arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x"]}, "autoscaling"),
        ({"AlarmActions": ["arn:aws:ssm:us-east-1:000000000000:opsitem:1"]}, "ssm"),
        ({"EvaluationInterval": 60}, "EvaluationInterval"),
        ({"WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 1}}, "WarmUpConfiguration"),
    ],
)
def test_what_cumulet_lacks_is_refused_by_name(alarm, changes, words):
    code, message = refused(alarm, **changes)
    assert code == "NotImplemented"
    assert words in message


def test_an_account_has_at_most_5000_alarms_in_a_region(alarm, client, cloud):
    alarm("first")

    async def fill():
        await cloud.cloud.store.transact(lambda tx: tx.add(("cloudwatch", "alarms", "000000000000", "us-east-1"), 4999))

    cloud.run(fill())
    assert refused(alarm, "one too many")[0] == "LimitExceeded"
    client.delete_alarms(AlarmNames=["first"])
    alarm("another")


# describing


def test_alarms_are_described_by_prefix_state_action_and_in_pages(alarm, client):
    for name in ("a-1", "a-2", "b"):
        alarm(name, AlarmActions=[f"{TOPIC}-{name}"])
    client.set_alarm_state(AlarmName="a-2", StateValue="ALARM", StateReason="x")

    def names(**request):
        return [one["AlarmName"] for one in client.describe_alarms(**request)["MetricAlarms"]]

    assert names() == ["a-1", "a-2", "b"]
    assert names(AlarmNamePrefix="a-") == ["a-1", "a-2"]
    assert names(StateValue="ALARM") == ["a-2"]
    assert names(ActionPrefix=f"{TOPIC}-b") == ["b"]
    assert names(AlarmNames=["b", "absent", "a-1"]) == ["a-1", "b"]
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    pages = client.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2})
    assert [[one["AlarmName"] for one in page["MetricAlarms"]] for page in pages] == [["a-1", "a-2"], ["b"]]
    assert refused(client.describe_alarms, AlarmNames=["a"], AlarmNamePrefix="a")[0] == "ValidationError"
    assert refused(client.describe_alarms, NextToken="nonsense")[0] == "InvalidNextToken"
    assert refused(client.describe_alarms, ParentsOfAlarmName="b", StateValue="OK")[0] == "ValidationError"


def test_a_described_alarm_has_its_settings(alarm, described):
    alarm(
        AlarmDescription="d", DatapointsToAlarm=1, TreatMissingData="missing", OKActions=[TOPIC], ActionsEnabled=False
    )
    one = described()
    expected = {
        "AlarmName": "a", "AlarmArn": f"{ARN}a", "AlarmDescription": "d", "ActionsEnabled": False, "OKActions": [TOPIC],
        "AlarmActions": [], "InsufficientDataActions": [], "Namespace": "App", "MetricName": "n", "Statistic": "Sum",
        "Dimensions": [], "Period": 60, "EvaluationPeriods": 1, "DatapointsToAlarm": 1, "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "missing",
    }  # fmt: skip
    assert {member: one[member] for member in expected} == expected


def test_alarms_of_a_metric(alarm, client):
    alarm("a")
    alarm("b", Statistic="Average", Period=300)
    alarm("c", Dimensions=[{"Name": "f", "Value": "x"}])

    def names(**request):
        answer = client.describe_alarms_for_metric(Namespace="App", MetricName="n", **request)
        return [one["AlarmName"] for one in answer["MetricAlarms"]]

    assert names() == ["a", "b"]
    assert names(Statistic="Average") == ["b"]
    assert names(Period=60) == ["a"]
    assert names(Dimensions=[{"Name": "f", "Value": "x"}]) == ["c"]
    client.delete_alarms(AlarmNames=["a"])
    assert names() == ["b"]


def test_deleted_alarms_are_gone_and_their_history_stays(alarm, client, minutes, history, cloud):
    alarm("a")
    minutes(11)
    client.delete_alarms(AlarmNames=["a", "absent"])
    assert client.describe_alarms()["MetricAlarms"] == []
    minutes(1, 1)
    assert [item["HistorySummary"] for item in history(kind="ConfigurationUpdate")] == [
        'Alarm "a" created', 'Alarm "a" deleted',
    ]  # fmt: skip
    assert len(history()) == 1
    alarm("a")
    minutes(11)
    assert len(history()) == 2


def test_history_is_kept_30_days_and_comes_in_pages(alarm, client, clock):
    alarm()
    for state in ("OK", "ALARM", "OK"):
        client.set_alarm_state(AlarmName="a", StateValue=state, StateReason="x")
        clock.advance(1)
    pages = client.get_paginator("describe_alarm_history").paginate(AlarmName="a", PaginationConfig={"PageSize": 2})
    found = [[item["HistorySummary"] for item in page["AlarmHistoryItems"]] for page in pages]
    assert found == [
        ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"],
        ["Alarm updated from INSUFFICIENT_DATA to OK", 'Alarm "a" created'],
    ]
    now = clock.now()
    items = client.describe_alarm_history(StartDate=now - 2.5, EndDate=now - 1.5)["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == ["Alarm updated from OK to ALARM"]
    assert client.describe_alarm_history(AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"] == []
    clock.advance(30 * DAY)
    assert (
        client.describe_alarm_history(AlarmName="a", HistoryItemType="ConfigurationUpdate")["AlarmHistoryItems"] == []
    )


def test_an_alarm_has_tags(alarm, client):
    alarm(Tags=[{"Key": "a", "Value": "1"}])
    client.tag_resource(ResourceARN=f"{ARN}a", Tags=[{"Key": "b", "Value": "2"}])
    client.untag_resource(ResourceARN=f"{ARN}a", TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=f"{ARN}a")["Tags"] == [{"Key": "b", "Value": "2"}]
    code, _ = refused(client.list_tags_for_resource, ResourceARN=f"{ARN}absent")
    assert code == "ResourceNotFoundException"
    assert refused(client.tag_resource, ResourceARN=f"{ARN}a", Tags=[{"Key": "aws:x", "Value": ""}])[0] == (
        "InvalidParameterValue"
    )


# actions


@pytest.fixture
def inbox(aws):
    """A topic with a queue behind it; calling it gives the notifications so far."""
    sns, sqs = aws("sns"), aws("sqs")
    sns.create_topic(Name="ops")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=queue)

    def read():
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    return read


def test_a_topic_is_told_once_for_each_change(alarm, minutes, inbox, history):
    alarm(AlarmActions=[TOPIC], OKActions=[TOPIC], DatapointsToAlarm=1, AlarmDescription="too many")
    minutes(11, 12, 13)
    (note,) = inbox()
    assert note["Subject"] == 'ALARM: "a" in US East (N. Virginia)'
    told = json.loads(note["Message"])
    assert (told["AlarmName"], told["NewStateValue"], told["OldStateValue"]) == ("a", "ALARM", "INSUFFICIENT_DATA")
    assert (told["AWSAccountId"], told["Region"], told["AlarmArn"]) == (
        "000000000000", "US East (N. Virginia)", f"{ARN}a",
    )  # fmt: skip
    assert told["AlarmDescription"] == "too many"
    assert told["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [11.0 (")
    assert told["Trigger"] == {
        "MetricName": "n", "Namespace": "App", "StatisticType": "Statistic", "Statistic": "SUM", "Unit": None,
        "Dimensions": [], "Period": 60, "EvaluationPeriods": 1, "DatapointsToAlarm": 1,
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 10.0, "TreatMissingData": "",
        "EvaluateLowSampleCountPercentile": "",
    }  # fmt: skip
    minutes(1)
    (note,) = inbox()
    assert note["Subject"] == 'OK: "a" in US East (N. Virginia)'
    actions = history(kind="Action")
    assert [item["HistorySummary"] for item in actions] == [f"Successfully executed action {TOPIC}"] * 2
    assert json.loads(actions[0]["HistoryData"])["actionState"] == "Succeeded"


def test_disabled_actions_are_not_carried_out(alarm, client, minutes, inbox, state):
    alarm(AlarmActions=[TOPIC])
    client.disable_alarm_actions(AlarmNames=["a", "absent"])
    minutes(11)
    assert (state(), inbox()) == ("ALARM", [])
    client.enable_alarm_actions(AlarmNames=["a"])
    minutes(1, 11)
    assert len(inbox()) == 1


def test_an_action_that_fails_stands_in_the_history_and_stops_nothing(alarm, minutes, inbox, history, state):
    absent = "arn:aws:sns:us-east-1:000000000000:absent"
    alarm(AlarmActions=[absent, TOPIC])
    minutes(11)
    assert state() == "ALARM"
    assert len(inbox()) == 1
    summaries = [item["HistorySummary"] for item in history(kind="Action")]
    assert summaries == [f"Failed to execute action {absent}", f"Successfully executed action {TOPIC}"]


def test_a_function_gets_the_alarms_event(alarm, aws, minutes):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        code = "import json\ndef handler(event, context):\n    print('GOT ' + json.dumps(event))\n"
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    function = aws("lambda").create_function(
        FunctionName="act", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler="index.handler",
        Code={"ZipFile": sink.getvalue()},
    )  # fmt: skip
    aws("lambda").add_permission(
        FunctionName="act", StatementId="s", Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
    )  # fmt: skip
    alarm(AlarmActions=[function["FunctionArn"]], AlarmDescription="d", Dimensions=[{"Name": "f", "Value": "x"}])
    minutes(11, Dimensions=[{"Name": "f", "Value": "x"}])
    events = aws("logs").filter_log_events(logGroupName="/aws/lambda/act")["events"]
    (line,) = [event["message"] for event in events if event["message"].startswith("GOT ")]
    event = json.loads(line.removeprefix("GOT "))
    assert (event["source"], event["alarmArn"], event["accountId"], event["region"]) == (
        "aws.cloudwatch", f"{ARN}a", "000000000000", "us-east-1",
    )  # fmt: skip
    data = event["alarmData"]
    assert (data["alarmName"], data["state"]["value"], data["previousState"]["value"]) == (
        "a", "ALARM", "INSUFFICIENT_DATA",
    )  # fmt: skip
    (metric,) = data["configuration"]["metrics"]
    assert metric["metricStat"]["metric"] == {"namespace": "App", "name": "n", "dimensions": {"f": "x"}}
    assert data["configuration"]["description"] == "d"


# composite alarms


def test_a_composite_alarm_follows_its_children(alarm, client, minutes, inbox, described, state, history):
    alarm("high")
    alarm("low", ComparisonOperator="LessThanThreshold", Threshold=2.0)
    client.put_composite_alarm(
        AlarmName="any", AlarmRule='ALARM(high) OR ALARM("low")', AlarmActions=[TOPIC], AlarmDescription="one of them"
    )
    assert described("any")["StateReason"] == f"{ARN}any was created and its alarm rule evaluates to OK"
    minutes(11)
    assert state("any") == "ALARM"
    assert described("any")["StateReason"].startswith(f"{ARN}high transitioned to ALARM at ")
    (note,) = inbox()
    told = json.loads(note["Message"])
    assert told["AlarmRule"] == 'ALARM(high) OR ALARM("low")'
    assert [child["Arn"] for child in told["TriggeringChildren"]] == [f"{ARN}high"]
    minutes(5)
    assert state("any") == "OK"
    minutes(1)
    assert state("any") == "ALARM"
    client.put_composite_alarm(AlarmName="any", AlarmRule="ALARM(high)")
    assert state("any") == "OK"
    assert described("any")["StateReason"] == f"{ARN}any was updated and its alarm rule evaluates to OK"
    minutes(5, 1)
    assert state("any") == "OK"
    assert history("any", "ConfigurationUpdate")[0]["AlarmType"] == "CompositeAlarm"


def test_children_and_parents_are_described(alarm, client):
    alarm("a")
    alarm("b")
    client.put_composite_alarm(AlarmName="c", AlarmRule=f"ALARM(a) AND NOT OK({ARN}b)")
    client.put_composite_alarm(AlarmName="d", AlarmRule="ALARM(c) AND ALARM(a)")
    found = client.describe_alarms(ChildrenOfAlarmName="d")
    assert [one["AlarmName"] for one in found["MetricAlarms"] + found["CompositeAlarms"]] == ["a", "c"]
    found = client.describe_alarms(ParentsOfAlarmName="a")
    assert [sorted(one) for one in found["CompositeAlarms"]] == [["AlarmArn", "AlarmName"]] * 2
    assert [one["AlarmName"] for one in found["CompositeAlarms"]] == ["c", "d"]
    assert [one["AlarmName"] for one in client.describe_alarms(ParentsOfAlarmName="b")["CompositeAlarms"]] == ["c"]
    assert "depending on it" in refused(client.delete_alarms, AlarmNames=["a"])[1]
    assert refused(client.delete_alarms, AlarmNames=["c", "d"])[0] == "ValidationError"
    client.delete_alarms(AlarmNames=["d"])
    client.delete_alarms(AlarmNames=["a", "b", "c"])
    assert client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])["CompositeAlarms"] == []


def test_a_change_goes_up_a_tower_of_composite_alarms_and_a_cycle_ends(alarm, client, minutes, state):
    alarm("a")
    client.put_composite_alarm(AlarmName="b", AlarmRule="ALARM(a)")
    client.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(b)")
    client.put_composite_alarm(AlarmName="b", AlarmRule="ALARM(a) OR ALARM(c)")
    client.put_composite_alarm(AlarmName="d", AlarmRule="NOT ALARM(c)")
    minutes(11)
    assert [state(name) for name in "abcd"] == ["ALARM", "ALARM", "ALARM", "OK"]


def test_wrong_rules_are_refused(alarm, client):
    alarm("a")

    def put(rule, **request):
        return client.put_composite_alarm(AlarmName="c", AlarmRule=rule, **request)

    assert refused(put, "ALARM(absent) AND ALARM(a)") == (
        "ValidationError", "Could not save the composite alarm as alarms [absent] in the alarm rule do not exist",
    )  # fmt: skip
    assert "AlarmRule is not valid" in refused(put, "ALARM(a) AND")[1]
    assert "other accounts or Regions" in refused(put, f"ALARM({ARN.replace('us-east-1', 'eu-west-1')}a)")[1]
    assert refused(put, "AT_LEAST(1, ALARM, (a))")[0] == "NotImplemented"
    assert refused(put, "ALARM(a)", ActionsSuppressor="a", ActionsSuppressorWaitPeriod=1)[0] == "NotImplemented"
    assert "elements" in refused(put, " OR ".join(["ALARM(a)"] * 501))[1]
    put(" OR ".join(["ALARM(a)"] * 500))
    assert "another type" in refused(client.put_composite_alarm, AlarmName="a", AlarmRule="TRUE")[1]


def test_a_rule_names_at_most_100_alarms_and_an_alarm_is_in_at_most_150_rules(alarm, client):
    for number in range(101):
        alarm(f"n{number}")
    hundred = " OR ".join(f"ALARM(n{number})" for number in range(100))
    client.put_composite_alarm(AlarmName="c", AlarmRule=hundred)
    assert "100 alarms" in refused(client.put_composite_alarm, AlarmName="c", AlarmRule=f"{hundred} OR ALARM(n100)")[1]
    for number in range(149):
        client.put_composite_alarm(AlarmName=f"c{number}", AlarmRule="ALARM(n0)")
    assert refused(client.put_composite_alarm, AlarmName="d", AlarmRule="ALARM(n0)")[0] == "LimitExceeded"
    client.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(n0)")


RULES = st.recursive(
    st.one_of(st.sampled_from(["TRUE", "FALSE"]), st.tuples(st.sampled_from(["ALARM", "OK"]), st.sampled_from("abc")).map(
        lambda pair: f"{pair[0]}({pair[1]})"
    )),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(RULES, st.tuples(*[st.sampled_from(["OK", "ALARM"])] * 3))
def test_rules_hold_as_pythons_logic_says(rule, states):
    by_name = dict(zip("abc", states, strict=True))
    python = rule.replace("AND", "and").replace("OR", "or").replace("NOT", "not").replace("TRUE", "True")
    python = python.replace("FALSE", "False")
    for name, state in by_name.items():
        python = python.replace(f"ALARM({name})", str(state == "ALARM")).replace(f"OK({name})", str(state == "OK"))
    assert rules.parse(rule).holds(by_name.get) == eval(python)


@pytest.mark.parametrize(
    "rule", ["", "ALARM", "ALARM()", "ALARM(a", "(TRUE", "TRUE FALSE", "NOT", "a", "alarm(a)", "(" * 5000]
)
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(BadRule):
        rules.parse(rule)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (50.0, "50.0"), (99.5, "99.5"), (1e7, "1.0E7"), (12345678.0, "1.2345678E7"), (5e-4, "5.0E-4")],
)
def test_numbers_are_written_as_aws_writes_them(value, text):
    assert reasons.number(value) == text


# the platform's own metrics


def test_a_failure_queue_over_its_threshold_notifies_a_topic_and_comes_back_when_drained(
    aws, client, clock, inbox, state, described
):
    """B5.6: the platform reports the size of queues; an alarm on it goes to ALARM and tells SNS."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    client.put_metric_alarm(
        AlarmName="a", Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible", Statistic="Maximum", Period=60,
        Dimensions=[{"Name": "QueueName", "Value": "failures"}], EvaluationPeriods=1, Threshold=3,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[TOPIC], OKActions=[TOPIC],
    )  # fmt: skip
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=f"failure {number}")
    clock.advance(MINUTE)
    assert state() == "OK"
    inbox()
    sqs.send_message(QueueUrl=url, MessageBody="one too many")
    clock.advance(MINUTE)
    assert state() == "ALARM"
    assert "4.0" in described()["StateReason"]
    (note,) = inbox()
    assert json.loads(note["Message"])["NewStateValue"] == "ALARM"
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    clock.advance(MINUTE)
    assert state() == "OK"
    (note,) = inbox()
    assert json.loads(note["Message"])["NewStateValue"] == "OK"


def test_an_alarm_that_the_platforms_own_data_wakes_acts_for_its_account_and_region(aws, clock):
    """B5.6: also in another region, and after a long silence."""
    there = {"region_name": "eu-west-1"}
    sqs, sns, client = aws("sqs", **there), aws("sns", **there), aws("cloudwatch", **there)
    topic = sns.create_topic(Name="ops")["TopicArn"]
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("failures", "inbox")]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:000000000000:inbox")
    client.put_metric_alarm(
        AlarmName="a", Namespace="AWS/SQS", MetricName="NumberOfMessagesSent", Statistic="Sum", Period=60, Threshold=0,
        Dimensions=[{"Name": "QueueName", "Value": "failures"}], EvaluationPeriods=1, AlarmActions=[topic],
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    clock.advance(DAY)
    sqs.send_message(QueueUrl=urls[0], MessageBody="x")
    clock.advance(2 * MINUTE)
    (message,) = sqs.receive_message(QueueUrl=urls[1])["Messages"]
    note = json.loads(message["Body"])
    assert note["Subject"] == 'ALARM: "a" in EU (Ireland)'
    assert json.loads(note["Message"])["AlarmArn"] == "arn:aws:cloudwatch:eu-west-1:000000000000:alarm:a"


def test_the_meter_hands_over_what_the_platform_counts(cloud, client, clock, minutes):
    async def count():
        meter = cloud.cloud.pipeline.meter
        series = ("000000000000", "us-east-1", "AWS/X", "Calls", "Count", (("Name", "b"), ("A", "x")))
        for value in (1.0, 2.0, 2.0):
            meter.add(series, cloud.cloud.pipeline.clock.now(), value)

    start = clock.now() - 30
    cloud.run(count())
    clock.advance(MINUTE)
    (point,) = client.get_metric_statistics(
        Namespace="AWS/X", MetricName="Calls", Dimensions=[{"Name": "A", "Value": "x"}, {"Name": "Name", "Value": "b"}],
        StartTime=start, EndTime=start + 60, Period=60, Statistics=["Sum", "SampleCount"],
    )["Datapoints"]  # fmt: skip
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (5.0, 3.0, "Count")
    assert point["Timestamp"].timestamp() == start


def test_the_minutes_go_on_while_an_alarm_is_awake_and_end_with_it(cloud, alarm, minutes, clock):
    def due():
        return cloud.cloud.pipeline.meter.due

    async def count():
        series = ("000000000000", "us-east-1", "App", "n", "Count", ())
        cloud.cloud.pipeline.meter.add(series, clock.now(), 1.0)

    alarm()
    cloud.run(count())
    clock.advance(2 * MINUTE)
    assert due() is not None
    clock.advance(10 * MINUTE)
    assert due() is None


def test_eventbridge_is_told_of_changes_of_state_and_configuration(alarm, aws, client, minutes):
    sqs, events = aws("sqs"), aws("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    events.put_rule(Name="alarms", EventPattern=json.dumps({"source": ["aws.cloudwatch"]}))
    target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:events"}
    events.put_targets(Rule="alarms", Targets=[target])

    def told():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    alarm(AlarmDescription="d")
    minutes(None)
    (created,) = told()
    assert (created["detail-type"], created["detail"]["operation"]) == (
        "CloudWatch Alarm Configuration Change",
        "create",
    )
    minutes(11)
    (changed,) = told()
    assert (changed["detail-type"], changed["source"]) == ("CloudWatch Alarm State Change", "aws.cloudwatch")
    assert changed["resources"] == [f"{ARN}a"]
    detail = changed["detail"]
    assert (detail["alarmName"], detail["state"]["value"], detail["previousState"]["value"]) == (
        "a", "ALARM", "INSUFFICIENT_DATA",
    )  # fmt: skip
    assert detail["configuration"]["metrics"][0]["metricStat"]["stat"] == "Sum"
    client.delete_alarms(AlarmNames=["a"])
    minutes(None)
    assert told()[0]["detail"]["operation"] == "delete"

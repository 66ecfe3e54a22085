"""CloudWatch's alarms: evaluation, states, refusals, descriptions, history."""

import json
import urllib.parse
import urllib.request
from xml.etree import ElementTree

import pytest

from cumulet.services.cloudwatch import reasons
from cumulet.services.cloudwatch.judgement import judge

from .cloudwatch_desk import ARN, DAY, HOUR, MINUTE, TOPIC, Desk, refused


@pytest.fixture
def desk(aws, clock):
    return Desk(aws("cloudwatch"), clock)


@pytest.fixture
def client(desk):
    return desk.client


@pytest.fixture
def alarm(desk):
    return desk.alarm


@pytest.fixture
def minutes(desk):
    return desk.minutes


@pytest.fixture
def described(desk):
    return desk.described


@pytest.fixture
def state(desk):
    return desk.state


@pytest.fixture
def history(desk):
    return desk.history


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
    clock.advance(50)
    data = [{"MetricName": "n", "Value": 11.0, "StorageResolution": 1}]
    client.put_metric_data(Namespace="App", MetricData=data)
    clock.advance(12)
    assert state() == "INSUFFICIENT_DATA"
    clock.advance(1)
    assert state() == "ALARM"


def test_a_period_of_more_than_an_hour_is_evaluated_every_hour(alarm, minutes, clock, state):
    alarm("hour", Period=3600)
    alarm("hours", Period=7200)
    clock.advance(HOUR - clock.now() % HOUR + 30)
    minutes(11)
    assert (state("hour"), state("hours")) == ("ALARM", "INSUFFICIENT_DATA")
    clock.advance(59 * MINUTE - 28)
    assert state("hours") == "INSUFFICIENT_DATA"
    clock.advance(1)
    assert state("hours") == "ALARM"


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
    watching = [client.describe_alarms_for_metric(Namespace="App", MetricName=name)["MetricAlarms"] for name in "nm"]
    assert [len(alarms) for alarms in watching] == [0, 1]
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


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (50.0, "50.0"), (99.5, "99.5"), (1e7, "1.0E7"), (12345678.0, "1.2345678E7"), (5e-4, "5.0E-4")],
)
def test_numbers_are_written_as_aws_writes_them(value, text):
    assert reasons.number(value) == text


def test_alarms_are_put_and_described_by_query_requests(cloud, state):
    def ask(**parameters):
        form = urllib.parse.urlencode({"Version": "2010-08-01", **parameters}).encode()
        scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=x"
        with urllib.request.urlopen(urllib.request.Request(cloud.endpoint, form, {"Authorization": scope})) as answer:
            return ElementTree.fromstring(answer.read())

    names = {"d": "http://monitoring.amazonaws.com/doc/2010-08-01/"}
    ask(
        Action="PutMetricAlarm", AlarmName="a", Namespace="App", MetricName="n", Statistic="Sum", Period="60",
        EvaluationPeriods="1", Threshold="10", ComparisonOperator="GreaterThanThreshold",
        **{"Dimensions.member.1.Name": "f", "Dimensions.member.1.Value": "x", "AlarmActions.member.1": TOPIC},
    )  # fmt: skip
    assert state() == "INSUFFICIENT_DATA"
    found = ask(Action="DescribeAlarms")
    (one,) = found.findall("d:DescribeAlarmsResult/d:MetricAlarms/d:member", names)
    assert one.findtext("d:AlarmArn", namespaces=names) == f"{ARN}a"
    assert one.findtext("d:AlarmActions/d:member", namespaces=names) == TOPIC
    assert float(one.findtext("d:Threshold", namespaces=names)) == 10.0

"""What CloudWatch's alarms do: actions, events, composite alarms, and alarms on the platform's own metrics."""

import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.cloudwatch import rules
from cumulet.services.cloudwatch.rules import BadRule

from .cloudwatch_desk import ARN, DAY, MINUTE, TOPIC, Desk, refused


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


def test_a_state_set_again_is_no_change(alarm, client, inbox, history, described):
    alarm(AlarmActions=[TOPIC])
    for reason in ("first", "second"):
        client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason=reason)
    assert len(inbox()) == len(history()) == 1
    assert described()["StateReason"] == "second"


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


def test_composite_alarms_that_contradict_each_other_come_to_rest(client, state, history):
    client.put_composite_alarm(AlarmName="a", AlarmRule="FALSE")
    client.put_composite_alarm(AlarmName="b", AlarmRule="ALARM(a)")
    client.put_composite_alarm(AlarmName="a", AlarmRule="NOT ALARM(b)")
    assert (state("a"), state("b")) == ("ALARM", "ALARM")
    assert len(history("a")) == 2


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


def test_the_minutes_end_when_the_last_alarm_is_deleted(cloud, alarm, client, clock):
    async def count():
        series = ("000000000000", "us-east-1", "AWS/X", "Calls", "Count", ())
        cloud.cloud.pipeline.meter.add(series, clock.now(), 1.0)

    alarm()
    client.delete_alarms(AlarmNames=["a"])
    cloud.run(count())
    clock.advance(2 * MINUTE)
    assert cloud.cloud.pipeline.meter.due is None


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

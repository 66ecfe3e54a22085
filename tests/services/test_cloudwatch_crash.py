"""Alarms go on after SIGKILL: their timers, states and data are on disk."""

import pytest

pytestmark = pytest.mark.crash


def state(server):
    (alarm,) = server.client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    return alarm["StateValue"]


def messages(server, url):
    return server.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def test_an_alarm_goes_off_and_comes_back_although_the_server_is_killed_in_between(server_process):
    server = server_process("--clock", "virtual").start()
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="App", MetricName="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=10,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Value": 11.0}])
    server.kill()
    server.start()
    server.advance(65)
    assert state(server) == "ALARM"
    server.kill()
    server.start()
    assert state(server) == "ALARM"
    server.advance(600)
    assert state(server) == "OK"


@pytest.mark.parametrize("point", ["timer.fire:1", "store.commit:1", "store.committed:1"])
def test_a_notification_is_sent_exactly_once_wherever_the_server_dies(server_process, point):
    server = server_process("--clock", "virtual").start()
    topic = server.client("sns").create_topic(Name="ops")["TopicArn"]
    url = server.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    server.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:inbox")
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="App", MetricName="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=10,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic],
    )  # fmt: skip
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Value": 11.0}])
    server.stop()
    server.start(crash_at=point)
    with pytest.raises(OSError):
        server.advance(65)
    server.ended()
    server.start()
    server.advance(65)
    assert state(server) == "ALARM"
    assert len(messages(server, url)) == 1

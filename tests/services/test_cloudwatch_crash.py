"""Alarms go on after SIGKILL: their timers, states and data are on disk."""

import json
import urllib.request

import boto3
import pytest
from botocore.config import Config

pytestmark = pytest.mark.crash


def client_of(server, service):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def advance(server, seconds):
    body = json.dumps({"advance": seconds}).encode()
    request = urllib.request.Request(f"{server.endpoint}/_cumulet/clock", body)
    with urllib.request.urlopen(request, timeout=60) as answer:
        json.load(answer)


def state(server):
    (alarm,) = client_of(server, "cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    return alarm["StateValue"]


def messages(server, url):
    return client_of(server, "sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def test_an_alarm_goes_off_and_comes_back_although_the_server_is_killed_in_between(server_process):
    server = server_process("--clock", "virtual").start()
    cloudwatch = client_of(server, "cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="App", MetricName="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=10,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Value": 11.0}])
    server.kill()
    server.start()
    advance(server, 65)
    assert state(server) == "ALARM"
    server.kill()
    server.start()
    assert state(server) == "ALARM"
    advance(server, 600)
    assert state(server) == "OK"


@pytest.mark.parametrize("point", ["timer.fire:1", "store.commit:1", "store.committed:1"])
def test_a_notification_is_sent_exactly_once_wherever_the_server_dies(server_process, point):
    server = server_process("--clock", "virtual").start()
    topic = client_of(server, "sns").create_topic(Name="ops")["TopicArn"]
    url = client_of(server, "sqs").create_queue(QueueName="inbox")["QueueUrl"]
    client_of(server, "sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:inbox"
    )
    cloudwatch = client_of(server, "cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="App", MetricName="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=10,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic],
    )  # fmt: skip
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "n", "Value": 11.0}])
    server.stop()
    server.environment["CUMULET_CRASH_AT"] = point
    server.start()
    with pytest.raises(OSError):
        advance(server, 65)
    server.process.wait(20)
    del server.environment["CUMULET_CRASH_AT"]
    server.start()
    advance(server, 65)
    assert state(server) == "ALARM"
    assert len(messages(server, url)) == 1

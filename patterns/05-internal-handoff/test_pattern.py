"""The Internal Handoff deployed, driven, and broken. Checklist: A2, B5.1, B5.2, B5.3, B5.4, B5.5, B5.6."""

import itertools
import json
import re
import time

import pytest

from cumulet.testing import deployment

ADDRESS = {"address": "1 Cloud Street"}


@pytest.fixture
def service(pattern, cloud):
    return pattern.deploy(cloud.endpoint)


def end(span):
    return span["started"] + span["duration_ms"] / 1000


def failed(service):
    answer = service.client("sqs").receive_message(
        QueueUrl=service.outputs["Failed"], MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return answer.get("Messages", [])


def lines(service, function):
    events = service.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{service.outputs[function]}")["events"]
    return [event["message"] for event in events]


def test_the_caller_has_its_answer_before_the_work_is_done(pattern, server_process):
    """A2, B5.1: Event disconnects with the acknowledgement, while the handler still sleeps a second; in real time."""
    service = pattern.deploy(server_process().start().endpoint)
    names = {f"invoke {service.outputs[name]}": name for name in ("Orders", "Shipping")}
    deadline = time.monotonic() + 180
    for number in itertools.count():  # a scheduler may leave the caller no time for more than a second now and then
        order, root = f"slow-{number}", f"1-65000000-0505050505050505{number:08x}"
        with service.traced("lambda", root):
            answer = service.invoke("Orders", {"order": order, **ADDRESS, "takes_s": 1})
        assert answer == {"order": order, "accepted": True}
        while order not in pattern.parcels(service):  # each look is a request to another process
            assert time.monotonic() < deadline, "it was never shipped"
        while len(ended := {names[s["name"]]: end(s) for s in service.trace(root) if s["name"] in names}) < 2:
            assert time.monotonic() < deadline, "it never ended"
        if ended["Orders"] < ended["Shipping"]:
            break
        assert time.monotonic() < deadline, "the caller always waits for the work"


def test_a_failing_event_is_tried_three_times_with_one_request_id(service, clock):
    """B5.2: 1 + 2 attempts, after one and after two minutes, the same request id on each."""
    service.invoke("Orders", {"order": "lost"})
    clock.quiet()
    attempts = [len([line for line in lines(service, "Shipping") if "order lost" in line and "in request" in line])]
    for seconds in (59, 2, 118, 3, 3600):
        clock.advance(seconds)
        attempts.append(len([line for line in lines(service, "Shipping") if "in request" in line]))
    assert attempts == [1, 1, 2, 2, 3, 3]
    ids = {re.search(r"in request (\S+)", line).group(1) for line in lines(service, "Shipping") if "in request" in line}
    assert len(ids) == 1


def test_an_event_that_comes_twice_makes_one_parcel(pattern, service, clock):
    """B5.3: events are idempotent."""
    for _ in range(3):
        service.invoke("Shipping", {"order": "twice", **ADDRESS}, "Event")
    clock.quiet()
    assert pattern.parcels(service) == {"twice"}
    assert sum("was shipped before" in line for line in lines(service, "Shipping")) == 2


def test_what_fails_for_good_is_kept_with_its_error_and_can_be_replayed(pattern, service, clock):
    """B5.4, B5.5: after the last retry the event is in the queue, payload intact, with RequestID, ErrorCode, ErrorMessage."""
    service.invoke("Orders", {"order": "lost", "note": "äöü"})
    clock.advance(300)
    (message,) = failed(service)
    assert json.loads(message["Body"]) == {"order": "lost", "note": "äöü"}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ErrorCode"] == "200"
    assert attributes["ErrorMessage"] == "order lost has no address"
    assert attributes["RequestID"] in "\n".join(lines(service, "Shipping"))
    service.invoke("Shipping", {**json.loads(message["Body"]), **ADDRESS}, "Event")
    clock.quiet()
    assert pattern.parcels(service) == {"lost"}


def test_an_alarm_tells_operators_that_failures_pile_up(service, clock):
    """B5.6: the platform emits the queue's size; an alarm on it goes to ALARM and notifies SNS, and back to OK."""
    sqs, sns, cloudwatch = service.client("sqs"), service.client("sns"), service.client("cloudwatch")
    inbox = sqs.create_queue(QueueName="on-duty")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=service.outputs["Operators"], Protocol="sqs", Endpoint=arn)

    def state():
        return cloudwatch.describe_alarms(AlarmNames=[service.outputs["Alarm"]])["MetricAlarms"][0]["StateValue"]

    def news():
        found = sqs.receive_message(QueueUrl=inbox, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=inbox, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] for message in found]

    service.invoke("Orders", {"order": "lost 1"})
    clock.advance(600)
    assert state() == "OK"
    news()  # it may have said that it is well
    service.invoke("Orders", {"order": "lost 2"})
    clock.advance(600)
    assert state() == "ALARM"
    assert news() == ["ALARM"]
    sqs.purge_queue(QueueUrl=service.outputs["Failed"])
    clock.advance(600)
    assert state() == "OK"
    assert news() == ["OK"]


def test_orders_that_were_accepted_are_shipped_after_sigkill(pattern, server_process):
    """B5.3, A3: at least once, across crashes at any moment; nothing healthy in the dead-letter queue."""
    server = server_process("--clock", "virtual").start()
    service = pattern.deploy(server.endpoint)
    for number in range(60):
        service.invoke("Orders", {"order": f"o{number}", **ADDRESS})
        if number % 20 == 19:
            server.kill()
            server.start()
    service.clock(advance=600)
    assert pattern.parcels(service) == {f"o{number}" for number in range(60)}
    assert failed(service) == []


IDEMPOTENT = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Seen:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      TimeToLiveSpecification: { AttributeName: expiration, Enabled: true }
  Charge:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: charge.handler
      Runtime: python3.12
      Environment: { Variables: { SEEN: !Ref Seen } }
      Policies:
        - DynamoDBCrudPolicy: { TableName: !Ref Seen }
Outputs:
  Charge: { Value: !Ref Charge }
  Seen: { Value: !Ref Seen }
"""
CHARGE = """\
import os

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer, IdempotencyConfig, idempotent,
)

store = DynamoDBPersistenceLayer(table_name=os.environ["SEEN"])


@idempotent(persistence_store=store, config=IdempotencyConfig(event_key_jmespath="order", expires_after_seconds=3600))
def handler(event, context):
    print(f"charged {event['order']}")
    if event.get("fails"):
        raise RuntimeError("no luck")
    return {"charged": event["order"], "by": context.aws_request_id}
"""


def test_a_function_with_powertools_idempotency_works_once_however_often_its_event_comes(cloud, clock, tmp_path):
    """B5.3: the Powertools example, unmodified: duplicates get the first answer; a failed attempt is tried again; it expires."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/charge.py").write_text(CHARGE)
    (tmp_path / "src/requirements.txt").write_text("aws-lambda-powertools==3.37.0\n")
    (tmp_path / "template.yaml").write_text(IDEMPOTENT)
    service = deployment.deploy(cloud.endpoint, tmp_path / "template.yaml", "charging")

    def charged(order):
        return sum(f"charged {order}" in line for line in lines(service, "Charge"))

    first = service.invoke("Charge", {"order": "a"})
    assert [service.invoke("Charge", {"order": "a"}) for _ in range(3)] == [first] * 3
    for _ in range(5):
        service.invoke("Charge", {"order": "b"}, "Event")
    clock.quiet()
    assert (charged("a"), charged("b")) == (1, 1)
    service.invoke("Charge", {"order": "c", "fails": True}, "Event")
    clock.advance(300)
    assert charged("c") == 3, "what failed is not remembered as done"
    clock.advance(3700)
    assert service.invoke("Charge", {"order": "a"}) != first
    assert charged("a") == 2

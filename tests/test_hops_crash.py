"""A3: every asynchronous hop while the server is killed and stopped at random moments: what was acknowledged arrives, nothing healthy
is set aside, and a FIFO group stays in order."""

import contextlib
import io
import itertools
import json
import os
import random
import threading
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ENDS = int(os.environ.get("CUMULET_TEST_KILLS", "4"))
WRITERS, EACH = 4, 40
ARN = "arn:aws:{}:us-east-1:000000000000:{}"
WORKER = ARN.format("lambda", "function:worker")
CODE = """
import json
import boto3

dynamodb = boto3.client("dynamodb")

def arrived(hop, number, group="-"):
    counted = dynamodb.update_item(
        TableName="arrived", Key={"k": {"S": f"{hop} {number}"}}, UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW")["Attributes"]["n"]["N"]
    if hop == "ordered" and counted == "1":
        dynamodb.update_item(
            TableName="groups", Key={"k": {"S": group}},
            UpdateExpression="SET numbers = list_append(if_not_exists(numbers, :none), :new)",
            ExpressionAttributeValues={":none": {"L": []}, ":new": {"L": [{"N": str(number)}]}})

def handler(event, context):
    if "requestPayload" in event:
        arrived("destination", event["requestPayload"]["number"])
    elif "detail" in event:
        arrived("rule", event["detail"]["number"])
    for record in event.get("Records", ()):
        if "Sns" in record:
            arrived("topic", json.loads(record["Sns"]["Message"])["number"])
        elif record["eventSource"] == "aws:sqs":
            body = json.loads(record["body"])
            arrived(body["hop"], body["number"], record["attributes"].get("MessageGroupId"))
        else:
            arrived("stream", int(record["dynamodb"]["Keys"]["k"]["S"]))
    return event
"""


class Hops:
    """A cloud in which everything ends in the table `arrived`, or, given up, in one of the dead-letter queues."""

    def __init__(self, server):
        self.server, self.numbers = server, itertools.count()
        self.acknowledged = {hop: set() for hop in self.senders(server)}
        self._queues_and_tables()
        self._functions()
        sns, events = server.client("sns"), server.client("events")
        for name, protocol, endpoint in (("topic", "lambda", WORKER), ("queued", "sqs", ARN.format("sqs", "queue"))):
            topic = sns.create_topic(Name=name)["TopicArn"]
            redrive = {"deadLetterTargetArn": ARN.format("sqs", "dead")}
            attributes = {
                "RedrivePolicy": json.dumps(redrive),
                **({"RawMessageDelivery": "true"} if protocol == "sqs" else {}),
            }
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)
        topic = sns.create_topic(
            Name="ordered.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
        )
        sns.subscribe(
            TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=ARN.format("sqs", "queue.fifo"),
            Attributes={"RawMessageDelivery": "true"},
        )  # fmt: skip
        events.put_rule(Name="rule", EventPattern=json.dumps({"source": ["hops"]}))
        dead = {"Arn": ARN.format("sqs", "dead")}
        events.put_targets(Rule="rule", Targets=[{"Id": "worker", "Arn": WORKER, "DeadLetterConfig": dead}])
        server.advance(10)

    def _queues_and_tables(self):
        sqs, dynamodb = self.server.client("sqs"), self.server.client("dynamodb")
        for name, attributes in (("", {}), (".fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})):
            sqs.create_queue(
                QueueName=f"dead{name}", Attributes={k: v for k, v in attributes.items() if k == "FifoQueue"}
            )
            redrive = {"deadLetterTargetArn": ARN.format("sqs", f"dead{name}"), "maxReceiveCount": 1}
            sqs.create_queue(QueueName=f"queue{name}", Attributes={**attributes, "RedrivePolicy": json.dumps(redrive)})
        for name in ("arrived", "groups", "source"):
            spec = (
                {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"} if name == "source" else {"StreamEnabled": False}
            )
            dynamodb.create_table(
                TableName=name, KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], StreamSpecification=spec,
            )  # fmt: skip
        self.server.advance(10)

    def _functions(self):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), CODE)
        functions, dead = self.server.client("lambda"), ARN.format("sqs", "dead")
        for name in ("worker", "first"):
            functions.create_function(
                FunctionName=name, Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Timeout=20,
                Handler="index.handler", Code={"ZipFile": sink.getvalue()},
            )  # fmt: skip
            on_success = {"OnSuccess": {"Destination": WORKER}} if name == "first" else {}
            functions.put_function_event_invoke_config(
                FunctionName=name, MaximumRetryAttempts=0,
                DestinationConfig={"OnFailure": {"Destination": dead}, **on_success},
            )  # fmt: skip
        stream = self.server.client("dynamodb").describe_table(TableName="source")["Table"]["LatestStreamArn"]
        functions.create_event_source_mapping(
            FunctionName="worker", EventSourceArn=stream, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": dead}},
        )  # fmt: skip
        for queue in ("queue", "queue.fifo"):
            functions.create_event_source_mapping(FunctionName="worker", EventSourceArn=ARN.format("sqs", queue))

    @staticmethod
    def senders(server):
        """Hop -> what sends a number on its way."""
        sns, events, functions, dynamodb = (server.client(name) for name in ("sns", "events", "lambda", "dynamodb"))

        def publish(topic, hop, **more):
            return lambda n, writer: sns.publish(
                TopicArn=ARN.format("sns", topic), Message=json.dumps({"hop": hop, "number": n}),
                **({"MessageGroupId": f"{writer}"} if more else {}),
            )  # fmt: skip

        def put(n, writer):
            entry = {"Source": "hops", "DetailType": "number", "Detail": json.dumps({"number": n})}
            assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

        return {
            "topic": publish("topic", "topic"),
            "queued": publish("queued", "queued"),
            "ordered": publish("ordered.fifo", "ordered", grouped=True),
            "rule": put,
            "destination": lambda n, writer: functions.invoke(
                FunctionName="first", InvocationType="Event", Payload=json.dumps({"number": n})
            ),
            "stream": lambda n, writer: dynamodb.put_item(TableName="source", Item={"k": {"S": str(n)}}),
        }

    def write(self, writer, enough):
        """Send until there is enough or the server is gone; notes what is acknowledged."""
        with contextlib.suppress(BotoCoreError, ClientError):
            senders = self.senders(self.server)
            for _ in range(EACH):
                number = next(self.numbers)
                for hop, send in senders.items():
                    send(number, writer)
                    self.acknowledged[hop].add(number)
                enough.release()

    def rows(self, table):
        pages = self.server.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def arrived(self):
        found = {hop: set() for hop in self.acknowledged}
        for row in self.rows("arrived"):
            hop, number = row["k"]["S"].split()
            found[hop].add(int(number))
        return found


@pytest.mark.parametrize("ends", [("kill",), ("kill", "stop")], ids=" and ".join)
def test_what_is_on_its_way_arrives_and_nothing_healthy_is_set_aside(server_process, ends):
    server = server_process("--clock", "virtual").start()
    hops, seed = Hops(server), random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)
    for number in range(ENDS):
        enough = threading.Semaphore(0)
        writers = [threading.Thread(target=hops.write, args=(f"{number}-{n}", enough)) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        assert enough.acquire(timeout=120)
        writers[0].join(moments.uniform(0, 0.3))
        getattr(server, ends[number % len(ends)])()
        for writer in writers:
            writer.join()
        server.start()
    server.advance(3600)
    arrived = hops.arrived()
    missing = {hop: sorted(sent - arrived[hop])[:10] for hop, sent in hops.acknowledged.items() if sent - arrived[hop]}
    assert not missing, f"seed {seed}: {missing}"
    assert all(len(sent) >= ENDS for sent in hops.acknowledged.values())
    for row in hops.rows("groups"):
        numbers = [int(number["N"]) for number in row["numbers"]["L"]]
        assert numbers == sorted(numbers), f"seed {seed}: group {row['k']['S']}"
    sqs = server.client("sqs")
    for name in ("dead", "dead.fifo"):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        assert "Messages" not in sqs.receive_message(QueueUrl=url), f"seed {seed}"

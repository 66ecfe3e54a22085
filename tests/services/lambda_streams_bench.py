"""A cloud in this process with a table, its stream, a function and a mapping, and a runtime that ends when a test says so."""

import asyncio
import json

from cumulet.runtimes.model import InvocationResult
from cumulet.services.dynamodb import SERVICE as DYNAMODB
from cumulet.services.dynamodbstreams import SERVICE as DYNAMODBSTREAMS
from cumulet.services.lambda_.sources.progress import Reader, Shard
from cumulet.testing.inprocess import InProcess

from .lambda_sources_bench import SERVICES, Bench, Machine

LOST = "arn:aws:sqs:us-east-1:000000000000:lost"
STREAM_SERVICES = [*SERVICES, DYNAMODB, DYNAMODBSTREAMS]


def names(event):
    """The changes in an event: "key value" of what was put, "key -" of what was deleted."""
    out = []
    for record in event["Records"]:
        change = record["dynamodb"]
        image = change.get("NewImage")
        out.append(f"{change['Keys']['k']['S']} {image['v']['S'] if image else '-'}")
    return out


class StreamMachine(Machine):
    """A runtime: `batches` are the changes of each invocation, in order, `events` the events. `answer` gets the changes and the event;
    a string is a function error. With `hold` invocations end one by one, by `end`."""

    def __init__(self, hold=False):
        super().__init__(hold)
        self.events, self.times = [], []
        self.clock = None
        self.answer = lambda changes, event: b"null"

    async def run(self, span, spec, code, layers, invocation):
        event = json.loads(invocation.payload)
        changes = names(event)
        self.events.append(event)
        self.batches.append(changes)
        self.times.append(self.clock.now())
        if self.hold:
            end = asyncio.get_running_loop().create_future()
            self.ends.append(end)
            self.most = max(self.most, len(self.ends))
            self.changed.set()
            await end
            self.ends.remove(end)
        answer = self.answer(changes, event)
        if isinstance(answer, Exception):
            raise answer
        failed = answer if isinstance(answer, str) else None
        payload = b"{}" if failed else answer
        return InvocationResult(payload, failed, [], "stream", 1.0, 1, None, 1, "ok")


class StreamBench(Bench):
    """A cloud with a table (provisioned: its stream has one shard), a function, and a mapping between them."""

    async def table(self, name="tab", on_demand=False):
        billing = {"BillingMode": "PAY_PER_REQUEST"}
        if not on_demand:
            billing = {"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}
        request = {
            "TableName": name, "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, **billing,
        }  # fmt: skip
        await self.cloud.call("dynamodb", "CreateTable", request)
        await self.cloud.advance(10)
        self.arn = (await self.cloud.call("dynamodb", "DescribeTable", {"TableName": name}))["Table"]["LatestStreamArn"]
        return self.arn

    async def map_stream(self, name="f", **request):
        request = {"EventSourceArn": self.arn, "FunctionName": name, "StartingPosition": "TRIM_HORIZON", **request}
        return (await self.cloud.call("lambda", "CreateEventSourceMapping", request))["UUID"]

    async def put(self, *items, table="tab"):
        """ "key value" is put, "key -" deleted."""
        for item in items:
            key, value = item.split()
            if value == "-":
                await self.cloud.call("dynamodb", "DeleteItem", {"TableName": table, "Key": {"k": {"S": key}}})
            else:
                request = {"TableName": table, "Item": {"k": {"S": key}, "v": {"S": value}}}
                await self.cloud.call("dynamodb", "PutItem", request)

    async def reports(self, queue="lost"):
        """The bodies of what a queue holds; they are taken."""
        url = f"http://127.0.0.1:4566/000000000000/{queue}"
        out = []
        while True:
            request = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 43_000}
            found = (await self.cloud.call("sqs", "ReceiveMessage", request)).get("Messages", [])
            if not found:
                return out
            out += [json.loads(message["Body"]) for message in found]

    def rows(self, kind):
        record = {"source-reader": Reader, "source-shard": Shard}[kind]
        return dict(self.cloud.store.begin(None).scan(("lambda", kind), record))


def in_stream_cloud(test, hold=False, folder=None):
    async def main():
        machine = StreamMachine(hold)
        async with InProcess(STREAM_SERVICES, {"invoke": machine.run}, folder) as cloud:
            machine.clock = cloud.clock
            bench = StreamBench(cloud)
            await bench.table()
            await bench.function()
            await test(bench, machine)
            machine.hold = False
            machine.end(len(machine.ends))
            await cloud.quiet()

    asyncio.run(main())


async def lost(bench):
    """A queue for reports; returns the setting that names it."""
    await bench.queue("lost")
    return {"OnFailure": {"Destination": LOST}}


def sequences(machine):
    """The sequence number of every change that an event had."""
    found = {}
    for event, changes in zip(machine.events, machine.batches, strict=True):
        for record, change in zip(event["Records"], changes, strict=True):
            found[change] = record["dynamodb"]["SequenceNumber"]
    return found

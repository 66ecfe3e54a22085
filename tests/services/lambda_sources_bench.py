"""A cloud in this process with a queue, a function and a mapping, and a runtime that ends when a test says so."""

import asyncio
import io
import json
import zipfile

from cumulet.kernel.service import Service
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import SERVICE as LAMBDA
from cumulet.services.lambda_.sources.queues import Pollers
from cumulet.services.logs import SERVICE as LOGS
from cumulet.services.sqs import SERVICE as SQS
from cumulet.testing.inprocess import InProcess

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


def _credentials(ctx, req):
    return {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ctx.now + 7200}


STS = Service("sts", internals={"cumulet:RoleCredentials": _credentials})
SERVICES = [LAMBDA, LOGS, STS, SQS]


class Machine:
    """A runtime: `batches` are the bodies of each invocation, in order. With `hold` invocations end one by one, by `end`."""

    def __init__(self, hold=False):
        self.hold = hold
        self.batches, self.ends, self.receives = [], [], []
        self.most = 0
        self.answer = lambda bodies: b"null"
        self.changed = asyncio.Event()

    async def run(self, span, spec, code, layers, invocation):
        records = json.loads(invocation.payload)["Records"]
        bodies = [record["body"] for record in records]
        self.batches.append(bodies)
        self.receives.extend(r["attributes"]["ApproximateReceiveCount"] for r in records if "attributes" in r)
        if self.hold:
            end = asyncio.get_running_loop().create_future()
            self.ends.append(end)
            self.most = max(self.most, len(self.ends))
            self.changed.set()
            await end
            self.ends.remove(end)
        answer = self.answer(bodies)
        if isinstance(answer, Exception):
            raise answer
        failed = answer if isinstance(answer, str) else None
        payload = b"{}" if failed else answer
        return InvocationResult(payload, failed, [], "stream", 1.0, 1, None, 1, "ok")

    async def running(self, count):
        """Until exactly so many run."""
        while len(self.ends) != count:
            assert len(self.ends) < count
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 60)

    def end(self, count=1):
        for end in self.ends[:count]:
            if not end.done():
                end.set_result(None)


class Bench:
    """A cloud with a queue, a function, and a mapping between them."""

    def __init__(self, cloud):
        self.cloud = cloud

    async def queue(self, name="q", **attributes):
        if name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        await self.cloud.call("sqs", "CreateQueue", {"QueueName": name, "Attributes": attributes})
        return f"http://127.0.0.1:4566/{ACCOUNT}/{name}"

    async def function(self, name="f", reserved=None):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("index.py", "")
        request = {"FunctionName": name, "Runtime": "python3.12", "Handler": "index.h", "Role": ROLE,
                   "Code": {"ZipFile": sink.getvalue()}}  # fmt: skip
        await self.cloud.call("lambda", "CreateFunction", request)
        if reserved is not None:
            await self.reserve(reserved, name)

    async def reserve(self, count, name="f"):
        request = {"FunctionName": name, "ReservedConcurrentExecutions": count}
        await self.cloud.call("lambda", "PutFunctionConcurrency", request)

    async def map(self, queue="q", name="f", **request):
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"
        request = {"EventSourceArn": arn, "FunctionName": name, **request}
        return (await self.cloud.call("lambda", "CreateEventSourceMapping", request))["UUID"]

    async def send(self, url, *bodies, group=None):
        for body in bodies:
            extra = {"MessageGroupId": group} if group else {}
            await self.cloud.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": body, **extra})

    async def counts(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        request = {"QueueUrl": url, "AttributeNames": names}
        found = (await self.cloud.call("sqs", "GetQueueAttributes", request))["Attributes"]
        return tuple(int(found[name]) for name in names)

    def pollers(self):
        [(_, found)] = self.cloud.store.begin(None).scan(("lambda", "source-pollers"), Pollers)
        return found

    async def pass_time(self, seconds):
        """Move the clock although functions run, which `advance` would wait for."""
        pipeline = self.cloud.pipeline
        for _ in range(round(seconds * 10)):
            pipeline._move(pipeline.clock.now() + 0.1)
            await pipeline.store.settle()
            for _ in range(20):
                await asyncio.sleep(0)


def in_cloud(test, hold=False, folder=None):
    async def main():
        machine = Machine(hold)
        async with InProcess(SERVICES, {"invoke": machine.run}, folder) as cloud:
            await test(Bench(cloud), machine)
            machine.hold = False
            machine.end(len(machine.ends))
            await cloud.quiet()

    asyncio.run(main())

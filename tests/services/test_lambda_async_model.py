"""Queued events against a model: random bursts, failures, throttling, restarts and time; every event ends once, as it should."""

import asyncio
import io
import itertools
import json
import tempfile
import zipfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.service import Service
from cumulet.kernel.store import Fate
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import SERVICE as LAMBDA
from cumulet.services.lambda_.capacity import Running
from cumulet.services.logs import SERVICE as LOGS
from cumulet.testing.inprocess import InProcess

SLOT = ("000000000000", "us-east-1", "f")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:dead"
SIX_HOURS = 21_600


def _credentials(ctx, req):
    return {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ctx.now + 10_000_000}


def _send(ctx, req):
    """A queue: one row for each message, so that what is rolled back was not sent."""
    ctx.tx.put(("dead", ctx.tx.add(("dead-count",))), json.dumps([ctx.now, req]).encode())
    return {"MessageId": "m"}


STS = Service("sts", internals={"cumulet:RoleCredentials": _credentials})
SQS = Service("sqs", internals={"SendMessage": _send})


class Queue(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="cumulet-test-")
        self.runs = {}  # event -> when it was attempted
        self.sent = {}  # event -> (accepted, plan, whether capacity was short meanwhile)
        self.occupied = False
        self.cloud = None
        self.now = None

    async def perform(self, span, spec, code, layers, invocation):
        """Each letter of an event's plan is an attempt: f(ails), p(latform fails); after the last one it works."""
        event = json.loads(invocation.payload)
        tries = self.runs.setdefault(event["id"], [])
        tries.append(self.cloud.clock.now())
        assert invocation.request_id == event["id"]
        step = event["plan"][len(tries) - 1 : len(tries)]
        if step == "p":
            raise EffectFailed("RuntimeStartError", "ill")
        body = b'{"errorMessage": "as planned", "errorType": "E"}' if step == "f" else b'"fine"'
        return InvocationResult(body, "Unhandled" if step == "f" else None, [], "stream", 1.0, 1, None, 1, "ok")

    def start(self):
        self.cloud = InProcess([LAMBDA, LOGS, STS, SQS], {"invoke": self.perform}, Path(self.folder.name))
        if self.now is not None:
            self.cloud.clock.set(self.now)
        self.runner.run(self.cloud.__aenter__())

    def call(self, operation, **request):
        extra = {"request_id": request.pop("request_id")} if "request_id" in request else {}
        return self.runner.run(self.cloud.call("lambda", operation, {"FunctionName": "f", **request}, **extra))

    @initialize(retries=st.integers(0, 2), age=st.sampled_from([60, 90, 200, 3600, SIX_HOURS]))
    def create(self, retries, age):
        self.retries, self.age = retries, age
        self.start()
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("index.py", "")
        self.call("CreateFunction", Runtime="python3.12", Handler="index.h", Code={"ZipFile": sink.getvalue()},
                  Role="arn:aws:iam::000000000000:role/r", DeadLetterConfig={"TargetArn": QUEUE})  # fmt: skip
        self.call("PutFunctionEventInvokeConfig", MaximumRetryAttempts=retries, MaximumEventAgeInSeconds=age)
        self.call("PutFunctionConcurrency", ReservedConcurrentExecutions=3)

    @rule(plans=st.lists(st.sampled_from(["", "f", "ff", "fff", "p", "pf", "fp", "ppp"]), min_size=1, max_size=8))
    def send(self, plans):
        for plan in plans:
            ident = f"event-{len(self.sent)}"
            payload = json.dumps({"id": ident, "plan": plan}).encode()
            self.sent[ident] = (self.cloud.clock.now(), plan, payload, self.occupied)
            self.call("Invoke", InvocationType="Event", Payload=payload, request_id=ident)

    @rule(seconds=st.sampled_from([0, 1, 5, 30, 59, 60, 61, 120, 600]))
    def wait(self, seconds):
        self.runner.run(self.cloud.advance(seconds))

    @precondition(lambda self: not self.occupied)
    @rule()
    def occupy(self):
        """Somebody else has the function's capacity."""
        self.runner.run(self.cloud.quiet())
        table = self.cloud.pipeline.volatile.setdefault("lambda.running", Running())
        table.by_function[SLOT] = {f"other-{n}": (1e12, Fate()) for n in range(3)}
        self.occupied = True
        self.sent = {ident: (*event[:3], True) for ident, event in self.sent.items()}

    @precondition(lambda self: self.occupied)
    @rule(told=st.booleans())
    def vacate(self, told):
        """It is free again; nobody is told, as when another account's limit was short, or all are."""
        self.cloud.pipeline.volatile["lambda.running"].by_function.pop(SLOT, None)
        self.occupied = False
        if told:
            self.call("PutFunctionConcurrency", ReservedConcurrentExecutions=3)

    @rule()
    def restart(self):
        """What was in memory is gone."""
        self.now = self.cloud.clock.now()
        self.runner.run(self.cloud.__aexit__(None, None, None))
        self.occupied = False
        self.start()

    def dead(self):
        async def read(cloud):
            return await cloud.store.transact(
                lambda tx: [json.loads(v) for _, v in tx.scan_bytes(b"\x02dead\x00", b"\x02dead\x01")]
            )

        return self.runner.run(read(self.cloud))

    @invariant()
    def attempts_keep_their_distance(self):
        for ident, tries in self.runs.items():
            accepted, plan, _, short = self.sent[ident]
            gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
            failures = ill = 0
            for step, gap in zip(plan, gaps, strict=False):
                failures += step == "f"
                ill += step == "p"
                least = 60 * failures if step == "f" else 2 ** (ill - 1)
                assert gap == least or (short and gap > least), (ident, plan, tries)
            if not short:
                assert tries[0] == accepted

    def expected(self, accepted, plan):
        """(how it ends, when, how often it runs) where capacity is never short."""
        at, failures, ill = accepted, 0, 0
        for number, step in enumerate([*plan, "o"], 1):
            if step == "o":
                return "done", at, number
            failures, ill = failures + (step == "f"), ill + (step == "p")
            if failures > self.retries:
                return "RetriesExhausted", at, number
            at += 60 * failures if step == "f" else 2 ** (ill - 1)
            if at >= accepted + self.age:
                return "EventAgeExceeded", accepted + self.age, number
        raise AssertionError

    def teardown(self):
        if self.cloud is None:
            self.runner.close()
            return
        if self.occupied:
            self.vacate(False)
        self.runner.run(self.cloud.advance(SIX_HOURS + 1000))
        dead = {}
        for at, message in self.dead():
            ident = message["MessageAttributes"]["RequestID"]["StringValue"]
            assert ident not in dead, f"{ident} is dead twice"
            dead[ident] = (at, message)
            assert message["MessageBody"].encode() == self.sent[ident][2]
            assert message["MessageAttributes"]["ErrorMessage"]["StringValue"]
        for ident, (accepted, plan, _, short) in self.sent.items():
            end, at, runs = self.expected(accepted, plan)
            tries = self.runs.get(ident, [])
            if short:
                assert ident in dead or len(tries) == len(plan) + 1, ident
                assert end == "done" or ident in dead, ident
            else:
                assert len(tries) == runs, (ident, plan, tries)
                assert (ident in dead) == (end != "done")
                assert end == "done" or dead[ident][0] == at
        left = self.runner.run(self.cloud.store.transact(lambda tx: list(tx.scan_keys(("lambda", "queue")))))
        assert left == []
        self.runner.run(self.cloud.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)

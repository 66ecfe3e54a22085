"""DB instances against a model: whatever happens in whatever order, engines run as the records say, and only those."""

import asyncio
import logging
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cumulet.aws.errors import AwsError
from cumulet.engines.model import Measured, Started
from cumulet.kernel.outcome import EffectFailed
from cumulet.services import rds
from cumulet.testing.inprocess import ACCOUNT, REGION, InProcess

NEW = {
    "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "shop",
    "MasterUserPassword": "horse-battery#1",
}  # fmt: skip
NAMES = st.sampled_from(["a", "b"])
SETTLED = {"available": True, "stopped": False}


class Engines:
    """What the supervisor would do, one step at a time: an effect waits until the test lets it go on."""

    def __init__(self):
        self.running, self.passwords, self.gates = {}, {}, []
        self.arrived = asyncio.Semaphore(0)
        self.held = self.failing = False

    async def _turn(self):
        if self.held:
            gate = asyncio.get_running_loop().create_future()
            self.gates.append(gate)
            self.arrived.release()
            await gate

    def let_go(self, one=False):
        while self.gates:
            gate = self.gates.pop(0)
            if not gate.done():
                gate.set_result(None)
            if one:
                return

    async def port(self, span, first, count, taken):
        await self._turn()
        return next(number for number in range(first, first + count) if number not in taken)

    async def start(self, span, spec, again=False):
        await self._turn()
        if again:
            self.running.pop(spec.ident, None)
        if self.failing:
            raise EffectFailed("EngineFailed", "no memory")
        assert spec.port not in [port for ident, port in self.running.items() if ident != spec.ident]
        self.running[spec.ident] = spec.port
        self.passwords.setdefault(spec.ident, spec.verifier)
        return Started("18.6")

    async def change(self, span, spec, password=False):
        await self._turn()
        if spec.ident not in self.running:
            raise EffectFailed("EngineDown", "it does not run")
        if password:
            self.passwords[spec.ident] = spec.verifier

    async def stop(self, span, ident):
        await self._turn()
        self.running.pop(ident, None)

    async def remove(self, span, ident):
        await self._turn()
        self.running.pop(ident, None)
        self.passwords.pop(ident, None)

    async def backup(self, span, ident, target):
        await self._turn()

    async def measure(self, span, ident):
        return Measured(0, 0)

    def performers(self):
        return {
            f"postgres.{name}": getattr(self, name)
            for name in ("port", "start", "change", "measure", "stop", "remove", "backup")
        }


class Complaints(logging.Handler):
    """What the kernel had to log: a handler or a settlement that broke."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


class Instances(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.complaints = Complaints()
        logging.getLogger("cumulet").addHandler(self.complaints)
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.engines = Engines()
        self.wanted = {}  # name -> available, stopped, failed
        self.open()

    def open(self):
        now = self.cloud.clock.now() if hasattr(self, "cloud") else 0.0
        self.cloud = InProcess([rds.SERVICE], self.engines.performers(), Path(self.folder.name))
        self.cloud.clock.set(now)  # time goes on while the server is down
        self.loop.run_until_complete(self.cloud.__aenter__())
        self.cloud.pipeline.volatile["engines.running"] = self.engines.running

    def call(self, operation, **request):
        """Whether it was accepted."""

        async def run():
            try:
                await self.cloud.call("rds", operation, request)
            except AwsError as error:
                assert error.http_status in (400, 404), error
                return False
            return True

        return self.loop.run_until_complete(run())

    def all(self):
        found = self.loop.run_until_complete(self.cloud.call("rds", "DescribeDBInstances", {}))["DBInstances"]
        return {one["DBInstanceIdentifier"]: one for one in found}

    @rule(name=NAMES)
    def create(self, name):
        accepted = self.call("CreateDBInstance", DBInstanceIdentifier=name, **NEW)
        assert accepted == (name not in self.wanted)
        if accepted:
            self.wanted[name] = "available"

    @rule(name=NAMES, what=st.sampled_from(["stop", "start", "reboot"]))
    def steer(self, name, what):
        before = self.all().get(name, {}).get("DBInstanceStatus")
        accepted = self.call(f"{what.capitalize()}DBInstance", DBInstanceIdentifier=name)
        if before in SETTLED:
            assert accepted == ((before == "stopped") == (what == "start"))
        if accepted:
            self.wanted[name] = "stopped" if what == "stop" else "available"

    @rule(name=NAMES)
    def change_password(self, name):
        self.call("ModifyDBInstance", DBInstanceIdentifier=name, MasterUserPassword="another-one")

    @rule(name=NAMES)
    def change_class(self, name):
        self.call("ModifyDBInstance", DBInstanceIdentifier=name, DBInstanceClass="db.t4g.small", ApplyImmediately=True)

    @rule(name=NAMES, number=st.integers(0, 3))
    def snapshot(self, name, number):
        self.call("CreateDBSnapshot", DBInstanceIdentifier=name, DBSnapshotIdentifier=f"s{number}")

    @rule(name=NAMES)
    def delete(self, name):
        if self.call("DeleteDBInstance", DBInstanceIdentifier=name, SkipFinalSnapshot=True):
            self.settle()
            assert name not in self.all()
            del self.wanted[name]

    @rule(name=NAMES)
    def engine_dies(self, name):
        found = self.all().get(name)
        if found is None or found["DbiResourceId"] not in self.engines.running:
            return
        del self.engines.running[found["DbiResourceId"]]
        request = {"DBInstanceIdentifier": name, "DbiResourceId": found["DbiResourceId"], "Status": -9}
        self.loop.run_until_complete(
            self.cloud.call("rds", "cumulet:EngineEnded", request, account=ACCOUNT, region=REGION)
        )

    @rule(held=st.booleans())
    def hold(self, held):
        self.engines.held = held
        if not held:
            self.engines.let_go()

    @rule()
    def one_step(self):
        self.engines.let_go(one=True)
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule()
    def starts_fail_for_a_while(self):
        self.settle()
        self.engines.failing = True
        for name, wanted in self.wanted.items():
            if wanted == "available":
                self.engine_dies(name)
        self.quiet()
        assert {one["DBInstanceStatus"] for one in self.all().values()} <= {"starting", "stopped", "failed"}
        self.engines.failing = False

    @rule()
    def the_server_is_killed(self):
        """Nothing that was in memory is left: no engine, no effect, no parked timer."""
        self.engines.let_go()
        self.loop.run_until_complete(self.cloud.__aexit__(None, None, None))
        self.engines.running.clear()
        self.open()

    def quiet(self):
        self.engines.held = False
        self.engines.let_go()
        self.loop.run_until_complete(self.cloud.quiet())

    def settle(self):
        self.quiet()
        self.loop.run_until_complete(self.cloud.advance(120))

    @rule()
    def all_settles(self):
        self.settle()
        found = self.all()
        assert {name: one["DBInstanceStatus"] for name, one in found.items()} == self.wanted
        available = {one["DbiResourceId"] for one in found.values() if one["DBInstanceStatus"] == "available"}
        assert set(self.engines.running) == available
        assert all(not one["PendingModifiedValues"] for one in found.values())
        ports = [one["Endpoint"]["Port"] for one in found.values()]
        assert len(ports) == len(set(ports))

    @invariant()
    def available_means_that_the_engine_runs(self):
        if hasattr(self, "cloud"):
            for one in self.all().values():
                assert one["DBInstanceStatus"] != "available" or one["DbiResourceId"] in self.engines.running

    def teardown(self):
        if hasattr(self, "cloud"):
            self.all_settles()
            logging.getLogger("cumulet").removeHandler(self.complaints)
            assert self.complaints.texts == []
            self.loop.run_until_complete(self.cloud.__aexit__(None, None, None))
            self.loop.close()
            self.folder.cleanup()


Instances.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
test_instances = Instances.TestCase


def test_an_outcome_that_comes_after_a_deletion_changes_nothing(caplog):
    async def scenario():
        engines = Engines()
        engines.held = True
        async with InProcess([rds.SERVICE], engines.performers()) as cloud:
            cloud.pipeline.volatile["engines.running"] = engines.running
            await cloud.call("rds", "CreateDBInstance", {"DBInstanceIdentifier": "a", **NEW})
            await engines.arrived.acquire()
            engines.let_go()  # the port is chosen
            await engines.arrived.acquire()
            await cloud.call("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "a", "SkipFinalSnapshot": True})
            await engines.arrived.acquire()  # the removal, beside the start that began before it
            engines.let_go(one=True)
            engines.held = False
            engines.let_go()
            await cloud.quiet()
            assert (await cloud.call("rds", "DescribeDBInstances", {}))["DBInstances"] == []
            assert engines.running == {}

    asyncio.run(scenario())
    assert caplog.messages == []

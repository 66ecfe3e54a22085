"""Services are imported when they are first used: by a call, a timer, a door, a type, a gauge, or because something is stored."""

import asyncio
import functools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from cumulet.app import SERVICES, load
from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.outcome import Effect, Wait
from cumulet.kernel.record import Record
from cumulet.kernel.registry import Registry, WrongManifest
from cumulet.kernel.resource import Created, Resource
from cumulet.kernel.service import Manifest, MisnamedOperation, Service
from cumulet.testing.inprocess import InProcess
from cumulet.wire import Models


class Item(Record):
    text: str


THING = Resource(
    "AWS::Things::Thing",
    "box",
    frozenset(),
    create=lambda call, properties, scope: Created("thing"),
    delete=lambda call, properties, scope: None,
)


def in_loop(test):
    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class Shelf:
    """Three services of which none is loaded; what was loaded, and what their timers and gauges did."""

    def __init__(self, **changes):
        self.loaded = []
        self.seen = []
        self.broken = 0  # how often loading fails before it works
        box = {
            "internals": {"Put": self._put, "Start": self._start, "Wait": self._wait, "Count": self._count},
            "timers": {"box.ring": self._ring, "box.wait": self._await},
            "doors": {"box-door": lambda ctx, request: HttpResponse(200, [], request.method.encode())},
            "resources": (THING,),
            "gauges": self._gauges,
        }
        self.services = {
            "box": Service("box", **{**box, **changes}),
            "points": Service("points", internals={"Record": self._record}),
            "asker": Service("asker", internals={"Ask": lambda ctx, req: ctx.call("box", "Put", req)}),
        }

    def _load(self, name):
        if self.broken:
            self.broken -= 1
            raise ImportError(name)
        self.loaded.append(name)
        return self.services[name]

    def registry(self, *manifests):
        box = Manifest("box", doors=("box-door",), types=("things",))
        return Registry(manifests or (box, Manifest("points"), Manifest("asker")), self._load, lambda name: {})

    def cloud(self, folder=None, **options):
        return InProcess(self.registry(), folder=folder, metrics=("points", "Record"), **options)

    def _put(self, ctx, req):
        ctx.tx.put(("box", "item"), Item(text="kept"))
        return {}

    def _start(self, ctx, req):
        ctx.tx.wake(ctx.now + req["After"], "box.ring", ("key",))
        return {}

    def _wait(self, ctx, req):
        ctx.tx.wake(ctx.now, "box.wait", ("key",))
        return {}

    def _count(self, ctx, req):
        ctx.meter("Box", "Calls", 1.0)
        return {}

    def _ring(self, ctx, key):
        self.seen.append(("ring", ctx.now))

    def _await(self, ctx, key):
        self.seen.append("awaits")
        return Wait(on=("box", "never"), until=math.inf)

    def _gauges(self, ctx):
        self.seen.append("gauged")
        return False

    def _record(self, ctx, req):
        self.seen.append(("points", len(req["Points"])))
        return {"More": False}


async def turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


@in_loop
async def test_a_call_loads_its_service_once_and_no_other():
    shelf = Shelf()
    async with shelf.cloud() as cloud:
        await turns()
        assert shelf.loaded == []
        await cloud.call("box", "Put", {})
        await cloud.call("box", "Put", {})
        assert shelf.loaded == ["box"]
        with pytest.raises(NotImplementedOnCumulet, match=r"box\.Fly"):
            await cloud.call("box", "Fly", {})
        with pytest.raises(NotImplementedOnCumulet, match=r"nothing\.Fly"):
            await cloud.call("nothing", "Fly", {})
        assert shelf.loaded == ["box"]


@in_loop
async def test_a_call_between_services_loads_the_other():
    shelf = Shelf()
    async with shelf.cloud() as cloud:
        await cloud.call("asker", "Ask", {})
        assert shelf.loaded == ["asker", "box"]


@in_loop
async def test_a_door_loads_its_service():
    shelf = Shelf()
    async with shelf.cloud() as cloud:
        assert cloud.pipeline.services.door("elsewhere") is None
        assert shelf.loaded == []
        answer = await cloud.door("box-door", HttpRequest("PUT", "/", "", {}, b""))
        assert answer.body == b"PUT"
        assert shelf.loaded == ["box"]


def test_a_type_loads_its_service():
    shelf = Shelf()
    registry = shelf.registry()
    assert registry.resource("AWS::Other::Thing") is None
    assert shelf.loaded == []
    assert registry.resource("AWS::Things::Thing") is THING
    assert registry.resource("AWS::Things::Other") is None
    assert shelf.loaded == ["box"]


@in_loop
async def test_a_stored_timer_of_an_unloaded_service_runs_at_its_time_after_a_restart(tmp_path):
    first = Shelf()
    async with first.cloud(tmp_path) as cloud:
        await cloud.call("box", "Start", {"After": 100.0})
        at = cloud.clock.now() + 100.0
    second = Shelf()
    async with second.cloud(tmp_path) as cloud:
        await cloud.advance(99)
        assert second.loaded == []
        await cloud.advance(2)
        assert second.loaded == ["box"]
        assert second.seen[0] == ("ring", at)


@in_loop
async def test_a_clock_that_jumps_runs_the_timer_of_an_unloaded_service(tmp_path):
    async with Shelf().cloud(tmp_path) as cloud:
        await cloud.call("box", "Start", {"After": 7 * 86400.0})
    second = Shelf()
    async with second.cloud(tmp_path) as cloud:
        cloud.pipeline.jump()
        await turns()
        await cloud.quiet()
        assert [each[0] for each in second.seen] == ["ring"]


@in_loop
async def test_what_waited_for_an_unloaded_service_is_taken_up_after_a_restart(tmp_path):
    async with Shelf().cloud(tmp_path) as cloud:
        await cloud.call("box", "Wait", {})
        await cloud.quiet()
    second = Shelf()
    async with second.cloud(tmp_path) as cloud:
        await cloud.quiet()
        assert second.seen == ["awaits"]


@in_loop
async def test_an_effect_that_a_crash_cut_off_is_performed_again_though_its_service_is_not_loaded(tmp_path):
    performed = []

    async def work(span):
        performed.append("work")

    ring = {"box.ring": lambda ctx, key: Effect("work", (), lambda c, out: None), "box.wait": lambda ctx, key: None}
    async with Shelf(timers=ring).cloud(tmp_path, performers={"work": work}) as cloud:
        cloud.pipeline.spawn = lambda coroutine: coroutine.close()  # the process ends after the commit, before the work
        await cloud.call("box", "Start", {"After": 0.0})
        await turns()
        await cloud.store.settle()
        await turns()
        assert performed == []
    second = Shelf(timers=ring)
    async with second.cloud(tmp_path, performers={"work": work}) as cloud:
        await cloud.quiet()
        assert performed == ["work"]
        assert second.loaded == ["box"]


@in_loop
async def test_what_something_is_stored_of_is_loaded_between_requests_after_the_start(tmp_path):
    async with Shelf().cloud(tmp_path) as cloud:
        await cloud.call("box", "Put", {})
    second = Shelf()
    async with second.cloud(tmp_path):
        assert second.loaded == [], "the start itself does not wait for it"
        await turns()
        assert second.loaded == ["box"]


@in_loop
async def test_a_minute_with_nothing_to_report_loads_nothing():
    shelf = Shelf()
    async with shelf.cloud() as cloud:
        await cloud.advance(3600)
        assert shelf.loaded == []
        assert shelf.seen == []


@in_loop
async def test_a_minute_hands_on_what_was_counted_to_a_service_that_is_not_loaded_yet():
    shelf = Shelf()
    async with shelf.cloud() as cloud:
        await cloud.call("box", "Count", {})
        assert shelf.loaded == ["box"]
        await cloud.advance(120)
        assert shelf.loaded == ["box", "points"]
        assert ("points", 1) in shelf.seen


@in_loop
async def test_a_minute_that_ends_right_after_the_start_reads_the_gauges_of_what_is_stored(tmp_path):
    async with Shelf().cloud(tmp_path) as cloud:
        await cloud.call("box", "Put", {})
    second = Shelf()
    async with second.cloud(tmp_path) as cloud:
        cloud.pipeline.meter.end()
        assert second.seen == ["gauged"]


@in_loop
async def test_a_reset_right_after_the_start_leaves_nothing_to_load_and_services_as_they_are(tmp_path):
    async with Shelf().cloud(tmp_path) as cloud:
        await cloud.call("box", "Put", {})
    second = Shelf()
    async with second.cloud(tmp_path) as cloud:
        await cloud.call("asker", "Ask", {})
        await cloud.pipeline.reset()
        await turns()
        assert second.loaded == ["asker", "box"]
        assert await cloud.call("asker", "Ask", {}) == {}
    third = Shelf()
    async with third.cloud(tmp_path) as cloud:
        await cloud.pipeline.reset()
        await turns()
        assert third.loaded == []


@in_loop
async def test_a_service_that_cannot_be_loaded_is_tried_again(tmp_path, caplog):
    shelf = Shelf()
    shelf.broken = 1
    async with shelf.cloud(tmp_path) as cloud:
        with pytest.raises(ImportError):
            await cloud.call("box", "Put", {})
        assert await cloud.call("box", "Start", {"After": 10.0}) == {}
    second = Shelf()
    second.broken = 1
    async with second.cloud(tmp_path) as cloud:
        await cloud.advance(20)
        assert [each[0] for each in second.seen if each != "gauged"] == ["ring"], "put off once"
    assert "broke (attempt 1)" in caplog.text


def test_a_misnamed_operation_is_named_when_its_service_is_loaded():
    shelf = Shelf()
    module = type(sys)("shelf")

    def put_itm(ctx, req):
        return {}

    put_itm.__module__ = "shelf"
    module.put_itm = put_itm
    shelf.services["box"] = Service("box", modules=(module,))
    registry = Registry([Manifest("box")], shelf._load, lambda name: {"put_item": "PutItem"})
    for _ in range(2):
        with pytest.raises(MisnamedOperation, match="Did you mean put_item"):
            registry.operation("box", "PutItem")


@pytest.mark.parametrize(
    ("changes", "manifest", "message"),
    [
        ({"timers": {"bell.ring": None}}, {}, r"must be named box\.ring"),
        ({}, {"doors": ()}, r"has the doors \('box-door'\)"),
        ({"doors": {}}, {}, r"has the doors \(\)"),
        ({}, {"types": ()}, r"types=\('things',\) in the manifest of box"),
    ],
)
def test_a_service_that_is_not_what_its_manifest_says_is_refused(changes, manifest, message):
    said = Manifest("box", **{"doors": ("box-door",), "types": ("things",), **manifest})
    with pytest.raises(WrongManifest, match=message):
        Shelf(**changes).registry(said).get("box")


@pytest.mark.parametrize("manifest", SERVICES, ids=lambda manifest: manifest.name)
def test_every_service_is_what_its_manifest_says(manifest):
    service = Registry(SERVICES, load, Models().names).get(manifest.name)
    assert service.name == manifest.name


def test_every_package_of_services_has_a_manifest():
    folder = Path(sys.modules["cumulet"].__file__).parent / "services"
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert packages == {manifest.package or manifest.name.replace("-", "_") for manifest in SERVICES}


# a whole server, in a process of its own because this one has all services loaded

_SERVER = """
import asyncio, json, sys, urllib.request
from pathlib import Path
from cumulet.app import Cloud, Config

def loaded():
    return sorted({name.split(".")[2] for name in sys.modules if name.startswith("cumulet.services.")})

def ask(endpoint, path, body=None):
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
    with urllib.request.urlopen(urllib.request.Request(endpoint + path, body, {"authorization": signed})) as answer:
        return json.load(answer)

async def main(folder, *steps):
    cloud = Cloud(Config(data=Path(folder), port=0, virtual=True))
    await cloud.start()
    said = []
    for step in steps:
        if step == "minute":
            await cloud.pipeline.advance(61)
        else:
            path, _, body = step.partition(" ")
            await asyncio.to_thread(ask, cloud.endpoint, path, body.encode() or None)
        said.append(loaded())
    heavy = {"botocore", "jsonschema", "yaml", "cryptography", "aiohttp", "samtranslator", "h2"}
    await cloud.close()
    print(json.dumps({"loaded": said, "heavy": sorted(heavy & set(sys.modules))}))

asyncio.run(main(*sys.argv[1:]))
"""


def run_server(folder, *steps):
    done = subprocess.run(
        [sys.executable, "-c", _SERVER, str(folder), *steps], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


HEALTH = "/_cumulet/health"


def test_a_started_server_has_no_service_loaded_nor_what_only_services_need(tmp_path):
    said = run_server(tmp_path, HEALTH, "minute", "minute")
    assert said == {"loaded": [[], [], []], "heavy": []}


def test_a_restarted_server_loads_what_its_data_needs_and_no_more(tmp_path):
    first = run_server(tmp_path, HEALTH, '/_cumulet/call/sqs/CreateQueue {"QueueName": "orders"}')
    assert first["loaded"] == [[], ["sqs"]]
    second = run_server(tmp_path, HEALTH, HEALTH)
    assert second["loaded"][-1] == ["sqs"]

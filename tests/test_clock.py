"""Virtual time goes on after a restart, from where it was."""

import asyncio
import json
import urllib.request

import pytest

from cumulet.app import Cloud, Config
from cumulet.aws.errors import InternalFailure
from cumulet.kernel.pipeline import Call

pytestmark = pytest.mark.crash


def now(server):
    with urllib.request.urlopen(f"{server.endpoint}/_cumulet/clock") as answer:
        return json.load(answer)["now"]


def test_virtual_time_does_not_go_back_when_the_server_dies(server_process):
    server = server_process("--clock", "virtual").start()
    server.client("sqs").create_queue(QueueName="q")
    server.advance(7200)
    server.client("sqs").create_queue(QueueName="r")  # durable, and with it where the clock was
    before = now(server)
    server.kill()
    server.start()
    assert now(server) >= before
    server.advance(3600)
    server.client("sqs").create_queue(QueueName="s")
    server.stop()
    server.start()
    assert now(server) >= before + 3600


def test_a_server_begins_with_a_whole_minute_and_is_emptied_to_one(server_process):
    server = server_process("--clock", "virtual").start()
    assert now(server) % 60 == 0
    server.advance(90)
    urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/_cumulet/reset", b"")).close()
    assert now(server) % 60 == 0


BEGIN = 1_900_000_020.0


class Restarts:
    """Clouds on the same folder, one after the other, while the machine's clock is where a test says."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch

    def run(self, machine, work, *, virtual=True):
        """The virtual time at the start and at the end."""
        self.monkeypatch.setattr("cumulet.kernel.clock.time.time", lambda: machine)

        async def main():
            cloud = Cloud(Config(data=self.folder, port=0, virtual=virtual))
            await cloud.start()
            begun = cloud.pipeline.clock.now()
            await work(cloud)
            end = cloud.pipeline.clock.now()
            await cloud.close()
            return begun, end

        return asyncio.run(main())


@pytest.fixture
def restarts(tmp_path, monkeypatch):
    return Restarts(tmp_path / "data", monkeypatch)


async def write(cloud):
    name = f"q{cloud.pipeline.ids.hex(8)}"
    await cloud.pipeline.call(Call("sqs", "CreateQueue", {"QueueName": name}, "000000000000", "us-east-1", "r"))


async def advance(cloud):
    await cloud.pipeline.advance(7.5)
    await write(cloud)


async def back_to_real_time(cloud):
    cloud.pipeline.real_time()
    await write(cloud)


def test_virtual_time_stands_still_while_the_server_is_down(restarts):
    """Else what is due in a minute would be due at once when the machine's minute has changed meanwhile."""
    assert restarts.run(BEGIN + 59.9, write) == (BEGIN, BEGIN)
    assert restarts.run(BEGIN + 60.1, write) == (BEGIN, BEGIN)
    assert restarts.run(BEGIN + 3600, advance) == (BEGIN, BEGIN + 7.5)
    assert restarts.run(BEGIN + 86_400, write) == (BEGIN + 7.5, BEGIN + 7.5)


@pytest.mark.parametrize("virtual", [True, False])
def test_virtual_time_is_not_before_what_was_written_in_real_time(restarts, virtual):
    restarts.run(BEGIN, advance)
    restarts.run(BEGIN + 600, back_to_real_time if virtual else write, virtual=virtual)
    assert restarts.run(BEGIN + 1230, write)[0] == BEGIN + 1200
    assert restarts.run(BEGIN + 9999, write)[0] == BEGIN + 1200


def test_virtual_time_that_a_full_disk_did_not_take_is_told_with_the_next_write(restarts):
    async def refused(cloud):
        def full():
            cloud.pipeline.faults.disarm()
            raise OSError("no space left on device")

        await write(cloud)
        await cloud.pipeline.advance(7.5)
        cloud.pipeline.faults.arm("store.commit", full)
        with pytest.raises(InternalFailure):
            await write(cloud)
        await write(cloud)

    restarts.run(BEGIN, refused)
    assert restarts.run(BEGIN, write) == (BEGIN + 7.5, BEGIN + 7.5)

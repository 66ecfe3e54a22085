"""Virtual time goes on after a restart."""

import json
import urllib.request

import pytest

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

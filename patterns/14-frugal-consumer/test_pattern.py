"""The Frugal Consumer deployed, posted to by three producers, poisoned and killed, on a real PostgreSQL. Checklist: B14.1, B14.2."""

import json
import time

import pytest


@pytest.fixture
def server(server_process):
    return server_process("--clock", "virtual").start()


@pytest.fixture
def service(pattern, server):
    return pattern.deploy(server.endpoint)


def depths(service):
    sqs, found = service.client("sqs"), {}
    for name in ("Facts", "Bad"):
        attributes = sqs.get_queue_attributes(QueueUrl=service.outputs[name], AttributeNames=["All"])["Attributes"]
        found[name] = sum(int(value) for key, value in attributes.items() if key.startswith("ApproximateNumberOf"))
    return found


def until(check, seconds=180):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come to that"


def test_three_producers_share_a_throttled_consumer(pattern, service):
    """B14.1: several services post directly to the queue; the database sees as many connections as the consumer may run."""
    pattern.produce(service, 60)
    with pattern.database(service) as connection:

        def drained():
            until(
                lambda: pattern.connections(connection) <= 2
            )  # another environment's would stay; one that is being closed goes
            return pattern.stored(connection) == {"signups": 60, "payments": 60, "outside": 60}

        until(drained)
        assert pattern.connections(connection) in (1, 2)
    service.clock(advance=60)
    assert depths(service) == {"Facts": 0, "Bad": 0}, "B14.2: throttled deliveries count as no receive"


def test_a_bad_fact_is_set_aside_and_replayed_when_it_is_mended(pattern, service):
    """B14.2: the bad message is in the dead-letter queue after three receives, its batch's others are stored."""
    sqs = service.client("sqs")
    for number in range(10):
        body = "no JSON" if number == 4 else json.dumps({"source": "outside", "customer": "c", "cents": number})
        sqs.send_message(QueueUrl=service.outputs["Facts"], MessageBody=body)
    service.clock(advance=600)
    with pattern.database(service) as connection:
        assert pattern.stored(connection) == {"outside": 9}
        assert depths(service) == {"Facts": 0, "Bad": 1}
        (bad,) = sqs.receive_message(QueueUrl=service.outputs["Bad"], AttributeNames=["All"])["Messages"]
        assert (bad["Body"], bad["Attributes"]["DeadLetterQueueSourceArn"].rpartition(":")[2]) == (
            "no JSON",
            service.outputs["Facts"].rpartition("/")[2],
        )
        mended = json.dumps({"source": "outside", "customer": "c", "cents": 4})
        sqs.send_message(QueueUrl=service.outputs["Facts"], MessageBody=mended)
        service.clock(advance=1)
        assert pattern.stored(connection) == {"outside": 10}


def test_every_posted_fact_is_stored_after_sigkill(pattern, server, service):
    """A3, F1: the queue, the mapping and the database are taken up after a crash."""
    for _ in range(3):
        pattern.produce(service, 20)
        server.kill()
        server.start()
    service.clock(advance=300)
    with pattern.database(service) as connection:
        until(lambda: pattern.stored(connection) == {"signups": 60, "payments": 60, "outside": 60})
    assert depths(service)["Bad"] == 0

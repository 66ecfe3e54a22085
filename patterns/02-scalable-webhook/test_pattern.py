"""The Scalable Webhook deployed, flooded, poisoned and killed, on a real PostgreSQL. Checklist: B2.1 to B2.6."""

import time

import pytest


@pytest.fixture(scope="module")
def running(pattern, tmp_path_factory):
    """One server in real time for the module: a database takes a moment to make."""
    from cumulet.testing.process import ServerProcess

    server = ServerProcess(tmp_path_factory.mktemp("webhook") / "data").start()
    yield server, pattern.deploy(server.endpoint)
    server.stop()


def depths(service):
    sqs, found = service.client("sqs"), {}
    for name in ("Calls", "Bad"):
        attributes = sqs.get_queue_attributes(QueueUrl=service.outputs[name], AttributeNames=["All"])["Attributes"]
        found[name] = sum(int(value) for key, value in attributes.items() if key.startswith("ApproximateNumberOf"))
    return found


def streams(service):
    """The names of the worker's log streams, one per environment."""
    found = service.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{service.outputs['Worker']}")
    return {stream["logStreamName"] for stream in found["logStreams"]}


def until(check, seconds=180):
    """Ask until it is so; each question is a request to another process."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come to that"


def test_a_burst_is_queued_and_worked_off_one_at_a_time(pattern, running):
    """B2.1: reserved concurrency 1; B2.3: none lost; B2.5: healthy messages do not reach the dead-letter queue;
    B2.6: the database sees one connection."""
    _, service = running
    with pattern.database(service) as connection:
        before = pattern.stored(connection)
        assert pattern.burst(service, 1) == 1
        until(lambda: pattern.stored(connection) == before + 1)
        until(lambda: depths(service) == {"Calls": 0, "Bad": 0})  # the invocation has ended, and its log is written
        before, environments = before + 1, streams(service)
        assert pattern.burst(service, 400) == 400

        def drained():
            until(
                lambda: pattern.connections(connection) <= 1
            )  # another environment's would stay; one that is being closed goes
            return pattern.stored(connection) == before + 400

        until(drained)
        assert pattern.connections(connection) == 1
    until(lambda: depths(service) == {"Calls": 0, "Bad": 0})
    assert streams(service) == environments, "the environment of the first call has done it all"


def test_an_idle_queue_hands_a_call_on_at_once(pattern, running):
    """B2.2: near real time: from the call to the row, over HTTP, queue, function and SQL, waits for no schedule: the clock
    stands still."""
    _, service = running
    service.clock(freeze=True)
    try:
        with pattern.database(service) as connection:
            for number in range(20):
                before = pattern.stored(connection)
                assert service.request("POST", "/hooks", {"kind": "ping", "number": number})[0] == 202
                until(lambda before=before: pattern.stored(connection) == before + 1)
    finally:
        service.clock(real=True)


def test_the_database_has_few_connections_and_refuses_more(pattern, running):
    """B2.6: the less scalable backend: 10 connections, some of them the superuser's."""
    import contextlib

    _, service = running
    with contextlib.ExitStack() as stack, pytest.raises(Exception, match="remaining connection slots|too many clients"):
        for _ in range(12):
            stack.enter_context(pattern.database(service))


def test_a_bad_call_ends_in_the_dead_letter_queue_and_the_good_ones_do_not(pattern, server_process):
    """B2.4: after maxReceiveCount; on virtual time, so that three visibility timeouts pass at once."""
    service = pattern.deploy(server_process("--clock", "virtual").start().endpoint)
    for number in range(12):
        body = {"number": number} if number == 5 else {"kind": "order", "number": number}
        assert service.request("POST", "/hooks", body)[0] == 202
    service.clock(advance=600)
    with pattern.database(service) as connection:
        assert pattern.stored(connection) == 11
    assert depths(service) == {"Calls": 0, "Bad": 1}


def test_every_accepted_call_is_in_the_database_after_sigkill(pattern, running):
    """B2.3, A3: the server dies in the middle of the burst, and the database with it or not: nothing accepted is lost."""
    server, service = running
    with pattern.database(service) as connection:
        before = pattern.stored(connection)
    accepted = pattern.burst(service, 150)
    server.kill()
    server.start()
    accepted += pattern.burst(service, 50)
    service = type(service)(service.endpoint, service.stack, service.outputs)

    def all_stored():
        try:
            with pattern.database(service) as connection:
                return pattern.stored(connection) == before + accepted
        except Exception:  # it is being started again
            return False

    until(all_stored)
    assert depths(service)["Bad"] == 0

"""HTTP/1.1 over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cumulet.aws.http import FileBody, HttpRequest, HttpResponse
from cumulet.gateway.server import CannotListen, Limits, Server
from cumulet.gateway.spool import Spool

from .conftest import PATIENT, QUICK, Reader, Running, Start, echo

Reply = Callable[[HttpResponse], None]
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"


class Kept:
    """A handler that keeps requests for the test to answer."""

    def __init__(self) -> None:
        self.got: list[tuple[HttpRequest, Reply]] = []
        self.calls: list[Any] = []
        self.event = threading.Event()
        self.cancelled = threading.Event()

    def __call__(self, request: HttpRequest, reply: Reply) -> object:
        self.got.append((request, reply))
        self.event.set()
        call = Cancellable(self.cancelled)
        self.calls.append(call)
        return call

    def wait(self) -> None:
        assert self.event.wait(60)
        self.event.clear()


class Cancellable:
    def __init__(self, event: threading.Event) -> None:
        self._event = event

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._event.set()


def test_a_request_is_parsed_as_sent(start: Start) -> None:
    seen: list[HttpRequest] = []

    def handler(request: HttpRequest, reply: Reply) -> None:
        seen.append(request)
        reply(HttpResponse(200))

    with start(handler).connect() as client:
        client.sendall(
            b"PUT /a%2Fb//c?x=%20&y HTTP/1.1\r\nHost: h:1\r\nX-Amz-Meta-A: caf\xc3\xa9\r\nX-Old: \xe9\r\n"
            b"X-Two: 1\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nhi"
        )
        status, headers, body = Reader(client).answer()
    request = seen[0]
    assert (status, body, headers["content-length"]) == (200, b"", "0")
    assert "date" in headers
    assert (request.method, request.path, request.query, request.body) == ("PUT", "/a%2Fb//c", "x=%20&y", b"hi")
    assert request.headers["x-amz-meta-a"] == "café"
    assert request.headers["x-old"] == "é"
    assert request.headers["x-two"] == "1, 2"
    assert ("X-Two", "1") in request.raw_headers and ("x-two", "2") in request.raw_headers
    assert request.source_ip == "127.0.0.1"


def test_a_connection_serves_many_requests_in_any_cut(start: Start) -> None:
    raw = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    with start().connect() as client:
        reader = Reader(client)
        for cut in range(1, len(raw)):
            client.sendall(raw[:cut])
            client.sendall(raw[cut:])
            assert reader.answer()[2] == b"POST /x \nabc"


def test_pipelined_requests_are_answered_in_order_however_late_the_first_answer_is(start: Start) -> None:
    kept = Kept()
    running = start(kept)
    with running.connect() as client:
        client.sendall(GET % b"1" + GET % b"2" + GET % b"3")
        for number in (b"1", b"2", b"3"):
            kept.wait()
            request, reply = kept.got[-1]
            assert request.path == f"/{number.decode()}"
            running.soon(reply, HttpResponse(200, (), number))
            # the next one is handed over only now
        reader = Reader(client)
        assert [reader.answer()[2] for _ in range(3)] == [b"1", b"2", b"3"]


def test_five_hundred_pipelined_requests_are_answered(start: Start) -> None:
    with start().connect() as client:
        client.sendall(b"".join(GET % b"%d" % n for n in range(500)))
        reader = Reader(client)
        assert [reader.answer()[2] for _ in range(500)] == [b"GET /%d \n" % n for n in range(500)]


def test_the_body_is_asked_for_when_the_client_waits(start: Start) -> None:
    with start().connect() as client:
        reader = Reader(client)
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert reader.answer()[0] == 100
        client.sendall(b"ok")
        assert reader.answer()[2] == b"PUT / \nok"


def test_100_continue_does_not_overtake_an_earlier_answer(start: Start) -> None:
    kept = Kept()
    running = start(kept)
    with running.connect() as client:
        reader = Reader(client)
        client.sendall(GET % b"1" + b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        kept.wait()
        running.soon(kept.got[0][1], HttpResponse(204))
        assert reader.answer()[0] == 204
        assert reader.answer()[0] == 100
        client.sendall(b"ok")
        kept.wait()
        assert kept.got[1][0].body == b"ok"
        running.soon(kept.got[1][1], HttpResponse(200))
        assert reader.answer()[0] == 200


def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent(start: Start) -> None:
    running = start(screen=lambda request: HttpResponse(403, (), b"no"))
    with running.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        reader = Reader(client)
        assert reader.answer()[::2] == (403, b"no")
        assert reader.closed()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /" + b"a" * 80_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 80_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000, 431),
        (b"GET /" + b"a" * 200_000, 431),
    ],
)
def test_what_cannot_be_read_is_refused(start: Start, raw: bytes, status: int) -> None:
    running = start()
    with running.connect() as client:
        client.sendall(raw)
        reader = Reader(client)
        got, headers, _ = reader.answer()
        assert (got, headers["connection"]) == (status, "close")
        assert reader.closed()
    with running.connect() as client:
        client.sendall(GET % b"still")
        assert Reader(client).answer()[0] == 200


def test_a_url_of_8_kb_and_headers_of_60_kb_are_taken(start: Start) -> None:
    with start().connect() as client:
        client.sendall(b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: x\r\nX: " + b"b" * 61_440 + b"\r\n\r\n")
        assert Reader(client).answer()[0] == 200


def test_a_refusal_comes_after_the_answers_before_it(start: Start) -> None:
    kept = Kept()
    running = start(kept)
    with running.connect() as client:
        client.sendall(GET % b"1" + b"nonsense\r\n\r\n")
        kept.wait()
        running.soon(kept.got[0][1], HttpResponse(200, (), b"first"))
        reader = Reader(client)
        assert reader.answer()[2] == b"first"
        assert reader.answer()[0] == 400


def test_a_client_that_has_stopped_sending_still_gets_its_answer(start: Start) -> None:
    kept = Kept()
    running = start(kept)
    with running.connect() as client:
        client.sendall(GET % b"1")
        client.shutdown(socket.SHUT_WR)
        kept.wait()
        running.soon(kept.got[0][1], HttpResponse(200, (), b"late"))
        reader = Reader(client)
        assert reader.answer()[2] == b"late"
        assert reader.closed()


def test_a_client_that_goes_away_cancels_what_waits(start: Start) -> None:
    kept = Kept()
    running = start(kept)
    client = running.connect()
    client.sendall(GET % b"1")
    kept.wait()
    assert not kept.cancelled.is_set()
    client.close()
    assert kept.cancelled.wait(60)
    running.soon(kept.got[0][1], HttpResponse(200))  # too late, and harmless


def test_chunked_bodies_and_trailers_are_read(start: Start) -> None:
    with start().connect() as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
            + GET % b"next"
        )
        reader = Reader(client)
        assert reader.answer()[2] == b"POST / \nabcde"
        assert reader.answer()[2] == b"GET /next \n"


def test_http_1_0_is_closed_unless_it_asks_to_be_kept(start: Start) -> None:
    running = start()
    with running.connect() as client:
        client.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        reader = Reader(client)
        assert reader.answer()[2] == b"GET /a \n"
        assert reader.closed()
    with running.connect() as client:
        client.sendall(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        reader = Reader(client)
        assert reader.answer()[1]["connection"] == "keep-alive"
        client.sendall(b"GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert reader.answer()[2] == b"GET /b \n"


def test_an_offered_upgrade_is_ignored_and_its_body_read(start: Start) -> None:
    with start().connect() as client:
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
        client.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\n" + offer + b"Content-Length: 3\r\n\r\nabc" + GET % b"b")
        reader = Reader(client)
        assert reader.answer()[2] == b"POST /a \nabc"
        assert reader.answer()[2] == b"GET /b \n"
        client.sendall(b"GET /c HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
        assert reader.answer()[2] == b"GET /c \n"


def test_an_absolute_target_gives_path_and_host(start: Start) -> None:
    seen: list[HttpRequest] = []

    def handler(request: HttpRequest, reply: Reply) -> None:
        seen.append(request)
        reply(HttpResponse(200))

    with start(handler).connect() as client:
        client.sendall(b"GET http://sqs.us-east-1.amazonaws.com/q?a=1 HTTP/1.1\r\nHost: proxy\r\n\r\n")
        assert Reader(client).answer()[0] == 200
    assert (seen[0].path, seen[0].query, seen[0].headers["host"]) == ("/q", "a=1", "sqs.us-east-1.amazonaws.com")


def test_head_and_bodiless_answers_have_no_body_but_keep_their_length(start: Start) -> None:
    def handler(request: HttpRequest, reply: Reply) -> None:
        if request.path == "/204":
            reply(HttpResponse(204, (), b""))
        else:
            reply(HttpResponse(200, [("Content-Length", "1234"), ("X-A", "a\r\nX-Evil: 1")]))

    with start(handler).connect() as client:
        reader = Reader(client)
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        _, headers, _ = reader.answer(head=True)
        assert headers["content-length"] == "1234"
        assert "x-evil" not in headers
        client.sendall(GET % b"204")
        status, headers, _ = reader.answer()
        assert status == 204 and "content-length" not in headers
        client.sendall(GET % b"wrong-length")
        assert reader.answer()[1]["content-length"] == "0"


def test_a_handler_that_fails_is_a_500_and_the_server_goes_on(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest, reply: Reply) -> None:
        raise KeyError("x")

    with start(handler).connect() as client:
        reader = Reader(client)
        for _ in range(2):
            client.sendall(GET % b"")
            assert reader.answer()[0] == 500
    assert "KeyError" in caplog.text


def test_files_and_iterators_are_streamed(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    (tmp_path / "data").write_bytes(data)

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]
            yield b""
            await asyncio.sleep(0)

    def handler(request: HttpRequest, reply: Reply) -> None:
        if request.path == "/file":
            reply(HttpResponse(206, (), FileBody(tmp_path / "data", 1000, 500_000)))
        else:
            reply(HttpResponse(200, (), parts))

    with start(handler).connect() as client:
        client.sendall(GET % b"file" + GET % b"stream" + GET % b"file")
        reader = Reader(client)
        status, headers, body = reader.answer()
        assert (status, headers["content-length"], body) == (206, "500000", data[1000:501_000])
        assert reader.answer()[2] == data
        assert reader.answer()[2] == data[1000:501_000]


def test_a_stream_that_fails_breaks_the_connection_and_closes_the_iterator(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    closed = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            raise OSError("gone")
        finally:
            closed.set()

    with start(lambda request, reply: reply(HttpResponse(200, (), parts))).connect() as client:
        client.sendall(GET % b"")
        with pytest.raises((EOFError, ConnectionResetError)):
            Reader(client).answer()
    assert closed.wait(60)


def test_a_client_that_leaves_ends_the_stream_it_was_reading(start: Start) -> None:
    closed = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    client = start(lambda request, reply: reply(HttpResponse(200, (), parts))).connect()
    client.sendall(GET % b"")
    client.recv(10)
    client.close()
    assert closed.wait(60)


def test_a_large_body_is_spooled_with_its_digests_and_removed_afterwards(start: Start) -> None:
    seen: list[tuple[int, str, str, bool]] = []

    def handler(request: HttpRequest, reply: Reply) -> None:
        body = request.body
        assert not isinstance(body, bytes)
        seen.append((body.size, body.md5, body.sha256, body.path.exists()))
        reply(HttpResponse(200, (), hashlib.sha1(body.read()).hexdigest().encode()))

    running = start(handler)
    data = bytes(range(251)) * 20_000
    with running.connect() as client:
        reader = Reader(client)
        for _ in range(2):
            client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            assert reader.answer()[2] == hashlib.sha1(data).hexdigest().encode()
    assert seen == [(len(data), hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), True)] * 2
    assert list(running.folder.iterdir()) == []


def test_a_spooled_body_that_was_adopted_stays(start: Start, tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    def handler(request: HttpRequest, reply: Reply) -> None:
        assert not isinstance(request.body, bytes)
        request.body.path.rename(kept)
        reply(HttpResponse(200))

    with start(handler).connect() as client:
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"z" * 100_000)
        assert Reader(client).answer()[0] == 200
    assert kept.read_bytes() == b"z" * 100_000


def test_half_an_upload_leaves_no_file(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = threading.Event()
    remove = Spool._remove

    def noticed(spool: Spool) -> None:
        remove(spool)
        removed.set()

    monkeypatch.setattr(Spool, "_remove", noticed)
    running = start()
    client = running.connect()
    client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"z" * 1_000_000)
    client.close()
    assert removed.wait(60)
    assert list(running.folder.iterdir()) == []


def test_a_disk_that_refuses_is_a_500(start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = start()
    running.server.spool_dir = tmp_path / "missing"
    with running.connect() as client:
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"z" * 100_000)
        assert Reader(client).answer()[0] == 500


def aws_chunked(parts: list[bytes], trailer: bytes = b"") -> bytes:
    coded = b"".join(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(p), b"0" * 64, p) for p in parts)
    return coded + b"0;chunk-signature=" + b"0" * 64 + b"\r\n" + trailer + b"\r\n"


def _upload(coded: bytes, decoded_length: int) -> bytes:
    return (
        b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip,aws-chunked\r\n"
        b"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\n"
        b"X-Amz-Decoded-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (decoded_length, len(coded))
    ) + coded


def test_aws_chunked_bodies_are_decoded_on_the_way(start: Start) -> None:
    seen: list[HttpRequest] = []

    def handler(request: HttpRequest, reply: Reply) -> None:
        seen.append(request)
        reply(HttpResponse(200, (), hashlib.md5(request.read_body()).hexdigest().encode()))

    with start(handler).connect() as client:
        reader = Reader(client)
        for parts in ([b"abc", b"defg"], [b"x" * 65536] * 20):
            data = b"".join(parts)
            client.sendall(_upload(aws_chunked(parts, b"x-amz-checksum-crc32:AAAAAA==\r\n"), len(data)))
            assert reader.answer()[2] == hashlib.md5(data).hexdigest().encode()
    assert seen[0].headers["x-amz-checksum-crc32"] == "AAAAAA=="
    assert seen[0].headers["content-encoding"] == "gzip"


def test_an_aws_chunked_body_of_the_wrong_length_or_form_is_refused(start: Start) -> None:
    running = start()
    for raw, code in (
        (_upload(aws_chunked([b"abc"]), 4), b"IncompleteBody"),
        (_upload(b"zz\r\n", 3), b"InvalidRequest"),
        (_upload(b"5;chunk-signature=0\r\nab", 5), b"IncompleteBody"),
    ):
        with running.connect() as client:
            client.sendall(raw)
            status, _, body = Reader(client).answer()
            assert status == 400
            assert code in body


def test_stuck_connections_are_given_up(start: Start, received: Callable[[int], None]) -> None:
    running = start(limits=PATIENT)
    for raw, status in (
        (b"", None),
        (b"GET / HTT", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 400),
        (b"PRI * HTTP/2.0\r\n", 400),
    ):
        running.server.limits = PATIENT
        with running.connect() as client:
            client.sendall(raw)
            received(len(raw))
            running.server.limits = QUICK
            reader = Reader(client)
            if status is not None:
                assert reader.answer()[0] == status
            assert reader.closed()


def test_an_idle_connection_is_closed_but_not_one_that_waits_for_its_answer(start: Start) -> None:
    kept = Kept()
    running = start(kept, limits=PATIENT)
    with running.connect() as waiting, running.connect() as idle:
        waiting.sendall(GET % b"1")
        kept.wait()
        idle.sendall(GET % b"2")
        kept.wait()
        running.soon(kept.got[1][1], HttpResponse(200))
        reader = Reader(idle)
        assert reader.answer()[0] == 200
        running.server.limits = QUICK
        assert reader.closed()
        running.soon(kept.got[0][1], HttpResponse(200, (), b"patience"))
        assert Reader(waiting).answer()[2] == b"patience"


def test_nobody_is_given_up_for_what_the_server_had_no_time_to_read(
    start: Start, received: Callable[[int], None]
) -> None:
    """It stood still (a debugger, a paused container): some loops look at timers before they read."""
    running = start(limits=Limits(sweep_s=3600.0))
    with running.connect() as client:
        client.sendall(b"GET / HTT")
        received(9)

        async def wakes_after(seconds: float) -> None:
            running.server._sweeper.cancel()
            running.loop.time = lambda: now + seconds
            running.server._sweep()

        now = running.server._sweep_at
        running.run(wakes_after(3600.0))
        client.sendall(b"P/1.1\r\nHost: x\r\n\r\n")
        reader = Reader(client)
        assert reader.answer()[0] == 200
        client.sendall(b"GET / HTT")
        received(27)
        running.run(wakes_after(3600.0 + 3599.0))
        assert reader.answer()[0] == 400


def test_a_client_that_does_not_read_is_given_up(start: Start) -> None:
    closed = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    running = start(lambda request, reply: reply(HttpResponse(200, (), parts)), limits=PATIENT)
    with running.connect() as client:
        client.sendall(GET % b"")
        client.recv(1)
        running.server.limits = QUICK
        assert closed.wait(60)


def test_stopping_finishes_what_runs_and_closes_the_idle(tmp_path: Path) -> None:
    kept = Kept()
    running = Running(kept, tmp_path)
    with running.connect() as busy, running.connect() as idle:
        idle.sendall(GET % b"1")
        kept.wait()
        running.soon(kept.got[0][1], HttpResponse(200))
        idle_reader = Reader(idle)
        idle_reader.answer()
        busy.sendall(GET % b"2")
        kept.wait()
        stopped = asyncio.run_coroutine_threadsafe(running.server.stop(10), running.loop)
        assert idle_reader.closed()
        with pytest.raises(ConnectionError):
            running.connect()
        assert not stopped.done()
        running.soon(kept.got[1][1], HttpResponse(200, (), b"done"))
        reader = Reader(busy)
        _, headers, body = reader.answer()
        assert (headers["connection"], body) == ("close", b"done")
        assert reader.closed()
        stopped.result(60)
    running.close()


def test_a_port_in_use_names_who_has_it() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(
                CannotListen, match=rf"Port {port} is in use by .*\. Stop it, or start with --port {port + 1}\."
            ):
                await Server(echo, Path()).start("127.0.0.1", port)

    asyncio.run(main())

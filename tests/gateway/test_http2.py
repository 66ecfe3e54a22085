"""HTTP/2 without TLS, by prior knowledge."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx

from cumulet.aws.http import FileBody, HttpRequest, HttpResponse

from .conftest import Running, Start
from .test_http1 import Cancellable

Reply = Callable[[HttpResponse], None]


def _client(running: Running) -> httpx.Client:
    return httpx.Client(
        http1=False, http2=True, base_url=f"http://127.0.0.1:{running.port}", timeout=60, trust_env=False
    )


def test_requests_and_answers_have_everything_that_http_1_has(start: Start) -> None:
    seen: list[HttpRequest] = []

    def handler(request: HttpRequest, reply: Reply) -> None:
        seen.append(request)
        reply(HttpResponse(201, [("X-Answer", "yes"), ("Connection", "close")], b"body"))

    running = start(handler)
    with _client(running) as client:
        answer = client.post("/a%2Fb//c?x=1", content=b"hi", headers={"X-Amz-Target": "Kinesis_20131202.ListStreams"})
        assert (answer.status_code, answer.http_version, answer.content) == (201, "HTTP/2", b"body")
        assert answer.headers["x-answer"] == "yes"
        assert "connection" not in answer.headers
        assert client.head("/").headers["content-length"] == "4"
    request = seen[0]
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a%2Fb//c", "x=1", b"hi")
    assert request.headers["host"] == f"127.0.0.1:{running.port}"
    assert request.headers["x-amz-target"] == "Kinesis_20131202.ListStreams"
    assert request.http_version == "2"


def test_large_bodies_pass_in_both_directions(start: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 16384
    (tmp_path / "data").write_bytes(data)

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    def handler(request: HttpRequest, reply: Reply) -> None:
        if request.method == "PUT":
            assert not isinstance(request.body, bytes)
            reply(HttpResponse(200, (), request.body.sha256.encode()))
        else:
            bodies = {"/file": FileBody(tmp_path / "data", 5, len(data) - 5), "/bytes": data, "/stream": parts}
            reply(HttpResponse(200, (), bodies[request.path]))

    with _client(start(handler)) as client:
        assert client.put("/k", content=data).text == hashlib.sha256(data).hexdigest()
        assert client.get("/bytes").content == data
        assert client.get("/file").content == data[5:]
        assert client.get("/stream").content == data
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_request_that_the_client_takes_back_is_cancelled_and_others_go_on(start: Start) -> None:
    cancelled, arrived = threading.Event(), threading.Event()

    def handler(request: HttpRequest, reply: Reply) -> object:
        if request.path == "/wait":
            arrived.set()
            return Cancellable(cancelled)
        reply(HttpResponse(200, (), b"ok"))
        return None

    running = start(handler)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "x")]
    with running.connect() as client:
        connection.send_headers(1, [*head, (":path", "/wait")], end_stream=True)
        client.sendall(connection.data_to_send())
        assert arrived.wait(60)
        connection.reset_stream(1)
        connection.send_headers(3, [*head, (":path", "/other")], end_stream=True)
        client.sendall(connection.data_to_send())
        assert cancelled.wait(60)
        got = b""
        while not got:
            for event in connection.receive_data(client.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    got += event.data
        assert got == b"ok"


def test_the_preface_may_arrive_in_pieces_and_nonsense_after_it_closes(start: Start) -> None:
    running = start()
    with running.connect() as client:
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            client.sendall(bytes([byte]))
        client.sendall(b"\x00\x00\x01\x00\x00\x00\x00\x00\x00a")  # data on stream 0
        while client.recv(4096):
            pass
    with _client(running) as http:
        assert http.get("/still").text == "GET /still \n"


def test_many_streams_are_answered_side_by_side(start: Start) -> None:
    async def main(port: int) -> list[str]:
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
            answers = await asyncio.gather(*[client.get(f"http://127.0.0.1:{port}/{n}") for n in range(100)])
            return [answer.text for answer in answers]

    assert asyncio.run(main(start().port)) == [f"GET /{n} \n" for n in range(100)]

"""The gateway as an ASGI application, for those who serve it with uvicorn or granian instead of our own front.

Requests are built as the front builds them (raw path, headers as sent, large bodies spooled to disk) and answered by the same
handler. The ASGI server keeps the connections, so it also decides about time-outs and HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from cumulet.aws.http import Body, FileBody, HttpRequest, HttpResponse
from cumulet.gateway.head import body_length, read_headers, split_target
from cumulet.gateway.server import Server, is_loopback
from cumulet.gateway.spool import BadBody, BodyReader
from cumulet.gateway.stream import FILE_CHUNK, open_body

log = logging.getLogger("cumulet")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_SERVERS_OWN = frozenset(("connection", "transfer-encoding", "date", "content-length"))
_NO_BODY = frozenset((204, 304))


class Cloud(Protocol):
    """What the adapter asks of a cloud."""

    server: Server

    async def open(self) -> None:
        """Start all but the front. Raises: what the log should say."""

    def reached_at(self, endpoint: str) -> None:
        """Functions and URLs reach the cloud by this address."""

    async def close(self) -> None: ...


class _Gone(Exception):
    """The client left before its body had arrived."""


class Asgi:
    """An ASGI 3 application around a cloud, which lives as long as the application's lifespan.

    make      makes the cloud, inside the event loop
    verifies  the cloud verifies every signature; otherwise only connections on loopback addresses are served
    endpoint  by which address functions reach the cloud; "" learns it from the first request
    """

    def __init__(self, make: Callable[[], Cloud], *, verifies: bool = False, endpoint: str = "") -> None:
        self._make = make
        self._verifies = verifies
        self._endpoint = endpoint
        self._cloud: Cloud | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "http":
            if self._cloud is None:
                raise RuntimeError("The cloud is started by the lifespan protocol: switch it on in the ASGI server.")
            await _Exchange(self._cloud.server, receive, send).run(self._request(scope), self._refusal(scope))
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    cloud = self._make()
                    await cloud.open()
                except Exception as error:
                    log.error("the cloud did not start: %s", error)
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                if self._endpoint:
                    cloud.reached_at(self._endpoint)
                self._cloud = cloud
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                cloud_, self._cloud = self._cloud, None
                if cloud_ is not None:
                    await cloud_.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _request(self, scope: Message) -> HttpRequest:
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        query = scope.get("query_string", b"")
        path, query_text, _ = split_target(raw.partition(b"?")[0] + (b"?" + query if query else b""))
        headers, listed = read_headers(scope["headers"])
        client = scope.get("client")
        source_ip = client[0] if client else "127.0.0.1"
        version, scheme = scope.get("http_version", "1.1"), scope.get("scheme", "http")
        return HttpRequest(scope["method"], path, query_text, headers, b"", listed, source_ip, version, scheme)

    def _refusal(self, scope: Message) -> HttpResponse | None:
        """Why a request is not served at all; learns on the way by which address we are reached."""
        assert self._cloud is not None
        host, port = (*(scope.get("server") or ("", None)), None)[:2]
        if not self._verifies and not is_loopback(host):
            message = (
                "This cloud takes any key, so it serves loopback addresses only. Set CUMULET_HOST to the address that the "
                "ASGI server listens on, and every signature is verified."
            )
            return self._cloud.server.refuse(403, "AccessDenied", message)
        if not self._endpoint and port:
            self._endpoint = f"{scope.get('scheme', 'http')}://{f'[{host}]' if ':' in host else host}:{port}"
            self._cloud.reached_at(self._endpoint)
        return None


class _Exchange:
    """One request and its answer."""

    def __init__(self, server: Server, receive: Receive, send: Send) -> None:
        self._server = server
        self._receive = receive
        self._send = send
        self._body: BodyReader | None = None
        self._file: BinaryIO | None = None
        self._gone = False

    async def run(self, request: HttpRequest, refusal: HttpResponse | None) -> None:
        if refusal is None and request.headers.get("expect", "").lower() == "100-continue":
            refusal = self._server.screen(request)  # before `receive`, which asks for the body
        try:
            answer = refusal or await self._read(request) or await self._handled(request)
            if answer is not None:
                await self._answer(request, answer)
        except (_Gone, OSError):
            pass  # the client is gone
        finally:
            if self._body is not None:
                self._body.discard()
            if self._file is not None:
                self._file.close()

    # the request

    async def _read(self, request: HttpRequest) -> HttpResponse | None:
        """Collect the body; an answer when it cannot be taken. Raises: _Gone."""
        loop = asyncio.get_running_loop()
        flows = asyncio.Event()
        flows.set()
        more = True
        while more:
            await flows.wait()  # the disk is slower than the client
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            more = message.get("more_body", False)
            data = message.get("body", b"")
            if not data:
                continue
            if self._body is None:
                self._body = BodyReader(
                    request, self._server.spool_dir, loop, lambda held: flows.clear() if held else flows.set()
                )
            try:
                self._body.feed(data)
            except BadBody as error:
                return self._server.refuse(400, error.code, error.message)
        return await self._complete(request, loop)

    async def _complete(self, request: HttpRequest, loop: asyncio.AbstractEventLoop) -> HttpResponse | None:
        if self._body is None:
            return None
        complete: asyncio.Future[Body | Exception] = loop.create_future()
        self._body.finish(complete.set_result)
        outcome = await complete
        if isinstance(outcome, BadBody):
            return self._server.refuse(400, outcome.code, outcome.message)
        if isinstance(outcome, Exception):
            return self._server.not_stored(outcome)
        request.body = outcome
        return None

    async def _handled(self, request: HttpRequest) -> HttpResponse | None:
        """The handler's answer, or None when the client left before there was one."""
        answered: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()

        def reply(response: HttpResponse) -> None:
            if not answered.done():
                answered.set_result(response if self._gone else self._opened(response))

        call: Any = self._server.dispatch(request, reply)
        if answered.done():
            return answered.result()
        leaving = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait((answered, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
        if answered.done():
            return answered.result()
        self._gone = True
        if call is not None:
            call.cancelled = True
        body, self._body = self._body, None
        if body is not None:  # what runs may still read it
            answered.add_done_callback(lambda _: body.discard())
        return None

    def _opened(self, response: HttpResponse) -> HttpResponse:
        """Open an answer's file now: it may be removed before the server sends."""
        if isinstance(response.body, FileBody):
            try:
                self._file = open_body(response.body)
            except OSError:
                log.exception("an answer's file is not there")
                return self._server.refuse(500, "InternalError", "We encountered an internal error. Please try again.")
        return response

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    # the answer

    async def _answer(self, request: HttpRequest, response: HttpResponse) -> None:
        if isinstance(response.body, bytes) and self._body is not None:
            self._body.discard()
        empty = request.method == "HEAD" or response.status in _NO_BODY
        head = {"type": "http.response.start", "status": response.status, "headers": _headers(request, response)}
        await self._send(head)
        body = response.body
        if empty or isinstance(body, bytes):
            await self._send({"type": "http.response.body", "body": b"" if empty else body})
            return
        parts = _pieces(self._file, body) if isinstance(body, FileBody) else body()
        try:
            async for data in parts:
                if data:
                    await self._send({"type": "http.response.body", "body": data, "more_body": True})
                    await asyncio.sleep(0)  # an iterator that never waits must not keep everybody else waiting
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
        await self._send({"type": "http.response.body", "body": b""})


async def _pieces(file: BinaryIO | None, body: FileBody) -> AsyncIterator[bytes]:
    assert file is not None, "opened when the handler answered"
    loop = asyncio.get_running_loop()
    left = body.size
    while left:
        data = await loop.run_in_executor(None, file.read, min(FILE_CHUNK, left))
        if not data:
            raise RuntimeError(f"{body.path} is shorter than {body.offset + body.size} bytes")
        left -= len(data)
        yield data


def _headers(request: HttpRequest, response: HttpResponse) -> list[tuple[bytes, bytes]]:
    """The answer's headers as ASGI wants them; Date is left to the server, since two of them confuse clients."""
    found = []
    length = None if response.status in _NO_BODY else body_length(response)
    for name, value in response.headers:
        lower = name.lower()
        if lower == "content-length" and request.method == "HEAD":
            length = int(value)
        elif lower not in _SERVERS_OWN:
            found.append((lower.encode(), value.replace("\r", " ").replace("\n", " ").encode()))
    if length is not None:
        found.append((b"content-length", b"%d" % length))
    return found

"""HTTP/1.1: one connection as an asyncio Protocol on httptools' parser.

Requests are handed to the handler one at a time, in order; what a client pipelines waits in line. A request is handled the
moment its last byte is parsed, without a task; only a body that streams out gets one.
"""

from __future__ import annotations

import asyncio
import http
import time
from collections import deque
from typing import TYPE_CHECKING

import httptools

from cumulet.aws.http import FileBody, HttpRequest, HttpResponse
from cumulet.gateway.spool import BodyReader, SpooledFile
from cumulet.wire.chunked import MalformedChunk

if TYPE_CHECKING:
    from cumulet.gateway.server import Server

_HEAD_BYTES = 64 * 1024
_BODY_BYTES = 6 * 1024**3
_HEADER_WITHIN_S = 60.0
_FILE_CHUNK = 256 * 1024
_H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_NO_BODY = {204, 304}
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in http.HTTPStatus}


class Http1(asyncio.Protocol):
    """One HTTP/1.1 connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = server.loop
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: deque[tuple[HttpRequest, bool]] = deque()
        self.current: HttpRequest | None = None
        self.call: object = None
        self.body: BodyReader | None = None
        self.in_request = False
        self.closing = False
        self.ended = False
        self.first = True
        self.timer: asyncio.TimerHandle | None = None
        self.writable: asyncio.Future[None] | None = None
        self.paused = False
        self.task: asyncio.Task[None] | None = None
        self.peer = "127.0.0.1"

    # the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        if peer:
            self.peer = peer[0]
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)
        self._stop_timer()
        if self.body is not None:
            self.body.abandon()
        if self.call is not None:
            self.call.cancelled = True  # type: ignore[attr-defined]
        if self.current is not None and self.current.on_disconnect is not None:
            self.current.on_disconnect()
        for request, _ in self.waiting:
            _discard(request)
        self.waiting.clear()
        self.ended = True
        if self.writable is not None and not self.writable.done():
            self.writable.set_exception(ConnectionResetError())
        if self.task is not None:
            self.task.cancel()

    def eof_received(self) -> bool:
        """A half-closed client still gets its answers."""
        self.closing = True
        return self.current is not None or bool(self.waiting)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.first:
            self.first = False
            if data.startswith(_H2_PREFACE[:18]) or _H2_PREFACE.startswith(data):
                self._to_http2(data)
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(501, "Protocol upgrades are not supported.")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__ or error
            if isinstance(cause, _HeadTooLarge):
                self._refuse(431, "The request line and headers are larger than 64 KiB.")
            elif isinstance(cause, _BodyTooLarge):
                self._refuse(413, "The body is too large.")
            elif isinstance(cause, MalformedChunk):
                self._refuse(400, f"The aws-chunked body is malformed: {cause}")
            elif isinstance(cause, OSError):
                self._refuse(507, f"The body could not be stored: {cause.strerror}")
            else:
                self._refuse(400, "The request is malformed.")
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is malformed: {error}")
        if self.in_request and self.body is None and self.timer is None and not self.ended:
            self.timer = self.loop.call_later(_HEADER_WITHIN_S, self._late)

    def _late(self) -> None:
        self._refuse(408, "The headers did not arrive within 60 s.")

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _to_http2(self, data: bytes) -> None:
        from cumulet.gateway.http2 import Http2

        self.server.connections.discard(self)
        other = Http2(self.server, self.peer)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)

    # the parser's calls

    def on_message_begin(self) -> None:
        self.in_request = True
        self.url = b""
        self.headers: dict[str, str] = {}
        self.raw_headers: list[tuple[str, str]] = []
        self.head_bytes = 0
        self.body = None

    def on_url(self, url: bytes) -> None:
        self.url += url
        self.head_bytes += len(url)
        if self.head_bytes > _HEAD_BYTES:
            raise _HeadTooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value) + 4
        if self.head_bytes > _HEAD_BYTES:
            raise _HeadTooLarge
        sent, text = name.decode("latin-1"), _text(value)
        lower = sent.lower()
        self.raw_headers.append((sent, text))
        if lower in self.headers:
            self.headers[lower] += ("; " if lower == "cookie" else ", ") + text
        else:
            self.headers[lower] = text

    def on_headers_complete(self) -> None:
        self._stop_timer()
        headers = self.headers
        if int(headers.get("content-length") or 0) > _BODY_BYTES:
            raise _BodyTooLarge
        chunked = headers.get("x-amz-content-sha256", "").startswith("STREAMING-") or "aws-chunked" in headers.get("content-encoding", "")
        self.body = BodyReader(self.server.spool_dir, chunked)
        if headers.get("expect", "").lower() == "100-continue" and not self.waiting and self.current is None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        assert self.body is not None
        self.body.feed(data)
        if self.body.size > _BODY_BYTES:
            raise _BodyTooLarge

    def on_message_complete(self) -> None:
        self.in_request = False
        reader = self.body
        assert reader is not None
        self.body = None
        body = reader.finish()
        target = self.url
        if not target.startswith(b"/"):  # absolute form, or OPTIONS *
            scheme = target.find(b"://")
            slash = target.find(b"/", scheme + 3) if scheme > 0 else -1
            target = target[slash:] if slash > 0 else b"/"
        path, _, query = target.partition(b"?")
        for name, value in reader.trailers.items():
            self.headers.setdefault(name.lower(), value)
        request = HttpRequest(self.parser.get_method().decode("latin-1"), path.decode("latin-1"), query.decode("latin-1"),
                              self.headers, body, self.raw_headers, self.peer, self.parser.get_http_version())
        keep = self.parser.should_keep_alive()
        if self.current is None:
            self._handle(request, keep)
        else:
            self.waiting.append((request, keep))
            if len(self.waiting) >= 16:
                self.transport.pause_reading()

    # answering

    def _handle(self, request: HttpRequest, keep: bool) -> None:
        self.current = request
        if not keep:
            self.closing = True
        answered = False

        def reply(response: HttpResponse) -> None:
            nonlocal answered
            assert not answered, "one answer for one request"
            answered = True
            self._reply(request, response)

        self.call = None
        call = self.server.handler(request, reply)
        if not answered:
            self.call = call

    def _reply(self, request: HttpRequest, response: HttpResponse) -> None:
        self.call = None
        if self.ended:
            _discard(request)
            return
        body = response.body
        head = self._head(request, response)
        if isinstance(body, bytes):
            self.transport.write(head if request.method == "HEAD" or response.status in _NO_BODY else head + body)
            self._next(request)
        elif request.method == "HEAD":
            self.transport.write(head)
            self._next(request)
        else:
            self.transport.write(head)
            self.task = self.loop.create_task(self._stream(request, response))

    def _head(self, request: HttpRequest, response: HttpResponse) -> bytes:
        line = _STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} Unknown\r\n"
        parts = [line, self.server.date_line()]
        sized = False
        for name, value in response.headers:
            lower = name.lower()
            if lower == "content-length":
                sized = True
                if request.method != "HEAD" and isinstance(response.body, bytes):
                    value = str(len(response.body))
            elif lower in ("date", "connection", "transfer-encoding"):
                continue
            parts.append(f"{name}: {_clean(value)}\r\n")
        body = response.body
        if not sized and response.status not in _NO_BODY:
            if isinstance(body, bytes):
                parts.append(f"content-length: {len(body)}\r\n")
            elif isinstance(body, FileBody):
                parts.append(f"content-length: {body.size}\r\n")
            elif request.http_version == "1.0":
                self.closing = True
            else:
                parts.append("transfer-encoding: chunked\r\n")
        if self.closing or self.server.stopping:
            self.closing = True
            parts.append("connection: close\r\n")
        elif request.http_version == "1.0":
            parts.append("connection: keep-alive\r\n")
        parts.append("\r\n")
        return "".join(parts).encode("utf-8", "surrogateescape")

    async def _stream(self, request: HttpRequest, response: HttpResponse) -> None:
        body = response.body
        sized = any(name.lower() == "content-length" for name, _ in response.headers) or isinstance(body, FileBody)
        try:
            if isinstance(body, FileBody):
                await self._send_file(body)
            else:
                assert not isinstance(body, bytes)
                async for chunk in body():
                    if chunk:
                        await self._drain()
                        framed = sized or request.http_version == "1.0"
                        self.transport.write(chunk if framed else b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if not sized and request.http_version != "1.0":
                    self.transport.write(b"0\r\n\r\n")
        except (ConnectionError, asyncio.CancelledError):
            self.transport.abort()
            return
        except Exception:
            self.server.log.exception("streaming the answer to %s %s broke", request.method, request.path)
            self.transport.abort()
            return
        finally:
            self.task = None
        self._next(request)

    async def _send_file(self, body: FileBody) -> None:
        left = body.size
        with body.path.open("rb") as file:
            file.seek(body.offset)
            while left > 0:
                data = await self.loop.run_in_executor(None, file.read, min(_FILE_CHUNK, left))
                if not data:
                    raise OSError(f"{body.path} is shorter than it should be")
                left -= len(data)
                await self._drain()
                self.transport.write(data)

    async def _drain(self) -> None:
        if self.ended:
            raise ConnectionResetError
        if self.paused:
            self.writable = self.loop.create_future()
            await self.writable

    def _next(self, request: HttpRequest) -> None:
        _discard(request)
        self.current = None
        if self.waiting and not self.ended:
            following, keep = self.waiting.popleft()
            if len(self.waiting) < 8:
                self.transport.resume_reading()
            self._handle(following, keep)
        elif self.closing:
            self.transport.close()

    def _refuse(self, status: int, why: str) -> None:
        """Answer outside of any request and hang up."""
        self._stop_timer()
        if self.body is not None:
            self.body.abandon()
            self.body = None
        if self.ended:
            return
        body = why.encode()
        line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Error\r\n"
        self.transport.write(f"{line}content-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def stop(self) -> None:
        """The server stops: close now when idle, else after the answer."""
        self.closing = True
        if self.current is None and not self.waiting:
            self.transport.close()


class _HeadTooLarge(Exception):
    pass


class _BodyTooLarge(Exception):
    pass


def _discard(request: HttpRequest) -> None:
    if isinstance(request.body, SpooledFile):
        request.body.discard()


def _text(value: bytes) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        return value.decode("utf-8", "surrogateescape")


def _clean(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ") if "\r" in value or "\n" in value else value


def http_date(now: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))

"""HTTP/1.1 connections: an asyncio.Protocol on httptools; answers leave in the order of the requests.

A connection is idle, reading a head, reading a body, or has exchanges under way. An exchange is queued when its head
is complete, `ready` when its body is, handed to the handler when it is the oldest, and ends when its answer is written.
A client that stops sending (EOF) may still read: what runs is answered, but what waits for data is dropped, because a
client that went away looks the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from cumulet.aws.http import Body, HttpRequest, HttpResponse
from cumulet.gateway.head import MAX_HEAD, read_headers, render, split_target
from cumulet.gateway.spool import BadBody, BodyReader, is_plain
from cumulet.gateway.stream import write_body

if TYPE_CHECKING:
    from cumulet.gateway import http2
    from cumulet.gateway.server import Server

log = logging.getLogger("cumulet")

_MAX_QUEUED = 32
_LINGER_S = 2.0
_EOF_LINGER_S = 900.0  # the longest answer: a function's timeout
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # how a client begins that speaks HTTP/2 at once
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODY, _QUEUE = 1, 2  # reasons to hold reading


class Refused(Exception):
    """Raised inside parser callbacks; `Connection._refusal` says with which answer."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "answered",
        "body",
        "call",
        "connection",
        "keep_alive",
        "ready",
        "refusal",
        "request",
        "wants_continue",
    )

    def __init__(self, connection: Connection, request: HttpRequest, keep_alive: bool) -> None:
        self.connection = connection
        self.request = request
        self.keep_alive = keep_alive
        self.body: BodyReader | None = None
        self.call: Any = None  # what the handler returned
        self.ready = False
        self.answered = False
        self.wants_continue = False
        self.refusal: HttpResponse | None = None

    def reply(self, response: HttpResponse) -> None:
        """The handler's answer; later ones are ignored."""
        if self.answered:
            log.error("%s %s was answered twice", self.request.method, self.request.path)
            return
        self.answered = True
        self.connection.answer(self, response)

    def body_complete(self, outcome: Body | Exception) -> None:
        server = self.connection.server
        if isinstance(outcome, BadBody):
            self.refusal = server.refuse(400, outcome.code, outcome.message)
            self.keep_alive = False
        elif isinstance(outcome, Exception):
            self.refusal = server.not_stored(outcome)
            self.keep_alive = False
        else:
            self.request.body = outcome
        self.ready = True

    def cancel(self) -> None:
        if self.call is not None and not self.answered:
            self.call.cancelled = True

    def end(self) -> None:
        self.call = None
        if self.body is not None:
            self.body.discard()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = server.loop
        self.touched = self.loop.time()
        self.transport: Any = None  # asyncio.Transport
        self.lost = False
        self._draining = False
        self._parser: Any = None
        self._source_ip = ""
        self._h2: http2.Http2 | None = None
        self._sniffing = True
        self._early = b""
        self._discarding = False
        self._eof = False
        self._held = 0
        self._write_held: asyncio.Future[None] | None = None
        self._url = b""
        self._raw_headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._reading = 0
        self._in_head = False
        self._head_since = self.touched
        self._resuming = False  # the parser re-reads a made-up head, see _ignore_upgrade
        self._receiving: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._pumping = False
        self._refusal: HttpResponse | None = None
        self._stream: asyncio.Task[None] | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self._source_ip = peer[0] if isinstance(peer, tuple) else "127.0.0.1"
        self._parser = httptools.HttpRequestParser(self)
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.server.forget(self)
        if self._h2 is not None:
            self._h2.lost()
        for exchange in self._queue:
            exchange.end()
        self._queue.clear()
        if self._current is not None:
            self._current.cancel()
        if self._write_held is not None and not self._write_held.done():
            self._write_held.set_exception(ConnectionResetError())
            self._write_held.exception()  # retrieved: nobody may be waiting
        if self._stream is not None:
            self._stream.cancel()

    def data_received(self, data: bytes) -> None:
        self.touched = self.loop.time()
        if self._h2 is not None:
            self._h2.receive(data)
        elif self._sniffing:
            self._sniff(data)
        elif not self._discarding:
            self._parse(data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._h2 is not None or (self._current is None and not (self._queue and self._queue[0].ready)):
            return False
        if self._current is not None:
            self._current.cancel()
        self.loop.call_later(_EOF_LINGER_S, self.transport.close)
        return True

    def pause_writing(self) -> None:
        if self._write_held is None:
            self._write_held = self.loop.create_future()

    def resume_writing(self) -> None:
        held, self._write_held = self._write_held, None
        self.touched = self.loop.time()
        if held is not None and not held.done():
            held.set_result(None)
        if self._h2 is None:
            self._pump()

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises: ConnectionResetError when it is gone."""
        if self.lost or self.transport.is_closing():
            raise ConnectionResetError
        if self._write_held is not None:
            await self._write_held

    # reading

    def _sniff(self, data: bytes) -> None:
        data = self._early + data
        if data.startswith(_PREFACE):
            from cumulet.gateway import http2  # few clients speak it: what it needs is loaded for the first who does

            self._h2 = http2.Http2(self.server, self, self._source_ip)
            self._h2.receive(data)
        elif _PREFACE.startswith(data):
            self._early = data
            return
        else:
            self._parse(data)
        self._sniffing = False
        self._early = b""

    def _parse(self, data: bytes) -> None:
        self._reading = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except (httptools.HttpParserError, Refused) as error:
            refusal = self._refusal
            if refusal is None:
                if isinstance(error, httptools.HttpParserCallbackError):
                    log.error("reading a request broke", exc_info=error.__context__ or error)
                refusal = self.server.refuse(400, "BadRequest", f"The request is malformed: {error}")
            self._refuse_input(refusal)
        else:
            if self._in_head:
                self._head_size += len(data)
                if self._head_size > MAX_HEAD:
                    self._refuse_input(self._too_large_head())

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Stay with HTTP/1.1 when a client offers an upgrade: read its body, which the parser left, and go on."""
        receiving = self._receiving
        self._parser = httptools.HttpRequestParser(self)
        if receiving is not None:
            headers = receiving.request.headers
            name = "transfer-encoding" if "transfer-encoding" in headers else "content-length"
            self._resuming = True
            self._parser.feed_data(f"POST / HTTP/1.1\r\n{name}: {headers.get(name, '0')}\r\n\r\n".encode())
        if rest:
            self._parse(rest)

    def on_message_begin(self) -> None:
        if not self._resuming:
            self._in_head = True
            self._head_since = self.touched
            self._head_size = 0
            self._url = b""
            self._raw_headers = []

    def on_url(self, url: bytes) -> None:
        if not self._resuming:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # otherwise a trailer of a chunked body
            self._raw_headers.append((name, value))

    def _too_large_head(self) -> HttpResponse:
        message = f"Your request header section exceeds {MAX_HEAD} bytes."
        return self.server.refuse(431, "RequestHeaderSectionTooLarge", message)

    def _refuse(self, refusal: HttpResponse) -> Refused:
        self._refusal = refusal
        return Refused()

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        self._in_head = False
        parser = self._parser
        long = self._head_size + self._reading > MAX_HEAD  # only then is it worth counting
        if long and len(self._url) + sum([len(n) + len(v) + 4 for n, v in self._raw_headers]) > MAX_HEAD:
            raise self._refuse(self._too_large_head())
        headers, listed = read_headers(self._raw_headers)
        path, query, host = split_target(self._url)
        version = parser.get_http_version()
        if host is not None:
            headers["host"] = host
        elif "host" not in headers and version == "1.1":
            raise self._refuse(self.server.refuse(400, "BadRequest", "The Host header is missing."))
        method = parser.get_method().decode()
        if method == "CONNECT":
            raise self._refuse(self.server.refuse(405, "MethodNotAllowed", "CONNECT is not allowed."))
        request = HttpRequest(method, path, query, headers, b"", listed, self._source_ip, version)
        exchange = Exchange(self, request, parser.should_keep_alive() or parser.should_upgrade())
        self._receiving = exchange
        self._queue.append(exchange)
        if "expect" in headers and headers["expect"].lower() == "100-continue":
            self._expect(exchange)

    def _expect(self, exchange: Exchange) -> None:
        refusal = self.server.screen(exchange.request)
        if refusal is not None:
            raise self._refuse(refusal)
        exchange.wants_continue = True
        self._continue()

    def _continue(self) -> None:
        """Ask for the body when the answers before it have left."""
        if self._current is None and self._queue and self._queue[0].wants_continue:
            self._queue[0].wants_continue = False
            self.transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        exchange = self._receiving
        if exchange is None:
            return
        if exchange.body is None:
            exchange.wants_continue = False
            if is_plain(exchange.request, data):
                exchange.request.body = data
                return
            exchange.body = BodyReader(exchange.request, self.server.spool_dir, self.loop, self._hold_for_body)
        try:
            exchange.body.feed(data)
        except BadBody as error:
            raise self._refuse(self.server.refuse(400, error.code, error.message)) from error

    def on_message_complete(self) -> None:
        exchange = self._receiving
        if exchange is None or (self._has_unread_body(exchange) and not self._resuming):
            return
        self._resuming = False
        self._receiving = None
        exchange.wants_continue = False
        if exchange.body is None:
            exchange.ready = True
        else:
            exchange.body.finish(lambda outcome: self._body_complete(exchange, outcome))
        if len(self._queue) > _MAX_QUEUED:
            self._hold(_QUEUE)
        self._pump()

    def _has_unread_body(self, exchange: Exchange) -> bool:
        """Whether the parser, at an offered upgrade, leaves the body to us."""
        if not self._parser.should_upgrade():
            return False
        headers = exchange.request.headers
        return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

    def _body_complete(self, exchange: Exchange, outcome: Body | Exception) -> None:
        exchange.body_complete(outcome)
        if self.lost:
            exchange.end()
        else:
            self._pump()

    def _hold_for_body(self, held: bool) -> None:
        if held:
            self._hold(_BODY)
        else:
            self._release(_BODY)

    def _hold(self, reason: int) -> None:
        if not self._held and not self.lost and not self._eof:
            self.transport.pause_reading()
        self._held |= reason

    def _release(self, reason: int) -> None:
        if self._held & reason:
            self._held &= ~reason
            self.touched = self.loop.time()
            if not self._held and not self.lost and not self._eof and not self.transport.is_closing():
                self.transport.resume_reading()

    def _refuse_input(self, refusal: HttpResponse) -> None:
        """Answer what cannot be read, after the answers before it, and read nothing more."""
        self._discarding = True
        self._in_head = False
        receiving, self._receiving = self._receiving, None
        request = HttpRequest("GET", "", "", {})
        if receiving is not None:
            request = receiving.request
            receiving.end()
            self._queue.remove(receiving)
        last = Exchange(self, request, False)
        last.refusal = refusal
        last.ready = True
        self._queue.append(last)
        self._pump()

    # answering

    def _pump(self) -> None:
        """Hand ready requests to the handler, one after the other."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._current is None and self._queue and self._queue[0].ready and self._write_held is None:
                exchange = self._current = self._queue.popleft()
                if exchange.refusal is not None:
                    exchange.reply(exchange.refusal)
                    continue
                call = self.server.dispatch(exchange.request, exchange.reply)
                if not exchange.answered:
                    exchange.call = call
                    if self._eof:
                        exchange.cancel()
        finally:
            self._pumping = False
        if self._current is None and self._queue:
            self._continue()
        if self._held & _QUEUE and len(self._queue) <= _MAX_QUEUED // 2:
            self._release(_QUEUE)

    def answer(self, exchange: Exchange, response: HttpResponse) -> None:
        """Write an answer; the connection may be gone."""
        if self.lost:
            self._ended(exchange)
            return
        if self._draining or (self._eof and not self._queue):
            exchange.keep_alive = False
        body = response.body
        request = exchange.request
        if type(body) is bytes:
            if exchange.body is not None:
                exchange.body.discard()  # who reads the answer finds no file of the request any more
            head = render(request, response, exchange.keep_alive, False)
            if not body or request.method == "HEAD" or response.status in (204, 304):
                self.transport.write(head)
            elif len(body) <= 65536:
                self.transport.write(head + body)
            else:
                self.transport.write(head)
                self.transport.write(body)
            self._finished(exchange)
        elif request.method == "HEAD":
            self.transport.write(render(request, response, exchange.keep_alive, False))
            self._finished(exchange)
        else:
            self._stream = self.loop.create_task(self._write_stream(exchange, response))

    async def _write_stream(self, exchange: Exchange, response: HttpResponse) -> None:
        try:
            await write_body(self, exchange, response)
        except (ConnectionError, asyncio.CancelledError):
            self._broken_off(exchange)
        except Exception:
            log.exception("the answer to %s %s broke off", exchange.request.method, exchange.request.path)
            self._broken_off(exchange)
        else:
            self._stream = None
            self._finished(exchange)

    def _broken_off(self, exchange: Exchange) -> None:
        self._stream = None
        self._ended(exchange)
        self.transport.abort()

    def _ended(self, exchange: Exchange) -> None:
        exchange.end()
        if self._current is exchange:
            self._current = None
            self.touched = self.loop.time()

    def _finished(self, exchange: Exchange) -> None:
        self._ended(exchange)
        if not exchange.keep_alive:
            for other in self._queue:
                other.end()
            self._queue.clear()
            if self._discarding and not self.lost:
                self._linger()
            else:
                self.transport.close()
        elif not self._pumping:
            self._pump()

    def _linger(self) -> None:
        """Close the sending side only, so that a client that still sends reads the answer before a reset."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    # the server's sweep and stop

    def stop(self) -> None:
        """Close when the answers under way have left; at once when there are none."""
        self._draining = True
        if self._h2 is not None:
            self._h2.stop()
        elif self._current is None and not self._queue:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Close what is stuck: a head or body that does not arrive, an answer that nobody reads, an idle connection."""
        limits = self.server.limits
        silent = now - self.touched
        if self._h2 is not None:
            if not self._h2.busy and silent > limits.idle_s:
                self.transport.close()
        elif self._write_held is not None:
            if silent > limits.stalled_s:
                self.transport.abort()
        elif self._current is not None or self._held or self._discarding:
            return
        elif self._in_head or self._sniffing:
            if now - self._head_since > limits.head_s:
                self._timed_out()
        elif self._receiving is not None:
            if silent > limits.body_s:
                self._timed_out()
        elif not self._queue and silent > limits.idle_s:
            self.transport.close()

    def _timed_out(self) -> None:
        if self._sniffing and not self._early:
            self.transport.close()  # never sent a byte
            return
        message = "Your socket connection to the server was not read from or written to within the timeout period."
        self._refuse_input(self.server.refuse(400, "RequestTimeout", message))

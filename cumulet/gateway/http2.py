"""HTTP/2 without TLS, by prior knowledge: streams over the `h2` library, the same handlers as HTTP/1.1.

The JavaScript SDK's Kinesis client speaks nothing else. What arrives is acknowledged when it is on its way to the disk,
what leaves waits for the client's flow-control window.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from cumulet.aws.http import Body, FileBody, HttpRequest, HttpResponse
from cumulet.gateway.head import MAX_HEAD, read_headers, split_target
from cumulet.gateway.spool import BadBody, BodyReader
from cumulet.gateway.stream import FILE_CHUNK, open_body

if TYPE_CHECKING:
    from cumulet.gateway.http1 import Connection
    from cumulet.gateway.server import Server

log = logging.getLogger("cumulet")

_WINDOW = 1024 * 1024
_CONNECTION_HEADERS = frozenset(("connection", "transfer-encoding", "keep-alive", "upgrade"))


class _Stream:
    """One request and its answer."""

    def __init__(self, connection: Http2, stream_id: int, request: HttpRequest) -> None:
        self.connection = connection
        self.id = stream_id
        self.request = request
        self.body: BodyReader | None = None
        self.call: Any = None  # what the handler returned
        self.held = False
        self.unacknowledged = 0
        self.window: asyncio.Event = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.answered = False
        self.gone = False

    def reply(self, response: HttpResponse) -> None:
        if not self.answered:
            self.answered = True
            self.connection.answer(self, response)

    def hold(self, held: bool) -> None:
        self.held = held
        if not held:
            self.connection.acknowledge(self)

    def end(self) -> None:
        self.call = None
        if self.body is not None:
            self.body.discard()

    def drop(self) -> None:
        """The client is gone, or took the request back."""
        self.gone = True
        if self.task is not None:
            self.task.cancel()
        elif self.call is not None and not self.answered:
            self.call.cancelled = True
        elif self.body is not None:
            self.body.discard()


class Http2:
    """One HTTP/2 connection; `receive` takes the bytes, preface first."""

    def __init__(self, server: Server, connection: Connection, source_ip: str) -> None:
        self._server = server
        self._connection = connection
        self._transport = connection.transport
        self._source_ip = source_ip
        self._streams: dict[int, _Stream] = {}
        self._stopping = False
        config = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=True)
        self._h2 = h2.connection.H2Connection(config=config)
        self._h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 256,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(8 * _WINDOW)

    @property
    def busy(self) -> bool:
        return bool(self._streams)

    def receive(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._handle(event)
        self._flush()

    def _handle(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self._data(event)
        elif isinstance(event, h2.events.StreamEnded):
            self._complete(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            stream = self._streams.pop(event.stream_id, None)
            if stream is not None:
                stream.drop()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for stream in self._streams.values():
                stream.window.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._stopping = True
            self._close_if_done()

    def _begin(self, event: Any) -> None:
        if self._stopping:
            self._h2.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        pseudo = {bytes(name): bytes(value) for name, value in event.headers if name.startswith(b":")}
        headers, listed = read_headers((bytes(n), bytes(v)) for n, v in event.headers if not n.startswith(b":"))
        path, query, _ = split_target(pseudo.get(b":path", b"/"))
        if b":authority" in pseudo:
            headers["host"] = pseudo[b":authority"].decode("latin-1")
            listed.append(("host", headers["host"]))
        method = pseudo.get(b":method", b"GET").decode("latin-1")
        request = HttpRequest(method, path, query, headers, b"", listed, self._source_ip, "2")
        self._streams[event.stream_id] = _Stream(self, event.stream_id, request)

    def _data(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.answered:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return
        if stream.body is None:
            stream.body = BodyReader(stream.request, self._server.spool_dir, self._server.loop, stream.hold)
        stream.unacknowledged += event.flow_controlled_length
        try:
            stream.body.feed(event.data)
        except BadBody as error:
            stream.body.discard()
            stream.reply(self._server.refuse(400, error.code, error.message))
        if not stream.held:
            self.acknowledge(stream)

    def acknowledge(self, stream: _Stream) -> None:
        """Let the client send as much again."""
        size, stream.unacknowledged = stream.unacknowledged, 0
        if size and not self._transport.is_closing():
            self._h2.acknowledge_received_data(size, stream.id)
            self._flush()

    def _complete(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.answered:
            return
        if stream.body is None:
            self._dispatch(stream)
        else:
            stream.body.finish(lambda outcome: self._body_complete(stream, outcome))

    def _dispatch(self, stream: _Stream) -> None:
        call = self._server.dispatch(stream.request, stream.reply)
        if not stream.answered:
            stream.call = call

    def _body_complete(self, stream: _Stream, outcome: Body | Exception) -> None:
        if stream.gone:
            stream.end()
        elif isinstance(outcome, BadBody):
            stream.reply(self._server.refuse(400, outcome.code, outcome.message))
        elif isinstance(outcome, Exception):
            stream.reply(self._server.not_stored(outcome))
        else:
            stream.request.body = outcome
            self._dispatch(stream)

    # answering

    def answer(self, stream: _Stream, response: HttpResponse) -> None:
        """Send an answer; the stream may be gone."""
        if stream.gone or self._transport.is_closing():
            stream.end()
            return
        try:
            self._answer(stream, response)
        except h2.exceptions.ProtocolError:  # closed by the client
            self._finished(stream)

    def _answer(self, stream: _Stream, response: HttpResponse) -> None:
        body = response.body
        if isinstance(body, bytes) and stream.body is not None:
            stream.body.discard()
        empty = stream.request.method == "HEAD" or response.status in (204, 304) or body == b""
        headers = [(":status", str(response.status))]
        named = set()
        for name, value in response.headers:
            lower = name.lower()
            named.add(lower)
            if lower not in _CONNECTION_HEADERS:
                headers.append((lower, value.replace("\r", " ").replace("\n", " ").strip()))
        if "content-length" not in named and isinstance(body, bytes | FileBody) and response.status not in (204, 304):
            headers.append(("content-length", str(len(body) if isinstance(body, bytes) else body.size)))
        self._h2.send_headers(stream.id, [(n.encode(), v.encode()) for n, v in headers], end_stream=empty)
        if empty:
            self._finished(stream)
        elif isinstance(body, bytes) and self._room(stream) >= len(body):
            self._h2.send_data(stream.id, body, end_stream=True)
            self._finished(stream)
        else:
            stream.task = self._server.loop.create_task(self._send_body(stream, response))
        self._flush()

    def _room(self, stream: _Stream) -> int:
        return min(self._h2.local_flow_control_window(stream.id), self._h2.max_outbound_frame_size)

    async def _send_body(self, stream: _Stream, response: HttpResponse) -> None:
        body = response.body
        try:
            if isinstance(body, bytes):
                await self._send(stream, body)
            elif isinstance(body, FileBody):
                await self._send_file(stream, body)
            else:
                iterator = body()
                try:
                    async for data in iterator:
                        await self._send(stream, data)
                finally:
                    close = getattr(iterator, "aclose", None)
                    if close is not None:
                        await close()
            self._h2.end_stream(stream.id)
        except (asyncio.CancelledError, ConnectionError, h2.exceptions.ProtocolError):
            stream.end()
            self._streams.pop(stream.id, None)
            return
        except Exception:
            log.exception("the answer to %s %s broke off", stream.request.method, stream.request.path)
            if stream.id in self._streams:
                self._h2.reset_stream(stream.id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        self._flush()
        self._finished(stream)

    async def _send_file(self, stream: _Stream, body: FileBody) -> None:
        file = open_body(body)
        try:
            left = body.size
            while left:
                data = await self._server.loop.run_in_executor(None, file.read, min(FILE_CHUNK, left))
                if not data:
                    raise OSError(f"{body.path} is shorter than {body.offset + body.size} bytes")
                left -= len(data)
                await self._send(stream, data)
        finally:
            file.close()

    async def _send(self, stream: _Stream, data: bytes) -> None:
        view = memoryview(data)
        while view:
            await self._connection.drained()
            size = min(self._room(stream), len(view))
            if size <= 0:
                stream.window.clear()
                await stream.window.wait()
                continue
            self._h2.send_data(stream.id, bytes(view[:size]))
            view = view[size:]
            self._flush()
            await asyncio.sleep(0)

    def _finished(self, stream: _Stream) -> None:
        stream.end()
        self._streams.pop(stream.id, None)
        self._close_if_done()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    # the end

    def stop(self) -> None:
        """Refuse new streams; close when the last one has ended."""
        self._stopping = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._stopping and not self._streams and not self._transport.is_closing():
            with contextlib.suppress(h2.exceptions.ProtocolError):  # the client has said goodbye first
                self._h2.close_connection()
            self._flush()
            self._transport.close()

    def lost(self) -> None:
        """The connection is gone."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.drop()

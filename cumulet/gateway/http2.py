"""HTTP/2 without TLS, by prior knowledge (its preface), on the h2 library.

The JavaScript SDK's Kinesis client speaks nothing else. Requests of one connection run side by side.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from cumulet.aws.http import FileBody, HttpRequest, HttpResponse
from cumulet.gateway.http1 import _discard, http_date
from cumulet.gateway.spool import BodyReader
from cumulet.wire.chunked import MalformedChunk

if TYPE_CHECKING:
    from cumulet.gateway.server import Server

_FILE_CHUNK = 64 * 1024


@dataclass(eq=False)
class _Stream:
    headers: list[tuple[str, str]]
    body: BodyReader
    call: object = None
    window: asyncio.Event = field(default_factory=asyncio.Event)


class Http2(asyncio.Protocol):
    """One HTTP/2 connection."""

    def __init__(self, server: Server, peer: str) -> None:
        self.server, self.peer, self.loop = server, peer, server.loop
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, _Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = False
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.server.connections.add(self)
        self.h2.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.server.connections.discard(self)
        for stream in self.streams.values():
            self._cancel(stream)
        for task in self.tasks:
            task.cancel()

    @staticmethod
    def _cancel(stream: _Stream) -> None:
        stream.body.abandon()
        stream.window.set()
        if stream.call is not None:
            stream.call.cancelled = True  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()
            self.transport.close()
            return
        for event in events:
            self._event(event)
        self._flush()

    def _event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = [(str(name), str(value)) for name, value in event.headers]
            self.streams[event.stream_id] = _Stream(headers, BodyReader(self.server.spool_dir, _aws_chunked(dict(headers))))
        elif isinstance(event, h2.events.DataReceived):
            stream = self.streams.get(event.stream_id)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream is not None:
                try:
                    stream.body.feed(event.data)
                except (MalformedChunk, OSError):
                    self.h2.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
                    self._cancel(self.streams.pop(event.stream_id))
        elif isinstance(event, h2.events.StreamEnded):
            self._complete(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            gone = self.streams.pop(event.stream_id, None)
            if gone is not None:
                self._cancel(gone)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for stream in self.streams.values():
                stream.window.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.transport.close()

    def _complete(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        try:
            body = stream.body.finish()
        except MalformedChunk:
            self.h2.reset_stream(stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            self._cancel(self.streams.pop(stream_id))
            return
        pseudo = {name: value for name, value in stream.headers if name.startswith(":")}
        headers: dict[str, str] = {"host": pseudo.get(":authority", "")}
        for name, value in stream.headers:
            if not name.startswith(":"):
                joiner = "; " if name == "cookie" else ", "
                headers[name] = headers[name] + joiner + value if name in headers and name != "host" else value
        for name, value in stream.body.trailers.items():
            headers.setdefault(name.lower(), value)
        path, _, query = pseudo.get(":path", "/").partition("?")
        raw = [(name, value) for name, value in stream.headers if not name.startswith(":")]
        request = HttpRequest(pseudo.get(":method", "GET"), path, query, headers, body, raw, self.peer, "2")

        def reply(response: HttpResponse) -> None:
            if self.ended or stream_id not in self.streams:
                _discard(request)
                return
            task = self.loop.create_task(self._reply(stream_id, request, response))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        stream.call = self.server.handler(request, reply)

    async def _reply(self, stream_id: int, request: HttpRequest, response: HttpResponse) -> None:
        try:
            headers = [(":status", str(response.status)), ("date", http_date(self.loop.time() * 0 + _wall()))]
            headers += [(name.lower(), value) for name, value in response.headers
                        if name.lower() not in {"connection", "transfer-encoding", "date", "keep-alive"}]
            body = response.body
            if isinstance(body, bytes) and not any(name == "content-length" for name, _ in headers):
                headers.append(("content-length", str(len(body))))
            empty = request.method == "HEAD" or (isinstance(body, bytes) and not body)
            self.h2.send_headers(stream_id, headers, end_stream=empty)
            self._flush()
            if not empty:
                await self._send(stream_id, body)
        except (h2.exceptions.ProtocolError, ConnectionError):
            pass
        finally:
            self.streams.pop(stream_id, None)
            _discard(request)
            self._flush()
            if self.stopping and not self.streams:
                self.transport.close()

    async def _send(self, stream_id: int, body: object) -> None:
        if isinstance(body, bytes):
            await self._send_bytes(stream_id, body)
        elif isinstance(body, FileBody):
            left = body.size
            with body.path.open("rb") as file:
                file.seek(body.offset)
                while left > 0:
                    data = await self.loop.run_in_executor(None, file.read, min(_FILE_CHUNK, left))
                    if not data:
                        raise ConnectionError
                    left -= len(data)
                    await self._send_bytes(stream_id, data)
        else:
            async for chunk in body():  # type: ignore[operator]
                await self._send_bytes(stream_id, chunk)
        self.h2.end_stream(stream_id)

    async def _send_bytes(self, stream_id: int, data: bytes) -> None:
        while data:
            if self.ended or stream_id not in self.streams:
                raise ConnectionError
            room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
            if room <= 0:
                stream = self.streams[stream_id]
                stream.window.clear()
                await stream.window.wait()
                continue
            self.h2.send_data(stream_id, data[:room])
            data = data[room:]
            self._flush()

    def _flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.ended:
            self.transport.write(data)

    def stop(self) -> None:
        self.stopping = True
        if not self.streams:
            self.transport.close()


def _aws_chunked(headers: dict[str, str]) -> bool:
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-") or "aws-chunked" in headers.get("content-encoding", "")


def _wall() -> float:
    import time

    return time.time()  # noqa: TID251 - the Date header is not the cloud's clock

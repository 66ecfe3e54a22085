"""Answers that do not fit into memory: files and iterators, written as fast as the client reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, BinaryIO

from cumulet.aws.http import FileBody, HttpResponse
from cumulet.gateway.head import body_length, render

if TYPE_CHECKING:
    from cumulet.gateway.http1 import Connection, Exchange

FILE_CHUNK = 256 * 1024


def open_body(body: FileBody) -> BinaryIO:
    """The file of a body, at its offset. Opened at once, because the file may be removed while it is being sent."""
    file = body.path.open("rb", buffering=0)
    file.seek(body.offset)
    return file


async def write_body(connection: Connection, exchange: Exchange, response: HttpResponse) -> None:
    """Write an HTTP/1.1 answer whose body is a file or an iterator. Raises: ConnectionError when the client leaves."""
    body = response.body
    if isinstance(body, FileBody):
        await _write_file(connection, exchange, response, body)
    else:
        assert not isinstance(body, bytes)
        await _write_iterator(connection, exchange, response, body())


async def _write_file(connection: Connection, exchange: Exchange, response: HttpResponse, body: FileBody) -> None:
    file = open_body(body)
    try:
        connection.transport.write(render(exchange.request, response, exchange.keep_alive, False))
        left = body.size
        while left:
            data = await connection.loop.run_in_executor(None, file.read, min(FILE_CHUNK, left))
            if not data:
                raise OSError(f"{body.path} is shorter than {body.offset + body.size} bytes")
            left -= len(data)
            await connection.drained()
            connection.transport.write(data)
    finally:
        file.close()


async def _write_iterator(
    connection: Connection, exchange: Exchange, response: HttpResponse, iterator: AsyncIterator[bytes]
) -> None:
    unsized = body_length(response) is None
    chunked = unsized and exchange.request.http_version == "1.1"
    if unsized and not chunked:
        exchange.keep_alive = False
    transport = connection.transport
    transport.write(render(exchange.request, response, exchange.keep_alive, chunked))
    try:
        async for data in iterator:
            if data:
                await connection.drained()
                transport.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                await asyncio.sleep(0)  # an iterator that never waits must not keep everybody else waiting
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
    if chunked:
        transport.write(b"0\r\n\r\n")

"""HTTP messages as values: what the front parses, what wire and the services' doors read and answer."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Spooled(Protocol):
    """A request body too large for memory, already on disk (not yet durable) with its digests.

    `path` stays valid until the request ends; a transaction takes it over with `ctx.tx.adopt_blob(spooled)`.
    """

    path: Path
    size: int
    md5: str  # hexadecimal
    sha256: str  # hexadecimal

    def read(self) -> bytes: ...


@dataclass(slots=True)
class SpooledPart:
    """A part of a spooled body, from `offset` of its file: the file in a form."""

    path: Path
    offset: int
    size: int
    md5: str
    sha256: str

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


Body = bytes | Spooled


@dataclass(slots=True)
class HttpRequest:
    """One request. `path` is raw (percent-encoded, `//` kept), `query` raw without `?`; header names lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # repeated headers joined by ", "
    body: Body = b""
    raw_headers: list[tuple[str, str]] = field(default_factory=list)  # as sent: case and repetition kept
    source_ip: str = "127.0.0.1"
    http_version: str = "1.1"
    scheme: str = "http"

    def read_body(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.read()


@dataclass(slots=True, frozen=True)
class FileBody:
    """A response body that is (a part of) a file: `size` bytes from `offset`."""

    path: Path
    offset: int
    size: int


StreamBody = Callable[[], AsyncIterator[bytes]]
ResponseBody = bytes | FileBody | StreamBody


@dataclass(slots=True)
class HttpResponse:
    """One response. The front adds Date, Connection and Content-Length."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: ResponseBody = b""


@dataclass(slots=True)
class DoorRequest(HttpRequest):
    """A request for something that a service serves over plain HTTP: an API, a function's URL.

    `target` is the API's or URL's id; `rest` the raw path behind it, with the stage where there is one.
    """

    target: str = ""
    rest: str = "/"


@dataclass(slots=True, frozen=True)
class HttpCall:
    """A request to somebody else's server: the argument of the effect "http". `timeout_s` bounds the whole exchange."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_s: float = 30.0


@dataclass(slots=True, frozen=True)
class HttpReply:
    """What the other server answered. Header names in lower case; repeated ones joined by ", ".

    `cookies` are the Set-Cookie headers one by one, which cannot be joined.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

"""The command line's way to a running cloud: plain HTTP on loopback, no SDK, so that commands start at once."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click

if TYPE_CHECKING:
    import http.client

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"
STATE_FILE = "server.json"


_AS_ROOT = {  # on loopback the signature of such a key is not looked at
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
}


class CallFailed(click.ClickException):
    """An operation's error answer; a command that does not handle it prints it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def format_message(self) -> str:
        return f"{self.code}: {self.message}"


def data_dir(given: str | None) -> Path:
    """--data, else $CUMULET_DATA, else ./.cumulet."""
    return Path(given or os.environ.get("CUMULET_DATA") or ".cumulet").absolute()


def read_state(folder: Path) -> dict[str, Any] | None:
    """What a running server wrote about itself: pid, endpoint."""
    try:
        state = json.loads((folder / STATE_FILE).read_text())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def endpoint_of(data: str | None, endpoint: str | None = None) -> str:
    """--endpoint-url, else the server of --data, else $AWS_ENDPOINT_URL, else the server of the usual data directory, else port 4566.

    Raises: ClickException when --data names a directory that no server was started on: another cloud is not what was meant.
    """
    if endpoint:
        return endpoint
    state = read_state(data_dir(data)) or {}
    if data and "endpoint" not in state:
        raise click.ClickException(f"No server runs on {data}. Start one with: cumulet up --detach --data {data}")
    told = None if data else os.environ.get("AWS_ENDPOINT_URL")
    return str(told or state.get("endpoint") or DEFAULT_ENDPOINT)


def _said(body: bytes) -> str:
    """What a refusal says: its message, or as it came."""
    text = body.decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, TypeError, KeyError):
        return text[:300]


class Client:
    """Calls operations of a running cloud as `account` in `region`."""

    def __init__(self, endpoint: str, region: str = "us-east-1", timeout_s: float = 120.0) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme != "http" or not parts.hostname:
            raise click.ClickException(f"{endpoint!r} is no server's address. Write it as http://127.0.0.1:4566")
        self.endpoint = endpoint.rstrip("/")
        self.region = region
        self._host, self._port, self._timeout_s = parts.hostname, parts.port or 80, timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def http(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on the kept connection. Raises: ClickException when nobody answers."""
        import http.client

        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            try:
                self._connection.request(method, path, body, headers or {})
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (ConnectionError, http.client.HTTPException) as error:
                self._connection.close()
                self._connection = None
                if attempt == 2 or isinstance(error, ConnectionRefusedError):
                    raise click.ClickException(
                        f"No Cumulet answers at {self.endpoint} ({error}). Start one with: cumulet up --detach, "
                        "or say where one is with --data or --endpoint-url."
                    ) from error
            except TimeoutError as error:
                raise click.ClickException(
                    f"{self.endpoint} did not answer within {self._timeout_s:.0f} s. Is it a Cumulet? cumulet status says what runs."
                ) from error
            except OSError as error:  # a host that is not known or not reached
                raise click.ClickException(
                    f"Cannot reach {self.endpoint} ({error}). Name another server with --endpoint-url."
                ) from error
        raise AssertionError("unreachable")

    def get(self, path: str) -> Any:
        status, body = self.http("GET", path)
        if status != 200:
            raise click.ClickException(f"{self.endpoint}{path} answered {status}: {_said(body)}")
        return json.loads(body)

    def post(self, path: str, value: Any = None) -> Any:
        body = b"" if value is None else json.dumps(value).encode()
        status, answer = self.http("POST", path, body, {"content-type": "application/json"})
        if status != 200:
            raise click.ClickException(f"{self.endpoint}{path} answered {status}: {_said(answer)}")
        return json.loads(answer) if answer else None

    def call(self, service: str, operation: str, *, trace: str | None = None, **request: Any) -> Any:
        """An operation's result; it goes on with `trace`, an X-Amzn-Trace-Id value. Raises: CallFailed."""
        headers = {"content-type": "application/json", "x-cumulet-region": self.region}
        if trace is not None:
            headers["x-amzn-trace-id"] = trace
        body = json.dumps(request).encode()
        status, answer = self.http("POST", f"/_cumulet/call/{service}/{operation}", body, headers)
        value = json.loads(answer) if answer else {}
        if status >= 300:
            raise CallFailed(str(value.get("__type", status)).rpartition("#")[2], str(value.get("message", value)))
        return value

    def every(self, service: str, operation: str, items: str, token: str = "NextToken", **request: Any) -> list[Any]:
        """All items of an operation that answers in pages. `token` names the page token in answer and request ("Marker/NextMarker"
        where the names differ). Raises: CallFailed."""
        sent, _, got = token.partition("/")
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            page = self.call(service, operation, **request, **more)
            found += page.get(items, [])
            if not page.get(got or sent):
                return found
            more = {sent: page[got or sent]}

    def pause(self, real_s: float) -> None:
        """Let the cloud go on for a moment before asking it again. A clock that stands still is moved on by a second."""
        if self.get("/_cumulet/clock")["mode"] == "frozen":
            self.post("/_cumulet/clock", {"advance": 1})
        else:
            time.sleep(real_s)

    def invoke(self, function: str, event: bytes, trace: str | None = None) -> None:
        """Invoke a function asynchronously. Raises: CallFailed."""
        payload = base64.b64encode(event).decode()
        self.call("lambda", "Invoke", FunctionName=function, InvocationType="Event", Payload=payload, trace=trace)

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Put bytes into a bucket. Raises: ClickException."""
        status, answer = self.http(
            "PUT", f"/{bucket}/{quote(key)}", body, {**_AS_ROOT, "content-type": "application/octet-stream"}
        )
        if status != 200:
            raise click.ClickException(
                f"Cannot upload to {bucket}/{key}: {status} {answer.decode(errors='replace')[:300]}"
            )

    def has_object(self, bucket: str, key: str) -> bool:
        status, _ = self.http("HEAD", f"/{bucket}/{quote(key)}", headers=_AS_ROOT)
        return status == 200

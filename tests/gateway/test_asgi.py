"""The gateway as an ASGI application: by a client in the same process, and under uvicorn."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config as BotoConfig
from botocore.credentials import Credentials

from cumulet.app import Cloud, Config
from cumulet.aws.http import FileBody, HttpResponse
from cumulet.gateway.asgi import Asgi
from cumulet.gateway.spool import Spool

ORIGIN = "http://127.0.0.1:4599"
MIB = 1024 * 1024
JSON_1_0 = {"content-type": "application/x-amz-json-1.0"}


class Served:
    """An application within its lifespan."""

    def __init__(self, app: Asgi, cloud: Cloud) -> None:
        self.app, self.cloud = app, cloud
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


@asynccontextmanager
async def served(folder: Path | None = None, *, host: str = "127.0.0.1") -> AsyncIterator[Served]:
    clouds: list[Cloud] = []

    def make() -> Cloud:
        clouds.append(Cloud(Config(data=folder, host=host)))
        return clouds[0]

    app = Asgi(make, verifies=host != "127.0.0.1")
    said: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    running = Served(app, clouds[0])
    try:
        async with running.http:
            yield running
    finally:
        await told.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await life


def signed(
    method: str, url: str, service: str, body: bytes = b"", headers: dict[str, str] | None = None, secret: str = "test"
) -> dict[str, Any]:
    """A request as boto3 signs it."""
    request = AWSRequest(method, url, headers=dict(headers or {}), data=body)
    credentials = Credentials("test", secret)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(credentials, service, "us-east-1").add_auth(request)
    return {"method": method, "url": url, "content": body, "headers": dict(request.headers.items())}


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def test_operations_of_several_protocols_answer() -> None:
    async def story() -> None:
        async with served() as it:
            headers = {**JSON_1_0, "x-amz-target": "DynamoDB_20120810.ListTables"}
            answer = await it.http.request(**signed("POST", f"{ORIGIN}/", "dynamodb", b"{}", headers))
            assert (answer.status_code, answer.json()) == (200, {"TableNames": []})
            form = {"content-type": "application/x-www-form-urlencoded"}
            body = b"Action=GetCallerIdentity&Version=2011-06-15"
            answer = await it.http.request(**signed("POST", f"{ORIGIN}/", "sts", body, form))
            assert answer.status_code == 200 and b"000000000000" in answer.content
            answer = await it.http.get("/_cumulet/health")
            assert answer.json()["status"] == "running"

    run(story)


def test_raw_paths_large_bodies_ranges_and_head_are_as_at_our_own_front(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path / "data") as it:
            assert (await it.http.request(**signed("PUT", f"{ORIGIN}/shop", "s3"))).status_code == 200
            data = bytes(range(256)) * 8192  # 2 MiB: spooled, then a file
            url = f"{ORIGIN}/shop/a%2Fb//c%20%C3%BC"
            put = await it.http.request(**signed("PUT", url, "s3", data, {"x-amz-meta-name": "cloud"}))
            assert put.headers["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
            got = await it.http.get(url)
            assert got.content == data and got.headers["content-length"] == str(len(data))
            assert got.headers["x-amz-meta-name"] == "cloud"
            assert (await it.http.get(url, headers={"range": "bytes=5-300000"})).content == data[5:300001]
            head = await it.http.head(url)
            assert (head.headers["content-length"], head.content) == (str(len(data)), b"")
            listed = await it.http.get(f"{ORIGIN}/shop?list-type=2")
            assert "<Key>a/b//c ü</Key>" in listed.text
            gone = await it.http.delete(url)
            assert gone.status_code == 204 and "content-length" not in gone.headers
            assert list((tmp_path / "data" / "blobs" / "tmp").iterdir()) == []

    run(story)


def test_data_is_there_after_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        for status in (200, 409):
            async with served(tmp_path / "data") as it:
                headers = {"x-amz-acl": "private"}
                url = f"{ORIGIN}/shop"
                body = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
                assert (await it.http.request(**signed("PUT", url, "s3", body, headers))).status_code == status

    run(story)


def test_off_loopback_every_signature_is_verified() -> None:
    async def story() -> None:
        async with served(host="0.0.0.0") as it:
            url = "http://cloud.example:4566/"
            answer = await it.http.get(url)
            assert answer.status_code == 403
            answer = await it.http.request(**signed("GET", url, "s3"))
            assert (answer.status_code, "InvalidAccessKeyId" in answer.text) == (403, True)
            form, file = {"key": "k"}, {"file": ("f", b"1")}
            answer = await it.http.post(f"{url}shop", data=form, files=file, headers={"expect": "100-continue"})
            assert (answer.status_code, "AccessDenied" in answer.text) == (403, True)
            form |= {"AWSAccessKeyId": "AKIDEXAMPLE", "policy": "e30=", "signature": "x"}
            answer = await it.http.post(f"{url}shop", data=form, files=file)
            assert (answer.status_code, "InvalidAccessKeyId" in answer.text) == (403, True)

    run(story)


def test_a_cloud_that_takes_any_key_serves_loopback_only() -> None:
    async def story() -> None:
        async with served() as it:
            answer = await it.http.get("http://192.168.1.5:4566/_cumulet/health")
            assert answer.status_code == 403 and "CUMULET_HOST" in answer.text
            assert (await it.http.get("http://127.0.0.1:4566/_cumulet/health")).status_code == 200
            assert it.cloud.endpoint == "http://127.0.0.1:4566"  # learnt from the first request that is served

    run(story)


def test_a_start_that_fails_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with served(tmp_path / "data"):
            app = Asgi(lambda: Cloud(Config(data=tmp_path / "data")))
            said: list[Any] = []

            async def receive() -> Any:
                return {"type": "lifespan.startup"}

            async def send(message: Any) -> None:
                said.append(message)

            await app({"type": "lifespan"}, receive, send)
            assert said[0]["type"] == "lifespan.startup.failed" and "in use by another" in said[0]["message"]
            with pytest.raises(RuntimeError, match="lifespan"):
                await app({"type": "http"}, receive, send)

    with caplog.at_level(logging.CRITICAL, logger="cumulet"):
        run(story)


# a client by hand, for what httpx does not do


class Client:
    """One exchange, message by message."""

    def __init__(self, app: Any, method: str = "GET", path: str = "/", headers: dict[str, str] | None = None) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.asked = 0
        self.said: list[Any] = []
        self.began = asyncio.Event()
        self.may_send = asyncio.Event()
        self.may_send.set()
        scope = {
            "type": "http", "method": method, "path": path, "query_string": b"", "http_version": "1.1",
            "server": ("127.0.0.1", 4599), "client": ("127.0.0.1", 1), "scheme": "http",
            "headers": [(b"host", b"127.0.0.1:4599"), *((n.encode(), v.encode()) for n, v in (headers or {}).items())],
        }  # fmt: skip
        self.done = asyncio.ensure_future(app(scope, self.receive, self.send))

    async def receive(self) -> Any:
        self.asked += 1
        return await self.inbox.get()

    async def send(self, message: Any) -> None:
        await self.may_send.wait()
        self.said.append(message)
        self.began.set()

    @property
    def status(self) -> int:
        return int(self.said[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.said[1:])


def test_a_client_that_waits_for_continue_is_refused_before_its_body_is_read() -> None:
    async def story() -> None:
        async with served() as it:
            headers = {"expect": "100-continue", "content-length": "1000", "authorization": "AWS nonsense"}
            client = Client(it.app, "PUT", "/shop/k", headers)
            await client.done
            assert client.status == 403 and client.asked == 0

    run(story)


def test_a_client_that_leaves_in_its_body_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        removed = asyncio.Event()
        remove = Spool._remove

        def noticed(spool: Spool) -> None:
            remove(spool)
            removed.set()

        monkeypatch.setattr(Spool, "_remove", noticed)
        async with served(tmp_path / "data") as it:
            client = Client(it.app, "PUT", "/shop/k", {"content-length": str(MIB)})
            for _ in range(4):
                await client.inbox.put({"type": "http.request", "body": b"x" * 100_000, "more_body": True})
            await client.inbox.put({"type": "http.disconnect"})
            await client.done
            await removed.wait()
            assert client.said == []
            assert list((tmp_path / "data" / "blobs" / "tmp").iterdir()) == []

    run(story)


def test_a_client_that_leaves_takes_its_request_back() -> None:
    class Held:
        cancelled = False

    async def story() -> None:
        async with served() as it:
            held, begun = Held(), asyncio.Event()

            def handler(request: Any, reply: Any) -> object:
                begun.set()
                return held

            it.cloud.server.handler = handler
            client = Client(it.app)
            await client.inbox.put({"type": "http.request", "body": b""})
            await begun.wait()
            assert not held.cancelled
            await client.inbox.put({"type": "http.disconnect"})
            await client.done
            assert held.cancelled and client.said == []

    run(story)


def test_a_stream_is_sent_as_fast_as_the_client_reads_and_closed_when_it_leaves() -> None:
    async def story() -> None:
        async with served() as it:
            made, closed = [0], asyncio.Event()

            async def stream() -> AsyncIterator[bytes]:
                try:
                    while True:
                        made[0] += 1
                        yield b"part"
                finally:
                    closed.set()

            def handler(request: Any, reply: Any) -> None:
                reply(HttpResponse(200, [("Date", "x"), ("X-Two", "a\r\nb"), ("Connection", "close")], stream))

            it.cloud.server.handler = handler
            client = Client(it.app)
            await client.inbox.put({"type": "http.request", "body": b""})
            await client.began.wait()
            assert client.said[0]["headers"] == [(b"x-two", b"a  b")]
            client.may_send.clear()
            for _ in range(20):
                await asyncio.sleep(0)
            before = made[0]
            for _ in range(20):
                await asyncio.sleep(0)
            assert made[0] == before, "made more than was read"
            client.done.cancel()
            await closed.wait()
            assert set(client.body.split(b"part")) == {b""}

    run(story)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_object_that_is_overwritten_before_the_server_sends_is_sent_whole(tmp_path: Path, at_once: bool) -> None:
    async def story() -> None:
        async with served() as it:
            path, replies = tmp_path / "object", asyncio.Queue[Any]()
            path.write_bytes(b"before")

            def handler(request: Any, reply: Any) -> None:
                answer = HttpResponse(200, (), FileBody(path, 1, 5))
                if at_once:
                    reply(answer)
                replies.put_nowait(lambda: reply(answer))

            it.cloud.server.handler = handler
            client = Client(it.app)
            client.may_send.clear()
            await client.inbox.put({"type": "http.request", "body": b""})
            (await replies.get())()  # a second answer is nobody's
            path.unlink()
            client.may_send.set()
            await client.done
            assert client.body == b"efore"

    run(story)


def test_a_bad_body_and_a_disk_that_refuses_are_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with served(tmp_path / "data") as it:
            chunked = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked"}
            answer = await it.http.put(f"{ORIGIN}/shop/k", content=b"zz\r\n", headers=chunked)
            assert answer.status_code == 400
            it.cloud.server.spool_dir = tmp_path / "missing"
            answer = await it.http.put(f"{ORIGIN}/shop/k", content=b"x" * MIB)
            assert answer.status_code == 500 and "Free space" in answer.text

    with caplog.at_level(logging.CRITICAL, logger="cumulet"):
        run(story)


def test_a_websocket_is_refused() -> None:
    async def story() -> None:
        async with served() as it:
            said: list[Any] = []

            async def receive() -> Any:
                return {"type": "websocket.connect"}

            async def send(message: Any) -> None:
                said.append(message)

            await it.app({"type": "websocket"}, receive, send)
            assert [message["type"] for message in said] == ["websocket.close"]

    run(story)


# under uvicorn


@pytest.fixture
def uvicorn_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    from cumulet.cli.asgi import application

    monkeypatch.setenv("CUMULET_DATA", str(tmp_path / "data"))
    listening = threading.Event()

    class Server(uvicorn.Server):  # type: ignore[misc]
        async def startup(self, *arguments: Any, **named: Any) -> None:
            await super().startup(*arguments, **named)
            listening.set()

    server = Server(uvicorn.Config(application(), port=0, ws="none", lifespan="on", log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert listening.wait(120)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(120)
    assert not thread.is_alive()


def test_under_uvicorn_boto3_works_and_a_function_finds_its_way_back(uvicorn_server: str) -> None:
    config = BotoConfig(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})

    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=uvicorn_server, region_name="us-east-1", config=config)

    s3 = client("s3")
    s3.create_bucket(Bucket="shop")
    data = bytes(range(256)) * 40_000  # 10 MB, aws-chunked, in parts, with "Expect: 100-continue"
    s3.upload_fileobj(io.BytesIO(data), "shop", "dir/ü")
    answer = s3.get_object(Bucket="shop", Key="dir/ü")
    assert answer["Body"].read() == data
    raw = httpx.get(f"{uvicorn_server}/_cumulet/health")
    assert len(raw.headers.get_list("date")) == 1
    code = "import boto3\ndef handler(event, context):\n    return [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("index.py", code)
    client("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/f", Handler="index.handler",
        Code={"ZipFile": sink.getvalue()}, Timeout=20,
    )  # fmt: skip
    answer = client("lambda").invoke(FunctionName="f")
    assert json.loads(answer["Payload"].read()) == ["shop"]

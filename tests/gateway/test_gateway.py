"""The gateway in front of a real pipeline whose operations are the test's own."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import DoorRequest, HttpResponse
from cumulet.gateway.gateway import Gateway, Hooks, Identity
from cumulet.gateway.http1 import Exchange
from cumulet.kernel.clock import Clock
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Wait
from cumulet.kernel.pipeline import Pipeline
from cumulet.kernel.registry import Registry
from cumulet.kernel.service import Service
from cumulet.kernel.store import Store
from cumulet.wire import Models

from .conftest import Reader, Running

KNOWN = Identity("222222222222", "arn:aws:iam::222222222222:user/ada", "ada-secret")


class Cloud:
    """A gateway, its pipeline, and what reached the operations."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.seen: list[tuple[Context, Any]] = []
        self.parked = threading.Event()
        self.resets = 0
        self.now: float | None = None
        self.store = Store(None)
        self.clock = Clock()
        self.models = Models()
        hooks = Hooks(
            identify=lambda key: KNOWN if key == "AKIAADAADAADAADAADAA" else None, reset=self._reset, version="9.9"
        )
        sqs = {"SendMessage": self._send, "ReceiveMessage": self._receive, "DeleteQueue": self._fail}
        services = (
            Service("sqs", internals=sqs),
            Service("s3", internals={"PutObject": self._put, "GetObject": self._get}),
            Service("sts", internals={"GetCallerIdentity": self._whoami}),
            Service("lambda", internals={"Invoke": self._invoke}),
            Service("cognito-idp", internals={"SignUp": self._sign_up}),
            Service("apigateway", doors={"execute-api": self._door}),
        )
        self._make = lambda: Pipeline(self.store, self.clock, Registry.of({service: {} for service in services}))
        self.folder = folder
        self._host = host
        self._hooks = hooks

    async def _reset(self) -> None:
        self.resets += 1

    def start(self) -> None:
        self.pipeline = self._make()
        self.gateway = Gateway(self.pipeline, self.models, self._hooks, host=self._host, account="000000000000")
        self.running = Running(self.gateway.handle, self.folder, screen=self.gateway.screen)
        self.url = f"http://127.0.0.1:{self.running.port}"

    def close(self) -> None:
        self.running.run(self.pipeline.close())
        self.running.close()

    def _send(self, ctx: Context, req: Any) -> Any:
        self.seen.append((ctx, req))
        return {"MessageId": "m-1", "MD5OfMessageBody": hashlib.md5(req["MessageBody"].encode()).hexdigest()}

    def _receive(self, ctx: Context, req: Any) -> Any:
        self.seen.append((ctx, req))
        self.parked.set()
        return Wait(("x",), ctx.arrived + 60)

    def _fail(self, ctx: Context, req: Any) -> Any:
        raise GenericAwsError("QueueDoesNotExist", "The specified queue does not exist.", hint="see list-queues")

    def _put(self, ctx: Context, req: Any) -> Any:
        self.seen.append((ctx, req))
        body = req.get("Body", b"")
        digest = hashlib.md5(body).hexdigest() if isinstance(body, bytes) else body.md5
        return {"ETag": f'"{digest}"'}

    def _get(self, ctx: Context, req: Any) -> Any:
        self.seen.append((ctx, req))
        return {"Body": b"content", "ContentLength": 7, "ContentType": "text/plain"}

    def _whoami(self, ctx: Context, req: Any) -> Any:
        self.seen.append((ctx, req))
        return {"Account": ctx.account, "Arn": ctx.principal, "UserId": ctx.region}

    def _invoke(self, ctx: Context, req: Any) -> Any:
        raise KeyError("a bug")

    def _sign_up(self, ctx: Context, req: Any) -> Any:
        return {"UserConfirmed": False, "UserSub": "u"}

    def _door(self, ctx: Context, request: Any) -> Any:
        assert isinstance(request, DoorRequest)
        self.seen.append((ctx, request))
        return HttpResponse(200, (), f"{request.target} {request.rest}".encode())

    def client(self, service: str, key: str = "test", secret: str = "test", **config: Any) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name=config.pop("region", "us-east-1"), aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
        )  # fmt: skip


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def open_cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud that believes to be bound to an address that others reach."""
    made = Cloud(tmp_path, host="0.0.0.0")
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


QUEUE = "http://127.0.0.1:4566/000000000000/q"


def test_account_and_region_come_from_the_signature(cloud: Cloud) -> None:
    assert cloud.client("sts", "111111111111", region="eu-west-1").get_caller_identity()["Account"] == "111111111111"
    assert cloud.client("sts", region="eu-west-1").get_caller_identity()["UserId"] == "eu-west-1"
    default = cloud.client("sts").get_caller_identity()
    assert (default["Account"], default["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    known = cloud.client("sts", "AKIAADAADAADAADAADAA", "wrong on loopback is fine").get_caller_identity()
    assert (known["Account"], known["Arn"]) == (KNOWN.account, KNOWN.arn)


def test_an_operation_gets_its_request_endpoint_and_answers(cloud: Cloud) -> None:
    answer = cloud.client("sqs").send_message(QueueUrl=QUEUE, MessageBody="hi")
    assert answer["MessageId"] == "m-1"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    ctx, req = cloud.seen[0]
    assert req == {"QueueUrl": QUEUE, "MessageBody": "hi"}
    assert ctx.endpoint == cloud.url
    assert answer["ResponseMetadata"]["RequestId"] == ctx.request_id


def test_an_unsigned_request_is_the_default_account_on_loopback(cloud: Cloud, http: httpx.Client) -> None:
    body = {"QueueUrl": QUEUE, "MessageBody": "hi"}
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    assert http.post(cloud.url, json=body, headers=headers).status_code == 200
    assert cloud.seen[0][0].account == "000000000000"


def test_errors_are_in_the_protocols_shape(cloud: Cloud, http: httpx.Client) -> None:
    with pytest.raises(ClientError) as raised:
        cloud.client("sqs").delete_queue(QueueUrl=QUEUE)
    assert raised.value.response["Error"]["Message"] == "The specified queue does not exist."
    answer = http.get(
        cloud.url,
        params={"Action": "GetCallerIdentity", "Version": "2011-06-15"},
        headers={"Authorization": "nonsense"},
    )
    assert (answer.status_code, "<Code>IncompleteSignature</Code>" in answer.text) == (400, True)
    target = {
        "X-Amz-Target": "AmazonSQS.SendMessage",
        "Authorization": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=h, Signature=x",
    }
    answer = http.post(cloud.url, json={}, headers=target)
    assert (answer.status_code, "IncompleteSignature" in answer.json()["__type"]) == (400, True)


def test_what_is_not_there_is_named_with_501(cloud: Cloud, http: httpx.Client) -> None:
    with pytest.raises(ClientError, match="ListQueues") as raised:
        cloud.client("sqs").list_queues()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    answer = http.post(cloud.url, headers={"X-Amz-Target": "AmazonSQS.MakeCoffee"})
    assert (answer.status_code, "MakeCoffee" in answer.text) == (501, True)


def test_a_bug_is_an_internal_failure_with_its_traceback_in_the_log(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientError) as raised:
        cloud.client("lambda").invoke(FunctionName="f")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "KeyError: 'a bug'" in caplog.text
    assert raised.value.response["ResponseMetadata"]["RequestId"] in caplog.text


def test_invalid_input_never_reaches_an_operation(cloud: Cloud, http: httpx.Client) -> None:
    answer = http.post(cloud.url, content=b"{", headers={"X-Amz-Target": "AmazonSQS.SendMessage"})
    assert (answer.status_code, "SerializationException" in answer.text) == (400, True)
    answer = http.post(cloud.url, json={"QueueUrl": QUEUE}, headers={"X-Amz-Target": "AmazonSQS.SendMessage"})
    assert answer.status_code == 400
    assert cloud.seen == []


def test_s3_uploads_of_boto3_arrive_decoded_and_spooled(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    for size in (0, 10, 3_000_000):
        data = b"d" * size
        answer = s3.put_object(Bucket="b", Key="k /ü", Body=data, ChecksumAlgorithm="CRC32", Metadata={"a": "1"})
        assert answer["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        assert len(answer["ResponseMetadata"]["RequestId"]) == 16
    req = cloud.seen[-1][1]
    assert (req["Bucket"], req["Key"], req["Metadata"]) == ("b", "k /ü", {"a": "1"})
    assert req["ChecksumCRC32"]
    assert list(cloud.folder.iterdir()) == []


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_are_verified(cloud: Cloud, http: httpx.Client, version: str) -> None:
    s3 = cloud.client("s3", signature_version=version)
    url = s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "a b/ü+c"}, ExpiresIn=60)
    assert ("X-Amz-Signature" in url) == (version == "s3v4")
    assert http.get(url).text == "content"
    assert cloud.seen[-1][1]["Key"] == "a b/ü+c"
    for wrong in (url.replace("a%20b", "a%20c"), url[:-1] + ("0" if url[-1] != "0" else "1")):
        answer = http.get(wrong)
        assert answer.status_code == 403
        assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    assert http.put(url, content=b"x").status_code == 403
    other = cloud.client("s3", "any", "other", signature_version=version)
    assert http.get(other.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})).status_code == 403
    known = cloud.client("s3", "AKIAADAADAADAADAADAA", "ada-secret", signature_version=version)
    assert http.get(known.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})).status_code == 200
    assert cloud.seen[-1][0].account == KNOWN.account
    put = s3.generate_presigned_url("put_object", {"Bucket": "b", "Key": "k", "ContentType": "text/x"})
    assert http.put(put, content=b"x" * 100_000, headers={"Content-Type": "text/x"}).status_code == 200
    if version == "s3v4":  # version 2 has the type that is signed in the URL
        assert http.put(put, content=b"x", headers={"Content-Type": "text/y"}).status_code == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_expire_on_the_clouds_clock(cloud: Cloud, http: httpx.Client, version: str) -> None:
    s3 = cloud.client("s3", signature_version=version)
    url = s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"}, ExpiresIn=60)
    assert http.post(f"{cloud.url}/_cumulet/clock", json={"freeze": True}).json()["mode"] == "frozen"
    assert http.post(f"{cloud.url}/_cumulet/clock", json={"advance": 50}).status_code == 200
    assert http.get(url).status_code == 200
    assert http.post(f"{cloud.url}/_cumulet/clock", json={"advance": 20}).status_code == 200
    answer = http.get(url)
    assert answer.status_code == 403
    assert "<Message>Request has expired</Message>" in answer.text
    for member in ("Expires", "ServerTime", *(["X-Amz-Expires"] if version == "s3v4" else [])):
        assert f"<{member}>" in answer.text


def test_a_presigned_url_that_lacks_something_is_described(cloud: Cloud, http: httpx.Client) -> None:
    answer = http.get(
        f"{cloud.url}/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/us-east-1/s3/aws4_request"
    )
    assert answer.status_code == 400
    assert "<Code>AuthorizationQueryParametersError</Code>" in answer.text


def test_a_body_with_an_expired_signature_is_refused_before_it_is_sent(cloud: Cloud, http: httpx.Client) -> None:
    url = cloud.client("s3", signature_version="s3v4").generate_presigned_url(
        "put_object", {"Bucket": "b", "Key": "k"}, ExpiresIn=60
    )
    http.post(f"{cloud.url}/_cumulet/clock", json={"freeze": True})
    http.post(f"{cloud.url}/_cumulet/clock", json={"advance": 61})
    with cloud.running.connect() as client:
        target = url.partition(str(cloud.running.port))[2]
        client.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{cloud.running.port}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n".encode()
        )
        assert Reader(client).answer()[0] == 403


def test_off_loopback_every_signature_is_verified(open_cloud: Cloud, http: httpx.Client) -> None:
    good = ("AKIAADAADAADAADAADAA", "ada-secret")
    assert open_cloud.client("sts", *good).get_caller_identity()["Account"] == KNOWN.account
    assert open_cloud.client("sqs", *good).send_message(QueueUrl=QUEUE, MessageBody="hi")["MessageId"] == "m-1"
    open_cloud.client("s3", *good).put_object(Bucket="b", Key="k k", Body=b"x" * 100_000)
    for service, call, wrong_secret, unknown_key in (
        (
            "sqs",
            lambda c: c.send_message(QueueUrl=QUEUE, MessageBody="x"),
            "InvalidSignatureException",
            "UnrecognizedClientException",
        ),
        ("sts", lambda c: c.get_caller_identity(), "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("s3", lambda c: c.put_object(Bucket="b", Key="k", Body=b"x"), "SignatureDoesNotMatch", "InvalidAccessKeyId"),
    ):
        with pytest.raises(ClientError) as raised:
            call(open_cloud.client(service, good[0], "wrong"))
        assert raised.value.response["Error"]["Code"] == wrong_secret
        for key in ("test", "111111111111", "AKIAUNKNOWNUNKNOWN00"):
            with pytest.raises(ClientError) as raised:
                call(open_cloud.client(service, key))
            assert raised.value.response["Error"]["Code"] == unknown_key
    assert http.get(f"{open_cloud.url}/b/k").status_code == 403
    missing = http.post(open_cloud.url, json={}, headers={"X-Amz-Target": "AmazonSQS.SendMessage"})
    assert "MissingAuthenticationToken" in missing.json()["__type"]
    for path in ("reset", "clock", "trace", "call/sqs/SendMessage"):
        assert http.post(f"{open_cloud.url}/_cumulet/{path}", json={}).status_code == 403
    assert http.get(f"{open_cloud.url}/_cumulet/health").status_code == 200
    unsigned = {"X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp"}
    body = {"ClientId": "c", "Username": "u", "Password": "pppppp"}
    assert http.post(open_cloud.url, json=body, headers=unsigned).status_code == 200


def _signed_send(cloud: Cloud, body: bytes, at: datetime | None = None) -> AWSRequest:
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "X-Amz-Content-Sha256": hashlib.sha256(body).hexdigest()}
    request = AWSRequest("POST", cloud.url + "/", headers=headers, data=body)
    signer = SigV4Auth(Credentials("AKIAADAADAADAADAADAA", "ada-secret"), "sqs", "us-east-1")
    if at is not None:
        request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
        signer._modify_request_before_signing(request)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        signer._inject_signature_to_request(request, signer.signature(text, request))
    else:
        signer.add_auth(request)
    return request


def test_off_loopback_a_replaced_body_and_an_old_signature_are_refused(open_cloud: Cloud, http: httpx.Client) -> None:
    body = json.dumps({"QueueUrl": QUEUE, "MessageBody": "pay 1"}).encode()
    signed = _signed_send(open_cloud, body)
    headers = dict(signed.headers.items())
    assert http.post(open_cloud.url, content=body, headers=headers).status_code == 200
    answer = http.post(open_cloud.url, content=body.replace(b"pay 1", b"pay 9"), headers=headers)
    assert (answer.status_code, "XAmzContentSHA256Mismatch" in answer.text) == (400, True)
    old = _signed_send(open_cloud, body, datetime(2020, 1, 1, tzinfo=UTC))
    answer = http.post(open_cloud.url, content=body, headers=dict(old.headers.items()))
    assert (answer.status_code, "Signature expired" in answer.text) == (400, True)


def test_a_client_that_leaves_a_long_poll_is_forgotten(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled, calls = threading.Event(), []
    cancel = Exchange.cancel

    def noticed(exchange: Exchange) -> None:
        calls.append((exchange.call, exchange.call.cancelled))
        cancel(exchange)
        cancelled.set()

    monkeypatch.setattr(Exchange, "cancel", noticed)
    body = json.dumps({"QueueUrl": QUEUE, "WaitTimeSeconds": 20}).encode()
    client = cloud.running.connect()
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    assert cloud.parked.wait(60)
    client.close()
    assert cancelled.wait(60)
    ((call, before),) = calls
    assert (before, call.cancelled) == (False, True)
    assert len(cloud.seen) == 1


def test_apis_are_reached_by_path_and_by_host(cloud: Cloud, http: httpx.Client) -> None:
    answer = http.get(f"{cloud.url}/_aws/execute-api/abc123/prod/a%2Fb//c?x=1")
    assert answer.text == "abc123 /prod/a%2Fb//c"
    request = cloud.seen[0][1]
    assert (request.query, request.method) == ("x=1", "GET")
    for host in ("abc123.execute-api.localhost:4566", "ABC123.execute-api.eu-west-1.amazonaws.com"):
        assert http.get(f"{cloud.url}/prod/x", headers={"Host": host}).text == "abc123 /prod/x"
    answer = http.options(
        f"{cloud.url}/_aws/execute-api/abc/p/", headers={"Origin": "http://o", "Access-Control-Request-Method": "GET"}
    )
    assert answer.text == "abc /p/"
    assert "access-control-allow-origin" not in answer.headers
    answer = http.get(f"{cloud.url}/", headers={"Host": "d123.cloudfront.net"})
    assert (answer.status_code, "cloudfront" in answer.text) == (501, True)


def test_an_api_sees_who_signed_and_an_applications_own_token_is_left_alone(cloud: Cloud, http: httpx.Client) -> None:
    url = f"{cloud.url}/_aws/execute-api/abc/p"
    request = AWSRequest("GET", url)
    SigV4QueryAuth(Credentials("AKIAADAADAADAADAADAA", "ada-secret"), "execute-api", "us-east-1", 60).add_auth(request)
    assert http.get(request.url).status_code == 200
    assert cloud.seen[-1][0].principal == KNOWN.arn
    assert http.get(url, headers={"Authorization": "Bearer abc"}).status_code == 200
    assert cloud.seen[-1][0].access_key == ""


def test_browsers_may_call_services_from_other_origins(cloud: Cloud, http: httpx.Client) -> None:
    ask = {
        "Origin": "http://shop",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-amz-target,authorization",
    }
    answer = http.options(cloud.url, headers=ask)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://shop"
    assert answer.headers["access-control-allow-headers"] == "x-amz-target,authorization"
    assert "POST" in answer.headers["access-control-allow-methods"]
    body = {"QueueUrl": QUEUE, "MessageBody": "hi"}
    answer = http.post(cloud.url, json=body, headers={"Origin": "http://shop", "X-Amz-Target": "AmazonSQS.SendMessage"})
    assert answer.headers["access-control-allow-origin"] == "http://shop"
    assert "x-amzn-requestid" in answer.headers["access-control-expose-headers"]
    plain = http.post(cloud.url, json=body, headers={"X-Amz-Target": "AmazonSQS.SendMessage"})
    assert "access-control-allow-origin" not in plain.headers


def test_our_own_paths_answer(cloud: Cloud, http: httpx.Client) -> None:
    health = http.get(f"{cloud.url}/_cumulet/health").json()
    assert (health["status"], health["version"]) == ("running", "9.9")
    assert http.post(f"{cloud.url}/_cumulet/reset").status_code == 200
    assert http.post(f"{cloud.url}/moto-api/reset").status_code == 200
    assert cloud.resets == 2
    assert http.get(f"{cloud.url}/_cumulet/reset").status_code == 405
    assert http.get(f"{cloud.url}/_cumulet/coffee").status_code == 404
    cloud.client("sqs").send_message(QueueUrl=QUEUE, MessageBody="x")
    traces = http.get(f"{cloud.url}/_cumulet/trace").json()["traces"]
    assert traces[0]["name"] == "sqs.SendMessage"


def test_the_clock_is_read_frozen_and_advanced(cloud: Cloud, http: httpx.Client) -> None:
    url = f"{cloud.url}/_cumulet/clock"
    assert http.get(url).json()["mode"] == "real"
    assert http.post(url, json={"advance": 1}).status_code == 409
    frozen = http.post(url, json={"freeze": True}).json()["now"]
    assert http.post(url, json={"advance": 3600}).json()["now"] == pytest.approx(frozen + 3600)
    assert http.get(url).json()["now"] == pytest.approx(frozen + 3600)
    assert http.post(url, json={"jump": True}).json()["mode"] == "jumping"
    for wrong in (
        b"{",
        b"[]",
        b'{"advance": -1}',
        b'{"advance": "1"}',
        b'{"leap": true}',
        b'{"freeze": true, "jump": true}',
    ):
        assert http.post(url, content=wrong).status_code == 400


def test_pages_of_other_sites_may_not_steer_the_cloud(cloud: Cloud, http: httpx.Client) -> None:
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:3000", 200),
        ("http://localhost", 200),
    ):
        assert http.post(f"{cloud.url}/_cumulet/reset", headers={"Origin": origin}).status_code == status
    rebound = {"Origin": "http://evil.example:4566", "Host": "evil.example:4566"}
    assert http.post(f"{cloud.url}/_cumulet/reset", headers=rebound).status_code == 403


def test_the_json_door_calls_any_operation_with_the_models_names(cloud: Cloud, http: httpx.Client) -> None:
    url = f"{cloud.url}/_cumulet/call"
    answer = http.post(
        f"{url}/sqs/SendMessage",
        json={"QueueUrl": QUEUE, "MessageBody": "hi"},
        headers={"x-cumulet-region": "eu-west-1"},
    )
    assert answer.json()["MessageId"] == "m-1"
    assert cloud.seen[-1][0].region == "eu-west-1"
    assert (
        http.post(
            f"{url}/s3/PutObject", json={"Bucket": "b", "Key": "k", "Body": "aGk=", "ContentType": "a/b"}
        ).status_code
        == 200
    )
    assert cloud.seen[-1][1] == {"Bucket": "b", "Key": "k", "Body": b"hi", "ContentType": "a/b"}
    assert http.post(f"{url}/s3/GetObject", json={"Bucket": "b", "Key": "k"}).json()["Body"] == "Y29udGVudA=="
    for path, body, status, words in (
        ("sqs/SendMessage", {"Queue": QUEUE}, 400, "Unknown member Queue"),
        ("sqs/SendMessage", {"QueueUrl": QUEUE}, 400, "MessageBody"),
        ("sqs/SendMessage", [], 400, "must be a JSON object"),
        ("s3/PutObject", {"Bucket": "b", "Key": "k", "Body": "?"}, 400, "Body is not base64"),
        ("sqs/DeleteQueue", {"QueueUrl": QUEUE}, 400, "see list-queues"),
        ("sqs/ListQueues", {}, 501, "ListQueues"),
        ("sqs/MakeCoffee", {}, 501, "MakeCoffee"),
        ("coffee/Make", {}, 501, "Make"),
    ):
        answer = http.post(f"{url}/{path}", json=body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert http.get(f"{url}/sqs/SendMessage").status_code == 405


def test_one_line_per_request_when_asked_for(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    sqs = cloud.client("sqs")
    sqs.send_message(QueueUrl=QUEUE, MessageBody="secret")
    assert caplog.records == []
    caplog.set_level(logging.INFO, "cumulet.access")
    sqs.send_message(QueueUrl=QUEUE, MessageBody="secret")
    with pytest.raises(ClientError):
        sqs.delete_queue(QueueUrl=QUEUE)
    first, second = [record.getMessage() for record in caplog.records if record.name == "cumulet.access"]
    assert " sqs.SendMessage arn:aws:iam::000000000000:root 200 " in first
    assert second.endswith("QueueDoesNotExist (see list-queues)")
    assert "secret" not in caplog.text

"""A disk that is really full: writes are refused, nothing acknowledged is lost, and all goes on when there is space."""

import asyncio
import contextlib
import http.server
import io
import json
import os
import queue
import random
import resource
import subprocess
import threading
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cumulet.aws.errors import InternalFailure
from cumulet.kernel.blobs import Blobs
from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.store import Store

pytestmark = pytest.mark.crash

KIB = 1024
DISK_BYTES = 8 * KIB * KIB
FILE_BYTES = 192 * KIB
ROOM = 1024 * KIB
WRITERS = 4


class FileLimit:
    """No file of the server may grow over a limit (RLIMIT_FSIZE): every system can do this, and nobody else notices."""

    prefix = ()

    def __init__(self, tmp_path):
        self.server = None

    def folder(self, server):
        return server.folder

    def fill(self, room=ROOM):
        self._limit(room or FILE_BYTES)

    def free(self):
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size):
        pid = self.server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def close(self):
        pass


class SmallDisk:
    """A file system of 8 MiB, mounted where only the server and its holder see it."""

    def __init__(self, tmp_path):
        self.mount = tmp_path / "the data"
        self.mount.mkdir()
        script = f"mount -t tmpfs -o size={DISK_BYTES} tmpfs '{self.mount}' && echo ready && exec cat"
        try:
            self.holder = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except OSError as error:
            pytest.skip(f"no mount namespaces here: {error}")
        if self.holder.stdout.readline() != "ready\n":
            said = self.holder.communicate()[1].strip()
            pytest.skip(f"no file system can be mounted here: {said}")
        self.prefix = ("nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", f"--wd={os.getcwd()}")
        self.inside = f"/proc/{self.holder.pid}/root{self.mount}"
        self.filler = f"{self.inside}/filler"

    def folder(self, server):
        return type(server.folder)(self.inside)

    def fill(self, room=ROOM):
        with open(self.filler, "wb") as file:
            for _ in range(10):  # the server may write meanwhile: its minute's metrics
                found = os.statvfs(self.inside)
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - room)
                    return
        raise AssertionError("the disk could not be filled")

    def free(self):
        os.unlink(self.filler)

    def close(self):
        self.holder.communicate()


@pytest.fixture(params=[FileLimit, SmallDisk], ids=["file-limit", "small-disk"])
def disk(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def server(disk, server_process):
    disk.server = server_process(prefix=disk.prefix).start()
    yield disk.server
    disk.server.kill()  # before the disk goes


def refusal(call, **request):
    """The error of a write that the disk does not take."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "Free space in the data directory" in answer["Error"]["Message"], answer
    return answer["Error"]


def create_table(server):
    server.client("dynamodb").create_table(
        TableName="pairs",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    server.client("dynamodb").get_waiter("table_exists").wait(
        TableName="pairs", WaiterConfig={"Delay": 0, "MaxAttempts": 100_000}
    )


def put_pair(dynamodb, name):
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "pairs", "Item": {"id": {"S": f"{side}-{name}"}, "fill": {"S": "x" * 2000}}}}
            for side in "ab"
        ]
    )


def write_until_refused(server):
    """Several clients at once; returns what was acknowledged. The disk is full before they write 16 MiB each."""
    acknowledged, errors = set(), []

    def work(writer):
        dynamodb = server.client("dynamodb")
        for number in range(4000):
            name = f"{writer}-{number}"
            try:
                put_pair(dynamodb, name)
            except (ClientError, BotoCoreError) as error:
                errors.append(error)
                return
            acknowledged.add(name)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == WRITERS
    for error in errors:
        assert "Free space in the data directory" in str(error), error
    return acknowledged


def pairs(server):
    """The names whose both halves are there; no half is there alone."""
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName="pairs")
    found = {side: set() for side in "ab"}
    for page in pages:
        for item in page["Items"]:
            side, _, name = item["id"]["S"].partition("-")
            found[side].add(name)
    assert found["a"] == found["b"], "half a transaction"
    return found["a"]


def temporary(disk, server):
    return [path.name for path in (disk.folder(server) / "blobs" / "tmp").iterdir()]


def test_writes_are_refused_then_go_on_and_a_kill_loses_nothing(disk, server):
    create_table(server)
    dynamodb = server.client("dynamodb")
    put_pair(dynamodb, "before")
    disk.fill()
    acknowledged = write_until_refused(server) | {"before"}
    assert pairs(server) == acknowledged, "what was refused is there, or what was acknowledged is not"
    disk.free()
    put_pair(dynamodb, "after")
    assert pairs(server) == acknowledged | {"after"}
    server.kill()
    server.start()
    assert pairs(server) == acknowledged | {"after"}


def test_a_server_killed_on_a_full_disk_starts_and_reads_before_there_is_space(disk, server):
    create_table(server)
    disk.fill()
    acknowledged = write_until_refused(server)
    server.kill()
    server.start()
    if isinstance(disk, FileLimit):  # the new process is not limited yet
        disk.fill()
    assert pairs(server) == acknowledged
    with pytest.raises(ClientError):
        for number in range(1000):
            put_pair(server.client("dynamodb"), f"more-{number}")
            acknowledged.add(f"more-{number}")
    disk.free()
    put_pair(server.client("dynamodb"), "after")
    assert pairs(server) == acknowledged | {"after"}


@pytest.mark.parametrize("disk", [SmallDisk], indirect=True)
def test_a_start_that_a_full_disk_prevents_says_so_and_not_that_the_data_is_damaged(disk, server):
    create_table(server)
    put_pair(server.client("dynamodb"), "before")
    server.stop()  # the database's own log goes, and needs space to be made again
    disk.fill(room=0)
    with pytest.raises(
        AssertionError, match=r"Error: .* cannot be opened .* free space in the data directory"
    ) as caught:
        server.start()
    assert "Traceback" not in str(caught.value)
    disk.free()
    server.start()
    assert pairs(server) == {"before"}


def test_large_bodies_are_refused_leave_no_file_and_do_not_touch_what_is_there(disk, server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bodies")
    kept = random.Random(1).randbytes(300 * KIB)
    s3.put_object(Bucket="bodies", Key="kept", Body=kept)
    disk.fill(room=0)
    for size in (300 * KIB, 9 * KIB * KIB):
        refusal(s3.put_object, Bucket="bodies", Key="refused", Body=b"r" * size)
        refusal(s3.put_object, Bucket="bodies", Key="kept", Body=b"r" * size)
    code = {"ZipFile": archive("def handler(event, context): pass\n", random.Random(2).randbytes(400 * KIB))}
    refusal(server.client("lambda").create_function, **function("large", code))
    assert s3.get_object(Bucket="bodies", Key="kept")["Body"].read() == kept
    assert temporary(disk, server) == []  # asked after one more answer: a file goes after its request's
    disk.free()
    after = random.Random(3).randbytes(500 * KIB)
    s3.put_object(Bucket="bodies", Key="after", Body=after)
    server.kill()
    server.start()
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="bodies")["Contents"]] == ["after", "kept"]
    assert s3.get_object(Bucket="bodies", Key="kept")["Body"].read() == kept
    assert s3.get_object(Bucket="bodies", Key="after")["Body"].read() == after
    blobs = [path for path in (disk.folder(server) / "blobs").rglob("*") if path.is_file()]
    assert sorted(path.stat().st_size for path in blobs) == [300 * KIB, 500 * KIB]


@contextlib.contextmanager
def files_up_to(size):
    """This process's own files may not grow over `size`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_body_that_an_operation_writes_is_refused_and_leaves_no_half_file(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    with files_up_to(4 * KIB), pytest.raises(InternalFailure, match="Free space in the data directory"):
        blobs.write(b"x" * 8 * KIB)
    assert list(blobs.tmp.iterdir()) == []
    assert blobs.path(blobs.write(b"x" * 8 * KIB)).stat().st_size == 8 * KIB


def test_what_was_noted_in_memory_with_a_write_knows_whether_it_came_to_be(tmp_path):
    async def story():
        store = Store(tmp_path / "data")
        fates = []

        def work(tx):
            fates.append(store.fate)
            tx.put(("row",), b"x" * 8 * KIB)

        with files_up_to(4 * KIB), pytest.raises(StoreUnavailable, match="Free space in the data directory"):
            await store.transact(work)
        await store.transact(work)
        store.close()
        assert [fate.failed for fate in fates] == [True, False]

    asyncio.run(story())


def archive(code, ballast=b""):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as written:
        written.writestr(zipfile.ZipInfo("index.py"), code)
        written.writestr(zipfile.ZipInfo("ballast"), ballast)
    return sink.getvalue()


def function(name, code):
    return {
        "FunctionName": name, "Runtime": "python3.12", "Role": "arn:aws:iam::000000000000:role/worker",
        "Handler": "index.handler", "Timeout": 300, "Code": code,
    }  # fmt: skip


@pytest.fixture
def home():
    """A server that a function calls: (its address, what was called, what lets the calls return)."""
    called, go = queue.Queue(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            called.put(self.path.strip("/"))
            go.wait(300)
            with contextlib.suppress(OSError):
                self.send_response(204)
                self.end_headers()

        def log_message(self, *arguments):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}", called, go
    go.set()
    listener.shutdown()
    thread.join()
    listener.server_close()


def test_a_queued_event_whose_outcome_cannot_be_written_runs_again_when_there_is_space(disk, server, home):
    address, called, go = home
    lambda_ = server.client("lambda")
    code = (
        f"import urllib.request\ndef handler(event, context):\n    urllib.request.urlopen('{address}/' + event['n'])\n"
    )
    lambda_.create_function(**function("caller", {"ZipFile": archive(code)}))
    lambda_.put_function_concurrency(FunctionName="caller", ReservedConcurrentExecutions=1)
    create_table(server)
    for n in ("first", "second"):
        lambda_.invoke(FunctionName="caller", InvocationType="Event", Payload=json.dumps({"n": n}))
    running = called.get(timeout=60)
    disk.fill(room=0)
    acknowledged = write_until_refused(server)
    go.set()  # the first event ends, and its outcome finds no space
    refusal(
        lambda_.invoke,
        FunctionName="caller",
        InvocationType="Event",
        Payload=json.dumps({"n": "third", "pad": "x" * 250_000}),
    )
    disk.free()
    seen = {running}
    while seen != {"first", "second"}:
        seen.add(called.get(timeout=60))
    put_pair(server.client("dynamodb"), "after")
    assert pairs(server) == acknowledged | {"after"}

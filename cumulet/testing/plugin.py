"""The pytest plugin: a real cloud on a free port, empty for every test, on a clock that the test moves.

    def test_an_order_is_stored(aws, clock):
        aws("dynamodb").create_table(...)
        clock.advance(3600)

Fixtures: `server` (one per session), `cloud` (the server, emptied, on virtual time), `aws` (boto3 clients), `clock`, `faults`,
`iam_enforced` (policies hold during the test; an IAM user's keys go to `aws("sqs", aws_access_key_id=...)`),
and `server_process` for servers in processes of their own.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from cumulet.testing import clients
from cumulet.testing.process import ServerProcess

if TYPE_CHECKING:
    from cumulet.app import Cloud
    from cumulet.kernel.faults import Faults

T = TypeVar("T")
_WITHIN_S = 120.0


class CloudThread:
    """A cloud in a thread of its own, so that tests stay synchronous."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="cumulet", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        loop: asyncio.AbstractEventLoop
        try:
            import uvloop

            loop = uvloop.new_event_loop()
        except ImportError:
            loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        try:
            from cumulet.app import Cloud, Config

            self.cloud: Cloud = Cloud(Config(data=None, port=0, virtual=True))
            loop.run_until_complete(self.cloud.start())
        except BaseException as failure:
            self._failure = failure
            self._ready.set()
            return
        self._ready.set()
        loop.run_forever()
        loop.run_until_complete(self.cloud.close())
        loop.close()

    @property
    def endpoint(self) -> str:
        return self.cloud.endpoint

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the cloud's loop and wait for it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_WITHIN_S)
        except TimeoutError:
            if future.done():  # the work's own
                raise
            future.cancel()
            late = f"The cloud was not done after {_WITHIN_S:g} s: a function that does not end, or too much at once."
            raise TimeoutError(late) from None

    def quiet(self) -> None:
        """Wait until nothing is in flight: no request, no function, no due timer."""
        self.run(self.cloud.pipeline.quiet())

    def reset(self) -> None:
        self.run(self.cloud.reset())

    def enforce_iam(self, on: bool) -> None:
        """Hold every request against IAM's policies from now on, or not, as `cumulet up --iam enforce` does."""

        async def switch() -> None:
            self.cloud.enforce(on)

        self.run(switch())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)


class TestClock:
    """The cloud's virtual clock."""

    __test__ = False

    def __init__(self, server: CloudThread) -> None:
        self._server = server

    def now(self) -> float:
        return self._server.cloud.pipeline.clock.now()

    def advance(self, seconds: float) -> None:
        """Move time on, running everything that comes due on the way.

        Raises: ValueError; TimeoutError when what comes due does not end.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"The clock advances by 0 seconds or more, not by {seconds!r}: time does not go back.")
        self._server.run(self._server.cloud.pipeline.advance(seconds))

    def quiet(self) -> None:
        """Wait until nothing is in flight."""
        self._server.quiet()


@pytest.fixture(scope="session")
def server() -> Iterator[CloudThread]:
    """One cloud for the whole session, on a free port, in memory."""
    started = CloudThread()
    yield started
    started.stop()


@pytest.fixture
def cloud(server: CloudThread) -> CloudThread:
    """The session's cloud, emptied."""
    server.reset()
    return server


@pytest.fixture
def aws(cloud: CloudThread) -> Callable[..., Any]:
    """`aws("s3")`: a boto3 client for the emptied cloud. No retries, so that a test sees the first answer."""
    return client_maker(cloud.endpoint, clients.session())


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers in processes of their own (`server_process("--clock", "virtual").start()`), to be killed; what still runs at
    the end of the test is stopped."""
    made: list[ServerProcess] = []

    def make(
        *options: str,
        environment: Mapping[str, str] | None = None,
        name: str = "the data",
        prefix: Sequence[str] = (),
    ) -> ServerProcess:
        made.append(ServerProcess(tmp_path / name, *options, environment=environment, prefix=prefix))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def clock(cloud: CloudThread) -> TestClock:
    return TestClock(cloud)


@pytest.fixture
def faults(cloud: CloudThread) -> Iterator[Faults]:
    """Makes the platform fail at named points; disarmed after the test."""
    yield cloud.cloud.pipeline.faults
    cloud.cloud.pipeline.faults.disarm()


@pytest.fixture
def iam_enforced(cloud: CloudThread) -> Iterator[CloudThread]:
    """The session's cloud, emptied, with IAM's policies enforced during the test."""
    cloud.enforce_iam(True)
    yield cloud
    cloud.enforce_iam(False)


def client_maker(endpoint: str, session: Any) -> Callable[..., Any]:
    """A function that makes boto3 clients for an endpoint; clients are made once per service and options (but a `config`)."""
    from botocore.config import Config as BotoConfig

    made: dict[tuple[str, tuple[tuple[str, Any], ...]], Any] = {}

    def client(service: str, *, resource: bool = False, **options: Any) -> Any:
        key = (service + ("/resource" if resource else ""), tuple(sorted((k, str(v)) for k, v in options.items())))
        if "config" in options or key not in made:  # a config's text says nothing of what is in it
            config = BotoConfig(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                proxies={},  # it is on this machine
            )
            if "config" in options:
                config = config.merge(options.pop("config"))
            maker = session.resource if resource else session.client
            made[key] = maker(
                service,
                **{
                    "endpoint_url": endpoint,
                    "region_name": "us-east-1",
                    "aws_access_key_id": "test",
                    "aws_secret_access_key": "test",
                    "config": config,
                    **options,
                },
            )
        return made[key]

    return client

"""A cloud without HTTP: services in a pipeline on virtual time, for tests of one service and of the kernel."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.clock import Clock
from cumulet.kernel.ids import Ids
from cumulet.kernel.pipeline import Call, Performer, Pipeline
from cumulet.kernel.registry import Registry
from cumulet.kernel.service import Service
from cumulet.kernel.store import Store

ACCOUNT, REGION = "000000000000", "us-east-1"
_START = 1_700_000_000.0


def _snake_to_pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _names(service: Service) -> dict[str, str]:
    """snake -> operation name from the packaged models, or by rule for a service that has no model (a test's own)."""
    try:
        from cumulet.wire import Models

        return dict(Models().names(service.name))
    except (ImportError, KeyError, OSError):
        return {name: _snake_to_pascal(name) for name, _ in service.functions()}


def _wire() -> dict[str, Any]:
    """What a whole cloud gives its pipeline of the wire; nothing is converted for a service that has no model."""
    from cumulet.wire import Models
    from cumulet.wire.coerce import coerce
    from cumulet.wire.inside import answer, form

    models = Models()

    def coerced(service: str, operation: str, request: Any) -> Any:
        try:
            return coerce(models, service, operation, request)
        except KeyError:
            return request

    return {"coerce": coerced, "form": partial(form, models), "answer": partial(answer, models)}


class InProcess:
    """`async with InProcess([SERVICE]) as cloud: await cloud.call("sqs", "SendMessage", {...})`.

    services    what there is; or a registry that loads them
    folder      a data directory; None keeps everything in memory
    performers  effect kind -> async function (span, *args)
    metrics     (service, operation) that takes what is counted
    begin       where the clock starts, epoch seconds
    """

    def __init__(
        self,
        services: Sequence[Service] | Registry,
        performers: Mapping[str, Performer] | None = None,
        folder: Path | None = None,
        seed: int | None = None,
        metrics: tuple[str, str] | None = None,
        begin: float = _START,
    ) -> None:
        self._services = services
        self._performers = performers
        self._folder = folder
        self._seed = seed
        self._metrics = metrics
        self.clock = Clock(virtual=True, start=begin)

    async def __aenter__(self) -> Self:
        self.store = Store(self._folder)
        services = self._services
        if not isinstance(services, Registry):
            services = Registry.of({service: _names(service) for service in services})
        self.pipeline = Pipeline(
            self.store,
            self.clock,
            services,
            performers=self._performers,
            ids=Ids(self._seed),
            metrics=self._metrics,
            **_wire(),
        )
        await self.pipeline.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pipeline.close()

    def _call(self, service: str, operation: str, request: Any, **overrides: Any) -> Call:
        return Call(
            service,
            operation,
            request,
            **{
                "account": ACCOUNT,
                "region": REGION,
                "request_id": self.pipeline.ids.uuid(),
                "principal": f"arn:aws:iam::{ACCOUNT}:root",
                **overrides,
            },
        )

    async def call(self, service: str, operation: str, request: Any, **overrides: Any) -> Any:
        """An operation's result (not checked against the model). Raises: AwsError."""
        return await self.pipeline.call(self._call(service, operation, request, **overrides))

    async def door(self, name: str, request: HttpRequest, **overrides: Any) -> HttpResponse:
        """A service's plain HTTP entry. Raises: AwsError."""
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        found = self.pipeline.services.door(name)
        assert found is not None
        call = self._call(found[0], re.sub(r"\W", "", name), None, **overrides)
        self.pipeline.handle_door(name, request, call, waiter.set_result)
        answer = await waiter
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, HttpResponse)
        return answer

    async def advance(self, seconds: float) -> None:
        """Move the clock, running what comes due on the way."""
        await self.pipeline.advance(seconds)

    async def quiet(self) -> None:
        """Wait until nothing is in flight."""
        await self.pipeline.quiet()

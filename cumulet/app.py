"""The composition root: the only module that lists all services and puts the parts together."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from cumulet import __version__
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.engines.supervisor import Engines
from cumulet.gateway.gateway import Gateway, Hooks, Identity
from cumulet.gateway.server import Server
from cumulet.kernel.clock import Clock
from cumulet.kernel.faults import Faults
from cumulet.kernel.outcome import EffectFailed, EffectInterrupted
from cumulet.kernel.pipeline import Call, Pipeline
from cumulet.kernel.registry import Registry
from cumulet.kernel.service import Manifest, Service
from cumulet.kernel.store import Store
from cumulet.kernel.trace import Span
from cumulet.keystore import MasterKey, rsa_pair
from cumulet.outbound import Outbound
from cumulet.runtimes import (
    FunctionSpec,
    Invocation,
    InvocationResult,
    Runtimes,
    RuntimesClosed,
    RuntimeStartError,
    UnsupportedRuntime,
)
from cumulet.runtimes.packages import Package, Packages, UnusablePackage
from cumulet.runtimes.sam import SamTransformer
from cumulet.wire import Models
from cumulet.wire.coerce import coerce, strangers
from cumulet.wire.inside import answer, form

SERVICES = (
    Manifest("apigateway", doors=("execute-api",)),
    Manifest("apigatewayv2"),
    Manifest("cloudformation", doors=("cloudformation-response",), types=("cdk",)),
    Manifest("cloudwatch"),
    Manifest("dynamodb"),
    Manifest("dynamodbstreams"),
    Manifest("events"),
    Manifest("iam"),
    Manifest("kms"),
    Manifest("lambda", package="lambda_", doors=("lambda-url", "lambda-code")),
    Manifest("logs"),
    Manifest("rds"),
    Manifest("s3", doors=("s3-website",)),
    Manifest("secretsmanager"),
    Manifest("sns", doors=("sns",)),
    Manifest("sqs"),
    Manifest("ssm"),
    Manifest("sts"),
)
_PACKAGES = {manifest.name: manifest.package or manifest.name.replace("-", "_") for manifest in SERVICES}


def load(name: str) -> Service:
    """Import a service. What it brings stays, so the garbage collector need not look at it, now or later."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        service: Service = import_module(f"cumulet.services.{_PACKAGES[name]}").SERVICE
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
    return service


_SESSIONS = 10_000
_COLLECT = (
    20_000,
    20,
    20,
)  # requests leave hardly any cycles: Python's own thresholds look for them thirty times as often
_DRAIN_S = 2.0


@dataclass(frozen=True)
class Config:
    """What `cumulet up` is told. `data` None keeps nothing; `port` 0 takes a free one; `enforce`: IAM's policies hold;
    `crash_at` is for crash tests."""

    data: Path | None
    host: str = "127.0.0.1"
    port: int = 4566
    virtual: bool = False
    account: str = "000000000000"
    crash_at: str | None = None
    enforce: bool = False


class Cloud:
    """A whole cloud in one event loop."""

    def __init__(self, config: Config) -> None:
        if config.data is not None:  # functions run in folders of their own, where a relative path means another place
            config = replace(config, data=config.data.absolute())
        self.config = config
        self.store = Store(config.data, Faults(config.crash_at))
        self.models = Models()
        self._temporary = tempfile.TemporaryDirectory(prefix="cumulet-") if config.data is None else None
        folder = config.data or Path(self._temporary.name if self._temporary else "")
        self.runtimes = Runtimes(folder / "run")
        self.packages = Packages(folder / "functions")
        self.sam = SamTransformer()
        self.outbound = Outbound()
        self.master_key = MasterKey(config.data)
        self.engines = Engines(folder / "engines", config.data is not None, self._engine_ended)
        self.pipeline = Pipeline(
            self.store,
            Clock(virtual=config.virtual),
            Registry(SERVICES, load, self.models.names),
            check=self._check,
            coerce=partial(coerce, self.models),
            strangers=partial(strangers, self.models),
            form=partial(form, self.models),
            answer=partial(answer, self.models),
            performers={
                "invoke": self._invoke,
                "provision": self._provision,
                "sam.transform": self.sam.transform,
                "http": self.outbound.perform,
                "kms.pair": rsa_pair,
                **self.engines.performers(),
            },
            metrics=("cloudwatch", "cumulet:Record"),
        )
        self._lend()
        self._sessions: dict[str, tuple[Identity, float]] = {}  # access key -> identity, until
        hooks = Hooks(identify=self._identify, reset=self.reset, version=__version__)
        self.gateway = Gateway(self.pipeline, self.models, hooks, host=config.host, account=config.account)
        self.server = Server(self.gateway.handle, self.store.blobs.tmp, screen=self.gateway.screen)
        self.endpoint = ""
        self.enforce(config.enforce)

    def enforce(self, on: bool) -> None:
        """Hold every request against IAM's policies from now on, or not."""
        self.gateway.auth.enforcing = on
        self.pipeline.authority = None
        if on:
            from cumulet.kernel.authority import Authority  # few need it

            self.pipeline.authority = Authority(self.pipeline.services)

    async def start(self) -> None:
        """Raises: CannotListen, RuntimeStartError."""
        port = await self.server.start(self.config.host, self.config.port)
        self.reached_at(f"http://{self.config.host}:{port}")
        await self.open()

    def reached_at(self, endpoint: str) -> None:
        """Functions and URLs reach us by this address."""
        self.endpoint = self.pipeline.endpoint = endpoint

    async def open(self) -> None:
        """Start all but the front, for those who bring their own. Raises: RuntimeStartError."""
        await self.runtimes.start()
        if self.engines.known():
            account = self.config.account
            wanted = self.pipeline.ask(Call("rds", "cumulet:Wanted", {}, account, "us-east-1", "-"))
            self.engines.expect(wanted["DbiResourceIds"])
        await self.pipeline.start()
        gc.collect()
        gc.set_threshold(*_COLLECT)
        gc.freeze()  # what is loaded now stays: the collector need not look at it again

    async def close(self) -> None:
        self.pipeline.timers.stop()  # what falls due from now on is for the next start
        await self.runtimes.drain(_DRAIN_S)
        self.engines.retire()
        await self.runtimes.close()  # while our API is there: without it those that still run would fail
        await self.server.stop()
        await self.sam.close()
        await self.outbound.close()
        await self.pipeline.close()
        await self.engines.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def reset(self) -> None:
        """Back to empty: no function goes on that was at work, and nothing stays of what it made before it was killed."""
        await self._empty()
        if await self.runtimes.give_up():
            await self._empty()
        await self.engines.reset()

    async def _empty(self) -> None:
        await self.pipeline.reset()
        self._sessions.clear()  # with the rows, before the next request
        self._lend()

    def _lend(self) -> None:
        """What services may ask of the machine."""
        self.pipeline.volatile["engines.running"] = self.engines.running
        self.pipeline.volatile["kms.master"] = self.master_key.read

    def _check(self, service: str, operation: str, request: Any) -> None:
        self.models.service(service).operation(operation).check(request)

    async def _invoke(
        self, span: Span, spec: FunctionSpec, code: Package, layers: tuple[Package, ...], invocation: Invocation
    ) -> InvocationResult:
        """Perform an invocation: extract its packages once, run it, and hang what it calls under its span."""
        span.name = f"invoke {spec.function_name}"
        span.subject = ("lambda", spec.account, spec.region, spec.function_arn)
        generation = self.pipeline.generation
        try:
            ready = await self.packages.prepare(spec, code, layers)
            if self.engines.awaited:
                await self.engines.back()
            if generation != self.pipeline.generation:
                raise RuntimesClosed("The cloud was emptied before the function began.")
            traced = Invocation(
                request_id=invocation.request_id,
                payload=invocation.payload,
                trace_id=span.header(),
                invoked_arn=invocation.invoked_arn,
                client_context=invocation.client_context,
                cognito_identity=invocation.cognito_identity,
                now=invocation.now,
            )
            result = await self.runtimes.invoke(ready, traced)
        except (UnsupportedRuntime, UnusablePackage, RuntimesClosed, RuntimeStartError) as error:
            raise EffectFailed(type(error).__name__, str(error)) from error
        except asyncio.CancelledError:
            raise EffectFailed("RuntimesClosed", "The server is stopping.") from None
        cold = f", init {result.init_ms:.1f} ms" if result.init_ms is not None else ""
        span.detail = f"({result.duration_ms:.1f} ms{cold}, {result.status})"
        if result.function_error is not None:
            span.status, span.error = _said(result)
        return result

    async def _provision(
        self, span: Span, spec: FunctionSpec, code: Package, layers: tuple[Package, ...], count: int, now: float | None
    ) -> list[InvocationResult]:
        """Keep environments of a version initialised; how the init phases went that this took."""
        span.name = f"provision {spec.function_name}"
        generation = self.pipeline.generation
        try:
            ready = await self.packages.prepare(spec, code, layers)
            await self.engines.back()
            if generation != self.pipeline.generation:
                raise RuntimesClosed("The cloud was emptied before the function began.")
            return await self.runtimes.provision(ready, count, now)
        except (UnsupportedRuntime, UnusablePackage, RuntimeStartError) as error:
            raise EffectFailed(type(error).__name__, str(error)) from error
        except (RuntimesClosed, asyncio.CancelledError):
            raise EffectInterrupted("RuntimesClosed", "The server is stopping.") from None

    def _engine_ended(self, owner: tuple[str, ...], status: int) -> None:
        """An engine ended that nobody stopped: its service decides what becomes of it."""
        account, region, name, ident = owner
        request = {"DBInstanceIdentifier": name, "DbiResourceId": ident, "Status": status}
        call = Call("rds", "cumulet:EngineEnded", request, account, region, self.pipeline.ids.uuid())
        self.pipeline.handle(call, lambda answer: None)

    def _identify(self, access_key: str) -> Identity | None:
        """Whose access key it is, as STS and IAM know it; a session's is remembered until it ends.

        Raises: ExpiredToken, InvalidClientTokenId.
        """
        known = self._sessions.get(access_key)
        if known is not None and self.pipeline.clock.now() < known[1]:
            return known[0]
        call = Call("sts", "cumulet:Identity", {"AccessKeyId": access_key}, self.config.account, "us-east-1", "-")
        found = self.pipeline.ask(call)
        if not found:
            return None
        identity = Identity(found["AccountId"], found["Arn"], found["SecretAccessKey"], found.get("SessionToken", ""))
        if "Expiration" in found:
            if len(self._sessions) > _SESSIONS:
                self._sessions.clear()
            self._sessions[access_key] = (identity, found["Expiration"])
        return identity


def _said(result: InvocationResult) -> tuple[str, str]:
    """(code, message) of a function's error, for the trace."""
    try:
        said = read_json(result.payload)
    except NotJson:
        said = None
    if not isinstance(said, dict):
        return str(result.function_error), ""
    return str(said.get("errorType") or result.function_error)[:200], str(said.get("errorMessage", ""))[:1000]

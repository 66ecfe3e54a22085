"""What is run (a function's specification and one invocation) and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

RESPONSE_LIMIT_BYTES = 6_291_556  # Source: Lambda developer guide, "Lambda quotas" (read 2026-11).
INIT_LIMIT_S = 10.0  # Source: Lambda developer guide, "Understanding the Lambda execution environment lifecycle".


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """Everything an execution environment needs; two equal ones may share environments.

    `revision` must change whenever code or configuration does. `code_dir` and `layer_dirs` are extracted packages that
    must stay as they are while the revision lives.
    """

    function_arn: str
    function_name: str
    version: str
    runtime: str
    handler: str
    code_dir: Path
    layer_dirs: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    memory_mb: int = 128
    timeout_s: float = 3.0
    tmp_mb: int = 512
    region: str = "us-east-1"
    account: str = "000000000000"
    credentials: tuple[str, str, str] = ("", "", "")
    endpoint_url: str = ""
    log_group: str = ""
    log_format: str = "Text"
    application_log_level: str = ""
    tracing: str = "PassThrough"
    revision: str = ""
    initialization_type: str = "on-demand"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for a function.

    `now` is the virtual time in epoch seconds, or None where the server's clock is the real one.
    """

    request_id: str
    payload: bytes
    trace_id: str = ""
    invoked_arn: str = ""
    client_context: str | None = None
    cognito_identity: str | None = None
    tenant_id: str | None = None
    now: float | None = None


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The outcome of one invocation, as Lambda's Invoke answers and logs it.

    `status` is ok, error (the handler raised), timeout, init-error or crash (the process ended).
    """

    payload: bytes
    function_error: str | None
    log: list[tuple[float, str]] = field(repr=False)
    log_stream: str
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    max_memory_mb: int
    status: str


class RuntimeStartError(Exception):
    """The machinery that runs functions could not be started; the message says what to do."""


class UnsupportedRuntime(Exception):
    """The runtime identifier is one that nothing here can run."""

    def __init__(self, runtime: str) -> None:
        super().__init__(f"no interpreter here runs {runtime!r}; python3.6 to python3.14 work")
        self.runtime = runtime


class RuntimesClosed(Exception):
    """The runtimes were closed while, or before, an invocation ran."""

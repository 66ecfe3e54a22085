"""Lambda's records and their keys: functions, their versions, aliases, code, layers, permissions, URLs, queued events.

A function is one `Function` row and one `Version` row for $LATEST (number 0) and for each published version. Packages are
`Code` rows by SHA-256, counted by who uses them; the bytes are blobs.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

LATEST = "$LATEST"
ROOT = "lambda"


class Function(Record):
    """What all versions of a function share. `unqualified` is its ARN."""

    account: str
    region: str
    name: str
    last_version: int = 0
    tags: dict[str, str] | None = None
    reserved: int | None = None
    event_configs: int = 0  # how many qualifiers have settings of asynchronous invocation
    provisioned: int = 0  # how many environments its versions and aliases have asked to keep initialised

    @property
    def key(self) -> Key:
        return function_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return function_arn(self.account, self.region, self.name)


class LayerUse(Record):
    """A layer version that a function version runs with; it stays usable after the layer version is deleted."""

    arn: str
    sha256: str
    code_size: int
    unzipped: int


class Version(Record):
    """One version's configuration and code. `number` 0 is $LATEST; `code_sha256` is hexadecimal."""

    account: str
    region: str
    name: str
    number: int
    revision: str
    role: str
    runtime: str
    handler: str
    code_sha256: str
    code_size: int
    unzipped: int
    modified: float
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    tmp_mb: int = 512
    environment: dict[str, str] | None = None
    layers: tuple[LayerUse, ...] = ()
    architectures: tuple[str, ...] = ("x86_64",)
    tracing: str = "PassThrough"
    log_format: str = "Text"
    log_level: str = ""
    log_group: str = ""
    dead_letter: str = ""

    @property
    def label(self) -> str:
        return str(self.number) if self.number else LATEST

    @property
    def key(self) -> Key:
        return version_key(self.account, self.region, self.name, self.number)

    @property
    def arn(self) -> str:
        """Unqualified."""
        return function_arn(self.account, self.region, self.name)


class Alias(Record):
    """A name for a version, perhaps with a second version that gets a share of the invocations."""

    account: str
    region: str
    function: str
    name: str
    version: int
    revision: str
    description: str = ""
    weights: dict[str, float] | None = None

    @property
    def key(self) -> Key:
        return (ROOT, "alias", self.account, self.region, self.function, self.name)

    @property
    def arn(self) -> str:
        return f"{function_arn(self.account, self.region, self.function)}:{self.name}"


class Code(Record):
    """A package that is in use `users` times."""

    blob: str
    size: int
    unzipped: int
    users: int


class Policy(Record):
    """The resource policy of a function, version, alias or layer version."""

    revision: str
    statements: tuple[dict[str, Any], ...] = ()


class Layer(Record):
    """The counter of a layer's versions; it survives their deletion, as numbers are never used again."""

    last_version: int = 0


class LayerVersion(Record):
    """One immutable version of a layer."""

    account: str
    region: str
    name: str
    number: int
    code_sha256: str
    code_size: int
    unzipped: int
    created: float
    description: str = ""
    license: str | None = None
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return (ROOT, "layer-version", self.account, self.region, self.name, self.number)

    @property
    def layer_arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    @property
    def arn(self) -> str:
        return f"{self.layer_arn}:{self.number}"


class Url(Record):
    """A function's (or an alias's) own HTTP endpoint."""

    id: str
    account: str
    region: str
    function: str
    qualifier: str  # an alias, or "" for $LATEST
    auth: str
    created: float
    modified: float
    cors: dict[str, Any] | None = None
    invoke_mode: str = "BUFFERED"

    @property
    def key(self) -> Key:
        return (ROOT, "url", self.account, self.region, self.function, self.qualifier)

    @property
    def function_arn(self) -> str:
        arn = function_arn(self.account, self.region, self.function)
        return f"{arn}:{self.qualifier}" if self.qualifier else arn


class UrlPointer(Record):
    """Where the URL with this id is configured."""

    account: str
    region: str
    function: str
    qualifier: str


class QueuedEvent(Record):
    """An asynchronous invocation that is not done; its key says for which function, when it is due, and its request id.

    `attempts` counts those that the runtime began, `failures` those that the function failed, `ill` those that the platform
    failed. `status`, `error`, `version`, `function_error` and `response` are the last attempt's (429: it was throttled).
    """

    qualifier: str
    payload: bytes
    accepted: float
    blob: str = ""
    trace: str = ""
    attempts: int = 0
    failures: int = 0
    ill: int = 0
    status: int = 200
    error: str = ""
    version: str = ""
    function_error: str = ""
    response: bytes = b""


def function_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def function_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "function", account, region, name)


def version_key(account: str, region: str, name: str, number: int) -> Key:
    return (ROOT, "version", account, region, name, number)


def alias_key(account: str, region: str, name: str, alias: str) -> Key:
    return (ROOT, "alias", account, region, name, alias)


def policy_key(account: str, region: str, name: str, qualifier: str) -> Key:
    return (ROOT, "policy", account, region, name, qualifier)


def code_key(account: str, sha256: str) -> Key:
    return (ROOT, "code", account, sha256)


def queue_key(account: str, region: str, function: str, due: float, request_id: str) -> Key:
    """A queued event's place in its function's queue."""
    return (ROOT, "queue", account, region, function, due, request_id)


def reserved_key(account: str, region: str) -> Key:
    """The counter of concurrency that functions have reserved."""
    return (ROOT, "reserved", account, region)


def provisioned_key(account: str, region: str) -> Key:
    """The counter of provisioned concurrency of functions that have reserved none."""
    return (ROOT, "provisioned-sum", account, region)


def timestamp(at: float) -> str:
    """Lambda's own form: 2026-11-21T05:17:56.123+0000."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def base64_sha256(hexadecimal: str) -> str:
    """CodeSha256 as Lambda shows it."""
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()

"""Real execution environments for the tests: one zygote a module, one folder a function."""

from __future__ import annotations

import asyncio
import itertools
import json
import textwrap
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from cumulet.runtimes import FunctionSpec, Invocation, InvocationResult, Runtimes

_numbers = itertools.count(1)


class Cloud:
    """A running `Runtimes` and short words to use it."""

    def __init__(self, runner: asyncio.Runner, folder: Path) -> None:
        self.runner = runner
        self.folder = folder
        self.runtimes = Runtimes(folder / "scratch")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def function(self, source: str, files: dict[str, str] | None = None, **settings: Any) -> FunctionSpec:
        number = next(_numbers)
        code = self.folder / f"code{number}"
        for name, text in {"app.py": source, **(files or {})}.items():
            path = code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        name = f"function-{number}"
        values: dict[str, Any] = {
            "function_arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            "function_name": name,
            "version": "$LATEST",
            "runtime": "python3.12",
            "handler": "app.handler",
            "code_dir": code,
            "log_group": f"/aws/lambda/{name}",
            "timeout_s": 60,
        }
        return FunctionSpec(**(values | settings))

    def invoke(self, spec: FunctionSpec, event: Any = None, **settings: Any) -> InvocationResult:
        return self.run(self.start(spec, event, **settings))

    def start(self, spec: FunctionSpec, event: Any = None, **settings: Any) -> Coroutine[Any, Any, InvocationResult]:
        settings.setdefault("request_id", f"request-{next(_numbers)}")
        return self.runtimes.invoke(spec, Invocation(payload=json.dumps(event).encode(), **settings))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with asyncio.Runner() as runner:
        made = Cloud(runner, tmp_path_factory.mktemp("functions"))
        made.run(made.runtimes.start())
        made.run(made.runtimes.warm())
        yield made
        made.run(made.runtimes.close())


@pytest.fixture
def mounts(cloud: Cloud) -> None:
    """For tests of what a function sees through mount namespaces, which some machines forbid: it runs without them there."""
    starter = cloud.runtimes._starter
    assert starter is not None
    if not starter.isolated:
        pytest.skip("no mount namespaces here")

"""The generator of the services' request and result types."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import mypy.api
import pytest

from cumulet import wire

ROOT = Path(__file__).resolve().parents[2]
INDEX = wire.Models().index


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_api", ROOT / "tools" / "gen_api.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("service", sorted(INDEX))
def test_every_operation_gets_a_request_and_a_result(service: str) -> None:
    operations = sorted(INDEX[service]["names"].values())
    namespace: dict[str, Any] = {"__name__": "api"}
    exec(compile(GENERATOR.generate(service, operations), "api.py", "exec"), namespace)
    assert all(f"{op}{end}" in namespace for op in operations for end in ("Request", "Result"))


def test_required_members_are_required_and_the_rest_is_not() -> None:
    text = GENERATOR.generate("sqs", ["SendMessage"])
    assert "class SendMessageRequest(TypedDict):\n    QueueUrl: str\n    MessageBody: str\n" in text
    assert "    DelaySeconds: NotRequired[int]\n" in text
    assert "    MessageAttributes: NotRequired[dict[str, MessageAttributeValue]]\n" in text
    assert "    BinaryValue: NotRequired[bytes]\n" in text


def test_what_is_generated_passes_the_strict_type_checker(tmp_path: Path) -> None:
    for service in ("s3", "lambda", "apigatewayv2", "dynamodb"):
        operations = sorted(INDEX[service]["names"].values())
        (tmp_path / f"{service}_api.py").write_text(GENERATOR.generate(service, operations), "utf-8")
    files = [str(path) for path in sorted(tmp_path.glob("*.py"))]
    out, err, status = mypy.api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), "--config-file", "", *files])
    assert status == 0, out + err


def test_only_functions_that_are_operations_count(tmp_path: Path) -> None:
    (tmp_path / "queues.py").write_text(
        "def create_queue(ctx, req): ...\ndef _helper(): ...\nclass X:\n def send(self): ...\n"
    )
    (tmp_path / "api.py").write_text("def delete_queue(): ...\n")
    assert GENERATOR.defined_functions(tmp_path) == {"create_queue"}

"""The platform's own log lines and error payloads: INIT_START, START, END, REPORT, time-outs and exits.

Source: Lambda developer guide, "Log and monitor Python Lambda functions", "Lambda Telemetry API Event schema
reference", "Understanding the Lambda execution environment lifecycle" (read 2026-11).
"""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

from .model import FunctionSpec, Invocation


@dataclass(frozen=True, slots=True)
class Figures:
    """What a REPORT line says."""

    duration_ms: float
    billed_ms: int
    init_ms: float | None
    max_memory_mb: int
    status: str = "success"
    error_type: str | None = None


def timestamp(at: float) -> str:
    """ISO time with milliseconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"


class Platform:
    """Words the platform's lines in the function's log format."""

    def __init__(self, spec: FunctionSpec) -> None:
        self._spec = spec
        self._json = spec.log_format == "JSON"

    def init_start(self, at: float) -> str:
        """The first line of an environment; says which interpreter runs the label."""
        runs_on = f"{self._spec.runtime} runs on {platform.python_implementation()} {platform.python_version()}"
        if self._json:
            kind = self._spec.initialization_type
            record = {"initializationType": kind, "phase": "init", "runtimeVersion": runs_on}
            return self._line(at, "initStart", record | {"functionName": self._spec.function_name})
        return f"INIT_START Runtime Version: {runs_on}"

    def init_report(self, at: float, duration_ms: float, status: str, error_type: str | None) -> str:
        """The line about an init phase that failed."""
        if self._json:
            how = self._spec.initialization_type
            record = {"initializationType": how, "phase": "init", "status": status, "errorType": error_type}
            return self._line(at, "initReport", record | {"metrics": {"durationMs": round(duration_ms, 3)}})
        kind = f"\tError Type: {error_type}" if error_type else ""
        return f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: init\tStatus: {status}{kind}"

    def start(self, at: float, invocation: Invocation) -> str:
        """The line before an invocation's own."""
        if self._json:
            return self._line(at, "start", {"requestId": invocation.request_id, "version": self._spec.version})
        return f"START RequestId: {invocation.request_id} Version: {self._spec.version}"

    def end(self, invocation: Invocation) -> str | None:
        """The line after an invocation's own; the JSON format has none."""
        return None if self._json else f"END RequestId: {invocation.request_id}"

    def report(self, at: float, invocation: Invocation, figures: Figures) -> str:
        """The figures of an invocation."""
        spec = self._spec
        if self._json:
            return self._json_report(at, invocation, figures)
        parts = [
            f"REPORT RequestId: {invocation.request_id}",
            f"Duration: {figures.duration_ms:.2f} ms",
            f"Billed Duration: {figures.billed_ms} ms",
            f"Memory Size: {spec.memory_mb} MB",
            f"Max Memory Used: {figures.max_memory_mb} MB",
        ]
        if figures.init_ms is not None:
            parts.append(f"Init Duration: {figures.init_ms:.2f} ms")
        if spec.tracing == "Active":
            trace = dict(part.split("=", 1) for part in invocation.trace_id.split(";") if "=" in part)
            if trace.get("Sampled") == "1":
                segment = trace.get("Parent", "0" * 16)
                parts.append(f"XRAY TraceId: {trace.get('Root', '')}\tSegmentId: {segment}\tSampled: true")
        if figures.status != "success":
            parts.append(f"Status: {figures.status}")
        if figures.status == "error" and figures.error_type:
            parts.append(f"Error Type: {figures.error_type}")
        return "\t".join(parts) + "\t"

    def _json_report(self, at: float, invocation: Invocation, figures: Figures) -> str:
        metrics: dict[str, float] = {
            "durationMs": round(figures.duration_ms, 3),
            "billedDurationMs": figures.billed_ms,
            "memorySizeMB": self._spec.memory_mb,
            "maxMemoryUsedMB": figures.max_memory_mb,
        }
        if figures.init_ms is not None:
            metrics["initDurationMs"] = round(figures.init_ms, 3)
        record = {"requestId": invocation.request_id, "metrics": metrics, "status": figures.status}
        if figures.error_type and figures.status == "error":
            record["errorType"] = figures.error_type
        return self._line(at, "report", record)

    @staticmethod
    def _line(at: float, kind: str, record: Mapping[str, object]) -> str:
        return json.dumps({"time": timestamp(at), "type": f"platform.{kind}", "record": record})


def billed_ms(duration_ms: float) -> int:
    """Whole milliseconds, rounded up, at least one."""
    return max(1, math.ceil(duration_ms))


def exit_reason(status: int) -> str:
    """A wait status in Lambda's words."""
    if os.WIFSIGNALED(status):
        name = signal.strsignal(os.WTERMSIG(status)) or str(os.WTERMSIG(status))
        return f"Runtime exited with error: signal: {name.lower()}"
    code = os.WEXITSTATUS(status)
    return f"Runtime exited with error: exit status {code}" if code else "Runtime exited without providing a reason"


def failure(error_type: str, message: str) -> bytes:
    """The payload of an invocation that the platform, not the function, failed."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()

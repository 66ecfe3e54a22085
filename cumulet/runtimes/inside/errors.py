"""Failures of a function as Lambda's Python runtime reports them: the payload and the log entry.

Source: Lambda developer guide, "Python function errors and exceptions" and "Troubleshoot execution issues" (read
2026-11).
"""

from __future__ import annotations

import json
import traceback
from types import TracebackType


class Fault(Exception):
    """A failure the runtime itself names, e.g. Runtime.ImportModuleError."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


def describe(error: BaseException, skip: int) -> tuple[str, str, list[str]]:
    """Type, message and stack of an error; `skip` outermost frames belong to the runtime."""
    if isinstance(error, Fault):
        return error.kind, str(error), error.trace
    trace: TracebackType | None = error.__traceback__
    for _ in range(skip):
        trace = trace.tb_next if trace is not None else None
    try:
        message = str(error)
    except Exception:  # a customer's __str__ may raise anything
        message = "<exception str() failed>"
    return type(error).__name__, message, traceback.format_list(traceback.extract_tb(trace))


def payload(kind: str, message: str, request_id: str, trace: list[str]) -> bytes:
    """The JSON that the caller of the function receives."""
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


def log_text(kind: str, message: str, trace: list[str]) -> str:
    """The log entry of a failure in the text format."""
    text = f"[ERROR] {kind}: {message}" if message else f"[ERROR] {kind}"
    return text + "\nTraceback (most recent call last):\n" + "".join(trace).rstrip("\n")

"""The root logger's handler in a function: Lambda's text and JSON formats, written in order with what `print` writes.

An entry is one line on the pipe; line feeds inside it travel as carriage returns, which the server turns back, so
that a traceback stays one log event. Source: Lambda developer guide, "Log and monitor Python Lambda functions"
(read 2026-11).
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}
_LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}


class Handler(logging.Handler):
    """Writes each record as one entry; `request_id` is the invocation in progress."""

    def __init__(self, out: TextIO, as_json: bool) -> None:
        super().__init__()
        self.out = out
        self.as_json = as_json
        self.request_id = ""
        self.setFormatter(JsonFormatter() if as_json else TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.aws_request_id = self.request_id
            self.write(self.format(record))
        except Exception:  # as every logging handler: a customer's record must not break the function
            self.handleError(record)

    def write(self, text: str) -> None:
        """Write one entry, however many lines it has."""
        self.out.write(text.rstrip("\n").replace("\n", "\r") + "\n")

    def error(self, kind: str, message: str, trace: list[str], text: str) -> None:
        """Log the failure of an invocation or of the init phase."""
        if not self.as_json:
            self.write(text)
            return
        entry = {"timestamp": _stamp(time.time()), "log_level": "ERROR", "errorMessage": message, "errorType": kind}
        self.write(json.dumps(entry | {"requestId": self.request_id, "stackTrace": trace}, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """`[LEVEL] <tab> time <tab> request id <tab> message`."""

    def __init__(self) -> None:
        super().__init__(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = _utc


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with the record's `extra` members beside Lambda's."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": _stamp(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", ""),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["stackTrace"] = traceback.format_list(traceback.extract_tb(record.exc_info[2]))
            entry["errorType"] = record.exc_info[0].__name__
            entry["errorMessage"] = str(record.exc_info[1])
            entry["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return json.dumps({name: value for name, value in entry.items() if value}, ensure_ascii=False, default=str)


def install(out: TextIO, log_format: str, level: str) -> Handler:
    """Put the handler on the root logger; a level counts in the JSON format only, whose default is INFO."""
    handler = Handler(out, log_format == "JSON")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if log_format == "JSON":
        root.setLevel(_LEVELS.get(level, logging.INFO))
    return handler


def _utc(at: float | None) -> time.struct_time:
    return time.gmtime(at)


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

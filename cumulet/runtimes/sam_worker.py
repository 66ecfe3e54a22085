"""The process that runs AWS's own SAM translator: framed JSON requests on stdin, answers on stdout.

A frame is four bytes of length, big-endian, and that many bytes of JSON. Request: template, parameters, region.
Answer: `{"template": ...}` or `{"error": "..."}`. The translator takes a second to import and much memory, so that it
lives here and never in the server; the process ends with its parent, or at the end of its input.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import struct
import sys
from types import SimpleNamespace
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(source: BinaryIO) -> Any:
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return json.loads(source.read(_LENGTH.unpack(head)[0]))


def _write(sink: BinaryIO, answer: Any) -> None:
    data = json.dumps(answer).encode()
    sink.write(_LENGTH.pack(len(data)) + data)
    sink.flush()


def _translate(request: Any) -> Any:
    """One template through the translator; its complaints as text."""
    from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template

    template, parameters = request["template"], request["parameters"]
    os.environ["AWS_DEFAULT_REGION"] = request["region"]
    to_py27_compatible_template(template, parameters)
    translator = Translator(None, Parser(), boto_session=SimpleNamespace(region_name=request["region"]))
    try:
        result = translator.translate(
            sam_template=template, parameter_values=parameters,
            get_managed_policy_map=lambda: get_bundled_managed_policy_map("aws") or {},
        )  # fmt: skip
    except InvalidDocumentException as error:
        causes = " ".join(cause.message for cause in error.causes)
        return {"error": f"{error.message} {causes}"}
    return {"template": undo_mark_unicode_str_in_template(result)}


def main() -> None:
    _end_with_parent()
    logging.disable(logging.CRITICAL)  # what matters comes back as an answer
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # the translator must not write between frames
    while (request := _read(source)) is not None:
        try:
            answer = _translate(request)
        except Exception as error:
            answer = {"error": f"Internal transform failure. {type(error).__name__}: {error}"}
        _write(sink, answer)


if __name__ == "__main__":
    main()

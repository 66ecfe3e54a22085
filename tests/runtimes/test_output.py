"""What a function prints and logs: order, formats, amounts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cumulet.runtimes.output import LINE_LIMIT_BYTES, LOG_LIMIT_BYTES, Output

if TYPE_CHECKING:
    from .conftest import Cloud

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def texts(result):
    return [text for _, text in result.log]


def own(result):
    """The lines between START and END."""
    log = texts(result)
    first = next(at for at, text in enumerate(log) if text.startswith("START "))
    return log[first + 1 : next(at for at, text in enumerate(log) if text.startswith("END "))]


def test_a_log_is_framed_by_the_platforms_lines(cloud: Cloud):
    spec = cloud.function(
        "print('while importing')\ndef handler(event, context):\n    print('inside')\n", runtime="python3.8"
    )
    cold = cloud.invoke(spec, request_id="r-1")
    log = texts(cold)
    assert re.fullmatch(r"INIT_START Runtime Version: python3\.8 runs on CPython \d+\.\d+\.\d+\S*", log[0])
    assert log[1:5] == ["while importing", "START RequestId: r-1 Version: $LATEST", "inside", "END RequestId: r-1"]
    report = (
        r"REPORT RequestId: r-1\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t"
    )
    assert re.fullmatch(report, log[5])
    assert [at for at, _ in cold.log] == sorted(at for at, _ in cold.log)
    warm = texts(cloud.invoke(spec, request_id="r-2"))
    assert warm[:3] == ["START RequestId: r-2 Version: $LATEST", "inside", "END RequestId: r-2"]
    assert re.fullmatch(report.replace("r-1", "r-2").removesuffix(r"Init Duration: \d+\.\d\d ms\t"), warm[3])


def test_a_sampled_trace_is_reported_where_tracing_is_active(cloud: Cloud):
    spec = cloud.function("def handler(event, context):\n    pass\n", tracing="Active")
    log = texts(cloud.invoke(spec, trace_id="Root=1-5bef-ab;Parent=53995c3f42cd8ad8;Sampled=1"))
    assert log[-1].endswith("\tXRAY TraceId: 1-5bef-ab\tSegmentId: 53995c3f42cd8ad8\tSampled: true\t")
    assert "XRAY" not in texts(cloud.invoke(spec, trace_id="Root=1-5bef-ab;Sampled=0"))[-1]


def test_every_way_to_write_keeps_its_place(cloud: Cloud):
    spec = cloud.function(
        """
        import logging, os, subprocess, sys
        def handler(event, context):
            print("one")
            print("two", file=sys.stderr)
            logging.error("three")
            os.write(1, b"four\\n")
            os.write(2, b"five\\n")
            subprocess.run(["echo", "six"])
            print("seven", end="")
        """
    )
    got = own(cloud.invoke(spec, request_id="r-3"))
    assert re.fullmatch(rf"\[ERROR\]\t{STAMP}\tr-3\tthree", got[2])
    assert [*got[:2], *got[3:]] == ["one", "two", "four", "five", "six", "seven"]


def test_the_root_logger_warns_by_default_and_obeys_its_level(cloud: Cloud):
    spec = cloud.function(
        """
        import logging
        def handler(level, context):
            if level:
                logging.getLogger().setLevel(level)
            logging.info("info")
            logging.warning("warning")
        """
    )
    assert [line.rpartition("\t")[2] for line in own(cloud.invoke(spec))] == ["warning"]
    assert [line.split("\t")[0] for line in own(cloud.invoke(spec, "INFO"))] == ["[INFO]", "[WARNING]"]


def test_a_logged_exception_is_one_event(cloud: Cloud):
    spec = cloud.function(
        """
        import logging
        def handler(event, context):
            try:
                1 / 0
            except ZeroDivisionError:
                logging.exception("failed")
        """
    )
    (line,) = own(cloud.invoke(spec))
    assert line.splitlines()[0].endswith("\tfailed")
    assert line.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_json_logs_hold_json(cloud: Cloud):
    spec = cloud.function(
        """
        import logging
        log = logging.getLogger("shop")
        def handler(event, context):
            log.info("sold", extra={"order": 7})
            log.debug("hidden")
            raise ValueError("bad")
        """,
        log_format="JSON",
    )
    entries = [json.loads(text) for text in texts(cloud.invoke(spec, request_id="r-4"))]
    assert [entry.get("type") for entry in entries] == [
        "platform.initStart",
        "platform.start",
        None,
        None,
        "platform.report",
    ]
    sold, failed = entries[2:4]
    sold.pop("timestamp")
    assert sold == {"level": "INFO", "message": "sold", "logger": "shop", "requestId": "r-4", "order": 7}
    assert (failed["log_level"], failed["errorType"], failed["errorMessage"]) == ("ERROR", "ValueError", "bad")
    assert entries[4]["record"]["status"] == "error"
    quiet = cloud.function(
        "import logging\ndef handler(e, c):\n    logging.info('x')\n", log_format="JSON", application_log_level="ERROR"
    )
    assert not any("level" in json.loads(text) for text in texts(cloud.invoke(quiet)))


def test_much_output_neither_blocks_nor_piles_up(cloud: Cloud):
    spec = cloud.function(
        """
        def handler(megabytes, context):
            for number in range(megabytes * 1024):
                print(f"{number:010d}" + "x" * 1013)
            return "done"
        """,
        timeout_s=60,
    )
    result = cloud.invoke(spec, 40)
    assert result.payload == b'"done"'
    assert sum(len(text) for text in texts(result)) <= LOG_LIMIT_BYTES + 10_000
    assert any(re.search(r"\d+ more lines were not kept", text) for text in texts(result))
    small = own(cloud.invoke(spec, 1))
    assert [int(line[:10]) for line in small] == list(range(1024))


def test_a_line_beyond_the_largest_event_is_cut(cloud: Cloud):
    spec = cloud.function("def handler(event, context):\n    print('a' * 600_000)\n    print('end')\n")
    got = own(cloud.invoke(spec))
    assert got[-1] == "end"
    assert "".join(got[:-1]) == "a" * 600_000
    assert max(map(len, got)) <= LINE_LIMIT_BYTES


def test_a_background_threads_words_come_with_the_next_invocation(cloud: Cloud):
    spec = cloud.function(
        """
        import os, threading
        go, said = threading.Event(), threading.Event()
        def speak():
            go.wait()
            print("late")
            said.set()
        threading.Thread(target=speak, daemon=True).start()
        def handler(event, context):
            if event == "go":
                go.set()
                said.wait()
        """
    )
    assert "late" not in texts(cloud.invoke(spec))
    assert "late" in texts(cloud.invoke(spec, "go"))


def test_the_marker_between_init_and_invocation_may_arrive_in_pieces():
    output = Output(lambda: 1.0)
    output.expect(b"MARK", lambda: output.add("START"))
    for byte in b"before\npartMARKafter\n":
        output.feed(bytes([byte]))
    assert [text for _, text in output.take()] == ["before", "part", "START", "after"]

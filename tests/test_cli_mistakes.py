"""What the commands say to wrong input: what failed, why, and what to do; never a traceback, never another port or process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cumulet.testing.process import ServerProcess


def cumulet(*arguments, status=1):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("AWS_ENDPOINT_URL", "CUMULET_DATA")
    }
    done = subprocess.run(
        [sys.executable, "-m", "cumulet.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = ServerProcess(tmp_path_factory.mktemp("mistakes") / "data").start()
    yield started
    started.stop()


@pytest.mark.parametrize("detach", [(), ("--detach",)])
@pytest.mark.parametrize("port", [-5, 65_536, 99_999, "http"])
def test_a_port_that_is_none_is_refused_and_not_replaced_by_another(tmp_path, port, detach):
    assert "Invalid value for '--port'" in cumulet("up", "--port", port, "--data", tmp_path, *detach, status=2)


@pytest.mark.parametrize("detach", [(), ("--detach",)])
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_named_with_what_to_do(tmp_path, host, detach):
    said = cumulet("up", "--host", host, "--port", 0, "--data", tmp_path / "data", *detach)
    assert f"Cannot listen on {host}, port 0: " in said
    assert "--host and --port" in said


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_data_directory_that_cannot_be_used_is_named(tmp_path, detach):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", Path("/proc/nowhere")):
        said = cumulet("up", "--port", 0, "--data", folder, *detach)
        assert f"Cannot use {folder} as data directory" in said
        assert "--data" in said


@pytest.mark.parametrize(("name", "detach"), [("cumulet.lock", ()), ("server.log", ("--detach",))])
def test_a_data_directory_that_cannot_be_written_is_named(tmp_path, name, detach):
    (tmp_path / name).mkdir()  # root may write wherever a mode forbids it, but not into this
    assert f"Cannot use {tmp_path} as data directory" in cumulet("up", "--port", 0, "--data", tmp_path, *detach)


def test_a_data_directory_in_use_is_named_with_the_pid_and_the_server_goes_on(server):
    pid = json.loads((server.folder / "server.json").read_text())["pid"]
    for detach in ((), ("--detach",)):
        assert f"in use by another Cumulet, pid {pid}" in cumulet("up", "--port", 0, "--data", server.folder, *detach)
    assert "running" in cumulet("status", "--data", server.folder, status=0)


def test_down_stops_no_other_process_that_got_the_servers_pid(tmp_path, server):
    """After a SIGKILL the file about the server is left; its pid may be somebody else's by now."""
    about = json.loads((server.folder / "server.json").read_text())
    with subprocess.Popen(["sleep", "600"]) as innocent:
        (tmp_path / "server.json").write_text(json.dumps({**about, "pid": innocent.pid}))
        assert "No server runs" in cumulet("down", "--data", tmp_path, status=0)
        assert innocent.poll() is None
        innocent.kill()


def test_a_pattern_is_not_begun_when_another_of_the_names_is_wrong_or_nobody_is_there(server):
    said = cumulet("patterns", "run", "4", "nope", "--endpoint-url", server.endpoint)
    assert said.startswith("Error: No pattern 'nope'. There are: 01-simple-web-service")
    nobody = cumulet("patterns", "run", "4", "--endpoint-url", "http://127.0.0.1:1")
    assert "No Cumulet answers at http://127.0.0.1:1" in nobody
    assert "Pattern 04" not in nobody


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("localhost:4566", "Write it as http://"),
        ("http://no-such-host.invalid:4566", "Cannot reach http://no-such-host.invalid:4566"),
        ("http://127.0.0.1:1", "cumulet up --detach"),
    ],
)
def test_a_servers_address_that_is_wrong_is_explained(endpoint, words):
    for command in (("status",), ("logs",), ("trace",), ("dlq", "list"), ("clock",)):
        assert words in cumulet(*command, "--endpoint-url", endpoint)


def test_a_template_that_is_no_text_is_named(tmp_path, server):
    (tmp_path / "template.yaml").write_bytes(b"\xb7\xff\x00")
    assert "is no text in UTF-8" in cumulet("deploy", tmp_path / "template.yaml", "--endpoint-url", server.endpoint)


def test_the_line_in_a_message_is_the_files(tmp_path, server):
    (tmp_path / "template.yaml").write_text(
        "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      DelaySeconds: !Ref Nope\n"
    )
    said = cumulet("deploy", tmp_path / "template.yaml", "--stack", "q", "--endpoint-url", server.endpoint)
    assert "template.yaml:5: " in said
    assert "(line" not in said


@pytest.mark.parametrize(
    ("folder", "stack"), [("01-simple-web-service", "simple-web-service"), ("a_b 2", "a-b-2"), ("7", "stack")]
)
def test_a_stack_without_a_name_gets_its_folders_as_a_stack_may_be_named(tmp_path, server, folder, stack):
    (tmp_path / folder).mkdir()
    template = tmp_path / folder / "template.yaml"
    template.write_text("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n")
    assert f"{stack}: created" in cumulet("deploy", template, "--endpoint-url", server.endpoint, status=0)


@pytest.mark.parametrize("seconds", ["-5", "nan", "inf", "soon"])
def test_the_clock_is_advanced_by_seconds(server, seconds):
    assert "cumulet clock --help" in cumulet("clock", "advance", seconds, "--endpoint-url", server.endpoint, status=2)


def test_the_clock_is_not_advanced_for_ever(server_process):
    here = ("--endpoint-url", server_process("--clock", "virtual").start().endpoint)
    before = cumulet("clock", *here, status=0)
    assert "a hundred years" in cumulet("clock", "advance", "1e18", *here)
    assert cumulet("clock", *here, status=0) == before


@pytest.mark.parametrize("command", [("logs", "-n", "-3"), ("trace", "-n", "0"), ("cost", "--hours", "-1")])
def test_a_count_that_is_none_is_refused(server, command):
    assert "is not in the range" in cumulet(*command, "--endpoint-url", server.endpoint, status=2)


def test_a_pattern_is_copied_into_new_folders_alone(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file", Path("/proc/nowhere/mine")):
        said = cumulet("patterns", "new", "4", target)
        assert str(target) in said
        assert "Choose a new folder" in said

"""Commands that start, stop, show and empty a server: up, down, status, reset."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from cumulet import __version__
from cumulet.cli.client import STATE_FILE, Client, data_dir, endpoint_of, read_state

if TYPE_CHECKING:
    from cumulet.app import Config

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 60.0  # functions, requests, effects and engines each have their seconds to end


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=4566, show_default=True, help="0: any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--data", help="Data directory (default: $CUMULET_DATA, ./.cumulet).")
@click.option("--memory", is_flag=True, help="Keep nothing.")
@click.option("--clock", type=click.Choice(["real", "virtual"]), default="real", show_default=True)
@click.option(
    "--account", default="000000000000", envvar="CUMULET_ACCOUNT", show_default=True, help="The default account."
)
@click.option(
    "--iam",
    type=click.Choice(["off", "enforce"]),
    default="off",
    envvar="CUMULET_IAM",
    show_default=True,
    help="Whether IAM policies are enforced.",
)
@click.option("--detach", is_flag=True, help="Start in the background.")
@click.option("--verbose", is_flag=True, help="One line per request.")
def up(
    port: int,
    host: str,
    data: str | None,
    memory: bool,
    clock: str,
    account: str,
    iam: str,
    detach: bool,
    verbose: bool,
) -> None:
    """Start a cloud; Ctrl-C or `cumulet down` stops it."""
    if not (account.isdigit() and len(account) == 12):
        raise click.UsageError(f"--account takes 12 digits, not {account!r}.")
    folder = data_dir(data)
    if detach:
        _detach(folder, [*sys.argv[1:]])
        return
    from cumulet.app import Config

    config = Config(
        data=None if memory else folder,
        host=host,
        port=port,
        virtual=clock == "virtual",
        account=account,
        crash_at=os.environ.get("CUMULET_CRASH_AT"),
        enforce=iam == "enforce",
    )
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if verbose:
        logging.getLogger("cumulet.access").setLevel(logging.INFO)
    _run(config, folder)


def _run(config: Config, folder: Path) -> None:
    from cumulet.gateway.server import CannotListen
    from cumulet.kernel.database import StoreUnavailable, unusable

    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        try:
            runner.run(_serve(config, folder))
        except (CannotListen, StoreUnavailable) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise click.ClickException(unusable(folder, error)) from error


_SIGN = """\
  Bound to another address than loopback, it verifies every signature. Make a key on loopback first, on the same data
  (cumulet up; aws iam create-user, attach-user-policy, create-access-key). `cumulet deploy`, `logs` and the like work on loopback."""


async def _serve(config: Config, folder: Path) -> None:
    from cumulet.app import Cloud
    from cumulet.gateway.server import is_loopback

    cloud = Cloud(config)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await cloud.start()
    state = _write_state(folder, cloud.endpoint)
    kept = "nothing is kept" if config.data is None else f"data in {folder}"
    click.echo(f"Cumulet {__version__} is up: {cloud.endpoint} ({kept})")
    if is_loopback(config.host):
        click.echo(f"  console  {cloud.endpoint}/_cumulet/console")
        click.echo(
            f"  export AWS_ENDPOINT_URL={cloud.endpoint} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
        )
    else:  # a browser and these commands would have to sign their requests
        click.echo(_SIGN)
    try:
        await stopped.wait()
    finally:
        state.unlink(missing_ok=True)
        await cloud.close()


def _write_state(folder: Path, endpoint: str) -> Path:
    """Say who serves this folder, so that the other commands find it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / STATE_FILE
    about = {"pid": os.getpid(), "begun": _begun(os.getpid()), "endpoint": endpoint, "version": __version__}
    state.write_text(json.dumps(about))
    return state


def _detach(folder: Path, arguments: list[str]) -> None:
    from cumulet.gateway.server import is_loopback
    from cumulet.kernel.database import unusable

    log = folder / "server.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.open("ab").close()
    except OSError as error:
        raise click.ClickException(unusable(folder, error)) from error
    command = [
        sys.executable,
        "-m",
        "cumulet.cli.main",
        *[argument for argument in arguments if argument != "--detach"],
    ]
    with log.open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline:
        state = read_state(folder)
        if state and state["pid"] == process.pid:
            click.echo(f"Cumulet is up: {state['endpoint']} (pid {process.pid}, log in {log})")
            if is_loopback(urlsplit(state["endpoint"]).hostname or ""):
                click.echo(f"  console  {state['endpoint']}/_cumulet/console")
            else:
                click.echo(_SIGN)
            return
        if process.poll() is not None:
            said = log.read_bytes()[offset:].decode(errors="replace").strip()
            raise click.ClickException(
                said.removeprefix("Error: ") or f"The server ended with status {process.returncode}; see {log}."
            )
        time.sleep(0.02)
    process.terminate()
    raise click.ClickException(f"The server did not answer within {_START_WITHIN_S:.0f} s; see {log}.")


def _begun(pid: int) -> str | None:
    """When a process that lives began, in the system's own ticks; None where the system does not say. Raises: OSError when none lives.

    A pid is given away again; pid and beginning together are one process.
    """
    os.kill(pid, 0)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            raise
        return None
    if fields[0] == "Z":
        raise ProcessLookupError(f"pid {pid} is a zombie")
    return fields[19]


def _alive(state: dict[str, Any]) -> bool:
    """Whether the server that wrote this still runs, and not another process with its pid."""
    try:
        begun = _begun(state["pid"])
        return begun == state.get("begun", begun)
    except PermissionError:
        return True
    except (OSError, KeyError):
        return False


@click.command()
@click.option("--data", help="Data directory of the server.")
def down(data: str | None) -> None:
    """Stop the server of a data directory."""
    folder = data_dir(data)
    state = read_state(folder)
    if state is None or not _alive(state):
        click.echo(f"No server runs on {folder}. If one runs on another directory, name it with --data.")
        return
    os.kill(state["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_S
    while _alive(state):
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"pid {state['pid']} does not stop. End it with: kill -9 {state['pid']} (nothing acknowledged is lost)"
            )
        time.sleep(0.02)
    click.echo(f"Stopped pid {state['pid']}.")


@click.command()
@click.option("--data", help="Data directory of the server.")
@click.option("--endpoint-url", help="Server to ask, if not the one on the data directory.")
def status(data: str | None, endpoint_url: str | None) -> None:
    """Show what runs."""
    client = Client(endpoint_of(data, endpoint_url))
    health = client.get("/_cumulet/health")
    click.echo(f"Cumulet {health['version']} at {client.endpoint}: {health['status']}")
    click.echo("  services: " + ", ".join(sorted(health["services"])))
    click.echo(f"  iam: {health['iam']}")
    stacks = client.call("cloudformation", "DescribeStacks").get("Stacks", [])
    for stack in stacks:
        click.echo(f"  stack {stack['StackName']}: {stack['StackStatus']}")


@click.command()
@click.option("--data", help="Data directory of the server.")
@click.option("--endpoint-url", help="Server to empty, if not the one on the data directory.")
def reset(data: str | None, endpoint_url: str | None) -> None:
    """Empty a running cloud: every stack, table, bucket and log line is gone."""
    client = Client(endpoint_of(data, endpoint_url))
    client.post("/_cumulet/reset")
    click.echo(f"{client.endpoint} is empty.")

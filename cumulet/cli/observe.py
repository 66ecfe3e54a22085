"""Commands that look at a running cloud: logs, trace, clock."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

import click

from cumulet.cli.client import CallFailed, Client, endpoint_of

_FOLLOW_EVERY_S = 0.5
_ADVANCE_WITHIN_S = 3600.0  # all that comes due on the way is run
_LATE_MS = 10_000  # how much older than the newest line a late one may be


def target_options(command: Any) -> Any:
    """--data, --endpoint-url and --region, for every command that talks to a server."""
    command = click.option("--data", help="Data directory of the server (default: $CUMULET_DATA, ./.cumulet).")(command)
    command = click.option("--endpoint-url", help="Server to talk to, if not the one on the data directory.")(command)
    return click.option("--region", default="us-east-1", envvar="AWS_DEFAULT_REGION", show_default=True)(command)


def client_for(data: str | None, endpoint_url: str | None, region: str) -> Client:
    return Client(endpoint_of(data, endpoint_url), region)


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes.")
@click.option(
    "-n", "--lines", type=click.IntRange(1), default=100, show_default=True, help="How many of the newest lines."
)
@target_options
def logs(name: str | None, follow: bool, lines: int, data: str | None, endpoint_url: str | None, region: str) -> None:
    """Print log lines of a group, a function or a stack's functions (NAME is a part of the group's name)."""
    client = client_for(data, endpoint_url, region)
    parts = None if name is None else [name, *_functions_of(client, name)]
    shown: dict[str, dict[str, float]] = {}
    first = True
    while True:
        events = _events(client, parts, shown)
        for at, group, text in events[-lines:] if first else events:
            stamp = datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
            click.echo(
                f"{click.style(stamp, dim=True)} {click.style(group.rpartition('/')[2], fg='cyan')} {text.rstrip()}"
            )
        if first and not events and not follow:
            click.echo("No log lines yet." if name is None else f"No log lines in a group named like {name!r}.")
        if not follow:
            return
        first = False
        time.sleep(_FOLLOW_EVERY_S)


def _functions_of(client: Client, stack: str) -> list[str]:
    """The names of a stack's functions: a long stack name is cut in them. None when there is no such stack."""
    try:
        found = client.call("cloudformation", "DescribeStackResources", StackName=stack)["StackResources"]
    except CallFailed:
        return []
    kept = [resource for resource in found if resource["ResourceType"] == "AWS::Lambda::Function"]
    return [f"/aws/lambda/{resource['PhysicalResourceId']}" for resource in kept if "PhysicalResourceId" in resource]


def _events(
    client: Client, parts: list[str] | None, shown: dict[str, dict[str, float]]
) -> list[tuple[float, str, str]]:
    """The lines of the groups, by time; from the second call on only those that are not in `shown`, by their ids.

    Environments that run at the same time deliver their lines in turns: a line may come after younger ones.
    """
    found: list[tuple[float, str, str]] = []
    groups = client.every("logs", "DescribeLogGroups", "logGroups", "nextToken")
    for group in (each["logGroupName"] for each in groups):
        if parts is not None and not any(part in group for part in parts):
            continue
        seen = shown.setdefault(group, {})
        since = max(seen.values(), default=0) - _LATE_MS
        events = client.every(
            "logs", "FilterLogEvents", "events", "nextToken", logGroupName=group, startTime=max(0, int(since))
        )
        found += [(event["timestamp"], group, event["message"]) for event in events if event["eventId"] not in seen]
        shown[group] = {event["eventId"]: event["timestamp"] for event in events}
    return sorted(found, key=lambda event: event[0])


@click.command()
@click.argument("trace_id", required=False)
@click.option("-n", "--newest", type=click.IntRange(1), default=15, show_default=True, help="How many traces to list.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Housekeeping and single Describe, List and Get calls too."
)
@target_options
def trace(
    trace_id: str | None, newest: int, everything: bool, data: str | None, endpoint_url: str | None, region: str
) -> None:
    """Show one request across services as a tree with times, or list the newest traces.

    Traces are kept in memory: a server that starts has none.
    """
    client = client_for(data, endpoint_url, region)
    if trace_id is None:
        roots = client.get(f"/_cumulet/trace?limit={newest}{'' if everything else '&idle=no'}")["traces"]
        for root in roots:
            at = datetime.fromtimestamp(root["at"], UTC).strftime("%H:%M:%S")
            name = f"{root['name']} {root['detail']}".rstrip()
            click.echo(f"{root['trace_id']}  {at}  {root['duration_ms']:8.2f} ms  {root['status']:<12} {name}")
        if not roots:
            click.echo("No traces since the server started.")
        return
    spans = client.get(f"/_cumulet/trace?id={trace_id}")["spans"]
    if not spans:
        raise click.ClickException(
            f"No trace {trace_id}. The newest 10,000 spans are kept; list them with: cumulet trace"
        )
    for line in tree(spans):
        click.echo(line)


def tree(spans: list[dict[str, Any]]) -> list[str]:
    """A trace's spans as an indented tree: offset from the start, duration, name, status.

    Where the cloud's clock was moved meanwhile, a step also says how much later it was by that clock.
    """
    known = {span["span_id"] for span in spans}
    start, began = min(span["started"] for span in spans), min(span["at"] for span in spans)
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        children.setdefault(span["parent_id"] if span["parent_id"] in known else None, []).append(span)
    lines: list[str] = []

    def walk(parent: str | None, depth: int) -> None:
        for span in children.get(parent, []):
            offset = (span["started"] - start) * 1e3
            mark = "" if span["status"] == "ok" else f"  {span['status']}"
            detail = f" {span['detail']}" if span["detail"] else ""
            later = span["at"] - began
            if span["kind"] == "timer" and later - offset / 1e3 >= 1:
                detail += f" (+{later:.0f} s)"
            lines.append(f"{offset:8.2f} ms  {span['duration_ms']:8.2f} ms  {'  ' * depth}{span['name']}{detail}{mark}")
            walk(span["span_id"], depth + 1)

    walk(None, 0)
    return lines


@click.command(context_settings={"ignore_unknown_options": True})  # a negative number is no option
@click.argument("action", type=click.Choice(["now", "advance", "freeze", "jump", "real"]), default="now")
@click.argument("seconds", type=float, required=False)
@target_options
def clock(action: str, seconds: float | None, data: str | None, endpoint_url: str | None, region: str) -> None:
    """Show or move the cloud's clock: `cumulet clock advance 3600`."""
    client = Client(endpoint_of(data, endpoint_url), region, _ADVANCE_WITHIN_S)
    if action == "now":
        state = client.get("/_cumulet/clock")
    elif action == "advance":
        if seconds is None or not 0 <= seconds < math.inf:
            raise click.UsageError("advance needs a number of seconds, 0 or more: cumulet clock advance 3600")
        state = client.post("/_cumulet/clock", {"advance": seconds})
    else:
        state = client.post("/_cumulet/clock", {action: True})
    now = datetime.fromtimestamp(state["now"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    click.echo(f"{now} ({state.get('mode', 'real')})")

"""What the cloud's traffic would cost on AWS, from the metrics that the platform counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from cumulet.cli import prices
from cumulet.cli.client import CallFailed, Client
from cumulet.cli.observe import client_for, target_options

_QUERIES = 100
_ALL = "all buses"
_SQS_REQUESTS = ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfEmptyReceives", "NumberOfMessagesDeleted")


@dataclass(frozen=True)
class Line:
    """One resource's bill."""

    resource: str
    quantity: str
    dollars: float


@click.command()
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), default=24.0, show_default=True, help="How far to look back."
)
@click.option("--stack", help="The resources of this stack alone.")
@target_options
def cost(hours: float, stack: str | None, data: str | None, endpoint_url: str | None, region: str) -> None:
    """Show what the traffic of the last hours would cost on AWS (list prices of us-east-1, no free tier)."""
    client = client_for(data, endpoint_url, region)
    sums = _sums(client, hours)
    names = None if stack is None else _resources(client, stack)
    lines = [line for line in _lines(client, sums) if names is None or line.resource.partition(" ")[2] in names]
    if not lines:
        click.echo(f"Nothing that costs was counted in the last {hours:g} hours (counts come with each minute).")
        return
    for line in sorted(lines, key=lambda line: -line.dollars):
        click.echo(f"{_dollars(line.dollars)}  {line.resource:<56} {line.quantity}")
    total = sum(line.dollars for line in lines)
    click.echo(f"{_dollars(total)}  total; a million times as much traffic: ${total * prices.MILLION:,.2f}")
    invocations = sum(
        count for (metric, name), count in sums.items() if metric == "Invocations" and (names is None or name in names)
    )
    if invocations:
        states = invocations * prices.STATE_TRANSITION
        click.echo(
            f"{_dollars(states)}  if a state machine made these {invocations:,.0f} invocations: a transition each, beside the functions"
        )
    click.echo("Not counted: API Gateway, S3, logs, storage, SNS deliveries over HTTP, data transfer.")


def _dollars(amount: float) -> str:
    return f"${amount:13.9f}"


def _lines(client: Client, sums: dict[tuple[str, str], float]) -> Iterable[Line]:
    memory = {
        function["FunctionName"]: function["MemorySize"]
        for function in client.every("lambda", "ListFunctions", "Functions", "Marker/NextMarker")
    }
    for name in _names(sums, "Invocations"):
        count, seconds = sums["Invocations", name], sums.get(("Duration", name), 0.0) / 1000
        gb_s = seconds * memory.get(name, 128) / 1024
        dollars = count * prices.LAMBDA_REQUEST + gb_s * prices.LAMBDA_GB_SECOND
        yield Line(f"lambda {name}", f"{count:,.0f} invocations, {gb_s:,.3f} GB-s", dollars)
    for name in sorted({name for metric in _SQS_REQUESTS for name in _names(sums, metric)}):
        count = sum(sums.get((metric, name), 0.0) for metric in _SQS_REQUESTS)
        price = prices.SQS_FIFO_REQUEST if name.endswith(".fifo") else prices.SQS_STANDARD_REQUEST
        yield Line(f"sqs {name}", f"{count:,.0f} requests at most (each message alone)", count * price)
    for name in _names(sums, "NumberOfMessagesPublished"):
        count = sums["NumberOfMessagesPublished", name]
        yield Line(f"sns {name}", f"{count:,.0f} messages", count * prices.SNS_PUBLISH)
    count = sums.get(("PutEventsEntriesCount", _ALL), 0.0) - sums.get(("PutEventsFailedEntriesCount", _ALL), 0.0)
    if count:
        yield Line(f"events {_ALL}", f"{count:,.0f} events put", count * prices.EVENTS_PUT)
    tables = {*_names(sums, "ConsumedWriteCapacityUnits"), *_names(sums, "ConsumedReadCapacityUnits")}
    for name in sorted(tables):
        writes = sums.get(("ConsumedWriteCapacityUnits", name), 0.0)
        reads = sums.get(("ConsumedReadCapacityUnits", name), 0.0)
        dollars = writes * prices.DYNAMODB_WRITE_UNIT + reads * prices.DYNAMODB_READ_UNIT
        yield Line(f"dynamodb {name}", f"{writes:,.1f} write units, {reads:,.1f} read units", dollars)


def _names(sums: dict[tuple[str, str], float], metric: str) -> list[str]:
    return sorted(name for found, name in sums if found == metric)


def _sums(client: Client, hours: float) -> dict[tuple[str, str], float]:
    """(metric, resource) -> sum. A table's indexes are billed with it; what has no dimension is of the whole account.

    Metrics that split another one up (a function's by alias, say) are left out.
    """
    now = client.get("/_cumulet/clock")["now"]
    start, end = (now - hours * 3600) // 60 * 60, now // 60 * 60 + 60
    wanted: list[dict[str, Any]] = []
    for namespace in ("AWS/Lambda", "AWS/SQS", "AWS/SNS", "AWS/Events", "AWS/DynamoDB"):
        for metric in client.every("cloudwatch", "ListMetrics", "Metrics", Namespace=namespace):
            names = {dimension["Name"] for dimension in metric.get("Dimensions", [])}
            whole = namespace == "AWS/Events" and not names
            if whole or len(names) == 1 or names == {"TableName", "GlobalSecondaryIndexName"}:
                wanted.append(metric)
    sums: dict[tuple[str, str], float] = {}
    for first in range(0, len(wanted), _QUERIES):
        part = wanted[first : first + _QUERIES]
        queries = [
            {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
            for number, metric in enumerate(part)
        ]
        results = client.every(
            "cloudwatch", "GetMetricData", "MetricDataResults", MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for result in results:
            metric = part[int(result["Id"][1:])]
            dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
            resource = dimensions.get("TableName") or next(iter(dimensions.values()), _ALL)
            key = (metric["MetricName"], resource)
            sums[key] = sums.get(key, 0.0) + sum(result["Values"])
    return {key: value for key, value in sums.items() if value}


def _resources(client: Client, stack: str) -> set[str]:
    """The names of a stack's resources: of queues and topics, what follows the last slash or colon."""
    try:
        found = client.call("cloudformation", "DescribeStackResources", StackName=stack)["StackResources"]
    except CallFailed as error:
        raise click.ClickException(f"{error.message}. List stacks with: aws cloudformation list-stacks") from error
    physical = [resource["PhysicalResourceId"] for resource in found if "PhysicalResourceId" in resource]
    return {name.rpartition("/")[2].rpartition(":")[2] for name in physical}

"""Dead-letter queues: which there are and what waits in them, a message with its error, and giving messages back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from cumulet.cli.client import CallFailed, Client
from cumulet.cli.observe import client_for, target_options

_POLL_S = 0.1
_REFUSED = ("InvalidRequestContentException", "RequestTooLargeException")  # of one message; the next may be taken

Give = Callable[[dict[str, Any], str | None], None]


@dataclass
class Queue:
    """A queue, and who puts there what failed: queues by URL, functions, subscriptions and rules by ARN."""

    url: str
    attributes: dict[str, str]
    queues: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def waiting(self) -> int:
        return int(self.attributes["ApproximateNumberOfMessages"])

    @property
    def held(self) -> int:
        """How many messages it holds, in flight and delayed ones too."""
        return sum(int(count) for name, count in self.attributes.items() if name.startswith("ApproximateNumberOf"))

    @property
    def sources(self) -> list[str]:
        return [*(url.rpartition("/")[2] for url in self.queues), *self.functions, *self.others]


@click.group()
def dlq() -> None:
    """Dead-letter queues: list them, show what is in one, give its messages back."""


@dlq.command("list")
@target_options
def list_(data: str | None, endpoint_url: str | None, region: str) -> None:
    """List the queues that failed messages and events go to, with how many wait there."""
    found = [queue for queue in _queues(client_for(data, endpoint_url, region)) if queue.sources]
    if not found:
        click.echo("No queue is a dead-letter queue or an on-failure destination.")
    for queue in sorted(found, key=lambda queue: (-queue.waiting, queue.name)):
        colour = "red" if queue.waiting else None
        sources = ", ".join(_short(source) for source in queue.sources)
        click.echo(f"{click.style(f'{queue.waiting:>6}', fg=colour)}  {queue.name:<48} from {sources}")


@dlq.command()
@click.argument("queue")
@click.option(
    "-n",
    "--newest",
    "limit",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many messages, oldest first.",
)
@target_options
def show(queue: str, limit: int, data: str | None, endpoint_url: str | None, region: str) -> None:
    """Show what waits in a queue, without receiving it: bodies, errors, traces."""
    client = client_for(data, endpoint_url, region)
    found = _find(_queues(client), queue)
    messages = _peek(client, found, limit)
    if not found.held:
        click.echo(f"{found.name} is empty.")
    for message in messages:
        attributes = message.get("Attributes", {})
        sent = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(attributes.get("SentTimestamp", 0)) / 1000))
        receives = attributes.get("ApproximateReceiveCount", "0")
        click.secho(f"{message['MessageId']}  {sent} UTC  {message['State']}, received {receives} times", bold=True)
        for name, value in sorted(message.get("MessageAttributes", {}).items()):
            click.echo(f"  {name}: {value.get('StringValue', '(binary)')}")
        if message.get("Trace"):
            click.echo(f"  trace: {_root(message['Trace'])}")
        click.echo(f"  {message['Body']}")


@dlq.command()
@click.argument("queue")
@click.option("--to", help="Where to: the name or ARN of a function or a queue; by default where they came from.")
@target_options
def redrive(queue: str, to: str | None, data: str | None, endpoint_url: str | None, region: str) -> None:
    """Give a queue's messages back: to the queues or the rules' targets they came from, or to the function whose events they are."""
    client = client_for(data, endpoint_url, region)
    queues = _queues(client)
    found = _find(queues, queue)
    target = next((each for each in queues if to in (each.name, each.url, each.attributes["QueueArn"])), None)
    if target is not None:
        count = _move(client, found, target.attributes["QueueArn"]) if found.queues else _carry(client, found, target)
    elif to is not None and to.startswith("arn:aws:sqs:"):
        raise click.ClickException(f"There is no queue {to}.")
    elif to is None:
        count = _give_back(client, found)
    else:
        count = _replay(client, found, to)
    click.echo(f"{count} message{'' if count == 1 else 's'} of {found.name} given back.")


def _give_back(client: Client, queue: Queue) -> int:
    """Each message to where it came from: queues' messages by SQS, which knows their queue, rules' events to their target, the others to
    the function."""
    held = _peek(client, queue, queue.held)
    moved = {message["MessageId"] for message in held if "DeadLetterQueueSourceArn" in message["Attributes"]}
    ruled = {message["MessageId"] for message in held if "RULE_ARN" in message.get("MessageAttributes", {})}
    events = {message["MessageId"] for message in held} - moved - ruled
    if not queue.queues and not ruled:
        return _replay(client, queue, None)

    def give(message: dict[str, Any], trace: str | None) -> None:
        said = {name: value.get("StringValue", "") for name, value in message["MessageAttributes"].items()}
        try:
            _to_target(client, said["RULE_ARN"], said["TARGET_ARN"], message["Body"], trace)
        except CallFailed as error:  # this target is gone; another one may be there
            raise click.ClickException(error.format_message()) from error

    count = _each(client, queue, give, ruled) if ruled else 0
    count += _replay(client, queue, None, events) if events and queue.functions else 0
    return count + (_move(client, queue, None) if moved or (queue.queues and not count) else 0)


def _to_target(client: Client, rule: str, arn: str, event: str, trace: str | None) -> None:
    """Give an event to the target of a rule that could not take it. Raises: CallFailed, ClickException."""
    bus, _, name = rule.partition(":rule/")[2].rpartition("/")
    targets = client.every("events", "ListTargetsByRule", "Targets", Rule=name, EventBusName=bus or "default")
    target = next((each for each in targets if each["Arn"] == arn), None)
    service, resource = arn.split(":")[2], arn.rpartition(":")[2]
    if (
        target is None
        or target.keys() & {"Input", "InputPath", "InputTransformer"}
        or service not in ("lambda", "sqs", "sns")
    ):
        why = "is its target no more" if target is None else "is given something else than the event as it was"
        raise click.ClickException(
            f"An event of {_short(rule)} stays: {_short(arn)} {why}. Say with --to where it belongs."
        )
    if service == "lambda":
        client.invoke(arn, event.encode(), trace)
    elif service == "sqs":
        url = client.call("sqs", "GetQueueUrl", QueueName=resource)["QueueUrl"]
        group = target.get("SqsParameters", {})
        client.call("sqs", "SendMessage", QueueUrl=url, MessageBody=event, trace=trace, **group)
    else:
        client.call("sns", "Publish", TopicArn=arn, Message=event, trace=trace)


def _move(client: Client, queue: Queue, target: str | None) -> int:
    """Have SQS move the messages, and wait for it."""
    destination = {} if target is None else {"DestinationArn": target}
    source = queue.attributes["QueueArn"]
    client.call("sqs", "StartMessageMoveTask", SourceArn=source, **destination)
    while True:
        task = client.call("sqs", "ListMessageMoveTasks", SourceArn=source)["Results"][0]
        if task["Status"] not in ("RUNNING", "CANCELLING"):
            break
        client.pause(_POLL_S)
    if task["Status"] != "COMPLETED":
        raise click.ClickException(f"The move {task['Status'].lower()}: {task.get('FailureReason', 'no reason given')}")
    return int(task.get("ApproximateNumberOfMessagesMoved", 0))


def _replay(client: Client, queue: Queue, to: str | None, only: set[str] | None = None) -> int:
    """Invoke the function with each message's event, or with those of `only`; a message is deleted when the event is accepted."""
    if to is None and len(queue.functions) != 1:
        sources = ", ".join(queue.sources) or "nobody that can be found"
        raise click.ClickException(
            f"{queue.name} holds what failed of {sources}: it is not clear where its messages belong. Say it with --to."
        )
    function = to or queue.functions[0]

    def give(message: dict[str, Any], trace: str | None) -> None:
        client.invoke(function, _event(message["Body"]), trace)

    return _each(client, queue, give, only)


def _carry(client: Client, queue: Queue, target: Queue) -> int:
    """Send each message to another queue; SQS itself moves only what a queue's redrive policy put there."""

    def give(message: dict[str, Any], trace: str | None) -> None:
        sent = {"MessageBody": message["Body"], "MessageAttributes": message.get("MessageAttributes", {})}
        if target.name.endswith(".fifo"):
            attributes = message["Attributes"]
            sent["MessageGroupId"] = attributes.get("MessageGroupId", message["MessageId"])
            sent["MessageDeduplicationId"] = message["MessageId"]
        client.call("sqs", "SendMessage", QueueUrl=target.url, trace=trace, **sent)

    return _each(client, queue, give)


def _each(client: Client, queue: Queue, give: Give, only: set[str] | None = None) -> int:
    """Give each message that waits, or those of `only`; it is deleted when it was taken. What nobody can take stays, the others go on.

    Raises: CallFailed for what fails for all, ClickException when some were refused.
    """
    traces = {message["MessageId"]: message.get("Trace") for message in _peek(client, queue, queue.held)}
    kept: list[str] = []
    refused: list[str] = []
    count = 0
    try:
        for _ in range(queue.waiting):
            received = client.call("sqs", "ReceiveMessage", QueueUrl=queue.url, MaxNumberOfMessages=1,
                                   MessageAttributeNames=["All"], AttributeNames=["All"])  # fmt: skip
            if not received.get("Messages"):
                break
            message = received["Messages"][0]
            kept.append(message["ReceiptHandle"])
            if only is not None and message["MessageId"] not in only:
                continue
            trace = traces.get(message["MessageId"])
            try:
                give(message, trace)
            except click.ClickException as error:
                if isinstance(error, CallFailed) and error.code not in _REFUSED:
                    raise
                refused.append(f"{message['MessageId']}: {error.message}")
                continue
            client.call("sqs", "DeleteMessage", QueueUrl=queue.url, ReceiptHandle=kept.pop(), trace=trace)
            count += 1
    finally:  # what was not given back is there for the next who asks
        for handle in kept:
            client.call("sqs", "ChangeMessageVisibility", QueueUrl=queue.url, ReceiptHandle=handle, VisibilityTimeout=0)
    if refused:
        raise click.ClickException(
            f"{count} of {count + len(refused)} messages of {queue.name} given back. The others stay:\n"
            + "\n".join(f"  {each}" for each in refused)
        )
    return count


def _event(body: str) -> bytes:
    """The event in a message: the body itself, or what an on-failure destination says that the function got."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body.encode()
    if isinstance(value, dict) and {"version", "requestContext", "requestPayload"} <= value.keys():
        return json.dumps(value["requestPayload"]).encode()
    return body.encode()


def _peek(client: Client, queue: Queue, limit: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = client.call(
        "sqs", "cumulet:Peek", QueueArn=queue.attributes["QueueArn"], Limit=limit
    )["Messages"]
    return messages


def _root(trace: str) -> str:
    return trace.partition("Root=")[2].partition(";")[0]


def _short(source: str) -> str:
    """An ARN without what is the same everywhere."""
    return source.split(":", 5)[5] if source.startswith("arn:") else source


def _find(queues: list[Queue], name: str) -> Queue:
    """By name, URL or ARN, or by the one name that contains it. Raises: ClickException."""
    exact = [queue for queue in queues if name in (queue.name, queue.url, queue.attributes["QueueArn"])]
    found = exact or [queue for queue in queues if name in queue.name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(queue.name for queue in found or queues)) or "none"
    raise click.ClickException(f"{'No' if not found else 'More than one'} queue is named {name!r}. There are: {known}")


def _queues(client: Client) -> list[Queue]:
    """All queues, with who puts failures there."""
    by_arn: dict[str, Queue] = {}
    for url in client.every("sqs", "ListQueues", "QueueUrls", MaxResults=1000):
        try:
            attributes = client.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
        except CallFailed:  # deleted meanwhile
            continue
        by_arn[attributes["QueueArn"]] = Queue(url, attributes)
    for queue in by_arn.values():
        target = by_arn.get(json.loads(queue.attributes.get("RedrivePolicy", "{}")).get("deadLetterTargetArn", ""))
        if target is not None:
            target.queues.append(queue.url)
    _functions(client, by_arn)
    _deliveries(client, by_arn)
    return list(by_arn.values())


def _functions(client: Client, queues: dict[str, Queue]) -> None:
    """Functions with a dead-letter queue or an on-failure destination, and mappings of streams."""
    for function in client.every("lambda", "ListFunctions", "Functions", "Marker/NextMarker"):
        arn = function["FunctionArn"]
        targets = {function.get("DeadLetterConfig", {}).get("TargetArn")}
        for config in client.every(
            "lambda",
            "ListFunctionEventInvokeConfigs",
            "FunctionEventInvokeConfigs",
            "Marker/NextMarker",
            FunctionName=arn,
        ):
            targets.add(config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        for target in targets:
            if target in queues:
                queues[target].functions.append(arn)
    for mapping in client.every("lambda", "ListEventSourceMappings", "EventSourceMappings", "Marker/NextMarker"):
        target = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if target in queues:
            queues[target].others.append(mapping["EventSourceArn"])


def _deliveries(client: Client, queues: dict[str, Queue]) -> None:
    """Subscriptions and rules' targets with a dead-letter queue."""
    for subscription in client.every("sns", "ListSubscriptions", "Subscriptions"):
        arn = subscription["SubscriptionArn"]
        if arn.startswith("arn:"):
            attributes = client.call("sns", "GetSubscriptionAttributes", SubscriptionArn=arn)["Attributes"]
            target = json.loads(attributes.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
            if target in queues:
                queues[target].others.append(arn)
    for bus in client.every("events", "ListEventBuses", "EventBuses"):
        for rule in client.every("events", "ListRules", "Rules", EventBusName=bus["Name"]):
            for target in client.every(
                "events", "ListTargetsByRule", "Targets", Rule=rule["Name"], EventBusName=bus["Name"]
            ):
                queue = queues.get(target.get("DeadLetterConfig", {}).get("Arn", ""))
                if queue is not None:
                    queue.others.append(rule["Arn"])

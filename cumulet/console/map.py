"""The map of a stack: its resources and what they call, as nodes and edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.console.observed import Edge, Observed
from cumulet.console.resources import CLIENT, Resource, in_stack, resource
from cumulet.kernel.pipeline import Call, Pipeline

Json = dict[str, Any]
_NESTED = "AWS::CloudFormation::Stack"
_GONE = ("DELETE_COMPLETE",)


class Held(NamedTuple):
    """How many messages a queue has."""

    waiting: int
    in_flight: int
    delayed: int


@dataclass(frozen=True)
class Map:
    """What is drawn. `stack` is "" for everything."""

    stack: str
    now: float
    since: float
    missed: int
    nodes: tuple[Resource, ...]
    edges: tuple[Edge, ...]
    held: Mapping[str, Held] = field(default_factory=dict)  # by a queue's id

    def as_dict(self) -> Json:
        return {
            "stack": self.stack,
            "now": self.now,
            "since": self.since,
            "missed": self.missed,
            "nodes": [self._node(node) for node in self.nodes],
            "edges": [_edge(edge, self.now) for edge in self.edges],
        }

    def _node(self, node: Resource) -> Json:
        known: Json = {
            "id": node.id, "kind": node.kind, "name": node.name, "label": node.label, "member": node.member,
        }  # fmt: skip
        if node.id in self.held:
            known["messages"] = self.held[node.id]._asdict()
        return known


def _edge(edge: Edge, now: float) -> Json:
    place, failure = edge.place, edge.failure
    error = None if failure is None else {"code": failure.code, "message": failure.message, "at": failure.at}
    traces = [
        {
            "trace_id": seen.trace_id,
            "name": seen.name,
            "at": seen.at,
            "duration_ms": seen.duration_ms,
            "status": seen.status,
        }
        for seen in reversed(edge.traces)
    ]
    return {
        "id": edge_id(edge),
        "from": place.origin,
        "to": place.target,
        "kind": kind_of(edge),
        "lost": place.lost,
        "count": edge.count,
        "errors": edge.errors,
        "error": error,
        "last_minute": edge.last_minute(now),
        "median_ms": edge.quantile(0.5),
        "p99_ms": edge.quantile(0.99),
        "traces": traces,
    }


def kind_of(edge: Edge) -> str:
    """ "sync": the caller waits for the answer; "async": it goes on when the call is accepted."""
    return "async" if edge.place.asynchronous else "sync"


def edge_id(edge: Edge) -> str:
    place = edge.place
    return f"{place.origin} {kind_of(edge)}{' lost' if place.lost else ''} {place.target}"


def read(pipeline: Pipeline, observed: Observed, stack: str, account: str, region: str) -> Map:
    """The map of a stack, or of all of them and of what belongs to none. Raises: AwsError (there is no such stack)."""
    now = pipeline.clock.now()
    observed.look(pipeline.tracer, now)
    members = _members(pipeline, stack, account, region)
    edges = [
        edge
        for edge in observed.edges.values()
        if not stack or edge.place.origin in members or edge.place.target in members
    ]
    edges.sort(key=edge_id)
    ends = sorted({end for edge in edges for end in (edge.place.origin, edge.place.target)} - members.keys())
    ends.sort(key=lambda id_: id_ != CLIENT)
    nodes = (*members.values(), *(resource(id_) for id_ in ends))
    assert observed.since is not None
    held = _held(pipeline, (node.id for node in nodes if node.kind == "queue"))
    return Map(stack, now, observed.since, observed.missed, nodes, tuple(edges), held)


def _held(pipeline: Pipeline, queues: Iterable[str]) -> dict[str, Held]:
    found = {}
    for id_ in queues:
        arn = Arn.parse(id_)
        request = {
            "QueueUrl": f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.resource}",
            "AttributeNames": [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")],
        }
        try:
            answer = pipeline.ask(Call("sqs", "GetQueueAttributes", request, arn.account, arn.region, "-"))
        except AwsError:  # deleted meanwhile
            continue
        found[id_] = Held(*(int(answer["Attributes"][name]) for name in request["AttributeNames"]))
    return found


def _members(pipeline: Pipeline, stack: str, account: str, region: str) -> dict[str, Resource]:
    """The resources of a stack and of those nested in it, by id."""

    def ask(operation: str, request: Json) -> Json:
        found: Json = pipeline.ask(Call("cloudformation", operation, request, account, region, "-"))
        return found

    names = [stack] if stack else [each["StackName"] for each in _pages(ask, "DescribeStacks", {}, "Stacks")]
    members: dict[str, Resource] = {}
    asked: set[str] = set()
    while names:
        name = names.pop()
        if name in asked:
            continue
        asked.add(name)
        try:
            found = _pages(ask, "ListStackResources", {"StackName": name}, "StackResourceSummaries")
        except AwsError:
            if name == stack:
                raise
            continue  # nested, and being deleted
        for each in found:
            physical_id = each.get("PhysicalResourceId", "")
            if not physical_id or each["ResourceStatus"] in _GONE:
                continue
            if each["ResourceType"] == _NESTED:
                names.append(physical_id)
                continue
            id_ = in_stack(each["ResourceType"], physical_id, account, region)
            if id_:
                members.setdefault(id_, resource(id_, each["LogicalResourceId"], True))
    return members


def _pages(ask: Any, operation: str, request: Json, member: str) -> list[Json]:
    found: list[Json] = []
    while True:
        page = ask(operation, request)
        found += page[member]
        if "NextToken" not in page:
            return found
        request = {**request, "NextToken": page["NextToken"]}

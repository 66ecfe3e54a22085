"""AWS::DynamoDB::GlobalTable with the stack's own region as its only replica, which is a table like any other.

This is what the AWS CDK's `TableV2` makes. Replicas in other regions and provisioned throughput, which scales by itself there, are
refused by name. Source: CloudFormation template reference, AWS::DynamoDB::GlobalTable (read 2026-11).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.outcome import Effect
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.dynamodb.cfn import TABLE

_TYPE = "AWS::DynamoDB::GlobalTable"
_SHARED = ("AttributeDefinitions", "BillingMode", "KeySchema", "LocalSecondaryIndexes", "SSESpecification", "StreamSpecification",
           "TableName", "TimeToLiveSpecification")  # fmt: skip
_OF_REPLICA = ("ContributorInsightsSpecification", "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "ResourcePolicy",
               "TableClass", "Tags")  # fmt: skip
_INDEX = ("IndexName", "KeySchema", "Projection")
_WRITES, _READS = "WriteOnDemandThroughputSettings", "ReadOnDemandThroughputSettings"


def _refused(what: str) -> NotImplementedOnCumulet:
    return NotImplementedOnCumulet(
        f"{_TYPE}: {what} is not implemented by Cumulet.", hint="See docs/services/dynamodb.md"
    )


def _only(spec: Properties, known: tuple[str, ...], where: str) -> None:
    """Raises: NotImplementedOnCumulet for a property that is not honoured."""
    for name in spec:
        if name not in known:
            raise _refused(f"{name} of {where}")


def _most(writes: Properties, reads: Properties) -> Properties:
    """OnDemandThroughput of a table or an index, from its settings for writes and its replica's for reads."""
    out = {**writes.get(_WRITES, {}), **reads.get(_READS, {})}
    return {"OnDemandThroughput": out} if out else {}


def _replica(p: Properties, region: str) -> Properties:
    """Raises: NotImplementedOnCumulet for replicas elsewhere."""
    replicas: list[Properties] = p["Replicas"]
    elsewhere = [str(each.get("Region")) for each in replicas if each.get("Region") != region]
    if elsewhere or len(replicas) != 1:
        raise _refused(f"a replica in {elsewhere[0]}" if elsewhere else "more than one replica")
    _only(replicas[0], ("Region", "GlobalSecondaryIndexes", _READS, *_OF_REPLICA), "a replica")
    return replicas[0]


def as_table(p: Properties, region: str) -> Properties:
    """The properties of AWS::DynamoDB::Table that mean the same. Raises: NotImplementedOnCumulet."""
    if p.get("BillingMode") != "PAY_PER_REQUEST":
        raise _refused("BillingMode PROVISIONED")
    replica = _replica(p, region)
    _only(p.get("StreamSpecification", {}), ("StreamViewType",), "StreamSpecification")
    out: Properties = {name: p[name] for name in _SHARED if name in p}
    out.update({name: replica[name] for name in _OF_REPLICA if name in replica}, **_most(p, replica))
    reads = {each["IndexName"]: each for each in replica.get("GlobalSecondaryIndexes", ())}
    indexes: list[Properties] = []
    for spec in p.get("GlobalSecondaryIndexes", ()):
        _only(spec, (*_INDEX, _WRITES), "an index")
        of_replica = reads.get(spec["IndexName"], {})
        _only(of_replica, ("IndexName", _READS, "ContributorInsightsSpecification"), "a replica's index")
        index = {name: spec[name] for name in _INDEX if name in spec}
        if of_replica.get("ContributorInsightsSpecification", {}).get("Enabled") not in (None, False, "false"):
            raise _refused("ContributorInsightsSpecification of an index")
        indexes.append({**index, **_most(spec, of_replica)})
    if indexes:
        out["GlobalSecondaryIndexes"] = indexes
    return out


def _create(call: Call, p: Properties, scope: Scope) -> Created | Effect:
    return TABLE.create(call, as_table(p, scope.region), scope)


def _update(call: Call, new: Properties, old: Properties, scope: Scope) -> Created | Effect:
    assert TABLE.update is not None
    return TABLE.update(call, as_table(new, scope.region), as_table(old, scope.region), scope)


def _more(call: Call, name: str, scope: Scope) -> dict[str, Any]:
    return {"TableId": call("DescribeTable", TableName=name)["Table"]["TableId"]}


GLOBAL_TABLE = replace(
    TABLE,
    type=_TYPE,
    properties=frozenset((*_SHARED, "GlobalSecondaryIndexes", "Replicas", _WRITES)),
    required=frozenset(("KeySchema", "AttributeDefinitions", "Replicas")),
    create=_create,
    update=_update,
    attributes=_more,
)
RESOURCES: tuple[Resource, ...] = (TABLE, GLOBAL_TABLE)

"""What CreateTable and UpdateTable ask for, checked as AWS does and turned into records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.services.dynamodb.errors import LimitExceededException, ValidationException, invalid
from cumulet.services.dynamodb.model import Index
from cumulet.services.dynamodb.quotas import MAX_UNITS

Json = dict[str, Any]
_MAX_GLOBAL, _MAX_LOCAL, _MAX_PROJECTED = 20, 5, 100
_MAX_NAME_BYTES = 255


def refuse_settings(req: Json) -> None:
    """Settings that Cumulet does not honour. Raises: NotImplementedOnCumulet."""
    refused = [name for name in ("WarmThroughput", "VectorIndexes", "VectorIndexUpdates", "ReplicaUpdates",
                                 "MultiRegionConsistency", "GlobalTableWitnessUpdates", "GlobalTableSourceArn",
                                 "GlobalTableSettingsReplicationMode") if req.get(name)]  # fmt: skip
    if req.get("SSESpecification", {}).get("Enabled"):
        refused.append("SSESpecification")
    if refused:
        raise NotImplementedOnCumulet(
            f"dynamodb: {refused[0]} is not implemented by Cumulet.", hint="See docs/services/dynamodb.md"
        )


def attribute_types(definitions: Sequence[Json]) -> dict[str, str]:
    """Raises: ValidationException for an attribute that is defined twice, or whose name is too long."""
    out: dict[str, str] = {}
    for number, definition in enumerate(definitions, 1):
        name = definition["AttributeName"]
        _check_attribute_name(name, f"attributeDefinitions.{number}.member.attributeName")
        if name in out:
            raise invalid(f"Duplicate AttributeName in AttributeDefinitions: {name}")
        out[name] = definition["AttributeType"]
    return out


def _check_attribute_name(name: str, where: str) -> None:
    """Names of key attributes and of included ones have 255 bytes; the model counts letters. Raises: ValidationException."""
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at '{where}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_NAME_BYTES}"
        )


def key_names(schema: Sequence[Json]) -> tuple[str, str | None]:
    """(partition key, sort key). Raises: ValidationException, NotImplementedOnCumulet for keys of several attributes."""
    kinds = [element["KeyType"] for element in schema]
    if kinds[0] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) > 2:
        raise NotImplementedOnCumulet(
            "dynamodb: a KeySchema with several partition or sort key attributes is not implemented by Cumulet.",
            hint="See docs/services/dynamodb.md",
        )
    if len(schema) == 1:
        return schema[0]["AttributeName"], None
    if kinds[1] != "RANGE":
        raise ValidationException("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    if schema[0]["AttributeName"] == schema[1]["AttributeName"]:
        raise ValidationException("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    return schema[0]["AttributeName"], schema[1]["AttributeName"]


def check_attributes(types: dict[str, str], keys: Sequence[str], indexed: bool) -> None:
    """Key attributes must be defined and definitions used. Raises: ValidationException."""
    used = list(dict.fromkeys(keys))
    missing = [name for name in used if name not in types]
    if missing:
        if not indexed:
            raise invalid(
                "Some index key attributes are not defined in AttributeDefinitions. "
                f"Keys: {_list(used)}, AttributeDefinitions: {_list(types)}"
            )
        raise invalid(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: {_list(missing)}, AttributeDefinitions: {_list(types)}"
        )
    if len(used) < len(types):
        if not indexed:
            raise invalid(
                "Number of attributes in KeySchema does not exactly match number of attributes defined in "
                "AttributeDefinitions"
            )
        raise invalid(
            f"Some AttributeDefinitions are not used. AttributeDefinitions: {_list(types)}, keys used: {_list(used)}"
        )


def _list(names: Sequence[str] | dict[str, str]) -> str:
    return f"[{', '.join(names)}]"


def throughput(holder: Json, billing_mode: str, index: str | None = None) -> tuple[int, int]:
    """(read units, write units); (0, 0) on demand. Raises: ValidationException."""
    given = holder.get("ProvisionedThroughput")
    on_demand = billing_mode == "PAY_PER_REQUEST"
    if given is None:
        if not on_demand:
            if index is not None:
                raise invalid(f"ProvisionedThroughput must be specified for index: {index}")
            raise invalid(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
            )
        return 0, 0
    if on_demand:
        if given["ReadCapacityUnits"] == 0 and given["WriteCapacityUnits"] == 0:
            return 0, 0
        where = f"ProvisionedThroughput should not be specified for index: {index} when BillingMode is PAY_PER_REQUEST"
        raise invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
            if index is None
            else where
        )
    for member in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given[member] > MAX_UNITS:
            raise LimitExceededException(
                f"Subscriber limit exceeded: {member} of a table or an index is limited to {MAX_UNITS}. "
                f"Requested: {given[member]}."
            )
    return given["ReadCapacityUnits"], given["WriteCapacityUnits"]


def check_name(name: str) -> None:
    """Raises: ValidationException for what is no table name."""
    if len(name) < 3 or len(name) > 255:
        raise ValidationException("TableName must be at least 3 characters long and at most 255 characters long")
    if not all(c.isascii() and (c.isalnum() or c in "_.-") for c in name):
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )


def on_demand(given: Json | None, billing_mode: str) -> tuple[int, int]:
    """(most read units, most write units) of OnDemandThroughput; 0 for no maximum. Raises: ValidationException."""
    if not given:
        return 0, 0
    if billing_mode != "PAY_PER_REQUEST":
        raise invalid("OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST")
    units = given.get("MaxReadRequestUnits", -1), given.get("MaxWriteRequestUnits", -1)
    if any(each < 1 and each != -1 for each in units):
        raise invalid("MaxReadRequestUnits and MaxWriteRequestUnits must be positive, or -1 for no maximum")
    return max(units[0], 0), max(units[1], 0)


def index_record(spec: Json, local: bool, number: int, billing_mode: str, table_pk: str) -> Index:
    """An index from its specification. Raises: ValidationException."""
    name = spec["IndexName"]
    if spec.get("WarmThroughput"):
        raise NotImplementedOnCumulet("dynamodb: WarmThroughput is not implemented by Cumulet.")
    most_read, most_write = (0, 0) if local else on_demand(spec.get("OnDemandThroughput"), billing_mode)
    pk, sk = key_names(spec["KeySchema"])
    if local:
        if sk is None:
            raise invalid(f"Index KeySchema does not have a range key for index: {name}")
        if pk != table_pk:
            raise invalid(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: "
                f"{name}. index hash key: {pk}, table hash key: {table_pk}"
            )
    projection, include = _projection(spec.get("Projection", {}))
    read, write = (0, 0) if local else throughput(spec, billing_mode, name)
    return Index(
        name=name,
        number=number,
        pk=pk,
        sk=sk,
        local=local,
        projection=projection,
        include=include,
        read_units=read,
        write_units=write,
        max_read_units=most_read,
        max_write_units=most_write,
    )


def _projection(given: Json) -> tuple[str, tuple[str, ...]]:
    kind = given.get("ProjectionType")
    if kind is None:
        raise invalid("Unknown ProjectionType: null")
    names = given.get("NonKeyAttributes")
    if names is not None and kind != "INCLUDE":
        raise invalid(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and names is None:
        raise invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    for number, name in enumerate(names or (), 1):
        _check_attribute_name(name, f"projection.nonKeyAttributes.{number}.member")
    return kind, tuple(names or ())


def check_indexes(indexes: Sequence[Index], table_sk: str | None) -> None:
    """Names, counts and what they project together. Raises: ValidationException."""
    local = [index for index in indexes if index.local]
    if local and table_sk is None:
        raise invalid(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
        )
    if len(local) > _MAX_LOCAL:
        raise invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5")
    if len(indexes) - len(local) > _MAX_GLOBAL:
        raise invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20")
    seen: set[str] = set()
    for index in indexes:
        if index.name in seen:
            raise invalid(f"Duplicate index name: {index.name}")
        seen.add(index.name)
    projected = sum(len(index.include) for index in indexes)
    if projected > _MAX_PROJECTED:
        raise invalid(f"Number of NonKeyAttributes projected into all indexes exceeds the limit of {_MAX_PROJECTED}")


def tags_of(old: dict[str, str], added: list[Json]) -> dict[str, str]:
    """The tags after some were added. Raises: ValidationException."""
    for tag in added:
        if tag["Key"].lower().startswith("aws:") and not tag["Key"].startswith("aws:cloudformation:"):
            raise invalid(f"Tag keys that start with aws: are reserved for AWS: {tag['Key']}")
    tags = {**old, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(tags) > 50:
        raise ValidationException("One or more parameter values were invalid: Number of tags exceeds the limit of 50")
    return tags

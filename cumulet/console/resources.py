"""What the map draws: resources, each under one id, whatever name, URL or ARN a request or a stack calls it by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from cumulet.aws.arn import Arn
from cumulet.kernel.trace import Subject

CLIENT = "client"
_API, _HOST = "execute-api:", "http:"

_KINDS = {
    "cloudwatch": "alarm",
    "dynamodb": "table",
    "kinesis": "stream",
    "lambda": "function",
    "rds": "database",
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
    "states": "state machine",
}

# A stack's resources that can be called: type -> (service, what goes before the physical id in the ARN)
_TYPES = {
    "AWS::ApiGateway::RestApi": ("execute-api", ""),
    "AWS::ApiGatewayV2::Api": ("execute-api", ""),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:"),
    "AWS::CloudWatch::CompositeAlarm": ("cloudwatch", "alarm:"),
    "AWS::DynamoDB::GlobalTable": ("dynamodb", ""),
    "AWS::DynamoDB::Table": ("dynamodb", ""),
    "AWS::Events::EventBus": ("events", ""),
    "AWS::Events::Rule": ("events", "rule/"),
    "AWS::Kinesis::Stream": ("kinesis", "stream/"),
    "AWS::Lambda::Function": ("lambda", ""),
    "AWS::RDS::DBCluster": ("rds", "cluster:"),
    "AWS::RDS::DBInstance": ("rds", "db:"),
    "AWS::S3::Bucket": ("s3", ""),
    "AWS::SNS::Topic": ("sns", ""),
    "AWS::SQS::Queue": ("sqs", ""),
    "AWS::StepFunctions::StateMachine": ("states", ""),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A node of the map. `label` is what a person calls it: its logical id in a stack, else its name."""

    id: str
    kind: str
    name: str
    label: str
    member: bool = False


@lru_cache(4096)
def ids_of(subject: Subject | None) -> tuple[str, ...]:
    """The ids of the resources that a step asks; () where it asks none that can be told."""
    if subject is None:
        return ()
    service, account, region, said = subject
    if isinstance(said, tuple):
        return tuple(dict.fromkeys(id_ for each in said if (id_ := _id(service, account, region, each))))
    found = _id(service, account, region, said) if isinstance(said, str) else ""
    return (found,) if found else ()


def in_stack(type_: str, physical_id: str, account: str, region: str) -> str:
    """The id of a stack's resource; "" for one that nobody calls: a role, a permission, a log group."""
    if type_ not in _TYPES:
        return ""
    service, before = _TYPES[type_]
    if physical_id.startswith("arn:"):
        before = ""
    if before == "rule/":
        physical_id = physical_id.replace("|", "/")
    if before:
        return f"arn:aws:{service}:{region}:{account}:{before}{physical_id}"
    return _id(service, account, region, physical_id)


def resource(id_: str, label: str = "", member: bool = False) -> Resource:
    """The node of an id."""
    kind, name = _kind_and_name(id_)
    return Resource(id_, kind, name, label or name, member)


def _id(service: str, account: str, region: str, said: str) -> str:
    if said.startswith("arn:"):
        return of_arn(said)
    match service:
        case "execute-api":
            return f"{_API}{said}"
        case "http":
            return _HOST + _host(said)
        case "lambda":
            parts = said.split(":")  # name, name:qualifier or account:function:name[:qualifier]
            account, name = (parts[0], parts[2]) if len(parts) > 2 else (account, parts[0])
            return f"arn:aws:lambda:{region}:{account}:function:{name}"
        case "sqs":
            parts = said.rsplit("/", 2)
            owner = parts[-2] if len(parts) == 3 and parts[-2].isdigit() else account
            return f"arn:aws:sqs:{region}:{owner}:{parts[-1]}"
        case "dynamodb":
            return f"arn:aws:dynamodb:{region}:{account}:table/{said}"
        case "events":
            return f"arn:aws:events:{region}:{account}:event-bus/{said}"
        case "s3":
            return f"arn:aws:s3:::{said}"
    return ""


def of_arn(text: str) -> str:
    """An ARN without what is beside the resource: a function's qualifier, a table's index or stream, an object's key."""
    try:
        arn = Arn.parse(text)
    except ValueError:
        return ""
    match arn.service:
        case "lambda":
            kept = ":".join(arn.resource.split(":")[:2])
        case "dynamodb":
            kept = "/".join(arn.resource.split("/")[:2])
        case "s3":
            kept = arn.resource.partition("/")[0]
        case _:
            return text
    return f"arn:{arn.partition}:{arn.service}:{arn.region}:{arn.account}:{kept}"


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "?"


def _kind_and_name(id_: str) -> tuple[str, str]:
    if id_ == CLIENT:
        return CLIENT, CLIENT
    if id_.startswith(_API):
        return "api", id_.removeprefix(_API)
    if id_.startswith(_HOST):
        return "host", id_.removeprefix(_HOST)
    arn = Arn.parse(id_)
    if arn.service == "events":
        kind, _, name = arn.resource.partition("/")
        return {"event-bus": "bus"}.get(kind, kind), name
    name = arn.resource
    for mark in ("table/", "stream/", "function:", "stateMachine:", "alarm:", "cluster:", "db:"):
        name = name.removeprefix(mark)
    return _KINDS.get(arn.service, arn.service), name

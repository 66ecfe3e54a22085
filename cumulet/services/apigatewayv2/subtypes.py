"""AWS service integrations of HTTP APIs: the subtypes, their parameters, and the request that they make of a request.

Source: developer guide, "Integration subtype reference" and "Create AWS service integrations for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.errors import BadRequestException, not_honoured
from cumulet.services.apigatewayv2.expressions import Values, as_text, is_valid

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2.events import Exchange

_DOCUMENTS = frozenset(("MessageAttributes", "MessageSystemAttributes", "AttributeNames", "MessageAttributeNames",
                        "Resources"))  # fmt: skip


@dataclass(frozen=True)
class Subtype:
    """The operation that a subtype calls. Every subtype also takes Region."""

    service: str
    operation: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


SUBTYPES = {
    "EventBridge-PutEvents": Subtype(
        "events", "PutEvents", ("Detail", "DetailType", "Source"),
        ("Time", "EventBusName", "Resources", "TraceHeader"),
    ),
    "SQS-SendMessage": Subtype(
        "sqs", "SendMessage", ("QueueUrl", "MessageBody"),
        ("DelaySeconds", "MessageAttributes", "MessageDeduplicationId", "MessageGroupId", "MessageSystemAttributes"),
    ),
    "SQS-ReceiveMessage": Subtype(
        "sqs", "ReceiveMessage", ("QueueUrl",),
        ("AttributeNames", "MaxNumberOfMessages", "MessageAttributeNames", "ReceiveRequestAttemptId", "VisibilityTimeout",
         "WaitTimeSeconds"),
    ),
    "SQS-DeleteMessage": Subtype("sqs", "DeleteMessage", ("ReceiptHandle", "QueueUrl")),
    "SQS-PurgeQueue": Subtype("sqs", "PurgeQueue", ("QueueUrl",)),
    "AppConfig-GetConfiguration": Subtype(
        "appconfig", "GetConfiguration", ("Application", "Environment", "Configuration", "ClientId"),
        ("ClientConfigurationVersion",),
    ),
    "Kinesis-PutRecord": Subtype(
        "kinesis", "PutRecord", ("StreamName", "Data", "PartitionKey"),
        ("SequenceNumberForOrdering", "ExplicitHashKey"),
    ),
    "StepFunctions-StartExecution": Subtype(
        "stepfunctions", "StartExecution", ("StateMachineArn",), ("Name", "Input"),
    ),
    "StepFunctions-StartSyncExecution": Subtype(
        "stepfunctions", "StartSyncExecution", ("StateMachineArn",), ("Name", "Input", "TraceHeader"),
    ),
    "StepFunctions-StopExecution": Subtype("stepfunctions", "StopExecution", ("ExecutionArn",), ("Cause", "Error")),
}  # fmt: skip


class Unresolved(Exception):
    """A parameter that a request does not give; the text is for access logs."""


def check_subtype(integration: Result) -> None:
    """Raises: BadRequestException, also for missing parameters; NotImplementedOnCumulet for the caller's credentials."""
    name = integration["IntegrationSubtype"]
    subtype = SUBTYPES.get(name)
    if subtype is None:
        raise BadRequestException(f"Operation: {name} is not supported")
    credentials = integration.get("CredentialsArn")
    if not credentials:
        raise BadRequestException("Credentials are required for AWS service integrations")
    if credentials == "arn:aws:iam::*:user/*":
        raise not_honoured("CredentialsArn of the caller (arn:aws:iam::*:user/*)")
    given: Result = integration.get("RequestParameters") or {}
    if any(not given.get(parameter) for parameter in subtype.required):
        raise BadRequestException(f"Operation: {name} requires enabling passthrough, or defining all of the following "
                                  f"parameters: [{', '.join(subtype.required)}]")  # fmt: skip
    known = (*subtype.required, *subtype.optional, "Region")
    wrong = [f"Invalid destination: {parameter}" for parameter in given if parameter not in known]
    wrong += [f"Invalid source: {source} specified for destination: {parameter}"
              for parameter, source in given.items() if not is_valid(source)]  # fmt: skip
    if wrong:
        raise BadRequestException(f"Invalid selection expression specified: Validation Result: warnings : [], errors : "
                                  f"[{', '.join(wrong)}]")  # fmt: skip


def request_of(exchange: Exchange, integration: Result) -> tuple[Subtype, str | None, Result]:
    """(subtype, region, the operation's request). Raises: Unresolved."""
    subtype = SUBTYPES[integration["IntegrationSubtype"]]
    values = Values(exchange)
    found = {name: _resolved(values, name, source) for name, source in integration["RequestParameters"].items()}
    region = found.pop("Region", None)
    request: Result = found
    if subtype.operation == "PutEvents":
        request = {"Entries": [found]}
    elif subtype.service == "stepfunctions":
        request = {name[0].lower() + name[1:]: value for name, value in found.items()}
    elif subtype.service == "kinesis":
        request["Data"] = request["Data"].encode()
    return subtype, region, request


def _resolved(values: Values, name: str, source: str) -> Any:
    found = values.of(source)
    if name in _DOCUMENTS and isinstance(found, str):
        try:
            found = read_json(found)
        except NotJson:
            found = [found] if name.endswith("Names") and found else None
    if found is None:
        raise Unresolved(
            f"Unable to resolve property {name} from source {source}. Please make sure that the value exists."
        )
    return found if name in _DOCUMENTS else as_text(found)

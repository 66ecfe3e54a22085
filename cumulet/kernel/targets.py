"""The one table from an ARN to the operation that delivers a payload there: for every AWS "target"."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import GenericAwsError

Request = dict[str, Any]


def request_for(arn: str, payload: bytes, extra: Request) -> tuple[str, str, Request, str | None, str | None]:
    """(service, operation, request, region, account) that deliver `payload` to `arn`; `extra` goes into the request.

    An event bus takes the payload as an event's Detail and wants Source and DetailType in `extra`.
    Raises: ValidationException for an ARN that is no target.
    """
    try:
        parsed = Arn.parse(arn)
    except ValueError as error:
        raise GenericAwsError("ValidationException", f"{arn} is not a valid ARN.") from error
    text = payload.decode("utf-8", "replace")
    name = parsed.resource.rpartition("/")[2]
    request: Request
    match parsed.service:
        case "lambda":
            service, operation = "lambda", "Invoke"
            request = {"FunctionName": arn, "InvocationType": "Event", "Payload": payload}
        case "sqs":
            service, operation = "sqs", "SendMessage"
            request = {"QueueUrl": f"http://127.0.0.1/{parsed.account}/{parsed.resource}", "MessageBody": text}
        case "sns":
            service, operation, request = "sns", "Publish", {"TopicArn": arn, "Message": text}
        case "events":
            request = {"Entries": [{"EventBusName": arn, "Detail": text, **extra}]}
            return "events", "PutEvents", request, parsed.region or None, parsed.account or None
        case "states":
            service, operation, request = "stepfunctions", "StartExecution", {"stateMachineArn": arn, "input": text}
        case "kinesis":
            service, operation, request = "kinesis", "PutRecord", {"StreamARN": arn, "Data": payload}
        case "firehose":
            service, operation = "firehose", "PutRecord"
            request = {"DeliveryStreamName": name, "Record": {"Data": payload}}
        case _:
            raise GenericAwsError("ValidationException", f"{arn} is not a target that Cumulet can deliver to.")
    return service, operation, {**request, **extra}, parsed.region or None, parsed.account or None

"""The one table from an ARN to the operation that delivers a payload there: for every AWS "target"."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import GenericAwsError


def request_for(arn: str, payload: bytes) -> tuple[str, str, dict[str, Any], str | None, str | None]:
    """(service, operation, request, region, account) that deliver `payload` to `arn`.

    Raises: ValidationException for an ARN that is no target.
    """
    try:
        parsed = Arn.parse(arn)
    except ValueError as error:
        raise GenericAwsError("ValidationException", f"{arn} is not a valid ARN.") from error
    text = payload.decode("utf-8", "replace")
    match parsed.service:
        case "lambda":
            request: dict[str, Any] = {"FunctionName": arn, "InvocationType": "Event", "Payload": payload}
            operation, service = "Invoke", "lambda"
        case "sqs":
            service, operation = "sqs", "SendMessage"
            request = {"QueueUrl": f"http://127.0.0.1/{parsed.account}/{parsed.resource}", "MessageBody": text}
        case "sns":
            service, operation, request = "sns", "Publish", {"TopicArn": arn, "Message": text}
        case _:
            raise GenericAwsError("ValidationException", f"{arn} is not a target that Cumulet can deliver to.")
    return service, operation, request, parsed.region or None, parsed.account or None

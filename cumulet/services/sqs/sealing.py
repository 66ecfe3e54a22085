"""Messages encrypted with a KMS key: body and attributes are sealed in the store, by a data key that SQS uses again for a while.

A message keeps its encryption wherever it moves; what was on a queue before it had a key stays as it is.
Source: SQS developer guide, "Encryption at rest in Amazon SQS", "Data key reuse period" (read 2026-11).
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.services.sqs import attributes, rows
from cumulet.services.sqs.errors import (
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidKeyUsage,
    KmsInvalidState,
    KmsNotFound,
)
from cumulet.services.sqs.model import Message, Open

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, dict[str, tuple[str, Any]] | None]).decode
_ERRORS: dict[str, type[AwsError]] = {
    "NotFoundException": KmsNotFound,
    "DisabledException": KmsDisabled,
    "KMSInvalidStateException": KmsInvalidState,
    "AccessDeniedException": KmsAccessDenied,
    "InvalidKeyUsageException": KmsInvalidKeyUsage,
}


def check(o: Open) -> None:
    """Ask whether the queue's key can be used. Raises: KmsDisabled, KmsInvalidState, KmsNotFound, KmsInvalidKeyUsage."""
    _seal(o, b"")


def seal(o: Open, body: str, given: attributes.Kept | None) -> tuple[str, int]:
    """(what to keep as the body, its size) of a message for this queue. Raises: as `check`."""
    text = base64.b64encode(_seal(o, _encode((body, given)))).decode()
    return text, len(text)


def _seal(o: Open, plaintext: bytes) -> bytes:
    queue = o.queue
    request = {
        "KeyId": queue.kms_key,
        "Context": {"aws:sqs:arn": queue.arn},
        "Plaintext": plaintext,
        "ReuseSeconds": queue.kms_reuse_s,
    }
    sealed: bytes = _ask(o, "cumulet:Seal", request).get("Sealed", b"")
    return sealed


def opened(o: Open, message: Message, body: str) -> tuple[Message, str]:
    """A sealed message with its attributes and their digest; its body. Raises: KmsDisabled, KmsInvalidState, KmsNotFound."""
    answer = _ask(o, "cumulet:Open", {"Sealed": base64.b64decode(body), "ReuseSeconds": o.queue.kms_reuse_s})
    body, found = _decode(answer["Plaintext"])
    if message.finisher:
        body = rows.finished(o, message, body)
    if not found:
        return message, body
    return msgspec.structs.replace(message, attributes=found, attributes_md5=attributes.digest(found)), body


def _ask(o: Open, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    queue = o.queue
    try:
        answer: dict[str, Any] = o.ctx.call(
            "kms", operation, request, principal="sqs.amazonaws.com", account=queue.account, region=queue.region
        )
    except AwsError as error:
        known = _ERRORS.get(error.wire_code)
        if known is None:
            raise
        raise known(error.message) from error
    return answer

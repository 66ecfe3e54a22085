"""Deliveries of topics with a KMS key: what waits in the store is sealed by a data key that SNS uses again for five minutes.

Source: SNS developer guide, "Securing Amazon SNS data with server-side encryption", "Key terms" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sns.errors import (
    KMSAccessDenied,
    KMSDisabled,
    KMSInvalidState,
    KMSNotFound,
)
from cumulet.services.sns.model import Delivery, Topic

Json = dict[str, Any]
SETTING = "KmsMasterKeyId"
_REUSE_S = 300
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, dict[str, dict[str, Any]]]).decode
_ERRORS: dict[str, type[AwsError]] = {
    "NotFoundException": KMSNotFound,
    "DisabledException": KMSDisabled,
    "KMSInvalidStateException": KMSInvalidState,
    "AccessDeniedException": KMSAccessDenied,
    "InvalidKeyUsageException": KMSInvalidState,
}


def check(ctx: Context, topic: Topic) -> None:
    """Ask whether the topic's key can be used. Raises: KMSDisabled, KMSInvalidState, KMSNotFound."""
    _seal(ctx, topic.account, topic.region, topic.attributes[SETTING], topic.arn, b"")


def sealed(ctx: Context, delivery: Delivery) -> Delivery:
    """A delivery as the store may hold it. Raises: as `check`."""
    subscription = delivery.subscription
    plaintext = _encode((delivery.body, delivery.attributes))
    body = _seal(
        ctx, subscription.topic_account, subscription.region, delivery.kms_key, subscription.topic_arn, plaintext
    )
    return replace(delivery, body=body, attributes={}, sealed=True)


def opened(ctx: Context, delivery: Delivery, body: bytes) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """(body, message attributes) of a delivery that is sealed in `body`. Raises: as `check`."""
    subscription = delivery.subscription
    answer = _ask(
        ctx,
        subscription.topic_account,
        subscription.region,
        "cumulet:Open",
        {"Sealed": body, "ReuseSeconds": _REUSE_S},
    )
    return _decode(answer["Plaintext"])


def _seal(ctx: Context, account: str, region: str, key: str, arn: str, plaintext: bytes) -> bytes:
    request = {
        "KeyId": key,
        "Context": {"aws:sns:topicArn": arn},
        "Plaintext": plaintext,
        "ReuseSeconds": _REUSE_S,
    }
    found: bytes = _ask(ctx, account, region, "cumulet:Seal", request).get("Sealed", b"")
    return found


def _ask(ctx: Context, account: str, region: str, operation: str, request: Json) -> Json:
    try:
        answer: Json = ctx.call(
            "kms", operation, request, principal="sns.amazonaws.com", account=account, region=region
        )
    except AwsError as error:
        known = _ERRORS.get(error.wire_code)
        if known is None:
            raise
        raise known(error.message) from error
    return answer

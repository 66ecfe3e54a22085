"""Endpoints of subscriptions: what each protocol takes, and the credentials in URLs.

Source: SNS API_Subscribe; developer guide, "HTTP/HTTPS notifications" (read 2026-11).
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from cumulet.services.sns.errors import InvalidParameter, unsupported
from cumulet.services.sns.model import Topic

_PROTOCOLS = ("http", "https", "email", "email-json", "sms", "sqs", "lambda")
_REFUSED = ("application", "firehose")
_QUEUE = re.compile(r"arn:aws[a-zA-Z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,80}(\.fifo)?")
_FUNCTION = re.compile(r"arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_$-]+)?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PHONE = re.compile(r"\+?[1-9][0-9]{4,14}")
_SECRET = re.compile(r"^(https?://[^/@:]*:)[^/@]*(@)")


def check_endpoint(topic: Topic, protocol: str, endpoint: str) -> None:
    """Raises: InvalidParameter; NotImplemented for the protocols application and firehose."""
    if protocol in _REFUSED:
        raise unsupported(f"protocol {protocol}")
    if protocol not in _PROTOCOLS:
        raise InvalidParameter.of(f"Amazon SNS does not support this protocol string: {protocol}")
    if not endpoint:
        raise InvalidParameter.of("Endpoint")
    if topic.fifo and protocol != "sqs":
        raise InvalidParameter.of(f"Protocol Reason: FIFO topics support Amazon SQS subscriptions only, not {protocol}")
    if protocol == "sqs":
        if not _QUEUE.fullmatch(endpoint):
            raise InvalidParameter.of("SQS endpoint ARN")
        if endpoint.endswith(".fifo") and not topic.fifo:
            raise InvalidParameter.of(
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
            )
    elif protocol == "lambda" and not _FUNCTION.fullmatch(endpoint):
        raise InvalidParameter.of("Lambda endpoint ARN")
    elif protocol in ("http", "https") and (
        not endpoint.startswith(f"{protocol}://") or not urlsplit(endpoint).hostname
    ):
        raise InvalidParameter.of("Endpoint must match the specified protocol")
    elif protocol in ("email", "email-json") and not _EMAIL.fullmatch(endpoint):
        raise InvalidParameter.of("Email address")
    elif protocol == "sms" and not _PHONE.fullmatch(re.sub(r"[ ().-]", "", endpoint)):
        raise InvalidParameter.of(f"Invalid SMS endpoint: {endpoint}")


def credentials_of(url: str) -> tuple[str, str]:
    """(the URL without, "user:password") of a URL for basic authentication; "" where it has none."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return (parts._replace(netloc=host).geturl(), unquote(user)) if at else (url, "")


def masked(endpoint: str) -> str:
    """An endpoint as it is shown: a password in it is not."""
    return _SECRET.sub(r"\1****\2", endpoint)

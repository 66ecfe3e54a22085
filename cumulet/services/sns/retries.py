"""When a failed delivery is tried again: the four phases, AWS's own schedules and HTTP delivery policies.

After the first attempt come retries without delay, retries at the least delay, retries whose delay grows from the least
to the longest (the backoff phase), and retries at the longest delay. For HTTP the policy is the subscription's, else the
topic's, else 3 retries 20 s apart. AWS shows its four backoff functions only as a drawing: here the delay of the i-th of n
retries goes from least to longest in a straight line (linear), with the square of i (arithmetic), by a constant factor
(geometric), or as 2^i does (exponential). AWS's jitter is left out, so that a test on virtual time can say when.
Source: SNS developer guide, "Amazon SNS message delivery retries" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.record import Record
from cumulet.services.sns.errors import InvalidParameter

Json = dict[str, Any]

MAX_TOTAL_S = 3600.0
TEXT = "text/plain; charset=UTF-8"
_FUNCTIONS = ("linear", "arithmetic", "geometric", "exponential")
_PLAIN_TYPES = frozenset(("application/json", "text/plain"))
_RAW_TYPES = _PLAIN_TYPES | {
    "text/css", "text/csv", "text/html", "text/xml", "application/atom+xml", "application/octet-stream",
    "application/soap+xml", "application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml",
}  # fmt: skip
_encode = msgspec.json.Encoder().encode


class Schedule(Record):
    """A retry policy, by the names of its JSON form."""

    minDelayTarget: int = 20
    maxDelayTarget: int = 20
    numRetries: int = 3
    numMaxDelayRetries: int = 0
    numNoDelayRetries: int = 0
    numMinDelayRetries: int = 0
    backoffFunction: str = "linear"

    def delay_s(self, failures: int) -> float | None:
        """Seconds to wait after so many failed attempts; None: give up."""
        retry = failures - 1
        if retry >= self.numRetries:
            return None
        if retry < self.numNoDelayRetries:
            return 0.0
        retry -= self.numNoDelayRetries
        if retry < self.numMinDelayRetries:
            return float(self.minDelayTarget)
        retry -= self.numMinDelayRetries
        growing = self.numRetries - self.numNoDelayRetries - self.numMinDelayRetries - self.numMaxDelayRetries
        if retry >= growing:
            return float(self.maxDelayTarget)
        return self._growing(retry, growing)

    def _growing(self, retry: int, count: int) -> float:
        least, most = float(self.minDelayTarget), float(self.maxDelayTarget)
        if count <= 1:
            return least
        share = retry / (count - 1)
        if self.backoffFunction == "geometric":
            return least * float((most / least) ** share)
        if self.backoffFunction == "arithmetic":
            share *= share
        elif self.backoffFunction == "exponential":
            share = (2.0**retry - 1) / (2.0 ** (count - 1) - 1)
        return least + (most - least) * share

    def as_dict(self) -> Json:
        return {name: getattr(self, name) for name in self.__struct_fields__}


AWS_MANAGED = Schedule(
    minDelayTarget=1, maxDelayTarget=20, numRetries=100_015, numMaxDelayRetries=100_000, numNoDelayRetries=3,
    numMinDelayRetries=2, backoffFunction="exponential",
)  # fmt: skip
DEFAULT = Schedule()


class Policy(Record):
    """What a topic's and a subscription's delivery policies come to."""

    schedule: Schedule = DEFAULT
    per_second: int = 0
    content_type: str = TEXT


def _document(text: str) -> Json:
    try:
        value = read_json(text)
    except NotJson as error:
        raise _refused(f"{error}") from error
    if not isinstance(value, dict):
        raise _refused("The policy is not a JSON object")
    return value


def _refused(why: str) -> InvalidParameter:
    return InvalidParameter.of(f"DeliveryPolicy: {why}")


def _schedule(value: Any, name: str) -> Schedule:
    if not isinstance(value, dict):
        raise _refused(f"{name} is not a JSON object")
    for key, given in value.items():
        if key not in Schedule.__struct_fields__:
            raise _refused(f"{name}.{key} is not a valid property")
        if key != "backoffFunction" and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
            raise _refused(f"{name}.{key} must be greater than or equal to 0")
    found = Schedule(**value)
    if found.backoffFunction not in _FUNCTIONS:
        raise _refused(f"{name}.backoffFunction must be one of {', '.join(_FUNCTIONS)}")
    if not 1 <= found.minDelayTarget <= found.maxDelayTarget:
        raise _refused(f"{name}.minDelayTarget must be between 1 and maxDelayTarget")
    if found.maxDelayTarget > MAX_TOTAL_S:
        raise _refused(f"{name}.maxDelayTarget must be less than or equal to 3600")
    if found.numRetries > 100:
        raise _refused(f"{name}.numRetries must be less than or equal to 100")
    if found.numRetries < found.numNoDelayRetries + found.numMinDelayRetries + found.numMaxDelayRetries:
        raise _refused(
            f"{name}.numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and "
            "numMaxDelayRetries"
        )
    if sum(found.delay_s(failures) or 0.0 for failures in range(1, found.numRetries + 1)) > MAX_TOTAL_S:
        raise _refused(f"{name}: the total retry time must be less than or equal to 3600 seconds")
    return found


def _per_second(value: Any, name: str) -> int:
    if value is None:
        return 0
    rate = value.get("maxReceivesPerSecond") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(rate, int) or isinstance(rate, bool) or rate < 1:
        raise _refused(f"{name}.maxReceivesPerSecond must be greater than or equal to 1")
    return rate


def _content_type(value: Any, name: str, allowed: frozenset[str]) -> str:
    if value is None:
        return TEXT
    kind = value.get("headerContentType") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(kind, str) or kind.split(";")[0].strip().lower() not in allowed:
        raise _refused(f"{name}.headerContentType is not a supported content type")
    return kind


def topic_policy(text: str) -> tuple[Policy, bool]:
    """(a topic's policy, whether subscriptions may not override it). Raises: InvalidParameter."""
    document = _document(text)
    if set(document) - {"http"} or not isinstance(document.get("http", {}), dict):
        raise _refused("http is the only protocol with a policy")
    http = document.get("http", {})
    known = {
        "defaultHealthyRetryPolicy",
        "disableSubscriptionOverrides",
        "defaultThrottlePolicy",
        "defaultRequestPolicy",
    }
    if http.get("defaultSicklyRetryPolicy") is not None:
        raise NotImplementedOnCumulet("SNS's delivery policy defaultSicklyRetryPolicy is not implemented by Cumulet.")
    unknown = set(http) - known - {"defaultSicklyRetryPolicy"}
    if unknown:
        raise _refused(f"http.{min(unknown)} is not a valid property")
    fixed = http.get("disableSubscriptionOverrides", False)
    if not isinstance(fixed, bool):
        raise _refused("http.disableSubscriptionOverrides must be a Boolean")
    return Policy(
        schedule=_schedule(http.get("defaultHealthyRetryPolicy") or {}, "http.defaultHealthyRetryPolicy"),
        per_second=_per_second(http.get("defaultThrottlePolicy"), "http.defaultThrottlePolicy"),
        content_type=_content_type(http.get("defaultRequestPolicy"), "http.defaultRequestPolicy", _PLAIN_TYPES),
    ), fixed


def subscription_policy(text: str, below: Policy, raw: bool) -> Policy:
    """A subscription's policy on top of its topic's; a `raw` body may be of more types. Raises: InvalidParameter."""
    document = _document(text)
    if document.get("sicklyRetryPolicy") is not None or document.get("guaranteed"):
        raise NotImplementedOnCumulet("SNS's delivery policy sicklyRetryPolicy is not implemented by Cumulet.")
    known = {"healthyRetryPolicy", "throttlePolicy", "requestPolicy", "sicklyRetryPolicy", "guaranteed"}
    unknown = set(document) - known
    if unknown:
        raise _refused(f"{min(unknown)} is not a valid property")
    allowed = _RAW_TYPES if raw else _PLAIN_TYPES
    retry, throttle, request = (
        document.get(name) for name in ("healthyRetryPolicy", "throttlePolicy", "requestPolicy")
    )
    return Policy(
        schedule=below.schedule if retry is None else _schedule(retry, "healthyRetryPolicy"),
        per_second=below.per_second if throttle is None else _per_second(throttle, "throttlePolicy"),
        content_type=below.content_type if request is None else _content_type(request, "requestPolicy", allowed),
    )


def effective(topic_text: str | None, subscription_text: str | None) -> Policy:
    """What holds for a subscription."""
    policy, fixed = topic_policy(topic_text) if topic_text else (Policy(), False)
    return policy if fixed or not subscription_text else subscription_policy(subscription_text, policy, True)


def _throttle(policy: Policy) -> Json | None:
    return {"maxReceivesPerSecond": policy.per_second} if policy.per_second else None


def shown_for_topic(text: str | None) -> str:
    """EffectiveDeliveryPolicy of a topic."""
    policy, fixed = topic_policy(text) if text else (Policy(), False)
    http: Json = {"defaultHealthyRetryPolicy": policy.schedule.as_dict(), "disableSubscriptionOverrides": fixed}
    if policy.per_second:
        http["defaultThrottlePolicy"] = _throttle(policy)
    http["defaultRequestPolicy"] = {"headerContentType": policy.content_type}
    return _encode({"http": http}).decode()


def shown_for_subscription(topic_text: str | None, subscription_text: str | None) -> str:
    """EffectiveDeliveryPolicy of a subscription."""
    policy = effective(topic_text, subscription_text)
    return _encode(
        {
            "healthyRetryPolicy": policy.schedule.as_dict(),
            "sicklyRetryPolicy": None,
            "throttlePolicy": _throttle(policy),
            "requestPolicy": {"headerContentType": policy.content_type},
            "guaranteed": False,
        }
    ).decode()

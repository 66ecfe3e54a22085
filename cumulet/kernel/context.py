"""What an operation gets: its transaction, the time, on whose behalf it runs, and the ways to other services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cumulet.kernel.ids import Ids
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.kernel.tx import Tx

if TYPE_CHECKING:
    from cumulet.kernel.pipeline import Pipeline
    from cumulet.kernel.trace import Span


class Context:
    """The surroundings of one operation.

    tx          the transaction: reads, writes, timers, blobs
    now         the clock's time (epoch seconds) when the operation began
    arrived     when the request arrived (earlier than `now` for a request that was parked)
    account, region, principal   for whom; principal is an ARN, or "service.amazonaws.com"
    access_key  of the caller, "" when unsigned
    request_id  the answer's
    endpoint    base URL that clients reach us by: "http://127.0.0.1:4566"
    trace       X-Amzn-Trace-Id value to hand on
    """

    __slots__ = (
        "access_key",
        "account",
        "arrived",
        "endpoint",
        "ids",
        "now",
        "pipeline",
        "principal",
        "region",
        "request_id",
        "source_ip",
        "span",
        "tx",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        tx: Tx,
        now: float,
        arrived: float,
        account: str,
        region: str,
        principal: str,
        access_key: str,
        request_id: str,
        endpoint: str,
        span: Span,
        source_ip: str = "127.0.0.1",
    ) -> None:
        self.pipeline = pipeline
        self.tx = tx
        self.now = now
        self.arrived = arrived
        self.account = account
        self.region = region
        self.principal = principal
        self.access_key = access_key
        self.request_id = request_id
        self.endpoint = endpoint
        self.span = span
        self.source_ip = source_ip
        self.ids: Ids = pipeline.ids

    @property
    def trace(self) -> str:
        return self.span.header()

    def call(
        self,
        service: str,
        operation: str,
        request: Result,
        *,
        principal: str | None = None,
        source: str = "",
        region: str | None = None,
        account: str | None = None,
        lost: bool = False,
    ) -> Any:
        """Run another service's operation in this transaction, as from outside: checked, authorized, traced.

        `principal` is who asks: the caller of this operation unless told; a role's ARN for a service that acts with it; a
        service's name, then with `source`, the ARN on whose behalf (aws:SourceArn); "" for what we need for ourselves.
        Returns the operation's result, or an Effect (see `outcome.then`). Raises: its AwsErrors; what it wrote is then undone,
        so the caller may go on. An operation that Cumulet lacks raises NotImplementedOnCumulet (501).
        """
        return self.pipeline.call_inside(
            self, service, operation, request, principal, region, account, source=source, lost=lost
        )

    def deliver(
        self,
        arn: str,
        payload: bytes,
        *,
        principal: str | None = None,
        source: str = "",
        extra: Result | None = None,
        via: str = "",
        lost: bool = False,
    ) -> Any:
        """Give `payload` to any AWS "target" by its ARN (a function, a queue, a topic, ...), asynchronously.

        `extra` goes into the target's request: {"MessageGroupId": "orders"} for a FIFO queue. For the trace, `via` is the ARN of
        who sends it where that is not the caller (a rule, an alarm), and `lost` says that it is what failed elsewhere.
        Raises: the target's AwsErrors (it does not exist, say); ValidationException for an ARN that is no target.
        """
        return self.pipeline.deliver(self, arn, payload, principal, extra or {}, source, via, lost)

    def acting(self, principal: str, access_key: str = "") -> Context:
        """The same surroundings for another principal."""
        other = self.at(self.account, self.region)
        other.principal, other.access_key = principal, access_key
        return other

    def at(self, account: str, region: str) -> Context:
        """The same surroundings in another account and region, in the same transaction and span."""
        return Context(
            self.pipeline, self.tx, self.now, self.arrived, account, region, self.principal, self.access_key,
            self.request_id, self.endpoint, self.span, self.source_ip,
        )  # fmt: skip

    def follow(self, traces: Sequence[str], at: str = "") -> None:
        """Go on with the traces (values of `ctx.trace`) of what is taken up here: messages, events, records.

        The step hangs under the first and is linked to the others; what it calls and sets from now on belongs to it.
        `at` is the ARN of the resource that they are taken up at: the queue, the topic, the function whose event it is.
        """
        self.span.follow([trace for trace in traces if trace], at)
        self.tx.scope = replace(self.tx.scope, trace=self.span.header())
        self.tx.origin = None

    def meter(
        self, namespace: str, name: str, value: float, unit: str = "Count", times: int = 1, /, **dimensions: str
    ) -> None:
        """Count a metric of this account and region, `times` over; CloudWatch gets it at the end of the clock's minute."""
        series = (self.account, self.region, namespace, name, unit, tuple(dimensions.items()))
        self.pipeline.meter.add(series, self.now, value, times)

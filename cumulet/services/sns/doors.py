"""Plain HTTP entry "sns": the signing certificate, and the links that confirm and end subscriptions."""

from __future__ import annotations

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.sns import confirming, signing
from cumulet.services.sns.errors import InvalidParameter, NotFound
from cumulet.services.sns.registry import parts_of

_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


def sns(ctx: Context, request: HttpRequest) -> HttpResponse:
    """`/_aws/sns/{certificate}.pem`, and `/_aws/sns/{region}?Action=ConfirmSubscription|Unsubscribe&...` without a signature.

    Raises: InvalidParameter, NotFound, AuthorizationError.
    Source: SNS developer guide, "Amazon SNS message and JSON formats" (read 2026-11).
    """
    if request.method != "GET":  # who only looks at a link (HEAD) neither confirms nor leaves
        raise GenericAwsError("MethodNotAllowed", "Links of SNS are opened with GET.", 405)
    target = request.path.removeprefix("/_aws/sns/").partition("/")[0]
    if target.endswith(".pem"):
        found = signing.certificate(ctx, target)
        if found is None:
            raise NotFound("There is no such certificate")
        return HttpResponse(200, [("Content-Type", "application/x-pem-file")], found)
    query = {name: values[0] for name, values in parse_qs(request.query).items()}
    action = query.get("Action")
    member = "TopicArn" if action == "ConfirmSubscription" else "SubscriptionArn"
    if action not in ("ConfirmSubscription", "Unsubscribe") or member not in query:
        raise InvalidParameter.of("Action")
    arn = query[member]
    parts = parts_of(arn, member, 7)
    home = ctx.at(parts[4], parts[3])
    if action == "Unsubscribe":
        confirming.leave(home, arn, by_owner=False)
        return _xml(action, "", ctx.request_id)
    confirmed = confirming.confirm(home, arn, query.get("Token", ""), authenticated=False, guard=False)
    return _xml(action, f"<SubscriptionArn>{escape(confirmed.arn)}</SubscriptionArn>", ctx.request_id)


def _xml(action: str, result: str, request_id: str) -> HttpResponse:
    """The answer of the query API, as AWS's links give it."""
    inner = f"<{action}Result>{result}</{action}Result>" if result else ""
    body = (
        f'<{action}Response xmlns="{_NAMESPACE}">{inner}<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>'
        f"</{action}Response>"
    )
    return HttpResponse(200, [("Content-Type", "text/xml")], body.encode())

"""What API Gateway's operations need of IAM: the HTTP method of the operation on the path of what it is about.

Source: Service Authorization Reference, "Amazon API Gateway Management"; developer guide, "Control access to a REST API with
IAM permissions" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context

Json = dict[str, Any]
_API, _METHOD = "/restapis/{restApiId}", "/restapis/{restApiId}/resources/{resourceId}/methods/{httpMethod}"
_PATHS = {
    "Account": "/account",
    "ApiKey": "/apikeys/{apiKey}",
    "Authorizer": f"{_API}/authorizers/{{authorizerId}}",
    "Deployment": f"{_API}/deployments/{{deploymentId}}",
    "GatewayResponse": f"{_API}/gatewayresponses/{{responseType}}",
    "Integration": f"{_METHOD}/integration",
    "IntegrationResponse": f"{_METHOD}/integration/responses/{{statusCode}}",
    "InvokeAuthorizer": f"{_API}/authorizers/{{authorizerId}}",
    "InvokeMethod": _METHOD,
    "Method": _METHOD,
    "MethodResponse": f"{_METHOD}/responses/{{statusCode}}",
    "Model": f"{_API}/models/{{modelName}}",
    "RequestValidator": f"{_API}/requestvalidators/{{requestValidatorId}}",
    "Resource": f"{_API}/resources/{{resourceId}}",
    "RestApi": _API,
    "Stage": f"{_API}/stages/{{stageName}}",
    "StageAuthorizersCache": f"{_API}/stages/{{stageName}}/cache/authorizers",
    "Tags": "/tags/{resourceArn}",
    "Usage": "/usageplans/{usagePlanId}/usage",
    "UpdateUsage": "/usageplans/{usagePlanId}/keys/{keyId}/usage",
    "UsagePlan": "/usageplans/{usagePlanId}",
    "UsagePlanKey": "/usageplans/{usagePlanId}/keys/{keyId}",
}
_VERBS = {"Create": "POST", "Delete": "DELETE", "Flush": "DELETE", "Get": "GET", "Import": "POST", "Put": "PUT",
          "Reimport": "PUT", "Reset": "DELETE", "Tag": "PUT", "Test": "POST", "Untag": "DELETE", "Update": "PATCH"}  # fmt: skip
_ROLES = ("credentials", "authorizerCredentials", "CredentialsArn", "AuthorizerCredentialsArn")


def request_line(operation: str, req: Json) -> str:
    """The method and the path that policies name: "PUT /restapis/{id}/...", as far as the request says."""
    verb, noun = re.match(r"([A-Z][a-z]+)(.*)", operation).groups()  # type: ignore[union-attr]
    if verb in ("Tag", "Untag"):
        noun = "Tags"
    if operation in _PATHS:
        noun = operation
    template = _PATHS[noun if noun in _PATHS else noun.removesuffix("s")]
    if verb == "Create" and noun != "Resource":
        template = template.rpartition("/{")[0] or template
    parts = []
    for part in template.split("/"):
        name = part.strip("{}")
        if name == part:
            parts.append(part)
            continue
        value = req.get(name, req.get("parentId") if name == "resourceId" else None)
        if value is None:
            break
        parts.append(str(value))
    return f"{_VERBS[verb]} {'/'.join(parts)}"


def needs_of(operation: str) -> Needs:
    """What one operation needs."""

    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        method, _, path = request_line(operation, req).partition(" ")
        yield Need(f"apigateway:{method}", f"arn:aws:apigateway:{ctx.region}::{path}")
        for member in _ROLES:
            if req.get(member):
                yield Need("iam:PassRole", req[member], facts={"iam:PassedToService": "apigateway.amazonaws.com"})
        for each in req.get("patchOperations", ()):
            if str(each.get("path")).endswith(
                ("/credentials", "/authorizerCredentials", "/cloudwatchRoleArn")
            ) and each.get("value"):
                yield Need("iam:PassRole", each["value"], facts={"iam:PassedToService": "apigateway.amazonaws.com"})

    return needs


AUTHZ = Authz("apigateway", each=needs_of, status=403)

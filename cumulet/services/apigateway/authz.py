"""What API Gateway's operations need of IAM: the HTTP method of the operation on the path of what it is about.

Source: Service Authorization Reference, "Amazon API Gateway Management"; developer guide, "Control access to a REST API with
IAM permissions" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.authz import Authz
from cumulet.kernel.restauthz import RequestLines

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
LINES = RequestLines(_PATHS, _VERBS)
AUTHZ = Authz("apigateway", each=LINES.needs_of, status=403)

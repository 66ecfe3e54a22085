"""What API Gateway's operations need of IAM: the HTTP method of the operation on the path of what it is about.

Source: Service Authorization Reference, "Amazon API Gateway Management"; developer guide, "Control access to a REST API with
IAM permissions" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.authz import Authz
from cumulet.kernel.restauthz import RequestLines

_API = "/apis/{ApiId}"
_PATHS = {
    "AccessLogSettings": f"{_API}/stages/{{StageName}}/accesslogsettings",
    "Api": _API,
    "Authorizer": f"{_API}/authorizers/{{AuthorizerId}}",
    "AuthorizersCache": f"{_API}/stages/{{StageName}}/cache/authorizers",
    "CorsConfiguration": f"{_API}/cors",
    "Deployment": f"{_API}/deployments/{{DeploymentId}}",
    "Integration": f"{_API}/integrations/{{IntegrationId}}",
    "Route": f"{_API}/routes/{{RouteId}}",
    "RouteSettings": f"{_API}/stages/{{StageName}}/routesettings/{{RouteKey}}",
    "Stage": f"{_API}/stages/{{StageName}}",
    "Tags": "/tags/{ResourceArn}",
}
_VERBS = {"Create": "POST", "Delete": "DELETE", "Flush": "DELETE", "Get": "GET", "Import": "PUT", "Put": "PUT",
          "Reimport": "PUT", "Reset": "DELETE", "Tag": "POST", "Test": "POST", "Untag": "DELETE", "Update": "PATCH"}  # fmt: skip
LINES = RequestLines(_PATHS, _VERBS)
AUTHZ = Authz("apigateway", each=LINES.needs_of, status=403)

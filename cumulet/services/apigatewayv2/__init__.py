"""API Gateway V2: HTTP APIs."""

from cumulet.kernel.service import Service
from cumulet.services.apigatewayv2 import apis, authorizers, cfn, door, imports, routes, stages
from cumulet.services.apigatewayv2.authz import AUTHZ

SERVICE = Service(
    "apigatewayv2",
    modules=(apis, authorizers, imports, routes, stages),
    internals={"cumulet:Execute": door.execute},
    resources=(cfn.API, cfn.INTEGRATION, cfn.ROUTE, cfn.STAGE, cfn.DEPLOYMENT, cfn.AUTHORIZER),
    authz=AUTHZ,
)

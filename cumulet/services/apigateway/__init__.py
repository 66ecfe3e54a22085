"""API Gateway: REST APIs, and the door through which requests reach REST and HTTP APIs."""

from cumulet.kernel.service import Service
from cumulet.services.apigateway import (
    apis,
    authorizers,
    cfn,
    cfn_parts,
    deployments,
    door,
    gatewayresponses,
    imports,
    integrations,
    methods,
    resources,
    schemas,
    stages,
    tags,
    trials,
)
from cumulet.services.apigateway.authz import AUTHZ

SERVICE = Service(
    "apigateway",
    modules=(
        apis,
        authorizers,
        resources,
        methods,
        integrations,
        deployments,
        stages,
        gatewayresponses,
        imports,
        schemas,
        tags,
        trials,
    ),
    doors={"execute-api": door.execute},
    resources=(
        cfn.REST_API,
        cfn.RESOURCE,
        cfn.METHOD,
        cfn.DEPLOYMENT,
        cfn.STAGE,
        cfn_parts.GATEWAY_RESPONSE,
        cfn_parts.MODEL,
        cfn_parts.REQUEST_VALIDATOR,
        cfn_parts.ACCOUNT,
        cfn_parts.AUTHORIZER,
    ),
    authz=AUTHZ,
)

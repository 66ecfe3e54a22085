"""API Gateway: REST APIs, and the door through which requests reach REST and HTTP APIs."""

from cumulet.kernel.service import Service
from cumulet.services.apigateway import (
    apis,
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
)

SERVICE = Service(
    "apigateway",
    modules=(apis, resources, methods, integrations, deployments, stages, gatewayresponses, imports, schemas, tags),
    doors={"execute-api": door.execute},
)

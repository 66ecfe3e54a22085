"""CloudFormation: stacks of resources from templates, created, updated, rolled back and deleted by a durable engine."""

from cumulet.kernel.service import Service
from cumulet.services.cloudformation import (
    changesets,
    custom,
    describe,
    engine,
    launch,
    nested,
    stacks,
    steps,
    templates,
)
from cumulet.services.cloudformation.authz import AUTHZ

SERVICE = Service(
    "cloudformation",
    modules=(stacks, changesets, describe, templates),
    doors={custom.DOOR: custom.response_door},
    timers={
        "cloudformation.resource": steps.resource,
        "cloudformation.transform": launch.transform,
        "cloudformation.timeout": engine.time_out,
        "cloudformation.forget": engine.forget,
    },
    internals={**nested.INTERNALS, **custom.INTERNALS},
    resources=(nested.NESTED_STACK, custom.CUSTOM_RESOURCE, custom.WAIT_HANDLE, custom.CDK_METADATA),
    authz=AUTHZ,
)

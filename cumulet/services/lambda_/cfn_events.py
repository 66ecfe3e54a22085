"""AWS::Lambda::EventInvokeConfig, and the provisioned concurrency of AWS::Lambda::Version and Alias.

Source: CloudFormation template reference, AWS::Lambda::EventInvokeConfig, AWS::Lambda::Version (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.lambda_.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceConflictException,
    ResourceNotFoundException,
)

_SETTINGS = ("DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts")


def _where(p: Properties) -> dict[str, Any]:
    return {"FunctionName": p["FunctionName"], "Qualifier": p["Qualifier"]}


def _put(call: Call, p: Properties) -> Created:
    call("PutFunctionEventInvokeConfig", **_where(p), **{name: p[name] for name in _SETTINGS if name in p})
    return Created(f"{p['FunctionName']}|{p['Qualifier']}")


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    try:
        call("GetFunctionEventInvokeConfig", **_where(p))
    except ResourceNotFoundException:
        return _put(call, p)
    raise ResourceConflictException(f"{p['FunctionName']}|{p['Qualifier']} already exists")


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteFunctionEventInvokeConfig", **_where(p))


EVENT_INVOKE_CONFIG = Resource(
    type="AWS::Lambda::EventInvokeConfig",
    service="lambda",
    properties=frozenset({*_SETTINGS, "FunctionName", "Qualifier"}),
    required=frozenset({"FunctionName", "Qualifier"}),
    create=_create,
    update=lambda call, p, old, scope: _put(call, p),
    delete=_delete,
    replace_on=frozenset({"FunctionName", "Qualifier"}),
)


PROVISIONED_MEMBERS = {"ProvisionedConcurrencyConfig": frozenset({"ProvisionedConcurrentExecutions"})}


def provision(call: Call, p: Properties, old: Properties, arn: str) -> None:
    """See to the ProvisionedConcurrencyConfig of a version or an alias."""
    function, _, qualifier = arn.rpartition(":")
    wanted = p.get("ProvisionedConcurrencyConfig")
    if wanted is not None:
        if wanted != old.get("ProvisionedConcurrencyConfig"):
            call("PutProvisionedConcurrencyConfig", FunctionName=function, Qualifier=qualifier,
                 ProvisionedConcurrentExecutions=wanted["ProvisionedConcurrentExecutions"])  # fmt: skip
    elif old.get("ProvisionedConcurrencyConfig") is not None:
        call("DeleteProvisionedConcurrencyConfig", FunctionName=function, Qualifier=qualifier)


def provisioned(call: Call, arn: str, scope: Scope) -> bool:
    """Whether what is asked for stands ready. Raises: InvalidParameterValueException where it cannot."""
    function, _, qualifier = arn.rpartition(":")
    try:
        config = call("GetProvisionedConcurrencyConfig", FunctionName=function, Qualifier=qualifier)
    except (ProvisionedConcurrencyConfigNotFoundException, InvalidParameterValueException):
        return True  # none was asked for; $LATEST cannot have any
    if config["Status"] == "FAILED":
        raise InvalidParameterValueException(f"Provisioned concurrency failed: {config.get('StatusReason', '')}")
    return bool(config["Status"] == "READY")

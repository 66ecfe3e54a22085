"""Lambda's CloudFormation types.

Source: CloudFormation template reference, AWS::Lambda::* (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.lambda_.cfn_events import EVENT_INVOKE_CONFIG, PROVISIONED_MEMBERS, provision, provisioned
from cumulet.services.lambda_.cfn_inline import packed
from cumulet.services.lambda_.errors import ResourceConflictException
from cumulet.services.lambda_.sources.cfn import EVENT_SOURCE_MAPPING

_SETTINGS = [
    "Architectures",
    "DeadLetterConfig",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
]
_NOT_UPDATED = {"Architectures", "PackageType"}


def _code(properties: Properties) -> dict[str, Any]:
    """The Code member of the API; a template's ZipFile is the text of the one file, not a zip."""
    code = dict(properties["Code"])
    if "ZipFile" in code:
        code["ZipFile"] = packed(str(code["ZipFile"]))
    return code


def _tags(properties: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", ())}}


def _plain(properties: Properties, names: Any) -> dict[str, Any]:
    found = {name: properties[name] for name in names if name in properties}
    variables = found.get("Environment", {}).get("Variables")
    if variables is not None:
        found["Environment"] = {"Variables": {name: _text(value) for name, value in variables.items()}}
    return found


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _function(name: str, configuration: dict[str, Any]) -> Created:
    return Created(name, {"Arn": configuration["FunctionArn"]})


def _create_function(call: Call, p: Properties, scope: Scope) -> Created:
    made = call(
        "CreateFunction", FunctionName=p["FunctionName"], Code=_code(p), Tags=_tags(p, scope), **_plain(p, _SETTINGS)
    )
    if "ReservedConcurrentExecutions" in p:
        call("PutFunctionConcurrency", FunctionName=p["FunctionName"],
             ReservedConcurrentExecutions=p["ReservedConcurrentExecutions"])  # fmt: skip
    _manage(call, p)
    return _function(p["FunctionName"], made)


def _manage(call: Call, p: Properties) -> None:
    """Settings of operations of their own; what Cumulet does not do is refused."""
    if "RecursiveLoop" in p:
        call("PutFunctionRecursionConfig", FunctionName=p["FunctionName"], RecursiveLoop=p["RecursiveLoop"])
    if "RuntimeManagementConfig" in p:
        call("PutRuntimeManagementConfig", FunctionName=p["FunctionName"], **p["RuntimeManagementConfig"])


_DEFAULTS: dict[str, Any] = {
    "Description": "", "Timeout": 3, "MemorySize": 128, "Environment": {"Variables": {}}, "Layers": [],
    "DeadLetterConfig": {"TargetArn": ""}, "EphemeralStorage": {"Size": 512}, "TracingConfig": {"Mode": "PassThrough"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}, "SnapStart": {"ApplyOn": "None"},
}  # fmt: skip


def _logging(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """All of a LoggingConfig, because the API keeps what it is not given."""
    levels = {"ApplicationLogLevel": "INFO"} if given.get("LogFormat") == "JSON" else {}
    return {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}", **levels, **given}


def _update_function(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["FunctionName"]
    changed = {key: p[key] for key in _SETTINGS if key in p and p[key] != old.get(key) and key not in _NOT_UPDATED}
    changed |= {key: default for key, default in _DEFAULTS.items() if key in old and key not in p}
    if p.get("LoggingConfig") != old.get("LoggingConfig"):
        changed["LoggingConfig"] = _logging(name, p.get("LoggingConfig", {}))
    if changed:
        call("UpdateFunctionConfiguration", FunctionName=name, **_plain(changed, changed))
    if p["Code"] != old.get("Code") or p.get("Architectures") != old.get("Architectures"):
        architectures = {"Architectures": p["Architectures"]} if "Architectures" in p else {}
        call("UpdateFunctionCode", FunctionName=name, **_code(p), **architectures)
    if "ReservedConcurrentExecutions" in p:
        if p["ReservedConcurrentExecutions"] != old.get("ReservedConcurrentExecutions"):
            call("PutFunctionConcurrency", FunctionName=name,
                 ReservedConcurrentExecutions=p["ReservedConcurrentExecutions"])  # fmt: skip
    elif "ReservedConcurrentExecutions" in old:
        call("DeleteFunctionConcurrency", FunctionName=name)
    _manage(call, p)
    configuration = call("GetFunctionConfiguration", FunctionName=name)
    _retag(call, configuration["FunctionArn"], _tags(p, scope))
    return _function(name, configuration)


def _retag(call: Call, arn: str, wanted: dict[str, str]) -> None:
    now = call("ListTags", Resource=arn)["Tags"]
    gone = [key for key in now if key not in wanted]
    if gone:
        call("UntagResource", Resource=arn, TagKeys=gone)
    if wanted:
        call("TagResource", Resource=arn, Tags=wanted)


def _delete_function(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteFunction", FunctionName=scope.physical_id)


FUNCTION = Resource(
    type="AWS::Lambda::Function",
    service="lambda",
    properties=frozenset(
        {
            *_SETTINGS,
            "Code",
            "FunctionName",
            "RecursiveLoop",
            "ReservedConcurrentExecutions",
            "RuntimeManagementConfig",
            "Tags",
        }
    ),
    members={
        "Environment": frozenset({"Variables"}),
        "RuntimeManagementConfig": frozenset({"RuntimeVersionArn", "UpdateRuntimeOn"}),
    },
    required=frozenset({"Code", "Role"}),
    create=_create_function,
    update=_update_function,
    delete=_delete_function,
    replace_on=frozenset({"FunctionName", "PackageType"}),
    name="FunctionName",
    name_max=64,
    code=("Code",),
)


def _version_labels(call: Call, name: str) -> set[str]:
    labels: set[str] = set()
    marker: dict[str, str] = {}
    while True:
        page = call("ListVersionsByFunction", FunctionName=name, **marker)
        labels |= {version["Version"] for version in page["Versions"]}
        if "NextMarker" not in page:
            return labels
        marker = {"Marker": page["NextMarker"]}


def _create_version(call: Call, p: Properties, scope: Scope) -> Created:
    request = {key: p[key] for key in ("CodeSha256", "Description") if key in p}
    before = _version_labels(call, p["FunctionName"])
    made = call("PublishVersion", FunctionName=p["FunctionName"], **request)
    if made["Version"] in before:
        raise ResourceConflictException(
            f"A version for this Lambda function exists ( {made['Version']} ). Modify the function to create a new version."
        )
    provision(call, p, {}, made["FunctionArn"])
    return Created(made["FunctionArn"], {"FunctionArn": made["FunctionArn"], "Version": made["Version"]})


def _delete_version(call: Call, p: Properties, scope: Scope) -> None:
    assert scope.physical_id is not None
    call("DeleteFunction", FunctionName=scope.physical_id)


VERSION = Resource(
    type="AWS::Lambda::Version",
    service="lambda",
    properties=frozenset({"CodeSha256", "Description", "FunctionName", "ProvisionedConcurrencyConfig"}),
    members=PROVISIONED_MEMBERS,
    required=frozenset({"FunctionName"}),
    create=_create_version,
    ready=provisioned,
    delete=_delete_version,
)


def _routing(p: Properties) -> dict[str, float]:
    weights = p.get("RoutingConfig", {}).get("AdditionalVersionWeights", ())
    return {weight["FunctionVersion"]: float(weight["FunctionWeight"]) for weight in weights}


def _alias(call: Call, operation: str, p: Properties, old: Properties) -> Created:
    request = {key: p[key] for key in ("FunctionName", "FunctionVersion", "Name") if key in p}
    made = call(operation, **request, Description=p.get("Description", ""),
                RoutingConfig={"AdditionalVersionWeights": _routing(p)})  # fmt: skip
    provision(call, p, old, made["AliasArn"])
    return Created(made["AliasArn"], {"AliasArn": made["AliasArn"]})


ALIAS = Resource(
    type="AWS::Lambda::Alias",
    service="lambda",
    properties=frozenset(
        {"Description", "FunctionName", "FunctionVersion", "Name", "ProvisionedConcurrencyConfig", "RoutingConfig"}
    ),
    members={
        **PROVISIONED_MEMBERS,
        "RoutingConfig": frozenset({"AdditionalVersionWeights"}),
        "RoutingConfig.AdditionalVersionWeights": frozenset({"FunctionVersion", "FunctionWeight"}),
    },
    required=frozenset({"FunctionName", "FunctionVersion", "Name"}),
    create=lambda call, p, scope: _alias(call, "CreateAlias", p, {}),
    update=lambda call, p, old, scope: _alias(call, "UpdateAlias", p, old),
    ready=provisioned,
    delete=lambda call, p, scope: _ignore(call("DeleteAlias", FunctionName=p["FunctionName"], Name=p["Name"])),
    replace_on=frozenset({"FunctionName", "Name"}),
)


def _ignore(answer: dict[str, Any]) -> None:
    """A delete says nothing."""


_PERMISSION = [
    "Action",
    "EventSourceToken",
    "FunctionName",
    "FunctionUrlAuthType",
    "InvokedViaFunctionUrl",
    "Principal",
    "PrincipalOrgID",
    "SourceAccount",
    "SourceArn",
]


def _create_permission(call: Call, p: Properties, scope: Scope) -> Created:
    sid = scope.generated_name
    call("AddPermission", StatementId=sid, **{key: p[key] for key in _PERMISSION if key in p})
    return Created(sid, {"Id": sid})


def _delete_permission(call: Call, p: Properties, scope: Scope) -> None:
    call("RemovePermission", FunctionName=p["FunctionName"], StatementId=scope.physical_id)


PERMISSION = Resource(
    type="AWS::Lambda::Permission",
    service="lambda",
    properties=frozenset(_PERMISSION),
    required=frozenset({"Action", "FunctionName", "Principal"}),
    create=_create_permission,
    delete=_delete_permission,
)


def _create_layer(call: Call, p: Properties, scope: Scope) -> Created:
    names = ("CompatibleArchitectures", "CompatibleRuntimes", "Content", "Description", "LicenseInfo")
    made = call("PublishLayerVersion", LayerName=p["LayerName"], **{key: p[key] for key in names if key in p})
    return Created(made["LayerVersionArn"], {"LayerVersionArn": made["LayerVersionArn"]})


def _delete_layer(call: Call, p: Properties, scope: Scope) -> None:
    assert scope.physical_id is not None
    layer, _, number = scope.physical_id.rpartition(":")
    call("DeleteLayerVersion", LayerName=layer, VersionNumber=int(number))


LAYER_VERSION = Resource(
    type="AWS::Lambda::LayerVersion",
    service="lambda",
    properties=frozenset(
        {"CompatibleArchitectures", "CompatibleRuntimes", "Content", "Description", "LayerName", "LicenseInfo"}
    ),
    required=frozenset({"Content"}),
    create=_create_layer,
    delete=_delete_layer,
    name="LayerName",
    name_max=64,
    code=("Content",),
)


def _create_layer_permission(call: Call, p: Properties, scope: Scope) -> Created:
    layer, _, number = p["LayerVersionArn"].rpartition(":")
    request = {key: p[key] for key in ("Action", "OrganizationId", "Principal") if key in p}
    call(
        "AddLayerVersionPermission",
        LayerName=layer,
        VersionNumber=int(number),
        StatementId=scope.generated_name,
        **request,
    )
    made = f"{p['LayerVersionArn']}#{scope.generated_name}"
    return Created(made, {"Id": made})


def _delete_layer_permission(call: Call, p: Properties, scope: Scope) -> None:
    assert scope.physical_id is not None
    arn, _, sid = scope.physical_id.partition("#")
    layer, _, number = arn.rpartition(":")
    call("RemoveLayerVersionPermission", LayerName=layer, VersionNumber=int(number), StatementId=sid)


LAYER_VERSION_PERMISSION = Resource(
    type="AWS::Lambda::LayerVersionPermission",
    service="lambda",
    properties=frozenset({"Action", "LayerVersionArn", "OrganizationId", "Principal"}),
    required=frozenset({"Action", "LayerVersionArn", "Principal"}),
    create=_create_layer_permission,
    delete=_delete_layer_permission,
)


def _where(p: Properties) -> dict[str, Any]:
    return {"FunctionName": p["TargetFunctionArn"], **({"Qualifier": p["Qualifier"]} if "Qualifier" in p else {})}


_URL_DEFAULTS: dict[str, Any] = {"Cors": {}, "InvokeMode": "BUFFERED"}


def _url(call: Call, operation: str, p: Properties, old: Properties) -> Created:
    request: dict[str, Any] = {key: p[key] for key in ("AuthType", "Cors", "InvokeMode") if key in p}
    request |= {key: default for key, default in _URL_DEFAULTS.items() if key in old and key not in p}
    made = call(operation, **_where(p), **request)
    return Created(made["FunctionArn"], {"FunctionArn": made["FunctionArn"], "FunctionUrl": made["FunctionUrl"]})


URL = Resource(
    type="AWS::Lambda::Url",
    service="lambda",
    properties=frozenset({"AuthType", "Cors", "InvokeMode", "Qualifier", "TargetFunctionArn"}),
    required=frozenset({"AuthType", "TargetFunctionArn"}),
    create=lambda call, p, scope: _url(call, "CreateFunctionUrlConfig", p, {}),
    update=lambda call, p, old, scope: _url(call, "UpdateFunctionUrlConfig", p, old),
    delete=lambda call, p, scope: _ignore(call("DeleteFunctionUrlConfig", **_where(p))),
    replace_on=frozenset({"Qualifier", "TargetFunctionArn"}),
)

RESOURCES = (
    FUNCTION,
    VERSION,
    ALIAS,
    PERMISSION,
    LAYER_VERSION,
    LAYER_VERSION_PERMISSION,
    URL,
    EVENT_INVOKE_CONFIG,
    EVENT_SOURCE_MAPPING,
)

"""A function's settings: read from requests, checked, turned into a Version and back into a FunctionConfiguration."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import InvalidParameterValueException, ValidationException
from cumulet.services.lambda_.model import LayerUse, LayerVersion, Version, base64_sha256, timestamp
from cumulet.services.lambda_.packages import UNZIPPED_LIMIT_BYTES

PYTHONS = tuple(f"python3.{minor}" for minor in range(6, 15))
_ENVIRONMENT_LIMIT_BYTES = 4096
_TIMEOUT_MAX_S = 900
_MEMORY_MAX_MB = 10_240
_LAYERS_MAX = 5
_RESERVED_VARIABLES = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)
_encode = msgspec.json.Encoder().encode


def refuse_what_is_not_here(req: dict[str, Any]) -> None:
    """Raises: NotImplementedOnCumulet for a setting that would not be honoured, by name."""
    if req.get("PackageType", "Zip") != "Zip":
        _refuse("PackageType=Image")
    if any(value for value in req.get("VpcConfig", {}).values()):
        _refuse("VpcConfig")
    if req.get("SnapStart", {}).get("ApplyOn", "None") != "None":
        _refuse("SnapStart")
    if req.get("PublishTo"):
        _refuse("PublishTo")
    if req.get("LoggingConfig", {}).get("SystemLogLevel", "INFO") != "INFO":
        _refuse("LoggingConfig.SystemLogLevel")
    for name in ("KMSKeyArn", "FileSystemConfigs", "CodeSigningConfigArn", "ImageConfig", "TenancyConfig",
                 "CapacityProviderConfig", "DurableConfig", "RuntimeConfig", "AcceleratorConfig"):  # fmt: skip
        if req.get(name):
            _refuse(name)


def _refuse(setting: str) -> None:
    raise NotImplementedOnCumulet(
        f"Lambda's setting {setting} is not implemented by Cumulet.",
        hint="See docs/services/lambda.md, Settings refused.",
    )


def configured(ctx: Context, version: Version, req: dict[str, Any]) -> Version:
    """`version` with the settings that a create or an update request gives.

    Raises: InvalidParameterValueException, NotImplementedOnCumulet.
    Source: Lambda API_CreateFunction; developer guide, "Lambda quotas", "Using environment variables" (read 2026-11).
    """
    refuse_what_is_not_here(req)
    changes: dict[str, Any] = {}
    for member, field in (("Role", "role"), ("Handler", "handler"), ("Description", "description")):
        if member in req:
            changes[field] = req[member]
    if "Runtime" in req:
        changes["runtime"] = _runtime(req["Runtime"])
    if "Timeout" in req:
        changes["timeout_s"] = _at_most("timeout", req["Timeout"], _TIMEOUT_MAX_S)
    if "MemorySize" in req:
        changes["memory_mb"] = _at_most("memorySize", req["MemorySize"], _MEMORY_MAX_MB)
    if "EphemeralStorage" in req:
        changes["tmp_mb"] = req["EphemeralStorage"]["Size"]
    if "Environment" in req:
        changes["environment"] = _environment(req["Environment"].get("Variables"))
    if "Layers" in req:
        changes["layers"] = _layers(ctx, req["Layers"])
    if "TracingConfig" in req:
        changes["tracing"] = req["TracingConfig"].get("Mode", "PassThrough")
    if "DeadLetterConfig" in req:
        changes["dead_letter"] = _dead_letter(req["DeadLetterConfig"].get("TargetArn", ""))
    if "Architectures" in req:
        changes["architectures"] = tuple(req["Architectures"])
    if "LoggingConfig" in req:
        changes |= _logging(version, req["LoggingConfig"])
    changed = replace(version, **changes)
    check_size(changed)
    return changed


def check_size(version: Version) -> None:
    """Code and layers together have one limit. Raises: InvalidParameterValueException."""
    total = version.unzipped + sum(layer.unzipped for layer in version.layers)
    if total > UNZIPPED_LIMIT_BYTES:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_LIMIT_BYTES} bytes. "
            f"The actual size is {total} bytes."
        )


def _runtime(runtime: str) -> str:
    if runtime not in PYTHONS:
        raise NotImplementedOnCumulet(
            f"The runtime {runtime} does not run on Cumulet. What runs: {', '.join(PYTHONS)}."
        )
    return runtime


def _at_most(member: str, value: int, limit: int) -> int:
    if value > limit:
        raise ValidationException(
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value "
            f"less than or equal to {limit}"
        )
    return value


def _environment(variables: dict[str, str] | None) -> dict[str, str] | None:
    if variables is None:
        return None
    reserved = sorted(_RESERVED_VARIABLES & variables.keys())
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "
            + ", ".join(reserved)
        )
    text = _encode(variables)
    if len(text) > _ENVIRONMENT_LIMIT_BYTES:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            f"exceeded the 4KB limit. String measured: {text.decode()}"
        )
    return dict(variables)


def _dead_letter(target: str) -> str:
    """A queue or a topic; whether it takes the event shows when there is one."""
    if target:
        service = target.split(":")[2]
        if service not in ("sqs", "sns") or target.endswith(".fifo"):
            raise InvalidParameterValueException(
                f"The provided dead letter config target {target} is invalid: it has to be a standard SQS queue or a standard "
                "SNS topic."
            )
    return target


def _layers(ctx: Context, arns: list[str]) -> tuple[LayerUse, ...]:
    if len(arns) > _LAYERS_MAX:
        raise InvalidParameterValueException(f"Cannot reference more than {_LAYERS_MAX} layers.")
    uses: list[LayerUse] = []
    layers_seen: set[str] = set()
    for arn in arns:
        parts = arn.split(":")
        found = None
        if len(parts) == 8 and parts[7].isdigit():
            if parts[3] != ctx.region:
                raise InvalidParameterValueException(
                    f"Layers are not in the same region as the function. Layers are expected to be in region {ctx.region}."
                )
            found = ctx.tx.get(("lambda", "layer-version", parts[4], parts[3], parts[6], int(parts[7])), LayerVersion)
        if found is None or found.account != ctx.account:
            raise InvalidParameterValueException(
                f"Layer version {arn} does not exist.",
                hint="Layers of other accounts are not here: publish a copy with aws lambda publish-layer-version.",
            )
        if found.layer_arn in layers_seen:
            raise InvalidParameterValueException(
                f"Two different versions of the same layer are not allowed to be referenced in the same function. {arn} and "
                f"{next(use.arn for use in uses if use.arn.rpartition(':')[0] == found.layer_arn)} are versions of the same layer."
            )
        layers_seen.add(found.layer_arn)
        uses.append(LayerUse(arn=arn, sha256=found.code_sha256, code_size=found.code_size, unzipped=found.unzipped))
    return tuple(uses)


def _logging(version: Version, config: dict[str, Any]) -> dict[str, Any]:
    log_format = config.get("LogFormat", version.log_format)
    level = config.get("ApplicationLogLevel", version.log_level if log_format == "JSON" else "")
    if log_format == "Text" and ("ApplicationLogLevel" in config or "SystemLogLevel" in config):
        raise InvalidParameterValueException(
            "To set log levels for your function, the LogFormat must be JSON.",
        )
    if log_format == "JSON" and not level:
        level = "INFO"
    return {"log_format": log_format, "log_level": level, "log_group": config.get("LogGroup", version.log_group)}


def log_group(version: Version) -> str:
    """The log group that the version writes to."""
    return version.log_group or f"/aws/lambda/{version.name}"


def configuration(version: Version, qualifier: str | None = None) -> dict[str, Any]:
    """The version's FunctionConfiguration; its ARN ends in `qualifier` where one is given."""
    logging = {"LogFormat": version.log_format, "LogGroup": log_group(version)}
    if version.log_format == "JSON":
        logging |= {"ApplicationLogLevel": version.log_level, "SystemLogLevel": "INFO"}
    shown: dict[str, Any] = {
        "FunctionName": version.name,
        "FunctionArn": f"{version.arn}:{qualifier}" if qualifier else version.arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": timestamp(version.modified),
        "CodeSha256": base64_sha256(version.code_sha256),
        "Version": version.label,
        "TracingConfig": {"Mode": version.tracing},
        "RevisionId": version.revision,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": list(version.architectures),
        "EphemeralStorage": {"Size": version.tmp_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": logging,
    }
    if version.environment is not None:
        shown["Environment"] = {"Variables": dict(version.environment)}
    if version.dead_letter:
        shown["DeadLetterConfig"] = {"TargetArn": version.dead_letter}
    if version.layers:
        shown["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.code_size} for layer in version.layers]
    return shown

"""Template transforms: AWS::Include from S3, AWS::LanguageExtensions, and which ones a template declares.

AWS::Serverless-2016-10-31 is done outside the process (runtimes/sam.py); AWS::Include comes before it.
Source: CloudFormation user guide, "AWS::Include transform", "AWS::LanguageExtensions transform", "Fn::ForEach" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.cloudformation import intrinsics
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import Environment
from cumulet.services.cloudformation.lookup import object_text
from cumulet.services.cloudformation.source import parse

SERVERLESS = "AWS::Serverless-2016-10-31"
EXTENSIONS = "AWS::LanguageExtensions"
INCLUDE = "AWS::Include"
Json = dict[str, Any]


def declared(data: Mapping[str, Any]) -> list[str]:
    """The names of the template's transforms, in order."""
    value = data.get("Transform", [])
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else str(item.get("Name")) for item in items]


def is_serverless(data: Json) -> bool:
    return SERVERLESS in declared(data)


def needs_auto_expand(data: Mapping[str, Any]) -> bool:
    """Whether the template has macros that need CAPABILITY_AUTO_EXPAND."""
    return bool(declared(data)) or any(True for _ in _inline(data))


def check(data: Json) -> None:
    """Raises: NotImplementedOnCumulet for a macro, or a repository of applications, that is not here."""
    for name in [*declared(data), *(str(call.get("Name")) for call in _inline(data))]:
        if name not in (SERVERLESS, EXTENSIONS, INCLUDE):
            raise NotImplementedOnCumulet(f"The transform {name} is not supported by Cumulet.")
    for logical_id, body in data.get("Resources", {}).items():
        if isinstance(body, dict) and body.get("Type") == "AWS::Serverless::Application":
            location = (body.get("Properties") or {}).get("Location")
            if isinstance(location, dict) and "ApplicationId" in location:
                raise NotImplementedOnCumulet(
                    f"Applications from the Serverless Application Repository are not supported by Cumulet (resource {logical_id})."
                )


def _inline(value: Any) -> Iterator[Json]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Fn::Transform":
                for call in item if isinstance(item, list) else [item]:
                    if isinstance(call, dict):
                        yield call
            yield from _inline(item)


def include(ctx: Context, data: Json, env: Environment) -> Json:
    """The template with every AWS::Include replaced by what it names. Raises: ValidationError."""
    data = _included(ctx, data, env)
    value = data.get("Transform", [])
    items = value if isinstance(value, list) else [value]
    kept = []
    for item in items:
        if isinstance(item, dict) and item.get("Name") == INCLUDE:
            data = _merged(_load(ctx, item, env), data)
        else:
            kept.append(item)
    if kept != items:
        data = {**data, "Transform": kept}
    return data


def _merged(under: Any, over: Json) -> Json:
    if not isinstance(under, dict):
        raise ValidationError(
            f"Transform {INCLUDE} failed with: The specified S3 object's content should be an object."
        )
    return {
        **under,
        **{
            k: _merged(under[k], v) if isinstance(v, dict) and isinstance(under.get(k), dict) else v
            for k, v in over.items()
        },
    }


def _included(ctx: Context, value: Any, env: Environment) -> Any:
    if isinstance(value, list):
        return [_included(ctx, item, env) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _included(ctx, item, env) for key, item in value.items() if key != "Fn::Transform"}
    calls = value.get("Fn::Transform")
    for call in calls if isinstance(calls, list) else [calls] if calls is not None else []:
        loaded = _included(ctx, _load(ctx, call, env), env)
        if not result and not isinstance(loaded, dict):
            return loaded
        result = _merged(loaded, result)
    return result


def _load(ctx: Context, call: Any, env: Environment) -> Any:
    location = intrinsics.resolve(call.get("Parameters", {}).get("Location") if isinstance(call, dict) else None, env)
    if not isinstance(location, str):
        raise ValidationError(f"Transform {INCLUDE} failed with: The location parameter is not a valid S3 uri.")
    try:
        return parse(object_text(ctx, location))
    except ValidationError as error:
        raise ValidationError(f"Transform {INCLUDE} failed with: {error.message}") from error


def language_extensions(data: Json, env: Environment) -> Json:
    """Fn::ForEach loops unrolled, when the template declares AWS::LanguageExtensions. Raises: ValidationError."""
    if EXTENSIONS not in declared(data):
        return dict(data)
    unrolled: Json = _unrolled(data, {}, env)
    return unrolled


def _unrolled(value: Any, names: dict[str, str], env: Environment) -> Any:
    if isinstance(value, list):
        return [_unrolled(item, names, env) for item in value]
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(f"${{{name}}}", text).replace(f"&{{{name}}}", "".join(filter(str.isalnum, text)))
        return value
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in names:
        return names[value["Ref"]]
    result: Json = {}
    for key, item in value.items():
        if key.startswith("Fn::ForEach::"):
            result.update(_loop(key, item, names, env))
        else:
            result[_unrolled(key, names, env)] = _unrolled(item, names, env)
    return result


def _loop(key: str, argument: Any, names: dict[str, str], env: Environment) -> Json:
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[2], dict):
        raise ValidationError(f"Transform {EXTENSIONS} failed with: {key} layout is incorrect")
    name, collection, body = argument
    items = intrinsics.resolve(_unrolled(collection, names, env), env)
    if not isinstance(items, list):
        raise ValidationError(f"Transform {EXTENSIONS} failed with: {key} requires a list to go through")
    result: Json = {}
    for item in items:
        result.update(_unrolled(body, {**names, str(name): intrinsics.text_of(item)}, env))
    return result

"""Strips botocore's service models to what the wire package needs, into cumulet/wire/models.

Run after an update of botocore: `python tools/build_models.py`. What botocore's model does not say, or says otherwise
than AWS answers, is data in `model_patches.py`.
"""

from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import model_patches
from botocore import xform_name
from botocore.loaders import Loader

TARGET = Path(__file__).resolve().parent.parent / "cumulet" / "wire" / "models"
SERVICES = """
lambda apigateway apigatewayv2 dynamodb dynamodbstreams sqs sns kinesis firehose s3 stepfunctions events
scheduler pipes logs cloudwatch cloudformation iam sts cognito-idp cognito-identity cloudfront rds rds-data
elasticache redshift redshift-data redshift-serverless secretsmanager ssm kms ecs eks mq kafka efs xray ecr
acm resourcegroupstaggingapi ec2 elbv2 route53 application-autoscaling apigatewaymanagementapi
"""
COMPRESS_OVER = 300_000
SHAPE_TRAITS = """
type members required member key value min max pattern enum exception error payload flattened union
eventstream event document timestampFormat streaming locationName xmlNamespace sensitive sparse
"""
MEMBER_TRAITS = """
shape location locationName flattened streaming eventpayload eventheader queryName xmlAttribute xmlNamespace
jsonvalue timestampFormat idempotencyToken
"""
METADATA = """
protocol protocols jsonVersion targetPrefix signingName endpointPrefix apiVersion xmlNamespace serviceId
awsQueryCompatible
"""
Json = dict[str, Any]


def strip_reference(ref: Json) -> Json:
    return {k: v for k, v in ref.items() if k in MEMBER_TRAITS.split()}


def strip_shape(shape: Json) -> Json:
    out = {k: v for k, v in shape.items() if k in SHAPE_TRAITS.split() and v is not False and v != []}
    if "members" in out:
        out["members"] = {name: strip_reference(ref) for name, ref in out["members"].items()}
    for part in ("member", "key", "value"):
        if part in out:
            out[part] = strip_reference(out[part])
    return out


def references(shape: Json) -> list[Json]:
    return [*shape.get("members", {}).values(), *(shape[k] for k in ("member", "key", "value") if k in shape)]


def strip_operation(operation: Json) -> Json:
    out: Json = {"http": operation["http"]}
    for part in ("input", "output"):
        if part in operation:
            out[part] = {k: v for k, v in operation[part].items() if k != "documentation"}
    if operation.get("errors"):
        out["errors"] = [error["shape"] for error in operation["errors"]]
    if operation.get("deprecated"):
        out["deprecated"] = True
    if operation.get("authtype") == "none":
        out["unsigned"] = True
    return out


def strip(name: str, model: Json) -> Json:
    """The model without documentation and without the shapes that no operation reaches, patched."""
    operations = {op: strip_operation(value) for op, value in sorted(model["operations"].items())}
    shapes = {shape: strip_shape(value) for shape, value in model["shapes"].items()}
    for value in shapes.values():
        for ref in references(value):
            if "locationName" in shapes[ref["shape"]]:
                ref.setdefault("locationName", shapes[ref["shape"]]["locationName"])
    metadata = {k: v for k, v in model["metadata"].items() if k in METADATA.split()}
    stripped = {"metadata": metadata, "operations": operations, "shapes": shapes}
    model_patches.apply(name, stripped)
    reached: set[str] = set()
    todo = [op[part]["shape"] for op in operations.values() for part in ("input", "output") if part in op]
    todo += [error for op in operations.values() for error in op.get("errors", ())]
    while todo:
        shape = todo.pop()
        if shape not in reached:
            reached.add(shape)
            todo += [ref["shape"] for ref in references(shapes[shape])]
    stripped["shapes"] = {shape: value for shape, value in sorted(shapes.items()) if shape in reached}
    return stripped


def route(model: Json, operation: Json) -> list[Any]:
    """[method, uri, required query names, required header names, deprecated] of an operation of a REST protocol."""
    shape = model["shapes"][operation["input"]["shape"]] if "input" in operation else {}
    needed: dict[str, list[str]] = {"querystring": [], "header": []}
    for member in shape.get("required", ()):
        ref = shape["members"][member]
        if ref.get("location") in needed:
            needed[ref["location"]].append(ref.get("locationName", member))
    headers = [header.lower() for header in needed["header"]]
    http = operation["http"]
    return [http["method"], http["requestUri"], needed["querystring"], headers, bool(operation.get("deprecated"))]


def entry(model: Json) -> Json:
    """What the index keeps of a service: enough to route and to check names without loading the model."""
    metadata = model["metadata"]
    out: Json = {k: v for k, v in metadata.items() if k not in ("serviceId", "xmlNamespace")}
    out["protocols"] = metadata.get("protocols") or [metadata["protocol"]]
    out["signingName"] = metadata.get("signingName") or metadata["endpointPrefix"]
    out["serviceId"] = metadata["serviceId"]
    out["names"] = {xform_name(op): op for op in model["operations"]}
    if metadata["protocol"].startswith("rest"):
        out["routes"] = {op: route(model, value) for op, value in model["operations"].items()}
    return out


def unicode_classes() -> dict[str, str]:
    """Ranges of each general category, as text for a `re` character class (Python's `re` knows no `\\p{L}`)."""
    found: dict[str, list[list[int]]] = {}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        for name in (category, category[0]):
            ranges = found.setdefault(name, [])
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    wanted = [name for name in found if name[0] != "C" or name == "Cc"]

    def text(first: int, last: int) -> str:
        return f"\\U{first:08x}" if first == last else f"\\U{first:08x}-\\U{last:08x}"

    return {name: "".join(text(*pair) for pair in found[name]) for name in sorted(wanted)}


def write(path: Path, value: Any) -> int:
    raw = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    for old in (path, path.with_name(path.name + ".gz")):
        old.unlink(missing_ok=True)
    if len(raw) > COMPRESS_OVER and path.name != "index.json":
        raw = gzip.compress(raw, 9, mtime=0)
        path = path.with_name(path.name + ".gz")
    path.write_bytes(raw)
    return len(raw)


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    loader = Loader()
    index: dict[str, Json] = {}
    total = 0
    for name in SERVICES.split():
        model = strip(name, loader.load_service_model(name, "service-2"))
        index[name] = entry(model)
        total += write(TARGET / f"{name}.json", model)
    total += write(TARGET / "index.json", index)
    total += write(TARGET / "unicode.json", unicode_classes())
    print(f"{len(index)} services, {sum(len(e['names']) for e in index.values())} operations, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

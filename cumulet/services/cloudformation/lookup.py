"""Finds the stack, template and change set that a request names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import FileBody
from cumulet.kernel.context import Context
from cumulet.services.cloudformation.errors import ChangeSetNotFound, ValidationError
from cumulet.services.cloudformation.model import NAME, ChangeSet, Named, Stack, named_key, stack_at

MAX_BODY_BYTES = 51_200
MAX_URL_BODY_BYTES = 1_048_576
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
PAGE = 100


def check_name(name: str) -> None:
    """Raises: ValidationError for a name that no stack can have."""
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            if len(name) <= 128 else
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must have length "
            "less than or equal to 128"
        )  # fmt: skip


def find_stack(ctx: Context, name_or_id: str, deleted: bool = True) -> Stack | None:
    """The stack of that name, or of that id; a deleted one only by its id."""
    if name_or_id.startswith("arn:"):
        stack = stack_at(ctx, name_or_id.rpartition("/")[2])
        if stack is None or stack.id != name_or_id or (stack.status == "DELETE_COMPLETE" and not deleted):
            return None
        return stack
    named = ctx.tx.get(named_key(ctx, name_or_id), Named)
    return stack_at(ctx, named.uid) if named else None


def need_stack(
    ctx: Context, name_or_id: str, message: str = "Stack with id {} does not exist", deleted: bool = True
) -> Stack:
    """Raises: ValidationError."""
    stack = find_stack(ctx, name_or_id, deleted)
    if stack is None:
        raise ValidationError(message.format(name_or_id))
    return stack


def template_text(ctx: Context, req: Mapping[str, Any]) -> str:
    """The template that a request gives. Raises: ValidationError."""
    if ("TemplateBody" in req) == ("TemplateURL" in req):
        raise ValidationError("Either Template URL or Template Body must be specified.")
    if "TemplateBody" in req:
        body = req["TemplateBody"]
        size = len(body.encode())
        if size > MAX_BODY_BYTES:
            raise ValidationError(
                f"1 validation error detected: Value '{body}' at 'templateBody' failed to satisfy constraint: Member must have "
                f"length less than or equal to {MAX_BODY_BYTES}"
            )
        return str(body)
    return object_text(ctx, req["TemplateURL"])


def object_text(ctx: Context, url: str) -> str:
    """The text of an S3 object by its URL: path style, virtual-host style, or s3://. Raises: ValidationError."""
    bucket, key = bucket_and_key(url)
    try:
        body = ctx.call("s3", "GetObject", {"Bucket": bucket, "Key": key})["Body"]
    except NotImplementedOnCumulet:
        raise
    except AwsError as error:
        raise ValidationError(f"S3 error: {error.message}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
                              hint=f"{bucket}/{key}") from error  # fmt: skip
    if isinstance(body, FileBody):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            body = file.read(min(body.size, MAX_URL_BODY_BYTES + 1))
    if not isinstance(body, bytes):
        raise ValidationError(f"S3 error: the object {bucket}/{key} cannot be read")
    if len(body) > MAX_URL_BODY_BYTES:
        raise ValidationError(f"Template may not exceed {MAX_URL_BODY_BYTES} bytes in size.")
    return body.decode("utf-8", "replace")


def bucket_and_key(url: str) -> tuple[str, str]:
    """Raises: ValidationError for a URL that names no S3 object."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    path = unquote(parts.path).lstrip("/")
    if parts.scheme == "s3":
        bucket, key = host, path
    elif re.match(r"(.+)\.s3[.-]", host):
        bucket, key = re.split(r"\.s3[.-]", host, maxsplit=1)[0], path
    else:
        bucket, _, key = path.partition("/")
    if parts.scheme not in ("http", "https", "s3") or not bucket or not key:
        raise ValidationError("TemplateURL must be a supported URL.")
    return bucket, key


def find_change_set(ctx: Context, req: Mapping[str, Any]) -> tuple[Stack, ChangeSet]:
    """The change set by its ARN, or by its name and stack. Raises: ChangeSetNotFound, ValidationError."""
    name = req["ChangeSetName"]
    if name.startswith("arn:"):
        for stack, change_set in _all_change_sets(ctx, name.rpartition("/")[2]):
            if change_set.id == name:
                return stack, change_set
        raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")
    if "StackName" not in req:
        raise ValidationError("StackName must be specified if ChangeSetName is not specified as an ARN.")
    wanted = find_stack(ctx, req["StackName"])
    if wanted is None:
        raise ValidationError(f"Stack [{req['StackName']}] does not exist")
    for change_set in change_sets_of(ctx, wanted):
        if change_set.name == name:
            return wanted, change_set
    raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")


def _all_change_sets(ctx: Context, uid: str) -> list[tuple[Stack, ChangeSet]]:
    named = ctx.tx.get((NAME, "changeset-stack", ctx.account, ctx.region, uid), Named)
    stack = stack_at(ctx, named.uid) if named else None
    return [(stack, item) for item in change_sets_of(ctx, stack) if item.uid == uid] if stack else []


def change_sets_of(ctx: Context, stack: Stack) -> list[ChangeSet]:
    found = [item for _, item in ctx.tx.scan((NAME, "changeset", stack.account, stack.region, stack.uid), ChangeSet)]
    return sorted(found, key=lambda item: item.created)


def page(items: list[Any], token: str | None, size: int = PAGE) -> tuple[list[Any], str | None]:
    """One page of `items` and the token of the next. Raises: ValidationError."""
    if token is not None and not token.isdigit():
        raise ValidationError("Invalid NextToken")
    start = int(token or 0)
    following = str(start + size) if start + size < len(items) else None
    return items[start : start + size], following


def as_json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)

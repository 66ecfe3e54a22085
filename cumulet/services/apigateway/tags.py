"""Operations on the tags of APIs, stages, API keys and usage plans, which are named by ARN."""

from __future__ import annotations

import re

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.keyring import ApiKey, UsagePlan, key_at, key_key, plan_at, plan_key
from cumulet.services.apigateway.model import RestApi, Stage, api_at, api_key, stage_at, stage_key

_ARN = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+::/(restapis|apikeys|usageplans)/([^/]+)(?:/stages/([^/]+))?")
TAGS_MAX = 50


def tag_resource(ctx: Context, req: Result) -> Result:
    """Add or change tags. Raises: NotFoundException, BadRequestException. Source: API reference, TagResource."""
    tagged = _tagged(ctx, req["resourceArn"])
    tags = {**tagged.tags, **req["tags"]}
    if len(tags) > TAGS_MAX:
        raise BadRequestException(f"The number of tags exceeds the limit of {TAGS_MAX}.")
    _save(ctx, tagged, tags)
    return {}


def untag_resource(ctx: Context, req: Result) -> Result:
    """Remove tags. Raises: NotFoundException, BadRequestException. Source: API reference, UntagResource."""
    tagged = _tagged(ctx, req["resourceArn"])
    _save(ctx, tagged, {name: value for name, value in tagged.tags.items() if name not in req["tagKeys"]})
    return {}


def get_tags(ctx: Context, req: Result) -> Result:
    """A resource's tags. Raises: NotFoundException, BadRequestException. Source: API reference, GetTags."""
    return {"tags": _tagged(ctx, req["resourceArn"]).tags}


def _tagged(ctx: Context, arn: str) -> RestApi | Stage | ApiKey | UsagePlan:
    match = _ARN.fullmatch(arn)
    if match is None:
        if ":apigateway:" in arn:
            raise not_honoured(f"tags of {arn.rpartition('::')[2]}")
        raise BadRequestException("Invalid ARN specified in the request")
    kind, id_, stage = match.groups()
    if kind != "restapis":
        return key_at(ctx, id_) if kind == "apikeys" else plan_at(ctx, id_)
    return api_at(ctx, id_) if stage is None else stage_at(ctx, id_, stage)


def _save(ctx: Context, tagged: RestApi | Stage | ApiKey | UsagePlan, tags: dict[str, str]) -> None:
    if isinstance(tagged, Stage):
        ctx.tx.put(stage_key(tagged.api_id, tagged.name), replace(tagged, tags=tags))
    elif isinstance(tagged, RestApi):
        ctx.tx.put(api_key(tagged.id), replace(tagged, tags=tags))
    elif isinstance(tagged, ApiKey):
        ctx.tx.put(key_key(ctx, tagged.id), replace(tagged, tags=tags))
    else:
        ctx.tx.put(plan_key(ctx, tagged.id), replace(tagged, tags=tags))

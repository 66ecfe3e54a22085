"""What Parameter Store's operations need of IAM. Source: Service Authorization Reference, "AWS Systems Manager" (read 2026-11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context
from cumulet.services.ssm.model import Parameter, arn_of, parameter_key

Json = dict[str, Any]


def _on(action: str, member: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        given = req[member]
        for name in given if isinstance(given, list) else [given]:
            if name.startswith("arn:"):
                yield Need(f"ssm:{action}", name, name.split(":")[4])
                continue
            plain = name.partition(":")[0]
            parameter = ctx.tx.get(parameter_key(ctx.account, ctx.region, plain), Parameter)
            tags = {f"aws:ResourceTag/{key}": value for key, value in (parameter.tags if parameter else {}).items()}
            yield Need(f"ssm:{action}", arn_of(ctx.account, ctx.region, plain), facts=tags)

    return needs


AUTHZ = Authz(
    "ssm",
    {
        **{
            name: _on(name, "Name")
            for name in ("PutParameter", "GetParameter", "GetParameterHistory", "DeleteParameter", "LabelParameterVersion",
                         "UnlabelParameterVersion")
        },
        **{name: _on(name, "Names") for name in ("GetParameters", "DeleteParameters")},
        "GetParametersByPath": _on("GetParametersByPath", "Path"),
        **{name: _on(name, "ResourceId") for name in ("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource")},
    },
)  # fmt: skip

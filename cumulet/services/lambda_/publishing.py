"""Publishing: $LATEST frozen as the next number."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_ import packages
from cumulet.services.lambda_.model import Function, Version, function_key, version_key


def published(ctx: Context, latest: Version, description: str | None) -> Version:
    """A new version of $LATEST, or the newest one where neither code nor settings have changed since."""
    function = ctx.tx.get(function_key(latest.account, latest.region, latest.name), Function)
    assert function is not None, f"{latest.arn} has a version and no function"
    if function.last_version:
        newest = ctx.tx.get(version_key(latest.account, latest.region, latest.name, function.last_version), Version)
        if newest is not None and _same(newest, latest):
            return newest
    number = function.last_version + 1
    version = replace(
        latest, number=number, revision=ctx.ids.uuid(), modified=ctx.now,
        description=latest.description if description is None else description,
    )  # fmt: skip
    packages.use(ctx, latest.account, latest.code_sha256)
    for layer in latest.layers:
        packages.use(ctx, latest.account, layer.sha256)
    ctx.tx.put(version.key, version)
    ctx.tx.put(function.key, replace(function, last_version=number))
    return version


def _same(newest: Version, latest: Version) -> bool:
    """Equal but for what every version has of its own."""
    return newest == replace(
        latest, number=newest.number, revision=newest.revision, modified=newest.modified, description=newest.description
    )

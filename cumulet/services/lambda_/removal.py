"""Taking a version or a whole function away, with everything that belongs to it."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.services.lambda_ import packages
from cumulet.services.lambda_.model import ROOT, Url, Version, function_key, policy_key, reserved_key
from cumulet.services.lambda_.names import Ref


def forget_version(ctx: Context, version: Version) -> None:
    """Delete one version, its policy, and its hold on packages."""
    packages.release(ctx, version.account, version.code_sha256)
    for layer in version.layers:
        packages.release(ctx, version.account, layer.sha256)
    ctx.tx.delete(version.key)
    ctx.tx.delete(policy_key(version.account, version.region, version.name, version.label))


def forget_function(ctx: Context, where: Ref) -> None:
    """Delete a function: versions, aliases, policies, URLs, its reservation. Its log group stays, as on AWS."""
    function = where.function(ctx)
    here = (where.account, where.region, where.name)
    for _, version in list(ctx.tx.scan((ROOT, "version", *here), Version)):
        forget_version(ctx, version)
    for _, url in list(ctx.tx.scan((ROOT, "url", *here), Url)):
        ctx.tx.delete((ROOT, "url-id", url.id))
        ctx.tx.delete(url.key)
    ctx.tx.delete_all((ROOT, "alias", *here))
    ctx.tx.delete_all((ROOT, "policy", *here))
    if function.reserved:
        ctx.tx.add(reserved_key(where.account, where.region), -function.reserved)
    ctx.tx.delete(function_key(*here))

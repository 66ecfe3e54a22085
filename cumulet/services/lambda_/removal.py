"""Taking a version or a whole function away, with everything that belongs to it."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_ import packages, provisioning
from cumulet.services.lambda_.model import ROOT, Alias, Function, Url, Version, function_key, policy_key, reserved_key
from cumulet.services.lambda_.names import Ref


def forget_version(ctx: Context, version: Version) -> None:
    """Delete one version, its policy, and its hold on packages."""
    packages.release(ctx, version.account, version.code_sha256)
    for layer in version.layers:
        packages.release(ctx, version.account, layer.sha256)
    forget_settings(ctx, Ref(version.account, version.region, version.name, version.label))
    ctx.tx.delete(version.key)
    ctx.tx.delete(policy_key(version.account, version.region, version.name, version.label))


def forget_settings(ctx: Context, where: Ref) -> None:
    """Delete what was set for a version or an alias: asynchronous invocation, provisioned concurrency."""
    provisioning.forget(ctx, where)
    config = (ROOT, "event-config", where.account, where.region, where.name, where.qualifier)
    function = ctx.tx.get(function_key(where.account, where.region, where.name), Function)
    if ctx.tx.get_bytes(config) is not None and function is not None:
        ctx.tx.delete(config)
        ctx.tx.put(function.key, replace(function, event_configs=function.event_configs - 1))


def forget_function(ctx: Context, where: Ref) -> None:
    """Delete a function: versions, aliases, policies, URLs, its reservation. Its log group stays, as on AWS."""
    function = where.function(ctx)
    here = (where.account, where.region, where.name)
    for _, version in list(ctx.tx.scan((ROOT, "version", *here), Version)):
        forget_version(ctx, version)
    for _, url in list(ctx.tx.scan((ROOT, "url", *here), Url)):
        ctx.tx.delete((ROOT, "url-id", url.id))
        ctx.tx.delete(url.key)
    for _, alias in list(ctx.tx.scan((ROOT, "alias", *here), Alias)):
        forget_settings(ctx, Ref(*here, alias.name))
        ctx.tx.delete(alias.key)
    ctx.tx.delete_all((ROOT, "policy", *here))
    if function.reserved:
        ctx.tx.add(reserved_key(where.account, where.region), -function.reserved)
    ctx.tx.delete(function_key(*here))

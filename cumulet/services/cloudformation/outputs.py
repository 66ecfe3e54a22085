"""A stack's outputs, the exports it gives and the imports it uses.

An export belongs to one stack per region; while another stack imports it, it can neither change nor go.
Source: CloudFormation user guide, "Exporting stack outputs", "Fn::ImportValue" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import intrinsics
from cumulet.services.cloudformation.environment import StackEnvironment, current_plan
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.model import NAME, Export, Named, Stack, resources_of, stack_at


def _export_key(stack: Stack, name: str) -> Key:
    return (NAME, "export", stack.account, stack.region, name)


def _import_key(stack: Stack, name: str) -> Key:
    return (NAME, "import", stack.account, stack.region, name, stack.uid)


def publish(ctx: Context, stack: Stack) -> Stack:
    """Compute the outputs, take over the exports, remember the imports.

    Raises: ValidationError when an export is another stack's, or one in use would change or go.
    """
    revision, data, plan = current_plan(ctx, stack)
    env = StackEnvironment(ctx, stack, revision, data)
    found: list[dict[str, str]] = []
    exports: dict[str, str] = {}
    for key, body in plan.outputs.items():
        output = {"OutputKey": key, "OutputValue": intrinsics.text_of(intrinsics.resolve(body["Value"], env))}
        if "Description" in body:
            output["Description"] = str(body["Description"])
        if "Export" in body:
            name = intrinsics.text_of(intrinsics.resolve(body["Export"]["Name"], env))
            if name in exports:
                raise ValidationError(f"Duplicate Export name {name}.")
            output["ExportName"] = name
            exports[name] = output["OutputValue"]
        found.append(output)
    _export(ctx, stack, exports)
    used = env.imports.union(
        *(record.now.imports for record in resources_of(ctx, stack) if record.item in plan.resources)
    )
    _remember_imports(ctx, stack, used)
    stack = replace(stack, outputs=found)
    ctx.tx.put(stack.key, stack)
    return stack


def exports_of(ctx: Context, stack: Stack) -> dict[str, str]:
    """The exports that the stack has now."""
    return {output["ExportName"]: output["OutputValue"] for output in stack.outputs if "ExportName" in output}


def importers(ctx: Context, stack: Stack, name: str) -> list[str]:
    """The names of the stacks that import the export `name`."""
    found = []
    for key in ctx.tx.scan_keys((NAME, "import", stack.account, stack.region, name)):
        other = stack_at(ctx, str(key[5]))
        if other is not None:
            found.append(other.name)
    return sorted(found)


def _export(ctx: Context, stack: Stack, exports: dict[str, str]) -> None:
    before = exports_of(ctx, stack)
    for name, value in before.items():
        if exports.get(name) != value and (users := importers(ctx, stack, name)):
            verb = "update" if name in exports else "delete"
            raise ValidationError(f"Cannot {verb} export {name} as it is in use by {', '.join(users)}.")
    for name, value in exports.items():
        owner = ctx.tx.get(_export_key(stack, name), Export)
        if owner is not None and owner.stack != stack.uid:
            other = stack_at(ctx, owner.stack)
            raise ValidationError(
                f"Export with name {name} is already exported by stack {other.name if other else owner.stack}."
            )
        ctx.tx.put(_export_key(stack, name), Export(name=name, value=value, stack=stack.uid))
    for name in set(before) - set(exports):
        ctx.tx.delete(_export_key(stack, name))


def imported(ctx: Context, stack: Stack, names: set[str]) -> None:
    """A resource used these exports: from now on they cannot go."""
    for name in names:
        ctx.tx.put(_import_key(stack, name), Named(uid=stack.uid))
        ctx.tx.put(stack.under("imports", name), b"")


def _remember_imports(ctx: Context, stack: Stack, names: set[str]) -> None:
    known = {str(key[5]) for key in ctx.tx.scan_keys(stack.under("imports"))}
    imported(ctx, stack, names - known)
    for name in known - names:
        ctx.tx.delete(_import_key(stack, name))
        ctx.tx.delete(stack.under("imports", name))


def withdraw(ctx: Context, stack: Stack) -> None:
    """The stack is gone: so are its exports and imports."""
    for name in exports_of(ctx, stack):
        ctx.tx.delete(_export_key(stack, name))
    _remember_imports(ctx, stack, set())

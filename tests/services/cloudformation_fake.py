"""A small service of its own, with CloudFormation types that work, wait, fail and take an effect."""

from __future__ import annotations

from typing import Any

from msgspec import field

from cumulet.aws.errors import GenericAwsError
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.record import Record
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.kernel.service import Service

READY_AFTER_S = 30.0


class Thing(Record):
    name: str
    value: Any
    made: float
    tags: dict[str, str] = field(default_factory=dict)


def create_thing(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    if req.get("Value") == "fail":
        raise GenericAwsError("BadValue", "The value is bad.")
    key = ("fake", "thing", req["Name"])
    if ctx.tx.get(key, Thing) is not None:
        raise GenericAwsError("ThingExists", f"Thing {req['Name']} exists.")
    ctx.tx.put(key, Thing(name=req["Name"], value=req.get("Value"), made=ctx.now, tags=req.get("Tags", {})))
    order = ctx.tx.add(("fake", "order"))
    ctx.tx.put(("fake", "log", order), f"create {req['Name']}".encode())
    return {}


def update_thing(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    thing = _thing(ctx, req["Name"])
    if req.get("Value") == "fail":
        raise GenericAwsError("BadValue", "The value is bad.")
    ctx.tx.put(
        ("fake", "thing", req["Name"]),
        Thing(name=thing.name, value=req.get("Value"), made=thing.made, tags=req.get("Tags", {})),
    )
    return {}


def delete_thing(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    if _thing(ctx, req["Name"]).value == "sticky":
        raise GenericAwsError("ThingInUse", "The thing sticks.")
    ctx.tx.delete(("fake", "thing", req["Name"]))
    ctx.tx.put(("fake", "log", ctx.tx.add(("fake", "order"))), f"delete {req['Name']}".encode())
    return {}


def _thing(ctx: Context, name: str) -> Thing:
    thing = ctx.tx.get(("fake", "thing", name), Thing)
    if thing is None:
        raise GenericAwsError("NoSuchThing", f"No thing {name}.", 404)
    return thing


def list_things(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    log = [value.decode() for _, value in ctx.tx.scan_bytes(*ctx.tx._range(("fake", "log"), None, None))]
    things = {thing.name: thing.value for _, thing in ctx.tx.scan(("fake", "thing"), Thing)}
    return {"Things": things, "Log": log, "Tags": {t.name: t.tags for _, t in ctx.tx.scan(("fake", "thing"), Thing)}}


def is_old(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    return {"Old": ctx.now >= _thing(ctx, req["Name"]).made + READY_AFTER_S}


def create_remotely(ctx: Context, req: dict[str, Any]) -> Effect:
    def settle(c: Context, outcome: Any) -> Any:
        if isinstance(outcome, EffectFailed):
            raise GenericAwsError("RemoteFailed", outcome.message)
        return create_thing(c, {"Name": req["Name"], "Value": outcome})

    return Effect("fake.remote", (req["Name"], req.get("Value")), settle)


def _created(p: Properties) -> Created:
    return Created(p["Name"], {"Arn": f"arn:fake:{p['Name']}", "Value": p.get("Value", ""), "Deep": {"Er": "down"}})


def _request(p: Properties, scope: Scope) -> dict[str, Any]:
    return {key: p[key] for key in ("Name", "Value") if key in p} | {"Tags": dict(scope.tags)}


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    call("CreateThing", **_request(p, scope))
    if p.get("Second") == "fail":
        raise GenericAwsError("Second", "The second call failed.")
    return _created(p)


def _update(call: Call, new: Properties, old: Properties, scope: Scope) -> Created:
    call("UpdateThing", **_request({**new, "Name": scope.physical_id}, scope))
    return _created({**new, "Name": scope.physical_id})


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteThing", Name=scope.physical_id)


def _remote(call: Call, p: Properties, scope: Scope) -> Effect:
    effect: Any = call("CreateRemotely", **{key: p[key] for key in ("Name", "Value") if key in p})
    found: Effect = effect.then(lambda ctx, result: _created(p))
    return found


def _ready(call: Call, physical_id: str, scope: Scope) -> bool:
    return bool(call("IsOld", Name=physical_id)["Old"])


PROPERTIES = frozenset({"Name", "Value", "Second", "Tags"})
THING = Resource(
    type="Fake::A::Thing", service="fake", properties=PROPERTIES, create=_create, update=_update, delete=_delete,
    replace_on=frozenset({"Name", "Second"}), name="Name", ref=lambda physical, attributes: physical,
)  # fmt: skip
SLOW = Resource(
    type="Fake::A::Slow", service="fake", properties=PROPERTIES, create=_create, delete=_delete, name="Name", ready=_ready,
    attributes=lambda call, physical, scope: {"Endpoint": f"late-{physical}"},
)  # fmt: skip
NEEDY = Resource(
    type="Fake::A::Needy", service="fake", properties=PROPERTIES, create=_create, delete=_delete, name="Name",
    required=frozenset({"Value"}),
)  # fmt: skip
REMOTE = Resource(
    type="Fake::A::Remote", service="fake", properties=PROPERTIES, create=_remote, delete=_delete, name="Name"
)

FAKE = Service(
    "fake",
    internals={
        "CreateThing": create_thing, "UpdateThing": update_thing, "DeleteThing": delete_thing, "ListThings": list_things,
        "IsOld": is_old, "CreateRemotely": create_remotely,
    },
    resources=(THING, SLOW, NEEDY, REMOTE),
)  # fmt: skip

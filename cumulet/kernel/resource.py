"""How a service describes one CloudFormation resource type; the engine in services/cloudformation owns the rest.

The engine resolves intrinsic functions, orders by dependencies, creates, updates, replaces, deletes and rolls back,
generates names, and refuses properties that `properties` does not list. A Resource only maps properties to public
operations, which it reaches through `call(operation, **request)`; what the API refuses, a template refuses.

Scalars in properties may be strings where the API wants numbers or booleans and the other way round (`"30"`, `"true"`,
a `Ref` to a Number parameter): `call` converts them by the operation's model, so a Resource need not. What it compares
or computes itself it must convert itself. All that one create, update or delete did is undone when it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cumulet.aws.errors import AwsError
from cumulet.kernel.outcome import Effect

Properties = dict[str, Any]


class PropertiesInvalid(AwsError):
    """A resource's properties are not what its type takes; becomes the resource's status reason."""


class Call(Protocol):
    """Calls an operation of the resource's own service, or of another one as `call("iam:PassRole", ...)`.

    Raises AwsError as the operation does. Returns the result, or an Effect where the operation does.
    """

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Scope:
    """What a Resource may know of its surroundings."""

    account: str
    region: str
    stack_name: str
    stack_id: str
    logical_id: str
    physical_id: str | None  # None while it is being created
    tags: Mapping[str, str]  # the stack's tags, and aws:cloudformation:stack-name, -stack-id, -logical-id
    generated_name: str  # `{stack}-{logical}-{12 random characters}`, cut to `name_max`; stable across retries
    now: float


@dataclass(frozen=True)
class Created:
    """What `create` and `update` return: the physical id and the values of Fn::GetAtt."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resource:
    """One CloudFormation type.

    type        "AWS::SQS::Queue"
    service     botocore's service name that plain operation names in `call` go to: "sqs"
    properties  the names of the top-level properties that are honoured; others are refused by name before anything is
                created (resource status reason "Property X of AWS::... is not supported by Cumulet")
    members     names that a property's object, or each object of its list, may have: {"Tags": {"Key", "Value"}} stands for
                all types; deeper ones as "GlobalSecondaryIndexes.Projection". Needed only where the Resource takes an
                object apart: what it passes on as it is, is checked by the operation's model
    required    top-level properties that must be there
    create      (call, properties, scope) -> Created; where the operation answers with an Effect, return
                `effect.then(lambda ctx, result: Created(...))` (same for update; delete may return the Effect itself)
    update      (call, new properties, old properties, scope) -> Created; None: every change replaces
    delete      (call, properties, scope); the engine takes "not found" answers (status 404 or a code that ends in
                NotFound, NoSuch..., NonExistent...) as done
    snapshot    as `delete`, after a last snapshot (DeletionPolicy Snapshot, then also the type's default); None: there is none
    replace_on  properties whose change replaces the resource (create new, switch, delete old at clean-up)
    replaces    (new properties, old properties) -> whether this change replaces it, where that depends on more than the name
    name        the property that names it, filled with `generated_name` when the template gives none
    name_max    longest generated name; name_lower: only lower case
    ref         what Ref gives, from physical id and attributes; by default the physical id
    ready       (call, physical id, scope) -> bool: polled on the clock until True; None: ready at once. It may give a
                Created instead of True: the physical id and attributes where they are known only now
    gone        (call, physical id, scope) -> bool: polled after `delete` until True (a "not found" answer counts as True);
                None: gone at once
    attributes  (call, physical id, scope) -> more values of Fn::GetAtt, asked when it is ready, after a create or update:
                for what is known only then (an endpoint's address)
    code        property paths that hold local code, which `cumulet deploy` and `aws cloudformation package` upload
    """

    type: str
    service: str
    properties: frozenset[str]
    create: Callable[[Call, Properties, Scope], Created | Effect]
    delete: Callable[[Call, Properties, Scope], Effect | None]
    update: Callable[[Call, Properties, Properties, Scope], Created | Effect] | None = None
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    replace_on: frozenset[str] = frozenset()
    replaces: Callable[[Properties, Properties], bool] | None = None
    name: str | None = None
    name_max: int = 64
    name_lower: bool = False
    ref: Callable[[str, Mapping[str, Any]], str] | None = None
    ready: Callable[[Call, str, Scope], bool | Created] | None = None
    gone: Callable[[Call, str, Scope], bool] | None = None
    attributes: Callable[[Call, str, Scope], Mapping[str, Any]] | None = None
    code: tuple[str, ...] = ()
    snapshot: Callable[[Call, Properties, Scope], Effect | None] | None = None

    def check_members(self, properties: Properties) -> None:
        """Raises: PropertiesInvalid for members of objects that the type does not have."""
        tags = properties.get("Tags")
        if isinstance(tags, list):
            _only(tags, [], frozenset(("Key", "Value")), "#/Tags")
        for path, names in self.members.items():
            _only(properties, path.split("."), names, "#")


def _only(value: Any, path: list[str], names: frozenset[str], where: str) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _only(item, path, names, f"{where}/{index}")
    elif isinstance(value, Mapping):
        if path:
            _only(value.get(path[0]), path[1:], names, f"{where}/{path[0]}")
            return
        unknown = sorted(set(value) - names)
        if unknown:
            raise PropertiesInvalid("\n".join(f"{where}: extraneous key [{name}] is not permitted" for name in unknown))

"""What a service is: its operations, doors, timers and CloudFormation types, collected from its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cumulet.aws.http import HttpRequest
    from cumulet.kernel.authz import Authz
    from cumulet.kernel.context import Context
    from cumulet.kernel.keys import Key
    from cumulet.kernel.resource import Resource

Operation = Callable[["Context", Any], Any]
Door = Callable[["Context", "HttpRequest"], Any]
TimerHandler = Callable[["Context", "Key"], Any]
SubjectOf = str | Callable[[Any], Any]


@dataclass(frozen=True)
class Manifest:
    """What `app.py` says of a service before it is imported, beyond what follows from its name.

    name     botocore's service name
    package  its package in cumulet/services, where that is not the name (with "_" for "-")
    doors    its doors
    types    namespaces of its CloudFormation types (`X` of `AWS::X::Y`, in lower case) beside the name (without "-")
    """

    name: str
    package: str = ""
    doors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.name.replace("-", ""), *self.types)


def owner_of_type(type_: str) -> str:
    """The namespace of a CloudFormation type: "sqs" for `AWS::SQS::Queue`."""
    return type_.removeprefix("AWS::").partition("::")[0].lower()


@dataclass(frozen=True, eq=False)
class Service:
    """A service as its package gives it.

    name       botocore's service name ("dynamodb", "lambda", "apigatewayv2")
    modules    the modules of operations: every public function *defined* there is one, named in snake case
    doors      plain HTTP entries beside the API (a door's name -> function of (ctx, HttpRequest) that returns an
               HttpResponse, an Effect or a Wait): "execute-api", "lambda-url"
    timers     handler name ("lambda.event") -> function of (ctx, key), for `ctx.tx.wake(at, name, key)`; it returns
               None, an Effect or a Wait
    gauges     called at the end of a minute, once the service is in use: meters its gauges of all accounts and regions
               (`ctx.at(...).meter`); True asks for the next minute too, though nothing else may happen
    internals  operations of our own that only other services may call (`ctx.call("lambda", "cumulet:Run", ...)`);
               not on the wire. `cumulet:SendMessage`, named like an operation of AWS's, is our own form of it: traces show it as that
    inspect    operations of our own that only read, for Cumulet's commands and console (`POST /_cumulet/call/sqs/cumulet:Peek`);
               other services may call them as well
    resources  CloudFormation types
    subjects   the operations that use a resource for what it is there for (they send, read, invoke; not: describe), each with the
               member of the request that names the resource, or a function of the request that finds its name or names: what
               traces and the console's map show as a call of that resource
    authz      which actions and resources its operations need, for IAM's enforcement
    """

    name: str
    modules: tuple[ModuleType, ...] = ()
    doors: Mapping[str, Door] = field(default_factory=dict)
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    internals: Mapping[str, Operation] = field(default_factory=dict)
    inspect: Mapping[str, Operation] = field(default_factory=dict)
    resources: tuple[Resource, ...] = ()
    gauges: Callable[[Context], bool] | None = None
    subjects: Mapping[str, SubjectOf] = field(default_factory=dict)
    authz: Authz | None = None

    def functions(self) -> Iterable[tuple[str, Operation]]:
        """The public functions of the service's modules, as (snake-case name, function)."""
        for module in self.modules:
            for name, value in vars(module).items():
                if (
                    not name.startswith("_")
                    and callable(value)
                    and not isinstance(value, type)
                    and getattr(value, "__module__", None) == module.__name__
                ):
                    yield name, value


class MisnamedOperation(Exception):
    """A service's public function is no operation of its AWS model; the message says the right spelling."""


def operations_of(service: Service, names: Mapping[str, str]) -> dict[str, Operation]:
    """Operation name -> function. `names` maps the model's snake-case names to operation names ("put_item": "PutItem").

    Raises: MisnamedOperation.
    """
    import difflib

    found: dict[str, Operation] = {}
    for snake, function in service.functions():
        if snake not in names:
            near = difflib.get_close_matches(snake, names, 1)
            remedy = f"Did you mean {near[0]}?" if near else "Prefix helpers with an underscore."
            raise MisnamedOperation(f"{function.__module__}.{snake} is no operation of {service.name}. {remedy}")
        found[names[snake]] = function
    return found

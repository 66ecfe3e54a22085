"""The services of a cloud: all are known by name from the start, each is imported when it is first used.

What must be known of a service before that follows from names: the operation `sqs.SendMessage`, the timer `sqs.expire`, the type
`AWS::SQS::Queue` and rows under `("sqs", ...)` are the service `sqs`'s. What does not follow its manifest says. Loading holds
a service against both, so a wrong name cannot stay unseen until a restart finds a timer that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self

from cumulet.kernel import once
from cumulet.kernel.resource import Resource
from cumulet.kernel.service import (
    Door,
    Manifest,
    Operation,
    Service,
    SubjectOf,
    TimerHandler,
    operations_of,
    owner_of_type,
)
from cumulet.kernel.tx import Tx


class WrongManifest(Exception):
    """A service has a timer, a door or a type that would not be found before the service is loaded; the message says the remedy."""


class Registry:
    """Finds operations, doors, timers and types, and loads the service they belong to.

    `load(name)` imports a service; `names(name)` maps its model's snake-case names to operation names.
    """

    def __init__(
        self,
        manifests: Iterable[Manifest],
        load: Callable[[str], Service],
        names: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._manifests = {manifest.name: manifest for manifest in manifests}
        self._load, self._names = load, names
        self._loaded: dict[str, Service] = {}
        self._operations: dict[tuple[str, str], Operation] = {}
        self._subjects: dict[tuple[str, str], SubjectOf] = {}
        self._timers: dict[str, TimerHandler] = {"kernel.forget": once.forget}
        self._doors: dict[str, tuple[str, Door]] = {}
        self._types: dict[str, Resource] = {}
        self._door_owners = {door: manifest.name for manifest in self._manifests.values() for door in manifest.doors}
        self._type_owners = {
            namespace: manifest.name for manifest in self._manifests.values() for namespace in manifest.namespaces
        }

    @classmethod
    def of(cls, services: Mapping[Service, Mapping[str, str]]) -> Self:
        """A registry of services that are there already, for tests; each with its snake-case and operation names."""
        there = {service.name: service for service in services}
        names = {service.name: names for service, names in services.items()}
        manifests = [
            Manifest(
                service.name,
                doors=tuple(service.doors),
                types=tuple({owner_of_type(resource.type) for resource in service.resources}),
            )
            for service in services
        ]
        registry = cls(manifests, there.__getitem__, names.__getitem__)
        for name in there:
            registry.get(name)
        return registry

    def __iter__(self) -> Iterator[str]:
        return iter(self._manifests)

    def __contains__(self, name: object) -> bool:
        return name in self._manifests

    def get(self, name: str) -> Service | None:
        """The service, loaded by now; None when there is no such service. Raises: MisnamedOperation, WrongManifest."""
        found = self._loaded.get(name)
        if found is None and name in self._manifests:
            found = self._load(name)
            self._add(found)
        return found

    def loaded(self, name: str) -> bool:
        return name in self._loaded

    def in_use(self) -> list[Service]:
        """The services that are loaded."""
        return list(self._loaded.values())

    def stored(self, tx: Tx) -> list[str]:
        """The services that are not loaded though something is stored of them."""
        return [
            name
            for name in self._manifests
            if name not in self._loaded and next(tx.scan_keys((name,), limit=1), None) is not None
        ]

    def operation(self, service: str, name: str) -> Operation | None:
        found = self._operations.get((service, name))
        if found is None and service not in self._loaded and self.get(service) is not None:
            found = self._operations.get((service, name))
        return found

    def subject(self, service: str, operation: str) -> SubjectOf | None:
        """How an operation of a loaded service says which resource it uses."""
        return self._subjects.get((service, operation))

    def door(self, name: str) -> tuple[str, Door] | None:
        """(service, function)"""
        if name not in self._doors and name in self._door_owners:
            self.get(self._door_owners[name])
        return self._doors.get(name)

    def timer(self, handler: str) -> TimerHandler:
        """Raises: KeyError when no service has it."""
        if handler not in self._timers:
            self.get(handler.partition(".")[0])
        return self._timers[handler]

    def resource(self, type_: str) -> Resource | None:
        """A CloudFormation type."""
        if type_ not in self._types:
            self.get(self._type_owners.get(owner_of_type(type_), ""))
        return self._types.get(type_)

    def _add(self, service: Service) -> None:
        operations = operations_of(service, self._names(service.name))
        self._check(service)
        self._loaded[service.name] = service
        for name, function in (*operations.items(), *service.internals.items(), *service.inspect.items()):
            self._operations[service.name, name] = function
        for name, subject in service.subjects.items():
            self._subjects[service.name, name] = subject
        for name, door in service.doors.items():
            self._doors[name] = (service.name, door)
        self._timers.update(service.timers)
        self._types.update((resource.type, resource) for resource in service.resources)

    def _check(self, service: Service) -> None:
        name, manifest = service.name, self._manifests[service.name]
        for handler in service.timers:
            if handler.partition(".")[0] != name:
                raise WrongManifest(
                    f"The timer {handler!r} of {name} must be named {name}.{handler.rpartition('.')[2]}."
                )
        if set(service.doors) != set(manifest.doors):
            doors = ", ".join(map(repr, sorted(service.doors)))
            raise WrongManifest(f"{name} has the doors ({doors}); its manifest must list just these.")
        for resource in service.resources:
            owner = owner_of_type(resource.type)
            if self._type_owners.get(owner) != name:
                raise WrongManifest(
                    f"The type {resource.type} of {name} needs types=({owner!r},) in the manifest of {name}."
                )

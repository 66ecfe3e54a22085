"""Service-linked roles are AWS's: nobody else changes them."""

from __future__ import annotations

from cumulet.services.iam.errors import UnmodifiableEntity
from cumulet.services.iam.model import Group, Role, User


def check(entity: Role | User | Group) -> None:
    """Raises: UnmodifiableEntity."""
    if isinstance(entity, Role) and entity.linked_to is not None:
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{entity.name}' - this role is only modifiable by AWS"
        )

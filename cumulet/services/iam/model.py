"""IAM's records and where they lie. Names are unique without regard to case, so keys hold them in lower case."""

from __future__ import annotations

from typing import Any

from msgspec import field

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record
from cumulet.services.iam.errors import LimitExceeded, NoSuchEntity

ROLE, USER, GROUP = "role", "user", "group"
QUOTAS = {ROLE: 1000, USER: 5000, GROUP: 300, "policy": 1500, "profile": 1000}  # per account
_QUOTA_NAMES = {
    ROLE: "RolesPerAccount",
    USER: "UsersPerAccount",
    GROUP: "GroupsPerAccount",
    "policy": "PoliciesPerAccount",
    "profile": "InstanceProfilesPerAccount",
}
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Role(Record):
    name: str
    id: str
    path: str
    account: str
    created: float
    trust: str
    description: str | None = None
    max_session_s: int = 3600
    boundary: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    linked_to: str | None = None  # the AWS service of a service-linked role

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


class User(Record):
    name: str
    id: str
    path: str
    account: str
    created: float
    boundary: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


class Group(Record):
    name: str
    id: str
    path: str
    account: str
    created: float

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:group{self.path}{self.name}"


class Profile(Record):
    """An instance profile; `role` is the role's name, as IAM allows one."""

    name: str
    id: str
    path: str
    account: str
    created: float
    role: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:instance-profile{self.path}{self.name}"


class Policy(Record):
    """A customer managed policy; its versions are records of their own."""

    name: str
    id: str
    path: str
    account: str
    created: float
    updated: float
    default_version: int = 1
    last_version: int = 1
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:policy{self.path}{self.name}"


class Version(Record):
    number: int
    document: str
    created: float


class Inline(Record):
    """An inline policy of a role, user or group."""

    name: str
    document: str


class Attachment(Record):
    """A managed policy on a role, user or group, stored under both; `entity` is the entity's name."""

    arn: str
    entity: str
    boundary: bool = False


class AccessKey(Record):
    id: str
    secret: str
    account: str
    user: str
    created: float
    status: str = "Active"
    used_at: float | None = None
    used_service: str = "N/A"
    used_region: str = "N/A"


class Membership(Record):
    user: str
    group: str


def key(account: str, kind: str, name: str) -> Key:
    return ("iam", account, kind, name.lower())


def check_room(ctx: Context, kind: str) -> None:
    """Raises: LimitExceeded when the account has as many of a kind as it may have. Source: "IAM and AWS STS quotas"."""
    if sum(1 for _ in ctx.tx.scan_keys(("iam", ctx.account, kind))) >= QUOTAS[kind]:
        raise LimitExceeded(f"Cannot exceed quota for {_QUOTA_NAMES[kind]}: {QUOTAS[kind]}")


def inline_key(account: str, kind: str, name: str, policy: str) -> Key:
    return ("iam", account, "inline", kind, name.lower(), policy)


def attachment_key(account: str, kind: str, name: str, arn: str) -> Key:
    return ("iam", account, "attachment", kind, name.lower(), arn)


def entity_key(account: str, arn: str, kind: str, name: str) -> Key:
    return ("iam", account, "entity", arn, kind, name.lower())


def new_id(ctx: Context, prefix: str) -> str:
    """A unique id: a prefix of four letters and 17 letters or digits. Source: IAM user guide, "IAM identifiers"."""
    return prefix + "".join(_BASE32[int(digits, 36) % 32] for digits in ctx.ids.upper(17))


def get_role(ctx: Context, name: str) -> Role:
    role = ctx.tx.get(key(ctx.account, ROLE, name), Role)
    if role is None:
        raise NoSuchEntity(f"The role with name {name} cannot be found.")
    return role


def get_user(ctx: Context, name: str) -> User:
    user = ctx.tx.get(key(ctx.account, USER, name), User)
    if user is None:
        raise NoSuchEntity(f"The user with name {name} cannot be found.")
    return user


def get_group(ctx: Context, name: str) -> Group:
    group = ctx.tx.get(key(ctx.account, GROUP, name), Group)
    if group is None:
        raise NoSuchEntity(f"The group with name {name} cannot be found.")
    return group


def get_entity(ctx: Context, kind: str, name: str) -> Role | User | Group:
    """Raises: NoSuchEntity."""
    if kind == ROLE:
        return get_role(ctx, name)
    return get_user(ctx, name) if kind == USER else get_group(ctx, name)


def tag_list(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]

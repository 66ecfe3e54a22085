"""Operations on the account: its alias and a summary of what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.kernel.context import Context
from cumulet.kernel.record import Record
from cumulet.services.iam.errors import EntityAlreadyExists, NoSuchEntity
from cumulet.services.iam.model import QUOTAS

if TYPE_CHECKING:
    from cumulet.services.iam import api

_KINDS = {"Roles": "role", "Users": "user", "Groups": "group", "Policies": "policy", "InstanceProfiles": "profile"}
_QUOTAS = {
    **{f"{name}Quota": QUOTAS[kind] for name, kind in _KINDS.items()},
    "AccessKeysPerUserQuota": 2,
    "GroupsPerUserQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "AttachedPoliciesPerGroupQuota": 10,
    "AssumeRolePolicySizeQuota": 2048,
    "PolicySizeQuota": 6144,
    "VersionsPerPolicyQuota": 5,
    "RolePolicySizeQuota": 10240,
    "UserPolicySizeQuota": 2048,
    "GroupPolicySizeQuota": 5120,
}


class _Alias(Record):
    alias: str
    account: str


def create_account_alias(ctx: Context, req: api.CreateAccountAliasRequest) -> api.CreateAccountAliasResult:
    """Give the account an alias, unique among all accounts, in place of an earlier one.

    Raises: EntityAlreadyExists. Source: IAM API_CreateAccountAlias (read 2026-11).
    """
    alias = req["AccountAlias"]
    taken = ctx.tx.get(("iam-alias", alias), _Alias)
    if taken is not None and taken.account != ctx.account:
        raise EntityAlreadyExists(f"The account alias {alias} already exists.")
    earlier = ctx.tx.get(("iam", ctx.account, "alias"), _Alias)
    if earlier is not None:
        ctx.tx.delete(("iam-alias", earlier.alias))
    made = _Alias(alias=alias, account=ctx.account)
    ctx.tx.put(("iam-alias", alias), made)
    ctx.tx.put(("iam", ctx.account, "alias"), made)
    return {}


def list_account_aliases(ctx: Context, req: api.ListAccountAliasesRequest) -> api.ListAccountAliasesResult:
    """The account's alias, if it has one. Source: IAM API_ListAccountAliases (read 2026-11)."""
    found = ctx.tx.get(("iam", ctx.account, "alias"), _Alias)
    return {"AccountAliases": [] if found is None else [found.alias], "IsTruncated": False}


def delete_account_alias(ctx: Context, req: api.DeleteAccountAliasRequest) -> api.DeleteAccountAliasResult:
    """Remove the alias. Raises: NoSuchEntity. Source: IAM API_DeleteAccountAlias (read 2026-11)."""
    found = ctx.tx.get(("iam", ctx.account, "alias"), _Alias)
    if found is None or found.alias != req["AccountAlias"]:
        raise NoSuchEntity(f"The account alias {req['AccountAlias']} cannot be found.")
    ctx.tx.delete(("iam-alias", found.alias))
    ctx.tx.delete(("iam", ctx.account, "alias"))
    return {}


def get_account_summary(ctx: Context, req: api.GetAccountSummaryRequest) -> api.GetAccountSummaryResult:
    """How many roles, users, groups, policies and profiles there are, and the quotas that hold here.

    Source: IAM API_GetAccountSummary (read 2026-11).
    """
    counts = {name: sum(1 for _ in ctx.tx.scan_keys(("iam", ctx.account, kind))) for name, kind in _KINDS.items()}
    counts["PolicyVersionsInUse"] = sum(1 for _ in ctx.tx.scan_keys(("iam", ctx.account, "version")))
    return {"SummaryMap": {**counts, **_QUOTAS}}

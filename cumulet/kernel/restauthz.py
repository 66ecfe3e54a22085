"""The needs of services whose permissions are an HTTP method on a path instead of an action: the API Gateways.

Source: Service Authorization Reference, "Amazon API Gateway Management"; developer guide, "Control access to a REST API with
IAM permissions" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.kernel.authz import Need, Needs
from cumulet.kernel.context import Context

Json = dict[str, Any]
_SERVICE = "apigateway.amazonaws.com"
_ROLES = ("credentials", "authorizerCredentials", "CredentialsArn", "AuthorizerCredentialsArn")
_ROLE_PATHS = ("/credentials", "/authorizerCredentials", "/cloudwatchRoleArn")


class RequestLines:
    """What operations are called in policies.

    paths   noun (or whole operation) -> its path, with the request's members in braces
    verbs   an operation's first word -> its method
    """

    def __init__(self, paths: Mapping[str, str], verbs: Mapping[str, str]) -> None:
        self._paths = paths
        self._verbs = verbs

    def line(self, operation: str, req: Json) -> str:
        """The method and the path that policies name: "PUT /restapis/{id}/...", as far as the request says."""
        verb, noun = re.match(r"([A-Z][a-z]+)(.*)", operation).groups()  # type: ignore[union-attr]
        if verb in ("Tag", "Untag"):
            noun = "Tags"
        if operation in self._paths:
            noun = operation
        template = self._paths[noun if noun in self._paths else noun.removesuffix("s")]
        if verb == "Create" and noun != "Resource":
            template = template.rpartition("/{")[0] or template
        parts = []
        for part in template.split("/"):
            name = part.strip("{}")
            if name == part:
                parts.append(part)
                continue
            value = req.get(name, req.get("parentId") if name == "resourceId" else None)
            if value is None:
                break
            parts.append(str(value))
        return f"{self._verbs[verb]} {'/'.join(parts)}"

    def needs_of(self, operation: str) -> Needs:
        """What one operation needs."""

        def needs(ctx: Context, req: Json) -> Iterable[Need]:
            method, _, path = self.line(operation, req).partition(" ")
            yield Need(f"apigateway:{method}", f"arn:aws:apigateway:{ctx.region}::{path}")
            roles = [req.get(member) for member in _ROLES]
            roles += [each.get("value") for each in req.get("patchOperations", ()) if _names_role(each)]
            for role in roles:
                if role:
                    yield Need("iam:PassRole", role, facts={"iam:PassedToService": _SERVICE})

        return needs


def _names_role(patch: Json) -> bool:
    return str(patch.get("path")).endswith(_ROLE_PATHS)

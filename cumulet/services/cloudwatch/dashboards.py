"""Operations on dashboards: JSON documents that consoles draw."""

from __future__ import annotations

import re
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudwatch.errors import InvalidParameterInput, InvalidParameterValue, ResourceNotFound
from cumulet.services.cloudwatch.model import ROOT, Dashboard
from cumulet.services.cloudwatch.paging import place, token
from cumulet.services.cloudwatch.tagging import checked_tags

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,255}")
_MOST_WIDGETS = 500
_MOST_DELETED = 100
_PAGE = 1000
_TYPES = frozenset(("metric", "text", "log", "alarm", "explorer", "custom"))

Json = dict[str, Any]


def put_dashboard(ctx: Context, req: Json) -> Json:
    """Make a dashboard or replace its body, a JSON object with up to 500 widgets. Tags count only when it is made.

    Raises: InvalidParameterInput. Source: CloudWatch API_PutDashboard; "Dashboard body structure and syntax" (read 2026-11).
    """
    name = req["DashboardName"]
    if not _NAME.fullmatch(name):
        raise _invalid([("", "The dashboard name must have 1 to 255 characters: A-Z, a-z, 0-9, - and _.")])
    problems = _problems(req["DashboardBody"])
    if problems:
        raise _invalid(problems)
    old = ctx.tx.get((ROOT, "dashboard", ctx.account, name), Dashboard)
    if old is None:
        tags = checked_tags({}, req.get("Tags", ()))
        dashboard = Dashboard(account=ctx.account, name=name, body=req["DashboardBody"], modified_at=ctx.now, tags=tags)
    else:
        dashboard = replace(old, body=req["DashboardBody"], modified_at=ctx.now)
    ctx.tx.put(dashboard.key, dashboard)
    return {"DashboardValidationMessages": []}


def get_dashboard(ctx: Context, req: Json) -> Json:
    """A dashboard's body.

    Raises: ResourceNotFound, InvalidParameterValue. Source: CloudWatch API_GetDashboard (read 2026-11).
    """
    name = req["DashboardName"]
    if not _NAME.fullmatch(name):
        raise InvalidParameterValue(f"The value {name} for parameter DashboardName is invalid.")
    found = ctx.tx.get((ROOT, "dashboard", ctx.account, name), Dashboard)
    if found is None:
        raise _absent(name)
    return {"DashboardArn": found.arn, "DashboardBody": found.body, "DashboardName": found.name}


def list_dashboards(ctx: Context, req: Json) -> Json:
    """The account's dashboards by name, 1000 a page.

    Raises: InvalidParameterValue. Source: CloudWatch API_ListDashboards (read 2026-11).
    """
    prefix = req.get("DashboardNamePrefix", "")
    if not _PREFIX.fullmatch(prefix):
        raise InvalidParameterValue(f"The value {prefix} for parameter DashboardNamePrefix is invalid.")
    start = place(req["NextToken"], InvalidParameterValue) if "NextToken" in req else None
    entries: list[Json] = []
    for key, found in ctx.tx.scan((ROOT, "dashboard", ctx.account), Dashboard, start=start):
        if not found.name.startswith(prefix):
            continue
        if len(entries) == _PAGE:
            return {"DashboardEntries": entries, "NextToken": token(key)}
        entries.append(
            {
                "DashboardName": found.name,
                "DashboardArn": found.arn,
                "LastModified": found.modified_at,
                "Size": len(found.body.encode()),
            }
        )
    return {"DashboardEntries": entries}


def delete_dashboards(ctx: Context, req: Json) -> Json:
    """Delete up to 100 dashboards, all or, when one does not exist, none.

    Raises: ResourceNotFound, InvalidParameterValue. Source: CloudWatch API_DeleteDashboards (read 2026-11).
    """
    names = req["DashboardNames"]
    if not 1 <= len(names) <= _MOST_DELETED:
        raise InvalidParameterValue("The collection DashboardNames must have a size between 1 and 100.")
    for name in names:
        key = (ROOT, "dashboard", ctx.account, name)
        if ctx.tx.get(key, Dashboard) is None:
            raise _absent(name)
        ctx.tx.delete(key)
    return {}


def _absent(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Dashboard {name} does not exist")


def _invalid(problems: list[tuple[str, str]]) -> InvalidParameterInput:
    messages = [{"DataPath": path, "Message": text} for path, text in problems]
    return InvalidParameterInput(
        "The field DashboardBody must be a valid JSON object"
        if problems[0][0] == "/"
        else f"The dashboard is invalid, there are {len(problems)} validation errors.",
        members={"dashboardValidationMessages": messages},
    )


def _problems(body: str) -> list[tuple[str, str]]:
    """(where, what) is wrong with a dashboard's body."""
    try:
        document = read_json(body)
    except NotJson:
        return [("/", "The dashboard body is not valid JSON.")]
    if not isinstance(document, dict):
        return [("/", "The dashboard body must be a JSON object.")]
    widgets = document.get("widgets", [])
    if not isinstance(widgets, list):
        return [("/widgets", "Should be array")]
    if len(widgets) > _MOST_WIDGETS:
        return [("/widgets", f"Should NOT have more than {_MOST_WIDGETS} items")]
    problems = []
    for number, widget in enumerate(widgets):
        if not isinstance(widget, dict):
            problems.append((f"/widgets/{number}", "Should be object"))
        elif widget.get("type") not in _TYPES:
            problems.append((f"/widgets/{number}/type", "Should be equal to one of the allowed values"))
        elif not isinstance(widget.get("properties", {}), dict):
            problems.append((f"/widgets/{number}/properties", "Should be object"))
    return problems

"""The parameters of family postgres18: what may be set, to what, and what a group's values come to for one instance.

PostgreSQL's own catalogue of settings (parameters.json, made by tools/gen_rds_parameters.py) says types and ranges. What the
supervisor has to say itself, and what only makes sense on other machines than this one, cannot be modified.
Source: RDS user guide, "Working with parameters on your RDS for PostgreSQL DB instance", "DB parameter formulas" and
"Maximum number of database connections" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.rds import classes
from cumulet.services.rds.errors import InvalidParameterCombination, InvalidParameterValue
from cumulet.services.rds.model import DEFAULT_GROUP, Group, Instance, group_key

_FILE = Path(__file__).with_name("parameters.json")
_FIXED_CATEGORIES = ("File Locations", "Connections and Authentication / SSL", "Write-Ahead Log / Archiv",
                     "Write-Ahead Log / Recovery", "Replication / Standby", "Replication / Primary",
                     "Preset Options")  # fmt: skip
_FIXED = frozenset(
    {
        "allow_alter_system", "archive_timeout", "bonjour", "bonjour_name", "cluster_name", "data_sync_retry",
        "db_user_namespace", "dynamic_library_path", "dynamic_shared_memory_type", "event_source", "event_triggers",
        "extension_control_path", "external_pid_file", "fsync", "full_page_writes", "gss_accept_delegation",
        "jit_provider", "krb_caseins_users", "krb_server_keyfile", "listen_addresses", "local_preload_libraries",
        "log_destination", "log_directory", "log_file_mode", "log_filename", "log_rotation_age", "log_rotation_size",
        "log_timezone", "log_truncate_on_rotation", "logging_collector", "oauth_validator_libraries",
        "output_plugin_libraries", "password_encryption", "port", "restart_after_crash", "session_preload_libraries",
        "shared_memory_type", "superuser_reserved_connections", "syslog_facility", "syslog_ident",
        "syslog_sequence_numbers", "syslog_split_messages", "unix_socket_directories", "unix_socket_group",
        "unix_socket_permissions", "wal_level", "wal_sync_method",
    }
)  # fmt: skip
_LIBRARIES = ("auto_explain", "pg_prewarm", "pg_stat_statements")
_MAX_CONNECTIONS = "LEAST({DBInstanceClassMemory/9531392},5000)"
_OWN: tuple[dict[str, Any], ...] = (
    {"name": "rds.logical_replication", "type": "bool", "context": "postmaster", "default": "0",
     "text": "Enables logical decoding."},
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One parameter of the family."""

    name: str
    kind: str  # string, integer, float, boolean, list
    static: bool
    fixed: bool
    allowed: str | None
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    default: str | None
    system: bool
    text: str

    def check(self, value: str) -> None:
        """Raises: InvalidParameterValue."""
        if self.fixed:
            raise InvalidParameterValue(f"The parameter {self.name} cannot be modified.")
        if "{" in value or "(" in value:
            _evaluate(value, {name: 1 for name in _VARIABLES})
            return
        if not self._fits(value):
            raise InvalidParameterValue(
                f"Invalid parameter value: {value} for: {self.name} allowed values are: {self.allowed or self.kind}"
            )

    def _fits(self, value: str) -> bool:
        if "\n" in value or "\0" in value:
            return False
        if self.kind in ("integer", "float"):
            number = _number(value, self.kind)
            low, high = self.low, self.high
            return number is not None and (low is None or number >= low) and (high is None or number <= high)
        if self.kind == "list":
            return all(part.strip() in self.choices for part in value.split(",") if part.strip())
        return not self.choices or value.lower() in self.choices


def _number(value: str, kind: str) -> float | None:
    try:
        return int(value) if kind == "integer" else float(value)
    except ValueError:
        return None


def family(ctx: Context) -> Mapping[str, Parameter]:
    """All parameters by name; read from the package on first use."""
    known: Mapping[str, Parameter] | None = ctx.pipeline.volatile.get("rds.parameters")
    if known is None:
        rows = [*json.loads(_FILE.read_text()), *_OWN]
        known = {made.name: made for made in map(_parameter, rows)}
        ctx.pipeline.volatile["rds.parameters"] = known = dict(sorted(known.items()))
    return known


def _parameter(row: dict[str, Any]) -> Parameter:
    name = row["name"].lower()
    kinds = {"bool": "boolean", "real": "float", "enum": "string"}
    kind = kinds.get(row["type"], row["type"])
    fixed = name in _FIXED or row.get("category", "").startswith(_FIXED_CATEGORIES)
    low, high, choices, default = row.get("min"), row.get("max"), row.get("enum"), row.get("default")
    system = False
    if name == "max_connections":
        low, default, system = "6", _MAX_CONNECTIONS, True
    if name == "shared_preload_libraries":
        kind, choices = "list", _LIBRARIES
    allowed = None
    if kind == "boolean":
        choices = ("0", "1", "on", "off", "true", "false") if name != "rds.logical_replication" else ("0", "1")
        allowed = "0,1"
        default = {"on": "1", "off": "0"}.get(str(default), default)
    elif choices:
        allowed = ",".join(choices)
    elif low is not None:
        allowed = f"{low}-{high}"
    return Parameter(
        name, kind, row["context"] == "postmaster", fixed, allowed, tuple(choices or ()),
        float(low) if low is not None else None, float(high) if high is not None else None,
        default, system, row.get("text", ""),
    )  # fmt: skip


def checked(ctx: Context, name: str, value: str, method: str) -> str:
    """A parameter's name as it is stored. Raises: InvalidParameterValue, InvalidParameterCombination."""
    parameter = family(ctx).get(name.lower())
    if parameter is None:
        raise InvalidParameterValue(f"Could not find parameter with name: {name}")
    parameter.check(value)
    if parameter.static and method == "immediate":
        raise InvalidParameterCombination("cannot use immediate apply method for static parameter")
    return parameter.name


_VARIABLES = ("AllocatedStorage", "DBInstanceClassMemory", "DBInstanceVCPU", "EndPointPort")
_TERM = re.compile(r"\{\s*(\w+)\s*(?:([*/])\s*(\d+)\s*)?\}$")
_CALL = re.compile(r"(GREATEST|LEAST|SUM)\s*\((.*)\)$", re.IGNORECASE)


def _evaluate(text: str, variables: Mapping[str, int]) -> int:
    """A formula's value: `{Variable}`, `{Variable/n}`, `{Variable*n}`, GREATEST, LEAST, SUM. Raises: InvalidParameterValue."""
    text = text.strip()
    if text.lstrip("-").isdigit():
        return int(text)
    term, call = _TERM.match(text), _CALL.match(text)
    if term is not None and term[1] in variables and not (term[2] == "/" and int(term[3]) == 0):
        value, factor = variables[term[1]], int(term[3] or 1)
        return value // factor if term[2] == "/" else value * factor
    if call is not None and "(" not in call[2]:
        values = [_evaluate(part, variables) for part in call[2].split(",")]
        name = call[1].upper()
        return max(values) if name == "GREATEST" else min(values) if name == "LEAST" else sum(values)
    raise InvalidParameterValue(f"Invalid formula: {text}")


def settings(ctx: Context, instance: Instance) -> dict[str, str]:
    """What the instance's class and parameter group make of the engine's settings, by name."""
    variables = {
        "AllocatedStorage": instance.storage_gb * classes.GIB,
        "DBInstanceClassMemory": classes.memory_bytes(instance.instance_class),
        "DBInstanceVCPU": classes.vcpus(instance.instance_class),
        "EndPointPort": instance.port,
    }
    given = {name: value for name, (value, _) in group_values(ctx, instance).items()}
    found: dict[str, str] = {}
    for name, value in {"max_connections": _MAX_CONNECTIONS, **given}.items():
        formula = "{" in value or "(" in value
        found[name] = str(_evaluate(value, variables)) if formula else value
    if found.pop("rds.logical_replication", "0") == "1":
        found["wal_level"] = "logical"
    return found


def live_settings(ctx: Context, instance: Instance) -> dict[str, str]:
    """What of that a running engine takes over: dynamic parameters that are to be applied at once; else what it has."""
    wanted, values, known = settings(ctx, instance), group_values(ctx, instance), family(ctx)
    found = {}
    for name in {**instance.applied, **wanted}:
        later = known[name].static or values.get(name, ("", "immediate"))[1] == "pending-reboot"
        source = instance.applied if later else wanted
        if name in source:
            found[name] = source[name]
    return found


def group_values(ctx: Context, instance: Instance) -> Mapping[str, tuple[str, str]]:
    """The values that the instance's group sets."""
    if instance.group == DEFAULT_GROUP:
        return {}
    group = ctx.tx.get(group_key(instance.account, instance.region, instance.group), Group)
    return group.values if group is not None else {}

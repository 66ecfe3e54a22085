"""DB instance classes: how much memory each stands for, which sets the default number of connections.

Source: RDS user guide, "Hardware specifications for DB instance classes" (read 2026-11).
"""

from __future__ import annotations

from cumulet.services.rds.errors import InvalidParameterValue

GIB = 1024**3

_BURSTABLE = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
_GENERAL = {
    "large": 8, "xlarge": 16, "2xlarge": 32, "4xlarge": 64, "8xlarge": 128, "12xlarge": 192, "16xlarge": 256,
    "24xlarge": 384,
}  # fmt: skip
_MEMORY = {size: 2 * memory for size, memory in _GENERAL.items()}
_FAMILIES = {
    **dict.fromkeys(("t3", "t4g"), _BURSTABLE),
    **dict.fromkeys(("m5", "m5d", "m6g", "m6gd", "m6i", "m6id", "m7g", "m7i", "m8g"), _GENERAL),
    **dict.fromkeys(("r5", "r5b", "r5d", "r6g", "r6gd", "r6i", "r6id", "r7g", "r7i", "r8g"), _MEMORY),
}
CLASSES: dict[str, int] = {
    f"db.{family}.{size}": memory for family, sizes in _FAMILIES.items() for size, memory in sizes.items()
}


def memory_bytes(instance_class: str) -> int:
    """Raises: InvalidParameterValue for a class that RDS for PostgreSQL does not have."""
    if instance_class not in CLASSES:
        raise InvalidParameterValue(f"Invalid DB Instance class: {instance_class}")
    return CLASSES[instance_class] * GIB


def vcpus(instance_class: str) -> int:
    """Virtual processors, for formulas in parameter groups."""
    size = instance_class.rpartition(".")[2]
    return int(size.removesuffix("xlarge")) * 4 if size[0].isdigit() else 4 if size == "xlarge" else 2

"""Amazon RDS: database instances on supervised engines."""

from __future__ import annotations

from cumulet.kernel.service import Service

SERVICE = Service("rds")

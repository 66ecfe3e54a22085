"""Amazon CloudWatch: metrics and alarms."""

from __future__ import annotations

from cumulet.kernel.service import Service

SERVICE = Service("cloudwatch")

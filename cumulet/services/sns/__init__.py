"""Amazon SNS: topics, subscriptions and deliveries."""

from __future__ import annotations

from cumulet.kernel.service import Service

SERVICE = Service("sns")

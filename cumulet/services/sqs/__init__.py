"""Amazon SQS: queues and their messages."""

from __future__ import annotations

from cumulet.kernel.service import Service

SERVICE = Service("sqs")

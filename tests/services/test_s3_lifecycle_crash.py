"""A lifecycle's sweep that is killed goes on where it was: every due object goes once, none that is not due."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any

import pytest

from .test_s3_notifications_crash import QUEUE, stored, told

pytestmark = pytest.mark.crash

OBJECTS = 450  # three steps


@pytest.mark.parametrize("point", ["timer.fire:2", "timer.fire:3", "store.commit:3", "store.committed:3"])
def test_a_killed_sweep_ends_after_the_restart(server_process: Any, point: str) -> None:
    server = server_process("--clock", "virtual").start()
    s3, sqs = server.client("s3"), server.client("sqs")
    s3.create_bucket(Bucket="shop")
    sqs.create_queue(QueueName="told")
    configuration = {"QueueArn": QUEUE, "Events": ["s3:LifecycleExpiration:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="shop", NotificationConfiguration={"QueueConfigurations": [configuration]}
    )
    rule = {"Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket="shop", LifecycleConfiguration={"Rules": [rule]})
    due = {f"tmp/{number}" for number in range(OBJECTS)}
    for key in (*due, "kept"):
        s3.put_object(Bucket="shop", Key=key, Body=b"")
    server.stop()
    server.start(crash_at=point)
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.advance(2 * 86_400)
    assert server.ended() != 0
    server.start()
    server.advance(2 * 86_400)
    assert stored(server) == {"kept"}
    keys = told(server)
    assert set(keys) == due and len(keys) == len(due)

"""boto3 clients for tests: one session for the whole process, because parsing the service models takes most of a client's start."""

from __future__ import annotations

import functools
import threading
import urllib.request
from typing import Any

_making = threading.Lock()  # a session makes one client at a time; the clients are for any thread


@functools.cache
def session() -> Any:
    """The session that all clients of this process come from."""
    import boto3

    return boto3.Session()


@functools.cache
def _client(endpoint: str, service: str) -> Any:
    from botocore.config import Config

    return session().client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            max_pool_connections=64,
            connect_timeout=60,
            read_timeout=120,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},  # it is on this machine, whatever the environment says of others
        ),
    )


def client(endpoint: str, service: str) -> Any:
    """A client for a cloud's service, made once; without retries, so that a test sees the first answer."""
    with _making:
        return _client(endpoint, service)


@functools.cache
def opener() -> urllib.request.OpenerDirector:
    """As `urllib.request.urlopen`, but never by way of a proxy: a test's cloud is on this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))

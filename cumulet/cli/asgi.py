"""The ASGI application for uvicorn or granian: `uvicorn cumulet.cli.asgi:app --port 4566`; see docs/gateway.md."""

from __future__ import annotations

import os

from cumulet.app import Cloud, Config
from cumulet.cli.client import data_dir
from cumulet.gateway.asgi import Asgi
from cumulet.gateway.server import is_loopback

_DEFAULT_HOST = "127.0.0.1"


def application() -> Asgi:
    """An application as the environment says: CUMULET_DATA, CUMULET_MEMORY, CUMULET_HOST, CUMULET_ACCOUNT, CUMULET_CLOCK,
    CUMULET_IAM, CUMULET_ENDPOINT."""
    environment = os.environ
    host = environment.get("CUMULET_HOST", _DEFAULT_HOST)
    config = Config(
        data=None if environment.get("CUMULET_MEMORY") else data_dir(None),
        host=host,
        virtual=environment.get("CUMULET_CLOCK") == "virtual",
        account=environment.get("CUMULET_ACCOUNT", "000000000000"),
        enforce=environment.get("CUMULET_IAM") == "enforce",
    )
    return Asgi(lambda: Cloud(config), verifies=not is_loopback(host), endpoint=environment.get("CUMULET_ENDPOINT", ""))


app = application()

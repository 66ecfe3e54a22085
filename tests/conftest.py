"""What all tests share."""

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ.pop("AWS_ENDPOINT_URL", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of servers are started: one compiles, the others read

# A slow machine is no failure, and a run repeats the one before it; `--hypothesis-profile=search` looks for what is new.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("search", settings.get_profile("suite"), derandomize=False, print_blob=True)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first: the quick tests are left to whoever has nothing to do at the end, and a module that
    shares a server is seldom spread over two processes."""

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("slow") is not None:
            return 0
        return 1 if "patterns" in item.path.parts or item.get_closest_marker("crash") is not None else 2

    items.sort(key=turn)

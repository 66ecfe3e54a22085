"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure, and a run repeats the one before it; `--hypothesis-profile=search` looks for what is new.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("search", settings.get_profile("suite"), derandomize=False, print_blob=True)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with modules that take long, and has quick tests left to give away: pytest-xdist splits the list
    evenly, and takes from the end of a part what another process then does."""
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    long = sorted((module for module in modules.values() if any(map(_takes_long, module))), key=_slow, reverse=True)
    quick = [item for module in modules.values() if module not in long for item in module]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ordered: list[pytest.Item] = []
    for number in range(processes):
        first = [item for module in long[number::processes] for item in module]
        rest = max(0, (len(items) - len(ordered)) // (processes - number) - len(first))
        ordered += first + quick[:rest]
        del quick[:rest]
    items[:] = ordered + quick


def _takes_long(item: pytest.Item) -> bool:
    return "patterns" in item.path.parts or item.get_closest_marker("crash") is not None


def _slow(module: list[pytest.Item]) -> int:
    return sum(item.get_closest_marker("slow") is not None for item in module)

"""What the patterns' tests share."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def pattern(request):
    """The drive.py beside the test."""
    path = request.path.with_name("drive.py")
    spec = importlib.util.spec_from_file_location(f"drive_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

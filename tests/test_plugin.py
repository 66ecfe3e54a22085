"""The pytest plugin as users have it: the README's example runs, every test gets an empty cloud and a clock of its own."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_readmes_example_runs(aws, clock):
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    names = {}
    exec(block, names)
    names["test_an_item_is_stored"](aws, clock)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_begins_empty(aws, turn):
    """C12: an isolated cloud for each test."""
    s3 = aws("s3")
    assert s3.list_buckets()["Buckets"] == []
    s3.create_bucket(Bucket="left-behind")


def test_the_clock_moves_only_when_it_is_told(aws, clock):
    before = clock.now()
    aws("sts").get_caller_identity()
    assert clock.now() == before
    clock.advance(86_400)
    assert clock.now() == before + 86_400

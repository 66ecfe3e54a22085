"""What the console's tests share: the patterns, deployed, and the map as a person reads it."""

import importlib.util
import json
import urllib.request
from pathlib import Path

import pytest

PATTERNS = Path(__file__).parents[2] / "patterns"


class Seen:
    """A map by labels: `nodes` as {(kind, label)}, `edges` as {(from, kind, to): edge}; a lost edge's kind is "lost"."""

    def __init__(self, found):
        self.found = found
        labels = {node["id"]: node["label"] for node in found["nodes"]}
        self.nodes = {(node["kind"], node["label"]) for node in found["nodes"]}
        self.members = {node["label"] for node in found["nodes"] if node["member"]}
        self.edges = {
            (labels[edge["from"]], "lost" if edge["lost"] else edge["kind"], labels[edge["to"]]): edge
            for edge in found["edges"]
        }
        assert len(self.edges) == len(found["edges"]), "labels are ambiguous"

    @property
    def counts(self):
        return {place: (edge["count"], edge["errors"]) for place, edge in self.edges.items()}


@pytest.fixture
def read(cloud):
    """`read("shop")`: the map of a stack."""

    def look(stack="", **more):
        query = "&".join(f"{name}={value}" for name, value in {"stack": stack, **more}.items())
        with urllib.request.urlopen(f"{cloud.endpoint}/_cumulet/map?{query}", timeout=60) as answer:
            assert answer.headers["content-type"] == "application/json"
            return Seen(json.load(answer))

    return look


@pytest.fixture
def pattern():
    """`pattern("05")`: the drive.py of a pattern."""

    def load(number):
        (folder,) = PATTERNS.glob(f"{number}-*")
        spec = importlib.util.spec_from_file_location(f"drive_{number}", folder / "drive.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load

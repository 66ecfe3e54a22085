"""Where the map's nodes and edges go: in layers from left to right, by the direction of the calls.

Cycles are cut where a walk from the client meets them, a node stands one layer behind the farthest of its callers, and an edge
that passes a layer gets a place in it, so that it runs under no node. Within a layer, each is near the middle of its neighbours.
What has no edges stands in rows below.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 176, 54
_GAP_X, _GAP_Y, _LANE = 210, 34, 26
_MARGIN = 24
_PORT = 15.0  # between the ends of edges on one side of a node
_BEND = 70  # how much of the way between two nodes an edge takes to come to the other's height
_SWEEPS = 8
_ROW = 5  # nodes without edges, beside each other

Point = tuple[float, float]
Line = tuple[str, str]


@dataclass
class Layout:
    """Where a node's box begins; by an edge's number the points that it passes, from its caller on, and its label's place."""

    width: float = 0.0
    height: float = 0.0
    boxes: dict[str, Point] = field(default_factory=dict)
    routes: dict[int, list[Point]] = field(default_factory=dict)
    labels: dict[int, Point] = field(default_factory=dict)


def arrange(nodes: Sequence[str], edges: Sequence[Line]) -> Layout:
    """Places for nodes, and for edges (from, to); several may join the same two. An edge from a node to itself is a loop on it."""
    lines = [(number, *line) for number, line in enumerate(edges) if line[0] != line[1]]
    joined = {end for _, *ends in lines for end in ends} | {a for a, b in edges if a == b}
    ahead = _forward([node for node in nodes if node in joined], [(a, b) for _, a, b in lines])
    layers = _layers([node for node in nodes if node in joined], ahead)
    rows, chains = _rows([node for node in nodes if node in joined], layers, ahead)
    _order(rows, ahead, chains)
    layout = _place(rows)
    _route(layout, lines, chains)
    for number, (a, b) in enumerate(edges):
        if a == b:
            x, y = layout.boxes[a]
            layout.routes[number] = [(x + WIDTH * 0.6, y), (x + WIDTH * 0.8, y)]
            layout.labels[number] = (x + WIDTH * 0.7, y - 18)
    _below(layout, [node for node in nodes if node not in joined])
    for name in [name for name in layout.boxes if "\0" in name]:
        del layout.boxes[name]
    return layout


def _forward(nodes: Sequence[str], lines: Sequence[Line]) -> list[Line]:
    """The edges without double ones and without cycles: what closes one is turned round."""
    callees: dict[str, list[str]] = {node: [] for node in nodes}
    called = set()
    for a, b in dict.fromkeys(lines):
        callees[a].append(b)
        called.add(b)
    state: dict[str, int] = {}  # 1: on the way, 2: done
    kept: dict[Line, None] = {}
    for start in (*(node for node in nodes if node not in called), *nodes):
        if start in state:
            continue
        state[start] = 1
        path = [(start, iter(callees[start]))]
        while path:
            node, following = path[-1]
            for other in following:
                kept[(other, node) if state.get(other) == 1 else (node, other)] = None
                if other not in state:
                    state[other] = 1
                    path.append((other, iter(callees[other])))
                    break
            else:
                state[node] = 2
                path.pop()
    return list(kept)


def _layers(nodes: Sequence[str], ahead: Sequence[Line]) -> dict[str, int]:
    """How many calls away from its farthest caller a node is; a caller that nobody calls stands right before its first callee."""
    callers: dict[str, list[str]] = {node: [] for node in nodes}
    callees: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in ahead:
        callers[b].append(a)
        callees[a].append(b)
    left = {node: len(callers[node]) for node in nodes}
    ready = [node for node in nodes if not left[node]]
    layers = dict.fromkeys(nodes, 0)
    while ready:
        node = ready.pop()
        for other in callees[node]:
            layers[other] = max(layers[other], layers[node] + 1)
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    for node in nodes:
        if not callers[node] and callees[node]:
            layers[node] = min(layers[other] for other in callees[node]) - 1
    return layers


def _rows(
    nodes: Sequence[str], layers: dict[str, int], ahead: Sequence[Line]
) -> tuple[list[list[str]], dict[Line, list[str]]]:
    """The layers' members from top to bottom, and each edge's places in the layers that it passes."""
    rows: list[list[str]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for node in nodes:
        rows[layers[node]].append(node)
    chains: dict[Line, list[str]] = {}
    for a, b in ahead:
        chains[a, b] = [f"{a}\0{b}\0{layer}" for layer in range(layers[a] + 1, layers[b])]
        for layer, name in enumerate(chains[a, b], layers[a] + 1):
            rows[layer].append(name)
    return rows, chains


def _order(rows: list[list[str]], ahead: Sequence[Line], chains: dict[Line, list[str]]) -> None:
    """Sort each layer by the middle of its members' neighbours, to and fro."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for a, b in ahead:
        steps = [a, *chains[a, b], b]
        for near, far in itertools.pairwise(steps):
            after.setdefault(near, []).append(far)
            before.setdefault(far, []).append(near)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        numbers = range(1, len(rows)) if forth else range(len(rows) - 2, -1, -1)
        for number in numbers:
            beside = rows[number - 1 if forth else number + 1]
            neighbours = before if forth else after
            places = {name: (place + 0.5) / len(beside) for place, name in enumerate(beside)}
            row = rows[number]
            own = {name: (place + 0.5) / len(row) for place, name in enumerate(row)}
            means = {}
            for name in row:
                seen = [places[other] for other in neighbours.get(name, ()) if other in places]
                means[name] = sum(seen) / len(seen) if seen else own[name]
            row.sort(key=lambda name, means=means: means[name])  # type: ignore[misc]


def _place(rows: list[list[str]]) -> Layout:
    layout = Layout()
    heights = [sum(_LANE if "\0" in name else HEIGHT for name in row) + _GAP_Y * (len(row) - 1) for row in rows]
    tallest = max(heights, default=0)
    for number, row in enumerate(rows):
        x, y = _MARGIN + number * (WIDTH + _GAP_X), _MARGIN + (tallest - heights[number]) / 2
        for name in row:
            layout.boxes[name] = (x, y)
            y += (_LANE if "\0" in name else HEIGHT) + _GAP_Y
    layout.width = 2 * _MARGIN + len(rows) * WIDTH + max(0, len(rows) - 1) * _GAP_X if rows else 2 * _MARGIN
    layout.height = 2 * _MARGIN + tallest
    return layout


def _route(layout: Layout, lines: Sequence[tuple[int, str, str]], chains: dict[Line, list[str]]) -> None:
    """The way of each edge; where several end on a side of a node, they are spread in the order of where they come from."""
    ends: dict[
        tuple[str, bool], list[tuple[float, int]]
    ] = {}  # (node, its right side) -> (height of the next point, edge)
    ways: dict[int, tuple[bool, list[str]]] = {}
    for number, a, b in lines:
        turned = (a, b) not in chains
        left, right = (b, a) if turned else (a, b)
        way = [left, *chains[left, right], right]
        ways[number] = turned, way
        ends.setdefault((left, True), []).append((_middle(layout, way[1]), number))
        ends.setdefault((right, False), []).append((_middle(layout, way[-2]), number))
    ports: dict[tuple[str, bool, int], float] = {}
    for (node, side), others in ends.items():
        step = min(_PORT, (HEIGHT - 12) / max(1, len(others) - 1))
        for place, (_, number) in enumerate(sorted(others)):
            ports[node, side, number] = (place - (len(others) - 1) / 2) * step
    for number, (turned, way) in ways.items():
        left, right = way[0], way[-1]
        begin = (layout.boxes[left][0] + WIDTH, _middle(layout, left) + ports[left, True, number])
        end = (layout.boxes[right][0], _middle(layout, right) + ports[right, False, number])
        points = [begin]
        for name in way[1:-1]:
            x = layout.boxes[name][0]
            y = _middle(layout, name) + max(-_LANE / 2, min(_LANE / 2, ports[left, True, number]))
            points += [(x, y), (x + WIDTH, y)]
        if len(points) == 1:  # it bends where more edges end, and runs on where there is room for its label
            early = len(ends[left, True]) >= len(ends[right, False])
            points.append((begin[0] + _BEND, end[1]) if early else (end[0] - _BEND, begin[1]))
        points.append(end)
        layout.routes[number] = points[::-1] if turned else points
        runs = [(b[0] - a[0], (a[0] + b[0]) / 2, a[1]) for a, b in itertools.pairwise(points) if a[1] == b[1]]
        _, x, y = max(runs)
        layout.labels[number] = (x, y)


def _middle(layout: Layout, name: str) -> float:
    return layout.boxes[name][1] + (_LANE if "\0" in name else HEIGHT) / 2


def _below(layout: Layout, alone: Sequence[str]) -> None:
    """Nodes without edges, in rows."""
    top = layout.height if layout.boxes else _MARGIN
    step = WIDTH + _GAP_Y
    for number, node in enumerate(alone):
        layout.boxes[node] = (_MARGIN + number % _ROW * step, top + number // _ROW * (HEIGHT + _GAP_Y))
    if alone:
        columns = min(_ROW, len(alone))
        layout.width = max(layout.width, 2 * _MARGIN + columns * step - _GAP_Y)
        layout.height = top + (len(alone) - 1) // _ROW * (HEIGHT + _GAP_Y) + HEIGHT + _MARGIN

"""The map as SVG, with the marks of the patterns' own drawings.

A large arrow is an asynchronous call; two small ones, there and back, are a synchronous one; red ones carry errors: calls that
failed, or what goes to a dead-letter queue. Colours are in static/map.css.
"""

from __future__ import annotations

import itertools
from html import escape
from importlib.resources import files

from cumulet.console.layout import HEIGHT, WIDTH, Layout, Point, arrange
from cumulet.console.map import Held, Map, edge_id, kind_of
from cumulet.console.observed import Edge
from cumulet.console.resources import Resource

_LABEL_CHARACTERS = 24
_SORT_CHARACTERS = 27
_ERROR_CHARACTERS = 22
_APART = 3.5  # half the distance of the two arrows of a synchronous call
_MARKS = {"small": (7, 6), "large": (15, 15)}  # arrow heads: length, width
_NOTHING = "Nothing is deployed and nothing was called yet."


def draw(found: Map, style: bool = True) -> bytes:
    """The map. `style` False leaves the colours to the page around it."""
    layout = arrange(
        [node.id for node in found.nodes], [(edge.place.origin, edge.place.target) for edge in found.edges]
    )
    width, height = (layout.width, layout.height) if found.nodes else (480.0, 80.0)
    names = {node.id: node.label for node in found.nodes}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="map" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="group" aria-label="{_text(f"Map of {found.stack}" if found.stack else "Map")}">'
    ]
    if style:
        parts.append(f"<style>{style_sheet()}</style>")
    parts.append(_heads())
    if not found.nodes:
        parts.append(f'<text class="nothing" x="24" y="44">{_NOTHING}</text>')
    for number, edge in enumerate(found.edges):
        parts.append(_edge(edge, layout.routes[number], layout.labels[number], names, found.now))
    parts += [_node(node, layout, found.held.get(node.id)) for node in found.nodes]
    parts.append("</svg>")
    return "".join(parts).encode()


def style_sheet() -> str:
    return files("cumulet.console").joinpath("static/map.css").read_text("utf-8")


def _text(value: str) -> str:
    """For XML: escaped, without the control characters that XML has no way to write."""
    return escape("".join(c for c in value if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff"))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _heads() -> str:
    heads = [
        f'<marker id="{name}{error}" class="head{error.replace("-", " ")}" viewBox="0 0 10 10" refX="1" refY="5" '
        f'markerWidth="{length}" markerHeight="{breadth}" markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 0L10 5L0 10z"/></marker>'
        for name, (length, breadth) in _MARKS.items()
        for error in ("", "-error")
    ]
    return f"<defs>{''.join(heads)}</defs>"


def _node(node: Resource, layout: Layout, held: Held | None) -> str:
    x, y = layout.boxes[node.id]
    classes = f"node {node.kind.replace(' ', '-')}{'' if node.member else ' outside'}"
    sort, said = node.kind, f"{node.kind} {node.label}"
    if held is not None and any(held):
        counts = zip(held, ("waiting", "in flight", "delayed"), strict=True)
        words = ", ".join(f"{count} {word}" for count, word in counts if count)
        sort, said, classes = f"{sort}: {words}", f"{said}, {words}", f"{classes} full"
    return (
        f'<g class="{_text(classes)}" data-id="{_text(node.id)}" tabindex="0" role="button" '
        f'aria-label="{_text(said)}" transform="translate({x:g} {y:g})">'
        f"<title>{_text(f'{node.kind} {node.name}')}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8"/><rect class="kind" width="6" height="{HEIGHT}" rx="3"/>'
        f'<text class="label" x="16" y="24">{_text(_short(node.label, _LABEL_CHARACTERS))}</text>'
        f'<text class="sort" x="16" y="42">{_text(_short(sort, _SORT_CHARACTERS))}</text></g>'
    )


def _edge(edge: Edge, route: list[Point], at: Point, names: dict[str, str], now: float) -> str:
    place, kind = edge.place, kind_of(edge)
    failing = edge.errors > 0 or place.lost
    error = "-error" if failing else ""
    said = f"{names[place.origin]} to {names[place.target]}, {kind}, {_counted(edge.count, 'call')}"
    if edge.errors:
        said += f", {_counted(edge.errors, 'error')}"
    if edge.failure is not None:
        said += f", last {edge.failure.code}"
    loop = place.origin == place.target
    head = _MARKS["large" if kind == "async" else "small"][0] - 1
    ways = [_loop(route, head)] if loop else [_curve(route, 0.0, head)]
    if kind == "async":
        arrows = f'<path class="arrow" d="{ways[0]}" marker-end="url(#large{error})"/>'
    else:
        if not loop:
            ways = [_curve(route, -_APART, head), _curve(route[::-1], -_APART, head)]
        arrows = "".join(f'<path class="arrow" d="{way}" marker-end="url(#small{error})"/>' for way in ways)
    return (
        f'<g class="edge {kind}{" error" if failing else ""}{" lost" if place.lost else ""}" data-id="{_text(edge_id(edge))}" '
        f'tabindex="0" role="button" aria-label="{_text(said)}"><title>{_text(said)}</title>'
        f'<path class="hit" d="{ways[0]}"/>{arrows}{_label(edge, at, now)}</g>'
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _label(edge: Edge, place: Point, now: float) -> str:
    """How often, how often in the last minute, how long; and what went wrong, beneath."""
    x, y = place[0], place[1] - 8
    text = f"{edge.count}× · {edge.last_minute(now)}/min · {_duration(edge.quantile(0.5))}"
    label = f'<text class="rate" x="{x:g}" y="{y:g}">{_text(text)}</text>'
    if edge.failure is not None:
        wrong = _short(f"{edge.errors}× {edge.failure.code}", _ERROR_CHARACTERS)
        label += f'<text class="rate wrong" x="{x:g}" y="{y + 24:g}">{_text(wrong)}</text>'
    return label


def _duration(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _curve(route: list[Point], aside: float, head: float) -> str:
    """A smooth path through the points, moved to its left by `aside`, that leaves room for an arrow's head at its end."""
    sign = 1.0 if route[0][0] <= route[-1][0] else -1.0
    points = [(x, y + aside * sign) for x, y in route]
    points[-1] = (points[-1][0] - head * sign, points[-1][1])
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = (x1 + x2) / 2
        path += f"L{x2:g} {y2:g}" if y1 == y2 else f"C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"
    return path


def _loop(route: list[Point], head: float) -> str:
    (x1, y1), (x2, y2) = route
    return f"M{x1:g} {y1:g}C{x1:g} {y1 - 22:g} {x2:g} {y2 - 22:g} {x2:g} {y2 - head:g}"

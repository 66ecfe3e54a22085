"""The drawing: its marks, its layout, and that what it shows stays text. Checklist: A4."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cumulet.console.drawing import draw, style_sheet
from cumulet.console.layout import HEIGHT, WIDTH, arrange
from cumulet.console.map import Map
from cumulet.console.observed import Edge, Place
from cumulet.console.resources import resource
from cumulet.kernel.trace import Tracer

SVG = "{http://www.w3.org/2000/svg}"
API, CODE, TABLE = "execute-api:a1", "arn:aws:lambda:us-east-1:1:function:f", "arn:aws:dynamodb:us-east-1:1:table/tab"
DEAD = "arn:aws:sqs:us-east-1:1:dead"


def edge(origin, target, *, asynchronous=False, lost=False, status="ok", calls=1):
    made, tracer = Edge(Place(origin, target, asynchronous, lost)), Tracer()
    for _ in range(calls):
        span = tracer.begin("x", "call", 100.0)
        tracer.end(span, status, "it broke")
        made.add(span)
    return made


def drawn(*edges, labels=None, style=True):
    ids = dict.fromkeys(end for each in edges for end in (each.place.origin, each.place.target))
    nodes = tuple(resource(id_, (labels or {}).get(id_, ""), True) for id_ in ids)
    return ET.fromstring(draw(Map("shop", 100.0, 50.0, 0, nodes, tuple(edges)), style))


def groups(picture, name):
    return [each for each in picture.iter(f"{SVG}g") if name in each.get("class").split()]


def arrows(group):
    return [path for path in group.iter(f"{SVG}path") if path.get("class") == "arrow"]


def ends(path):
    """(first x, last x) of a path."""
    numbers = [float(x) for x in re.findall(r"[\d.]+", path.get("d"))]
    return numbers[0], numbers[-2]


def test_an_asynchronous_request_is_one_large_arrow():
    """A4: "A large black arrow represents an asynchronous request"."""
    (group,) = groups(drawn(edge(CODE, DEAD, asynchronous=True)), "edge")
    assert group.get("class") == "edge async"
    (arrow,) = arrows(group)
    assert arrow.get("marker-end") == "url(#large)"
    begin, end = ends(arrow)
    assert begin < end


def test_a_synchronous_request_is_two_small_arrows_there_and_back():
    """A4: "The two smaller black arrows represents a synchronous request"."""
    (group,) = groups(drawn(edge(CODE, TABLE)), "edge")
    assert group.get("class") == "edge sync"
    there, back = arrows(group)
    assert there.get("marker-end") == back.get("marker-end") == "url(#small)"
    assert ends(there)[0] < ends(there)[1] and ends(back)[0] > ends(back)[1]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_errors_are_red_and_named(asynchronous):
    """A4: "Red arrows indicate errors"; the kind stays visible."""
    fine, failing = edge(API, CODE), edge(CODE, TABLE, asynchronous=asynchronous, status="Throttled", calls=3)
    groups_ = groups(drawn(fine, failing), "edge")
    assert ["error" in each.get("class").split() for each in groups_] == [False, True]
    heads = {arrow.get("marker-end") for arrow in arrows(groups_[1])}
    assert heads == {"url(#large-error)" if asynchronous else "url(#small-error)"}
    assert "3× Throttled" in "".join(groups_[1].itertext())
    assert groups_[1].get("aria-label").endswith("3 calls, 3 errors, last Throttled")


def test_what_failed_goes_to_its_queue_on_a_red_arrow():
    """A4: a dead letter is an error on its way, though its delivery succeeds."""
    (group,) = groups(drawn(edge(CODE, DEAD, asynchronous=True, lost=True)), "edge")
    assert group.get("class") == "edge async error lost"
    assert [arrow.get("marker-end") for arrow in arrows(group)] == ["url(#large-error)"]


def test_the_styles_make_the_marks_differ():
    """A4: thick and thin, black and red, in light and in dark; every head that is used is there."""
    style = style_sheet()
    thin = float(re.search(r"\.sync \.arrow \{ stroke-width: ([\d.]+)", style)[1])
    thick = float(re.search(r"\.async \.arrow \{ stroke-width: ([\d.]+)", style)[1])
    assert thick > 3 * thin
    assert re.search(r"\.map \.arrow \{[^}]*stroke: var\(--ink\)", style)
    assert re.search(r"\.map \.error \.arrow \{ stroke: var\(--red\)", style)
    assert style.count("--red:") == style.count("--ink:") == 2 and "prefers-color-scheme: dark" in style
    picture = drawn(edge(CODE, TABLE))
    assert {marker.get("id") for marker in picture.iter(f"{SVG}marker")} == {
        "small",
        "large",
        "small-error",
        "large-error",
    }
    assert style in "".join(picture.find(f"{SVG}style").itertext())
    assert drawn(edge(CODE, TABLE), style=False).find(f"{SVG}style") is None


def test_names_are_text_whatever_is_in_them():
    evil = "<script>alert(1)</script>&\"'\x00\x1b"
    picture = drawn(edge(API, CODE, status=evil), labels={API: evil, CODE: 'x" onload="alert(1)'})
    assert not list(picture.iter(f"{SVG}script"))
    assert not [name for each in picture.iter() for name in each.attrib if name.lower().startswith("on")]
    assert "api <script>alert(1)</script>&\"'" in {each.get("aria-label") for each in groups(picture, "node")}


def test_nodes_and_edges_can_be_reached_by_keyboard():
    picture = drawn(edge(API, CODE), edge(CODE, TABLE))
    reachable = groups(picture, "node") + groups(picture, "edge")
    assert len(reachable) == 5
    for each in reachable:
        assert (each.get("tabindex"), each.get("role")) == ("0", "button") and each.get("aria-label")


def test_an_empty_map_says_so():
    picture = ET.fromstring(draw(Map("", 1.0, 1.0, 0, (), ())))
    assert "Nothing is deployed" in "".join(picture.itertext())


names = st.integers(0, 9).map(str)
graphs = st.tuples(st.lists(names, unique=True), st.lists(st.tuples(names, names), max_size=24))


@given(graphs)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_two_nodes_overlap_and_every_edge_joins_its_two(graph):
    """A4: readable for any calls, cycles and doubles among them."""
    alone, edges = graph
    nodes = list(dict.fromkeys([*alone, *(end for line in edges for end in line)]))
    layout = arrange(nodes, edges)
    assert layout.boxes.keys() == set(nodes)
    for (x1, y1), (x2, y2) in combinations(layout.boxes.values(), 2):
        assert abs(x1 - x2) >= WIDTH or abs(y1 - y2) >= HEIGHT
    for x, y in layout.boxes.values():
        assert 0 <= x <= layout.width - WIDTH and 0 <= y <= layout.height - HEIGHT
    assert layout.routes.keys() == layout.labels.keys() == set(range(len(edges)))
    for number, (a, b) in enumerate(edges):
        for (x, y), node in zip((layout.routes[number][0], layout.routes[number][-1]), (a, b), strict=True):
            left, top = layout.boxes[node]
            assert left <= x <= left + WIDTH and top <= y <= top + HEIGHT
        for (x1, y1), (x2, y2) in zip(layout.routes[number], layout.routes[number][1:], strict=False):
            for left, top in layout.boxes.values() if y1 == y2 and a != b else ():
                inside = min(x1, x2) < left + WIDTH and max(x1, x2) > left and top < y1 < top + HEIGHT
                assert not inside, "an edge runs under a node"


@given(st.lists(st.tuples(names, names).filter(lambda line: line[0] < line[1]), min_size=1, max_size=24))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_calls_go_from_left_to_right(edges):
    layout = arrange(sorted({end for line in edges for end in line}), edges)
    for a, b in edges:
        assert layout.boxes[a][0] + WIDTH < layout.boxes[b][0]

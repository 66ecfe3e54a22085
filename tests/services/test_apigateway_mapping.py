"""Mapping templates (VTL), JSONPath, MOCK and AWS integrations, imports."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway import jsonpath
from cumulet.services.apigateway.vtl import Template
from cumulet.services.apigateway.vtl_values import Host, JsonMap, TemplateError, from_json


def made(source: str, **variables: Any) -> str:
    return Template(source).run(variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain $5 #1 text", "plain $5 #1 text"),
        ("$a.b ${a.b}x $!none|$none|${none}", "1 1x |$none|${none}"),
        ("#set($x = 3)$x", "3"),
        ("#set($x = 'a')#set($y = \"${x}-${x}b\")$y", "a-ab"),
        ("#set($x = '$a.b')$x", "$a.b"),
        ("#if($a.b == 1)yes#{else}no#end", "yes"),
        ("#if($none)1#elseif($a.b > 0 && !$none)2#else 3#end", "2"),
        ("#if('' || false)t#{else}f#end", "t"),
        ("#foreach($i in $list)$i#if($foreach.hasNext),#end#end", "x,y,z"),
        ("#foreach($i in [1..4])#if($i == 3)#break#end$foreach.index:$i #end.", "0:1 1:2 ."),
        ("#foreach($k in $a.keySet())$k=$a.get($k)#end", "b=1"),
        ("#foreach($e in $a.entrySet())$e.key=$e.value#end", "b=1"),
        ("#set($m = {'k': 1, \"l\": [2, 'x']})$m.k $m['l'][1] $m $m.l.size()", "1 x {k=1, l=[2, x]} 2"),
        ("#set($m = {})#set($m.k = 'v')$!m.put('z', 1)$m.k $m.containsKey('z')", "v true"),
        ("#set($l = [])#set($ok = $l.add('a'))$l.size() $l.get(0) $ok", "1 a true"),
        ("#set($x = 7 / 2 + 7 % 4 * 2 - (1 + 1))$x", "7"),
        ("#set($x = -7 / 2)$x", "-3"),
        (
            "$s.toUpperCase().substring(1,3) $s.length() $s.replaceAll('(l+)', '<$1>') $s.split('l')",
            "EL 5 he<ll>o [he, , o]",
        ),
        ("$s.indexOf('l') $s.contains('ell') $s.isEmpty() $s.equals('hello')", "2 true false true"),
        ("a## comment\nb#* multi\nline *#c#[[ $raw #if ]]#", "ab c".replace(" ", "") + " $raw #if "),
        (r"\$a \#if", r"$a #if"),
        ("#set($x = 1)\n#if(true)\nline\n#end\nend", "line\nend"),
        ("one#stop two", "one"),
        ("$j $j.list[0]", '{"list":[{"a":null}],"b":true} {"a":null}'),
        ("$list.get(9)|$a.b.c|$s.getClass()|$s.__class__", "$list.get(9)|$a.b.c|$s.getClass()|$s.__class__"),
        ("#if(1 lt 2 and 2 ge 2 and not (1 eq 2))ok#end", "ok"),
        ("#set( $q = 'it''s' )$q", "it's"),
        ("$x.y.z()${", "$x.y.z()${"),
    ],
)
def test_templates_run_as_velocity_does(source: str, expected: str) -> None:
    j = from_json({"list": [{"a": None}], "b": True})
    assert made(source, a={"b": 1}, list=["x", "y", "z"], s="hello", j=j) == expected


@pytest.mark.parametrize(
    "source", ["#if(true)", "#set($x)", "#foreach($x of $y)#end", "#macro(x)#end", "#set($x = 'a)", "$a.b(", "#else"]
)
def test_bad_templates_are_refused(source: str) -> None:
    with pytest.raises(TemplateError):
        Template(source)


def test_templates_cannot_reach_python() -> None:
    host = Host({"json": lambda path: path})
    source = "$h.methods $h.__init__ $h.json.__globals__ $m.__class__ $m.get('x').__class__ $h.json('a').format('b')"
    assert made(source, h=host, m=JsonMap()) == source


def test_loops_are_bounded() -> None:
    with pytest.raises(TemplateError):
        made("#foreach($i in $many)#end", many=list(range(1001)))
    with pytest.raises(TemplateError):
        made("#set($x = [1..1000000000])")
    with pytest.raises(TemplateError):
        made("#foreach($i in [1..1000])#foreach($j in [1..1000])#end#end")
    with pytest.raises(TemplateError):
        made("#set($x = 'ab')#foreach($i in [1..100])#set($x = \"$x$x\")#end")
    with pytest.raises(TemplateError):
        made("#set($x = " + "(" * 5000 + "1" + ")" * 5000 + ")")


@settings(max_examples=200)
@given(st.text(alphabet="$#{}()[]!.'\"ab=1 \n\\", max_size=30))
def test_any_text_is_a_template_or_a_template_error(source: str) -> None:
    with contextlib.suppress(TemplateError):
        Template(source).run({"a": "1"})


_BOOKS = {"a": {"b": [{"n": 1, "t": "x"}, {"n": 2, "t": "y", "deep": {"n": 3}}], "c.d": 4}, "l": [1, 2, 3]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", _BOOKS), ("$.a.b[0].n", 1), ("$.a.b[-1].t", "y"), ("$['a']['c.d']", 4), ("$.a.none", None), ("$.l[9]", None),
        ("$.a.b[*].n", [1, 2]), ("$..n", [1, 2, 3]), ("$.l[1:]", [2, 3]), ("$.a.b[?(@.n == 2)].t", ["y"]),
        ("$.a.b[?(@.t != 'x')].n", [2]), ("$.a.b[?(@.deep.n)].n", [2]), ("$.l[*]", [1, 2, 3]), ("a.b[1].n", 2),
    ],
)  # fmt: skip
def test_json_paths_find(path: str, expected: Any) -> None:
    assert jsonpath.find(_BOOKS, path) == expected


def test_bad_json_paths_are_refused() -> None:
    with pytest.raises(jsonpath.BadPath):
        jsonpath.find({}, "$.a[")


def test_json_prints_as_json() -> None:
    assert json.loads(made("$x", x=from_json({"é": [1, 'a"b', {"c": 1.5}]}))) == {"é": [1, 'a"b', {"c": 1.5}]}

"""The Velocity Template Language, as mapping templates use it: parsed once into closures, then run.

Text, references (`$a.b`, `${a}`, `$!a`, `$a[0]`, `$a.method(x)`), `#set`, `#if #elseif #else #end`, `#foreach` with
`$foreach`, `#break`, `#stop`, comments. No macros, no includes, and nothing reaches Python: values have the methods of
vtl_values and no others. Source: Velocity user guide 1.7; API Gateway developer guide, "Mapping templates" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cumulet.services.apigateway.vtl_values import (
    TemplateError,
    arithmetic,
    bounded,
    call,
    equal,
    index,
    member,
    order,
    render,
)

Scope = dict[str, Any]
Expression = Callable[[Scope], Any]
Node = Callable[[Scope, list[str]], None]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_REFERENCE = re.compile(r"\$(!?)(\{?)(?=[A-Za-z_])")
_DIRECTIVE = re.compile(
    r"#(?:\{(\w+)\}|(set|if|elseif|else|end|foreach|break|stop|return|macro|parse|include|define|evaluate)\b)"
)
_SPACE = re.compile(r"\s*")
_LINE_END = re.compile(r"[ \t]*\r?\n")
_NUMBER = re.compile(r"\d+\.\d+|\d+")
_COMPARE = {"==": "==", "!=": "!=", "<=": "<=", ">=": ">=", "<": "<", ">": ">", "eq": "==", "ne": "!=", "le": "<=",
            "ge": ">=", "lt": "<", "gt": ">"}  # fmt: skip
_EMPTY_ROOTS = frozenset(("input", "context", "stageVariables", "util"))  # print nothing where they are null
LOOPS_MAX, TURNS_MAX = 1000, 100_000
_TURNS = "#turns"  # no template can name it


class _Break(Exception):  # no error: it leaves a loop
    pass


class _Stop(Exception):
    pass


class Template:
    """A parsed template. Raises: TemplateError."""

    def __init__(self, source: str) -> None:
        try:
            self._nodes = _Parser(source).template()
        except RecursionError as error:
            raise TemplateError("the template is nested too deeply") from error

    def run(self, variables: Scope) -> str:
        """The text that the template makes. Raises: TemplateError."""
        out: list[str] = []
        scope = dict(variables)
        try:
            for node in self._nodes:
                node(scope, out)
        except (_Stop, _Break):
            pass
        except RecursionError as error:
            raise TemplateError("the template is nested too deeply") from error
        return "".join(out)


def _text(text: str) -> Node:
    return lambda scope, out: out.append(text)


def _printed(value: Expression, source: str, root: str, quiet: bool) -> Node:
    missing = "" if quiet or root in _EMPTY_ROOTS else source

    def run(scope: Scope, out: list[str]) -> None:
        found = value(scope)
        out.append(missing if found is None else render(found))

    return run


def _true(value: Any) -> bool:
    return value is not None and value is not False


class _Parser:
    def __init__(self, source: str) -> None:
        self.s = source
        self.at = 0

    def template(self) -> list[Node]:
        nodes, ended = self._block(())
        assert ended is None
        return nodes

    def _fail(self, what: str) -> TemplateError:
        line = self.s.count("\n", 0, self.at) + 1
        return TemplateError(f"{what} at line {line}")

    # text and directives

    def _block(self, ends: tuple[str, ...]) -> tuple[list[Node], str | None]:
        """Nodes up to a directive in `ends`, which is consumed and returned; None at the end of the source."""
        nodes: list[Node] = []
        start = self.at
        while self.at < len(self.s):
            found = self._special()
            if found is None:
                self.at += 1
                continue
            kind, match = found
            if self.at > start:
                nodes.append(_text(self.s[start : self.at]))
            self.at = match.end()
            if kind == "directive":
                name = match.group(1) or match.group(2)
                if name in ends:
                    return nodes, name
                node = self._directive(name)
            elif kind == "reference":
                node = self._reference_node(match)
            else:
                node = _text(match.group(1) if match.lastindex else "")
            nodes.append(node)
            start = self.at
        if self.at > start:
            nodes.append(_text(self.s[start : self.at]))
        if ends:
            raise self._fail("#end is missing")
        return nodes, None

    def _special(self) -> tuple[str, re.Match[str]] | None:
        letter = self.s[self.at]
        if letter == "$":
            match = _REFERENCE.match(self.s, self.at)
            return ("reference", match) if match else None
        if letter == "\\":
            match = re.compile(r"\\([$#])(?=[!{A-Za-z_])").match(self.s, self.at)
            return ("escape", match) if match else None
        if letter != "#":
            return None
        for pattern in (r"##[^\n]*\n?", r"#\*.*?\*#", r"#\[\[(.*?)\]\]#"):
            match = re.compile(pattern, re.DOTALL).match(self.s, self.at)
            if match:
                return "comment", match
        match = _DIRECTIVE.match(self.s, self.at)
        return ("directive", match) if match else None

    def _line_end(self) -> None:
        match = _LINE_END.match(self.s, self.at)
        if match:
            self.at = match.end()

    def _directive(self, name: str) -> Node:
        if name == "set":
            return self._set()
        if name == "if":
            return self._if()
        if name == "foreach":
            return self._foreach()
        if name in ("break", "stop", "return"):
            return _leave(_Break if name == "break" else _Stop)
        raise self._fail(f"#{name} is not allowed here")

    def _expect(self, text: str) -> None:
        self._space()
        if not self.s.startswith(text, self.at):
            raise self._fail(f"'{text}' is expected")
        self.at += len(text)

    def _space(self) -> None:
        self.at = _SPACE.match(self.s, self.at).end()  # type: ignore[union-attr]  # matches always

    def _set(self) -> Node:
        self._expect("(")
        self._space()
        match = _REFERENCE.match(self.s, self.at)
        if match is None:
            raise self._fail("a reference is expected in #set")
        self.at = match.end()
        name, steps = self._path(bool(match.group(2)))
        self._expect("=")
        value = self._expression()
        self._expect(")")
        self._line_end()
        if not steps:
            return lambda scope, out: scope.__setitem__(name, value(scope))
        *way, (kind, last) = steps
        holder = _walk(name, way)
        if kind == "call":
            raise self._fail("#set of a method call")

        def run(scope: Scope, out: list[str]) -> None:
            target, key = holder(scope), last if kind == "member" else last(scope)
            if isinstance(target, dict) or (isinstance(target, list) and isinstance(key, int) and key < len(target)):
                target[key] = value(scope)

        return run

    def _if(self) -> Node:
        branches: list[tuple[Expression, list[Node]]] = []
        condition = self._condition()
        otherwise: list[Node] = []
        while True:
            nodes, ended = self._block(("elseif", "else", "end"))
            branches.append((condition, nodes))
            if ended == "elseif":
                condition = self._condition()
                continue
            self._line_end()
            if ended == "else":
                otherwise, _ = self._block(("end",))
                self._line_end()
            break

        def run(scope: Scope, out: list[str]) -> None:
            for test, body in branches:
                if _true(test(scope)):
                    chosen = body
                    break
            else:
                chosen = otherwise
            for node in chosen:
                node(scope, out)

        return run

    def _condition(self) -> Expression:
        self._expect("(")
        condition = self._expression()
        self._expect(")")
        self._line_end()
        return condition

    def _foreach(self) -> Node:
        self._expect("(")
        self._space()
        match = _REFERENCE.match(self.s, self.at)
        if match is None:
            raise self._fail("a reference is expected in #foreach")
        self.at = match.end()
        name, _ = self._path(bool(match.group(2)))
        self._expect("in")
        source = self._expression()
        self._expect(")")
        self._line_end()
        body, _ = self._block(("end",))
        self._line_end()

        def run(scope: Scope, out: list[str]) -> None:
            found = source(scope)
            items = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
            if len(items) > LOOPS_MAX:
                raise TemplateError(f"#foreach runs at most {LOOPS_MAX} times")
            kept = {key: scope.get(key) for key in (name, "foreach", "velocityCount")}
            for at, item in enumerate(list(items)):
                last = at == len(items) - 1
                scope[_TURNS] = scope.get(_TURNS, 0) + 1
                if scope[_TURNS] > TURNS_MAX:
                    raise TemplateError(f"all #foreach together run at most {TURNS_MAX} times")
                scope[name], scope["velocityCount"] = item, at + 1
                scope["foreach"] = {"index": at, "count": at + 1, "hasNext": not last, "first": at == 0, "last": last,
                                    "parent": kept["foreach"]}  # fmt: skip
                try:
                    for node in body:
                        node(scope, out)
                except _Break:
                    break
            scope.update(kept)

        return run

    # references

    def _reference_node(self, match: re.Match[str]) -> Node:
        start = match.start()
        name, steps = self._path(bool(match.group(2)))
        return _printed(_walk(name, steps), self.s[start : self.at], name, bool(match.group(1)))

    def _path(self, braces: bool) -> tuple[str, list[tuple[str, Any]]]:
        match = _NAME.match(self.s, self.at)
        if match is None:
            raise self._fail("a name is expected")
        self.at = match.end()
        steps: list[tuple[str, Any]] = []
        while self.at < len(self.s):
            if self.s[self.at] == "." and (step := _NAME.match(self.s, self.at + 1)):
                self.at = step.end()
                if self.s[self.at : self.at + 1] == "(":
                    self.at += 1
                    steps.append(("call", (step.group(), self._items(")"))))
                else:
                    steps.append(("member", step.group()))
            elif self.s[self.at] == "[":
                self.at += 1
                steps.append(("index", self._expression()))
                self._expect("]")
            else:
                break
        if braces:
            self._expect("}")
        return match.group(), steps

    def _items(self, end: str) -> list[Expression]:
        items: list[Expression] = []
        self._space()
        while not self.s.startswith(end, self.at):
            items.append(self._expression())
            self._space()
            if self.s.startswith(",", self.at):
                self.at += 1
                self._space()
            elif not self.s.startswith(end, self.at):
                raise self._fail(f"'{end}' is expected")
        self.at += len(end)
        return items

    # expressions, by precedence

    def _expression(self) -> Expression:
        left = self._conjunction()
        while self._operator("||", "or"):
            left = _either(left, self._conjunction())
        return left

    def _conjunction(self) -> Expression:
        left = self._comparison()
        while self._operator("&&", "and"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._sum()
        operator = self._operator(*_COMPARE)
        return left if operator is None else _compared(_COMPARE[operator], left, self._sum())

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._operator("+", "-"):
            left = _computed(operator, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while operator := self._operator("*", "/", "%"):
            left = _computed(operator, left, self._unary())
        return left

    def _operator(self, *names: str) -> str | None:
        self._space()
        for name in names:
            if self.s.startswith(name, self.at):
                after = self.s[self.at + len(name) : self.at + len(name) + 1]
                if name[0].isalpha() and (after.isalnum() or after == "_"):
                    continue
                self.at += len(name)
                return name
        return None

    def _unary(self) -> Expression:
        if self._operator("!", "not"):
            inner = self._unary()
            return lambda scope: not _true(inner(scope))
        if self._operator("-"):
            inner = self._unary()
            return lambda scope: arithmetic("-", 0, inner(scope))
        return self._primary()

    def _primary(self) -> Expression:
        self._space()
        letter = self.s[self.at : self.at + 1]
        if letter == "$":
            match = _REFERENCE.match(self.s, self.at)
            if match is None:
                raise self._fail("a reference is expected")
            self.at = match.end()
            return _walk(*self._path(bool(match.group(2))))
        if letter in ("'", '"'):
            return self._string(letter)
        if letter == "(":
            self.at += 1
            inner = self._expression()
            self._expect(")")
            return inner
        if letter == "[":
            return self._list()
        if letter == "{":
            return self._map()
        return self._word()

    def _word(self) -> Expression:
        number = _NUMBER.match(self.s, self.at)
        if number:
            self.at = number.end()
            text = number.group()
            value: Any = float(text) if "." in text else int(text)
            return lambda scope: value
        name = _NAME.match(self.s, self.at)
        constants = {"true": True, "false": False, "null": None}
        if name is None or name.group() not in constants:
            raise self._fail("an expression is expected")
        self.at = name.end()
        constant = constants[name.group()]
        return lambda scope: constant

    def _string(self, quote: str) -> Expression:
        start = self.at + 1
        end = self.s.find(quote, start)
        while end != -1 and self.s[end + 1 : end + 2] == quote:  # doubled: the quote itself
            end = self.s.find(quote, end + 2)
        if end == -1:
            raise self._fail("a string does not end")
        text = self.s[start:end].replace(quote * 2, quote)
        self.at = end + 1
        if quote == "'" or ("$" not in text and "#" not in text):
            return lambda scope: text
        nodes = _Parser(text).template()

        def run(scope: Scope) -> str:
            out: list[str] = []
            for node in nodes:
                node(scope, out)
            return bounded("".join(out))

        return run

    def _list(self) -> Expression:
        self.at += 1
        self._space()
        if self.s.startswith("]", self.at):
            self.at += 1
            return lambda scope: []
        first = self._expression()
        if self._operator(".."):
            last = self._expression()
            self._expect("]")
            return lambda scope: _range(first(scope), last(scope))
        items = [first]
        if self._operator(","):
            items.extend(self._items("]"))
        else:
            self._expect("]")
        return lambda scope: [item(scope) for item in items]

    def _map(self) -> Expression:
        self.at += 1
        pairs: list[tuple[Expression, Expression]] = []
        self._space()
        while not self.s.startswith("}", self.at):
            key = self._expression()
            self._expect(":")
            pairs.append((key, self._expression()))
            self._space()
            if self.s.startswith(",", self.at):
                self.at += 1
                self._space()
            elif not self.s.startswith("}", self.at):
                raise self._fail("'}' is expected")
        self.at += 1
        return lambda scope: {key(scope): value(scope) for key, value in pairs}


def _range(first: Any, last: Any) -> list[int]:
    if not isinstance(first, int) or not isinstance(last, int) or abs(last - first) >= LOOPS_MAX:
        raise TemplateError("a range needs two numbers that are not far apart")
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def _leave(kind: type[Exception]) -> Node:
    def run(scope: Scope, out: list[str]) -> None:
        raise kind

    return run


def _walk(name: str, steps: list[tuple[str, Any]]) -> Expression:
    def run(scope: Scope) -> Any:
        value = scope.get(name)
        for kind, what in steps:
            if value is None:
                return None
            if kind == "member":
                value = member(value, what)
            elif kind == "index":
                value = index(value, what(scope))
            else:
                method, args = what
                value = call(value, method, [arg(scope) for arg in args])
        return value

    return run


def _either(left: Expression, right: Expression) -> Expression:
    return lambda scope: _true(left(scope)) or _true(right(scope))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda scope: _true(left(scope)) and _true(right(scope))


def _computed(operator: str, left: Expression, right: Expression) -> Expression:
    return lambda scope: arithmetic(operator, left(scope), right(scope))


def _compared(operator: str, left: Expression, right: Expression) -> Expression:
    if operator == "==":
        return lambda scope: equal(left(scope), right(scope))
    if operator == "!=":
        return lambda scope: not equal(left(scope), right(scope))
    wanted = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[operator]
    return lambda scope: order(left(scope), right(scope)) in wanted

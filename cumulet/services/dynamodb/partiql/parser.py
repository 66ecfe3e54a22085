"""Parses PartiQL statements by recursive descent; literals and parameters become values that nodes refer to.

Grammar: developer guide, "PartiQL statements for DynamoDB", "PartiQL operators", "PartiQL functions" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.nodes import (
    Action,
    And,
    Arithmetic,
    Between,
    Call,
    Compare,
    Element,
    In,
    Node,
    Not,
    Or,
    Parenthesized,
    Path,
    Value,
)
from cumulet.services.dynamodb.model import AttributeValue
from cumulet.services.dynamodb.partiql.lexer import Token, malformed, tokens_of
from cumulet.services.dynamodb.partiql.statements import Delete, Insert, Select, Statement, Update
from cumulet.services.dynamodb.values import kind_of, measure

_COMPARATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_FUNCTIONS = {"begins_with": 2, "contains": 2, "attribute_type": 2, "size": 1}
_SET_SECTIONS = {"set_add": "ADD", "set_delete": "DELETE"}
_SET_OF = {"S": "SS", "N": "NS", "B": "BS"}
_RETURNING = {("ALL", "OLD"): "ALL_OLD", ("ALL", "NEW"): "ALL_NEW", ("MODIFIED", "OLD"): "UPDATED_OLD",
              ("MODIFIED", "NEW"): "UPDATED_NEW"}  # fmt: skip
_KEYWORDS = frozenset(
    ("AND", "BETWEEN", "BY", "DELETE", "EXISTS", "FROM", "IN", "INSERT", "INTO", "IS", "MISSING", "NOT", "NULL", "OR",
     "ORDER", "REMOVE", "RETURNING", "SELECT", "SET", "TRUE", "FALSE", "UPDATE", "VALUE", "WHERE")
)  # fmt: skip
_MAX_NESTING = 64
_MAX_OPERATORS = 300


def parse(statement: str, parameters: Sequence[Any]) -> Statement:
    """Raises: ValidationException."""
    parser = _Parser(tokens_of(statement), parameters)
    parsed = parser.statement()
    parsed.values = parser.values
    return parsed


class _Parser:
    def __init__(self, tokens: list[Token], parameters: Sequence[Any]) -> None:
        self.tokens = tokens
        self.at = 0
        self.parameters = [measure(parameter)[1] for parameter in parameters]
        self.used = 0
        self.values: dict[str, AttributeValue] = {}
        self.nesting = 0
        self.operators = 0

    # tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def unexpected(self) -> ValidationException:
        token = self.token
        if token.kind == "end":
            return malformed("Unexpected end of statement")
        return malformed(f"Unexpected token {token.text!r} at position {token.start + 1}")

    def is_mark(self, text: str) -> bool:
        return self.token.kind == "mark" and self.token.text == text

    def take_mark(self, text: str) -> bool:
        if self.is_mark(text):
            self.at += 1
            return True
        return False

    def expect_mark(self, text: str) -> None:
        if not self.take_mark(text):
            raise self.unexpected()

    def is_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.upper() in words

    def take_word(self, word: str) -> bool:
        if self.is_word(word):
            self.at += 1
            return True
        return False

    def expect_word(self, word: str) -> None:
        if not self.take_word(word):
            raise self.unexpected()

    def deeper(self) -> None:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise malformed("The statement is nested too deeply")

    def count(self) -> None:
        self.operators += 1
        if self.operators > _MAX_OPERATORS:
            raise malformed(f"The statement contains too many operators; max operator count: {_MAX_OPERATORS}")

    # statements

    def statement(self) -> Statement:
        parsed: Statement
        if self.take_word("SELECT"):
            parsed = self.select()
        elif self.take_word("INSERT"):
            parsed = self.insert()
        elif self.take_word("UPDATE"):
            parsed = self.update()
        elif self.take_word("DELETE"):
            self.expect_word("FROM")
            parsed = Delete(self.name())
            parsed.where = self.where(required=True)
            parsed.returning = self.returning(("ALL_OLD",))
        elif self.take_word("EXISTS"):
            self.expect_mark("(")
            self.expect_word("SELECT")
            parsed = self.select()
            parsed.exists = True
            self.expect_mark(")")
        else:
            raise self.unexpected()
        if self.token.kind != "end":
            raise self.unexpected()
        if self.used != len(self.parameters):
            raise ValidationException("Number of parameters in request and statement don't match.")
        return parsed

    def name(self) -> str:
        token = self.token
        if token.kind != "quoted" and (token.kind != "word" or token.text.upper() in _KEYWORDS):
            raise self.unexpected()
        self.at += 1
        name = token.text
        if token.kind == "word":  # an unquoted table name may have dashes
            while self.is_mark("-") and self.tokens[self.at + 1].kind in ("word", "number"):
                name += "-" + self.tokens[self.at + 1].text
                self.at += 2
        return name

    def select(self) -> Select:
        paths: list[Path] | None = None
        if not self.take_mark("*"):
            paths = [self.path()]
            while self.take_mark(","):
                paths.append(self.path())
        self.expect_word("FROM")
        out = Select(self.name())
        out.paths = None if paths is None else tuple(paths)
        if self.take_mark("."):
            out.index = self.name()
        out.where = self.where(required=False)
        if self.take_word("ORDER"):
            self.expect_word("BY")
            order = [self.ordering()]
            while self.take_mark(","):
                order.append(self.ordering())
            out.order = tuple(order)
        return out

    def ordering(self) -> tuple[str, bool]:
        name = self.attribute()
        if self.take_word("DESC"):
            return name, True
        self.take_word("ASC")
        return name, False

    def insert(self) -> Insert:
        self.expect_word("INTO")
        out = Insert(self.name())
        self.expect_word("VALUE")
        value = self.literal()
        if "M" not in value:
            raise malformed("The value of an INSERT statement must be a tuple")
        out.item = value["M"]
        return out

    def update(self) -> Update:
        out = Update(self.name())
        actions: list[Action] = []
        while self.is_word("SET", "REMOVE"):
            section = self.token.text.upper()
            self.at += 1
            actions.append(self.action(section))
            while self.take_mark(","):
                actions.append(self.action(section))
        if not actions:
            raise self.unexpected()
        out.actions = tuple(actions)
        out.where = self.where(required=True)
        out.returning = self.returning(tuple(_RETURNING.values()))
        return out

    def action(self, section: str) -> Action:
        path = self.path()
        if section == "REMOVE":
            return Action(section, path, None)
        self.expect_mark("=")
        word = self.token.text.lower() if self.token.kind == "word" else ""
        if word in _SET_SECTIONS:
            self.at += 1
            self.expect_mark("(")
            if self.path() != path:
                raise malformed(f"The first argument of {word} must be the attribute that is set")
            self.expect_mark(",")
            value = self.operand()
            self.expect_mark(")")
            if not isinstance(value, Value):
                raise malformed(f"The second argument of {word} must be a set")
            return Action(_SET_SECTIONS[word], path, value)
        left = self.term()
        for operator in ("+", "-"):
            if self.take_mark(operator):
                self.count()
                return Action(section, path, Arithmetic(operator, left, self.term()))
        return Action(section, path, left)

    def term(self) -> Node:
        if not self.is_word("LIST_APPEND"):
            return self.operand()
        self.at += 1
        self.deeper()
        self.expect_mark("(")
        first = self.term()
        self.expect_mark(",")
        second = self.term()
        self.expect_mark(")")
        self.nesting -= 1
        return Call("list_append", (first, second))

    def where(self, required: bool) -> Node | None:
        if self.take_word("WHERE"):
            return self.disjunction()
        if required:
            raise self.unexpected()
        return None

    def returning(self, allowed: tuple[str, ...]) -> str:
        if not self.take_word("RETURNING"):
            return "NONE"
        first = self.token.text.upper()
        self.at += 1
        key = first, self.token.text.upper()
        if key not in _RETURNING or _RETURNING[key] not in allowed:
            self.at -= 1
            raise self.unexpected()
        self.at += 1
        self.expect_mark("*")
        return _RETURNING[key]

    # paths and operands

    def attribute(self) -> str:
        token = self.token
        if token.kind != "quoted" and (token.kind != "word" or token.text.upper() in _KEYWORDS):
            raise self.unexpected()
        self.at += 1
        return token.text

    def path(self) -> Path:
        elements: list[Element] = [self.attribute()]
        while True:
            if self.take_mark("."):
                elements.append(self.attribute())
            elif self.take_mark("["):
                token = self.token
                if token.kind == "number" and token.text.isdigit() and len(token.text) < 10:
                    elements.append(int(token.text))
                elif token.kind == "text":
                    elements.append(token.text)
                else:
                    raise self.unexpected()
                self.at += 1
                self.expect_mark("]")
            else:
                return Path(tuple(elements))

    def operand(self) -> Node:
        token = self.token
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if token.kind == "quoted" or (token.kind == "word" and token.text.upper() not in _KEYWORDS):
            if token.kind == "word" and following.kind == "mark" and following.text == "(":
                return self.call()
            return self.path()
        return self.bound(self.literal())

    def bound(self, value: AttributeValue) -> Value:
        ref = f":{len(self.values)}"
        self.values[ref] = value
        return Value(ref)

    def call(self) -> Call:
        name = self.token.text.lower()
        if name not in _FUNCTIONS:
            raise malformed(f"Unsupported function {self.token.text!r}")
        self.at += 2
        args = [self.operand()]
        while self.take_mark(","):
            args.append(self.operand())
        self.expect_mark(")")
        if len(args) != _FUNCTIONS[name]:
            raise malformed(f"Function {name} takes {_FUNCTIONS[name]} arguments")
        return Call(name, tuple(args))

    # literals

    def literal(self) -> AttributeValue:
        """A value, checked and normal. Raises: ValidationException."""
        return measure(self.raw())[1]

    def raw(self) -> AttributeValue:
        token = self.token
        self.at += 1
        if token.kind == "text":
            return {"S": token.text}
        if token.kind == "number":
            return {"N": token.text}
        if token.kind == "word":
            word = token.text.upper()
            if word in ("TRUE", "FALSE"):
                return {"BOOL": word == "TRUE"}
            if word == "NULL":
                return {"NULL": True}
        if token.kind == "mark":
            match token.text:
                case "?":
                    return self.parameter()
                case "-" | "+":
                    number = self.token
                    if number.kind == "number":
                        self.at += 1
                        return {"N": ("-" if token.text == "-" else "") + number.text}
                case "[":
                    return {"L": self.several("]")}
                case "<<":
                    return self.set_of(self.several(">>"))
                case "{":
                    return {"M": self.members()}
        self.at -= 1
        raise self.unexpected()

    def parameter(self) -> AttributeValue:
        if self.used >= len(self.parameters):
            raise ValidationException("Number of parameters in request and statement don't match.")
        self.used += 1
        return self.parameters[self.used - 1]

    def several(self, close: str) -> list[AttributeValue]:
        self.deeper()
        out: list[AttributeValue] = []
        while not self.take_mark(close):
            if out:
                self.expect_mark(",")
            out.append(self.raw())
        self.nesting -= 1
        return out

    def set_of(self, elements: list[AttributeValue]) -> AttributeValue:
        kinds = {kind_of(element) for element in elements}
        if len(kinds) != 1 or not kinds <= _SET_OF.keys():
            raise malformed("A set must hold strings, numbers or binary values of one type, and at least one")
        kind = kinds.pop()
        return {_SET_OF[kind]: [element[kind] for element in elements]}

    def members(self) -> dict[str, AttributeValue]:
        self.deeper()
        out: dict[str, AttributeValue] = {}
        while not self.take_mark("}"):
            if out:
                self.expect_mark(",")
            if self.token.kind not in ("text", "quoted"):
                raise self.unexpected()
            name = self.token.text
            self.at += 1
            self.expect_mark(":")
            if name in out:
                raise malformed(f"Duplicate attribute {name!r}")
            out[name] = self.raw()
        self.nesting -= 1
        return out

    # conditions

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.take_word("OR"):
            self.count()
            node = Or(node, self.conjunction())
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.take_word("AND"):
            self.count()
            node = And(node, self.negation())
        return node

    def negation(self) -> Node:
        if not self.take_word("NOT"):
            return self.predicate()
        self.deeper()
        self.count()
        inner = self.negation()
        self.nesting -= 1
        return Not(inner)

    def predicate(self) -> Node:
        if self.take_mark("("):
            self.deeper()
            inner = self.disjunction()
            self.expect_mark(")")
            self.nesting -= 1
            return Parenthesized(inner)
        left = self.operand()
        token = self.token
        if token.kind == "mark" and token.text in _COMPARATORS:
            self.at += 1
            self.count()
            return Compare(_COMPARATORS[token.text], left, self.operand())
        if self.take_word("IS"):
            return self.being(left)
        if self.is_word("NOT") and self.tokens[self.at + 1].text.upper() in ("IN", "BETWEEN"):
            self.at += 1
            return Not(self.ranged(left))
        if self.is_word("IN", "BETWEEN"):
            return self.ranged(left)
        if isinstance(left, Call) and left.name != "size":
            return left
        raise self.unexpected()

    def ranged(self, left: Node) -> Node:
        self.count()
        if self.take_word("BETWEEN"):
            low = self.operand()
            self.expect_word("AND")
            return Between(left, low, self.operand())
        self.expect_word("IN")
        close = {"(": ")", "[": "]", "<<": ">>"}.get(self.token.text) if self.token.kind == "mark" else None
        if close is None:
            raise self.unexpected()
        self.at += 1
        options = [self.operand()]
        while self.take_mark(","):
            options.append(self.operand())
        self.expect_mark(close)
        return In(left, tuple(options))

    def being(self, left: Node) -> Node:
        """IS [NOT] MISSING, IS [NOT] NULL."""
        self.count()
        negative = self.take_word("NOT")
        if not isinstance(left, Path):
            raise malformed("IS takes an attribute on its left")
        if self.take_word("MISSING"):
            return Call("attribute_exists" if negative else "attribute_not_exists", (left,))
        self.expect_word("NULL")
        test = Call("attribute_type", (left, self.bound({"S": "NULL"})))
        return Not(test) if negative else test

"""Parses expressions by recursive descent.

Grammar: developer guide, "Condition and filter expressions, operators, and functions in DynamoDB", "Using update
expressions in DynamoDB" (read 2026-11).
"""

from __future__ import annotations

from functools import lru_cache

from cumulet.services.dynamodb.expressions.lexer import Syntax, Token, tokens_of
from cumulet.services.dynamodb.expressions.nodes import (
    CONDITIONS,
    Action,
    Alias,
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
from cumulet.services.dynamodb.reserved import RESERVED_WORDS

CONDITION_FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2,
                       "contains": 2, "size": 1}  # fmt: skip
UPDATE_FUNCTIONS = {"if_not_exists": 2, "list_append": 2}
_COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
_CACHED = 1024
_MAX_NESTING = 100
_MAX_OPERATORS = 300


class _Parser:
    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self.tokens = tokens_of(syntax)
        self.at = 0
        self.nesting = 0
        self.operators = 0

    # tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def is_mark(self, text: str) -> bool:
        token = self.tokens[self.at]
        return token.kind == "mark" and token.text == text

    def is_word(self, word: str) -> bool:
        token = self.tokens[self.at]
        return token.kind == "word" and token.text.upper() == word

    def take_mark(self, text: str) -> bool:
        if self.is_mark(text):
            self.at += 1
            return True
        return False

    def take_word(self, word: str) -> bool:
        if self.is_word(word):
            self.at += 1
            return True
        return False

    def expect_mark(self, text: str) -> None:
        if not self.take_mark(text):
            raise self.syntax.near(self.tokens, self.at)

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.syntax.near(self.tokens, self.at)

    # operands

    def path(self) -> Path:
        elements: list[Element] = [self.attribute()]
        while True:
            if self.take_mark("."):
                elements.append(self.attribute())
            elif self.take_mark("["):
                if self.token.kind != "int":
                    raise self.syntax.near(self.tokens, self.at)
                if len(self.token.text) > 9:
                    raise self.syntax.error(f"List index is not within the allowable range; index: [{self.token.text}]")
                elements.append(int(self.token.text))
                self.at += 1
                self.expect_mark("]")
            else:
                return Path(tuple(elements))

    def attribute(self) -> Element:
        token = self.token
        if token.kind == "name":
            self.at += 1
            return Alias(token.text)
        if token.kind != "word":
            raise self.syntax.near(self.tokens, self.at)
        if token.text.upper() in RESERVED_WORDS:
            if token.text.upper() in ("AND", "OR", "NOT", "IN", "BETWEEN", *_SECTIONS):
                raise self.syntax.near(self.tokens, self.at)
            raise self.syntax.error(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        self.at += 1
        return token.text

    def operand(self) -> Node:
        token = self.token
        if token.kind == "value":
            self.at += 1
            return Value(token.text)
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if token.kind == "word" and following.kind == "mark" and following.text == "(":
            return self.call()
        return self.path()

    def call(self) -> Call:
        name = self.token.text
        if name not in CONDITION_FUNCTIONS and name not in UPDATE_FUNCTIONS:
            raise self.syntax.error(f"Invalid function name; function: {name}")
        if self.syntax.kind == "UpdateExpression":
            self.count()
        self.deeper()
        self.at += 2
        args = [self.operand()]
        while self.take_mark(","):
            args.append(self.operand())
        self.expect_mark(")")
        self.nesting -= 1
        return Call(name, tuple(args))

    def deeper(self) -> None:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise self.syntax.error("The expression is nested too deeply")

    def count(self) -> None:
        self.operators += 1
        if self.operators > _MAX_OPERATORS:
            raise self.syntax.error(
                "The expression contains too many operators; operator count: "
                f"{self.operators}, max operator count: {_MAX_OPERATORS}"
            )

    # conditions

    def condition(self) -> Node:
        node = self.disjunction()
        self.expect_end()
        self.must_be_condition(node)
        return node

    def must_be_condition(self, node: Node) -> None:
        inner = node
        while isinstance(inner, Parenthesized):
            inner = inner.inner
        if isinstance(inner, CONDITIONS):
            return
        if isinstance(inner, Call):
            if inner.name == "size":
                raise self.syntax.error(
                    "The function is not allowed to be used this way in an expression; function: size"
                )
            return
        raise self.syntax.near(self.tokens, self.at)

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.is_word("OR"):
            self.must_be_condition(node)
            self.at += 1
            self.count()
            right = self.conjunction()
            self.must_be_condition(right)
            node = Or(node, right)
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.is_word("AND"):
            self.must_be_condition(node)
            self.at += 1
            self.count()
            right = self.negation()
            self.must_be_condition(right)
            node = And(node, right)
        return node

    def negation(self) -> Node:
        if self.take_word("NOT"):
            self.deeper()
            self.count()
            inner = self.negation()
            self.nesting -= 1
            self.must_be_condition(inner)
            return Not(inner)
        return self.comparison()

    def comparison(self) -> Node:
        left = self.primary()
        token = self.token
        if token.kind == "mark" and token.text in _COMPARATORS:
            self.must_be_operand(left)
            self.at += 1
            self.count()
            right = self.primary()
            self.must_be_operand(right)
            return Compare(token.text, _bare(left), _bare(right))
        if self.is_word("BETWEEN"):
            self.must_be_operand(left)
            self.at += 1
            self.count()
            low = self.primary()
            if not self.take_word("AND"):
                raise self.syntax.near(self.tokens, self.at)
            high = self.primary()
            self.must_be_operand(low)
            self.must_be_operand(high)
            return Between(_bare(left), _bare(low), _bare(high))
        if self.is_word("IN"):
            self.must_be_operand(left)
            self.at += 1
            self.count()
            self.expect_mark("(")
            options = [_bare(self.primary())]
            while self.take_mark(","):
                options.append(_bare(self.primary()))
            self.expect_mark(")")
            for option in options:
                self.must_be_operand(option)
            return In(_bare(left), tuple(options))
        return left

    def primary(self) -> Node:
        if not self.take_mark("("):
            return self.operand()
        self.deeper()
        inner = self.disjunction()
        self.expect_mark(")")
        self.nesting -= 1
        if isinstance(inner, Parenthesized):
            raise self.syntax.error("The expression has redundant parentheses;")
        return Parenthesized(inner)

    def must_be_operand(self, node: Node) -> None:
        inner = _bare(node)
        if isinstance(inner, CONDITIONS):
            raise self.syntax.near(self.tokens, self.at)

    # projections

    def projection(self) -> tuple[Path, ...]:
        paths = [self.path()]
        while self.take_mark(","):
            paths.append(self.path())
        self.expect_end()
        return tuple(paths)

    # updates

    def update(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        seen: set[str] = set()
        while self.token.kind != "end":
            word = self.token.text.upper()
            if self.token.kind != "word" or word not in _SECTIONS:
                raise self.syntax.near(self.tokens, self.at)
            if word in seen:
                raise self.syntax.error(f'The "{word}" section can only be used once in an update expression;')
            seen.add(word)
            self.at += 1
            actions.append(self.action(word))
            while self.take_mark(","):
                actions.append(self.action(word))
        return tuple(actions)

    def action(self, section: str) -> Action:
        path = self.path()
        if section == "REMOVE":
            return Action(section, path, None)
        if section == "SET":
            self.expect_mark("=")
            return Action(section, path, self.sum())
        value = self.operand()
        if not isinstance(value, Value):
            raise self.syntax.near(self.tokens, self.at - 1)
        return Action(section, path, value)

    def sum(self) -> Node:
        left = self.term()
        for operator in ("+", "-"):
            if self.take_mark(operator):
                self.count()
                return Arithmetic(operator, left, self.term())
        return left

    def term(self) -> Node:
        if not self.take_mark("("):
            return self.operand()
        self.deeper()
        inner = self.sum()
        self.expect_mark(")")
        self.nesting -= 1
        return inner


def _bare(node: Node) -> Node:
    while isinstance(node, Parenthesized):
        node = node.inner
    return node


@lru_cache(_CACHED)
def parse_condition(kind: str, text: str) -> Node:
    """The tree of a condition, filter or key condition expression. Raises: ValidationException."""
    return _Parser(Syntax(kind, text)).condition()


@lru_cache(_CACHED)
def parse_projection(text: str) -> tuple[Path, ...]:
    """The paths of a projection expression. Raises: ValidationException."""
    return _Parser(Syntax("ProjectionExpression", text)).projection()


@lru_cache(_CACHED)
def parse_update(text: str) -> tuple[Action, ...]:
    """The actions of an update expression. Raises: ValidationException."""
    return _Parser(Syntax("UpdateExpression", text)).update()

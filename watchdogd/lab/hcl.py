"""The part of HCL 1 that policies are written in: blocks, assignments, lists, comments, here-documents; or JSON.

Source: github.com/hashicorp/hcl (v1), its parser's words for what it does not like; OBS: OpenBao.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|(?:\#|//)[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | <<-?(?P<mark>\w+)\n(?P<here>.*?)\n[ \t]*(?P=mark)(?=\n|$)
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?)
      | (?P<word>[A-Za-z_][\w.-]*)
      | (?P<punct>[{}\[\]=,])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)")
_NAMES = {"{": "LBRACE", "}": "RBRACE", "[": "LBRACK", "]": "RBRACK", "=": "ASSIGN", ",": "COMMA", "": "EOF"}
DEPTH_MAX, NUMBER_MAX = 50, 30


class HclError(ValueError):
    """What the parser of HCL refuses, in its words."""


@dataclass(frozen=True, slots=True)
class Item:
    """`key "name" = value`, or `key "name" { … }`, where the value is a list of items."""

    keys: tuple[str, ...]
    value: object
    line: int
    column: int  # of the value


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int
    column: int


def parsed(text: str) -> list[Item]:
    """The items of a text. Raises HclError."""
    if text.lstrip().startswith("{"):
        return _of_json(text)
    return _Parser(list(_tokens(text))).items(end="", depth=0)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        if match is None:
            raise HclError(f"At {line}:{column}: illegal character")
        at = match.end()
        kind = match.lastgroup or ""
        if kind == "string":
            yield _Token("string", _ESCAPE.sub(r"\1", match.group()[1:-1]), line, column)
        elif match.group("mark"):
            yield _Token("string", match.group("here") + "\n", line, column)
        elif kind != "space":
            yield _Token(kind, match.group(), line, column)
    yield _Token("end", "", text.count("\n") + 1, len(text) - text.rfind("\n") + 1)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _is(self, text: str) -> bool:
        return self._next.kind == "punct" and self._next.text == text

    def _take(self) -> _Token:
        token = self._next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _fail(self, text: str) -> HclError:
        token = self._next
        got = _NAMES.get(token.text) if token.kind in ("punct", "end") else token.kind.upper()
        return HclError(f"At {token.line}:{token.column}: {text}: {got}")

    def items(self, *, end: str, depth: int) -> list[Item]:
        """Up to `end`, which is taken too."""
        if depth > DEPTH_MAX:
            raise self._fail("nested too deeply, got")
        found: list[Item] = []
        while self._next.kind != "end" and not self._is("}"):
            found.append(self._item(depth))
            if self._is(","):
                self._take()
        if (self._next.kind == "end") is bool(end):
            raise self._fail("object expected closing RBRACE got")
        self._take()
        return found

    def _item(self, depth: int) -> Item:
        keys: list[str] = []
        line = self._next.line
        while self._next.kind in ("word", "string", "number"):
            keys.append(self._take().text)
        if not keys:
            raise self._fail("object key expected, got")
        if self._is("="):
            self._take()
            column = self._next.column
            return Item(tuple(keys), self._value(depth + 1), line, column)
        if self._is("{"):
            column = self._take().column
            return Item(tuple(keys), self.items(end="}", depth=depth + 1), line, column)
        raise self._fail("key '" + " ".join(keys) + "' expected start of object ('{') or assignment ('='), got")

    def _value(self, depth: int) -> object:
        token = self._next
        if token.kind == "string":
            return self._take().text
        if token.kind == "number":
            text = self._take().text
            return float(text) if "." in text else int(text[:NUMBER_MAX])
        if token.kind == "word" and token.text in ("true", "false"):
            return self._take().text == "true"
        if self._is("{"):
            self._take()
            return self.items(end="}", depth=depth)
        if self._is("["):
            self._take()
            return self._list(depth)
        raise self._fail("Unknown token, got")

    def _list(self, depth: int) -> list[object]:
        if depth > DEPTH_MAX:
            raise self._fail("nested too deeply, got")
        found: list[object] = []
        while not self._is("]"):
            found.append(self._value(depth + 1))
            if self._is(","):
                self._take()
            elif not self._is("]"):
                raise self._fail("error parsing list, expected comma or list end, got")
        self._take()
        return found


def _of_json(text: str) -> list[Item]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise HclError(str(exc)) from exc
    return _items_of(given)


def _items_of(given: object) -> list[Item]:
    """The items of a JSON object; one under `path` stands for a block each, as HCL reads it."""
    if not isinstance(given, dict):
        raise HclError("object expected")
    found: list[Item] = []
    for key, value in given.items():
        blocks = value if isinstance(value, list) else [value]
        if key == "path" and all(isinstance(block, dict) for block in blocks):
            named = [(name, body) for block in blocks for name, body in block.items()]
            found += [Item((key, name), _items_of(body), 1, 1) for name, body in named]
        else:
            found.append(Item((key,), _items_of(value) if isinstance(value, dict) else value, 1, 1))
    return found

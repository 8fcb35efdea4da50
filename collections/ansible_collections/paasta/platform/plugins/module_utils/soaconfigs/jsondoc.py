# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""JSON files as plain values that still know where each of them was written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from .errors import ConfigError
from .model import KeyPath
from .yamldoc import MAX_DEPTH, dotted

_SPACE = re.compile(r"[ \t\n\r]*")
_LITERAL = re.compile(r"[^\s,\]}]+")


@dataclass(slots=True)
class JsonDocument:
    """One parsed file.

    ``value`` is a mapping (empty when there are errors); ``places`` has line and column, from 1, of every key and item.
    """

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)


def parse(file: str, data: bytes) -> JsonDocument:
    """Parse one file's bytes; never raises for any input, and no message holds a value of it."""
    document = JsonDocument(file)

    def refuse(message: str, line: int = 0, column: int = 0) -> JsonDocument:
        document.errors.append(ConfigError(file, line, column, "", message))
        return document

    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return refuse(f"is not UTF-8 (byte {error.start})")
    except json.JSONDecodeError as error:
        return refuse(f"is not valid JSON: {error.msg}", error.lineno, error.colno)
    except RecursionError:
        return refuse(f"is nested more than {MAX_DEPTH} levels deep")
    except ValueError:  # NaN, Infinity, and integers that Python refuses to read
        return refuse("is not valid JSON: it has a number that no other program reads")
    if not isinstance(value, dict):
        return refuse("must be a mapping of keys to values", 1, 1)
    walk = _Walk(document, text)
    walk.value(0, (), 1)
    if not document.errors:
        document.value = value
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Walk:
    """Goes through text that is known to be valid JSON, and notes where its keys are."""

    def __init__(self, document: JsonDocument, text: str) -> None:
        self._document = document
        self._text = text
        self._line = 1
        self._line_start = 0
        self._counted = 0  # up to here lines are counted

    def value(self, index: int, path: KeyPath, depth: int) -> int:
        """The index behind the value that begins at ``index``."""
        index = self._skip(index)
        first = self._text[index]
        if depth > MAX_DEPTH:
            if not self._document.errors:
                message = f"is nested more than {MAX_DEPTH} levels deep"
                self._document.errors.append(ConfigError(self._document.file, *self._at(index), "", message))
            return len(self._text)
        if first == '"':
            return int(scanstring(self._text, index + 1)[1])
        if first == "{":
            return self._mapping(index, path, depth)
        if first == "[":
            return self._sequence(index, path, depth)
        found = _LITERAL.match(self._text, index)
        return found.end() if found else len(self._text)

    def _mapping(self, index: int, path: KeyPath, depth: int) -> int:
        index = self._skip(index + 1)
        while index < len(self._text) and self._text[index] == '"':
            key, end = scanstring(self._text, index + 1)
            here: KeyPath = (*path, key)
            place = self._at(index)
            if here in self._document.places:
                message = f"duplicate key, first written in line {self._document.places[here][0]}"
                self._document.errors.append(
                    ConfigError(self._document.file, *place, dotted(here), message, "keep one of the two")
                )
            self._document.places.setdefault(here, place)
            index = self._next(self.value(self._skip(end) + 1, here, depth + 1))
        return index + 1

    def _sequence(self, index: int, path: KeyPath, depth: int) -> int:
        index, item = self._skip(index + 1), 0
        while index < len(self._text) and self._text[index] != "]":
            self._document.places[(*path, item)] = self._at(index)
            index = self._next(self.value(index, (*path, item), depth + 1))
            item += 1
        return index + 1

    def _next(self, index: int) -> int:
        """Behind the comma, if there is one."""
        index = self._skip(index)
        return self._skip(index + 1) if self._text[index : index + 1] == "," else index

    def _skip(self, index: int) -> int:
        found = _SPACE.match(self._text, index)
        return found.end() if found else index

    def _at(self, index: int) -> tuple[int, int]:
        self._line += self._text.count("\n", self._counted, index)
        self._line_start = max(self._line_start, self._text.rfind("\n", self._counted, index) + 1)
        self._counted = index
        return self._line, index - self._line_start + 1

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the table of keys: what a value may be, as data that can be checked, described and published."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from .errors import did_you_mean, nearest
from .model import KeyPath

# Where a check puts what it finds: key path, message, hint.
Report = Callable[[KeyPath, str, str], None]

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_compiled = lru_cache(maxsize=None)(re.compile)


class Unset:
    """The default of a key that has none; unlike None, which some keys accept as a value."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, integer, number, boolean or null, within bounds. ``says`` replaces the description of a pattern.

    Messages never show the value of what is ``sensitive``, here and in the other shapes.
    """

    types: tuple[str, ...]
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # an exclusive minimum
    choices: tuple[str, ...] = ()
    pattern: str = ""
    says: str = ""
    quote_hint: str = ""
    sensitive: bool = False

    def describe(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}" + (" or null" if "null" in self.types else "")
        words = {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false"}
        text = " or ".join(words.get(name, name) for name in self.types)
        if self.says:
            text = f"{self.says} or null" if "null" in self.types else self.says
        elif self.minimum is not None and self.maximum is not None:
            text += f" from {self.minimum} to {self.maximum}"
        elif self.minimum is not None:
            text += f" of at least {self.minimum}"
        elif self.above is not None:
            text += f" greater than {self.above}" + ("" if self.maximum is None else f" and at most {self.maximum}")
        return text

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        if not self.accepts(value):
            hint = ""
            if self.choices and isinstance(value, str):
                match = nearest(value, self.choices)
                hint = f"did you mean {match}?" if match else ""
            elif "string" in self.types and value is not None and not isinstance(value, (str, dict, list)):
                hint = self.quote_hint or "put it in quotes"
            report(path, f"{_shown(value, self)} is not {self.describe()}", hint)

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool):
            return "boolean" in self.types
        if not any(isinstance(value, _JSON_TYPES[name]) for name in self.types):
            return False
        if isinstance(value, str):
            return (not self.choices or value in self.choices) and (
                not self.pattern or _compiled(self.pattern).fullmatch(value) is not None
            )
        if isinstance(value, (int, float)):
            return math.isfinite(value) and not (
                (self.minimum is not None and value < self.minimum)
                or (self.maximum is not None and value > self.maximum)
                or (self.above is not None and value <= self.above)
            )
        return True


@dataclass(frozen=True, slots=True)
class Any_:
    """Anything at all: documented as opaque, handed on as it is."""

    def describe(self) -> str:
        return "any value"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        return None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items all have one shape."""

    item: Shape
    minimum_length: int = 0

    def describe(self) -> str:
        return f"a list of {plural(self.item)}"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        if not isinstance(value, list) or len(value) < self.minimum_length:
            report(path, f"{show(value)} is not {self.describe()}", "")
            return
        for index, item in enumerate(value):
            self.item.check(item, (*path, index), report)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with free keys (of a pattern, ``key_says`` in words) and values of one shape."""

    value: Shape
    key_pattern: str = ""
    key_says: str = ""
    sensitive: bool = False

    def describe(self) -> str:
        return f"a mapping to {plural(self.value)}"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        if not isinstance(value, dict):
            report(path, f"{_shown(value, self)} is not {self.describe()}", "")
            return
        for key, item in value.items():
            if self.key_pattern and not _compiled(self.key_pattern).fullmatch(key):
                report((*path, key), f"{show(key)} is not {self.key_says or 'a valid key'}", "")
            self.value.check(item, (*path, key), report)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several shapes; of those that fit the value's kind, the one that fits furthest explains what is wrong."""

    shapes: tuple[Shape, ...]

    def describe(self) -> str:
        return " or ".join(shape.describe() for shape in self.shapes)

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        explanations: list[list[tuple[KeyPath, str, str]]] = []
        for shape in self.shapes:
            found: list[tuple[KeyPath, str, str]] = []
            shape.check(value, path, lambda *problem, into=found: into.append(problem))
            if not found:
                return
            explanations.append(found)
        # A problem further inside means that the value is of that shape's kind, so that explanation is the useful one.
        inside = [found for found in explanations if all(len(problem[0]) > len(path) for problem in found)]
        if inside:
            for problem in max(inside, key=lambda found: min(len(problem[0]) for problem in found)):
                report(*problem)
        else:
            report(path, f"{show(value)} is not {self.describe()}", "")


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it may be, what it is when absent, and what it means. ``applies`` are instance types or kinds.

    ``restarts`` false: a change of it leaves the container as it is. That is also said of a key that is only another
    spelling (``branch``, ``nerve_ns``): what it makes of the deploy group or the registrations counts instead.
    ``legacy``: accepted because old files have it; it has no effect.
    """

    name: str
    shape: Shape
    doc: str
    default: Any = UNSET
    unit: str = ""
    required: bool = False
    applies: frozenset[str] = frozenset()
    restarts: bool = True
    legacy: bool = False


@dataclass(frozen=True)
class Struct:
    """A mapping with known keys; ``open_`` tolerates others. ``others`` explains known keys that belong elsewhere.

    ``lenient`` tolerates others, too, because PaaSTA does, though most often they are typos: ``oddities`` finds them.
    Of the keys in ``needs`` one at least must be there; null is as absent.
    """

    keys: tuple[Key, ...]
    open_: bool = False
    lenient: bool = False
    others: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    sensitive: bool = False

    @cached_property
    def by_name(self) -> dict[str, Key]:
        return {key.name: key for key in self.keys}

    def describe(self) -> str:
        return "a mapping"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        if not isinstance(value, dict):
            report(path, f"{_shown(value, self)} is not {self.describe()}", "")
            return
        for name, item in value.items():
            key = self.by_name.get(name)
            if key is not None:
                key.shape.check(item, (*path, name), report)
            elif name in self.others:
                report((*path, name), self.others[name], "")
            elif not (self.open_ or self.lenient):
                report(
                    (*path, name),
                    unknown_key(item, self.sensitive),
                    did_you_mean(name, self.by_name),
                )
        for key in self.keys:
            if key.required and key.name not in value:
                report(path, f"{key.name} is missing", f"it must be {key.shape.describe()}")
        if self.needs and all(value.get(name) is None for name in self.needs):
            report(path, f"needs at least one of {', '.join(self.needs)}", "")


Shape: TypeAlias = "Scalar | Any_ | ListOf | MapOf | OneOf | Struct"


def oddities(shape: Shape, value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str, str]]:
    """Key path, message and hint of every unknown key that is tolerated and means nothing (``Struct.lenient``)."""
    if isinstance(shape, Struct) and isinstance(value, dict):
        for name, item in value.items():
            key = shape.by_name.get(name)
            if key is not None:
                yield from oddities(key.shape, item, (*path, name))
            elif shape.lenient:
                yield (*path, name), unknown_key(item), did_you_mean(name, shape.by_name) or "it has no effect"
    elif isinstance(shape, ListOf) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from oddities(shape.item, item, (*path, index))
    elif isinstance(shape, MapOf) and isinstance(value, dict):
        for name, item in value.items():
            yield from oddities(shape.value, item, (*path, name))
    elif isinstance(shape, OneOf):
        for option in shape.shapes:
            wrong: list[Any] = []
            option.check(value, path, lambda *problem, into=wrong: into.append(problem))
            if not wrong:
                yield from oddities(option, value, path)
                return


def plural(shape: Shape) -> str:
    """``strings`` for a string, else the description in brackets where grammar would need more."""
    if isinstance(shape, Scalar) and not (shape.says or shape.choices or shape.minimum is not None):
        words = {"string": "strings", "integer": "integers", "number": "numbers"}
        return words[shape.types[0]] if len(shape.types) == 1 and shape.types[0] in words else "values"
    if isinstance(shape, Struct):
        return "mappings"
    if isinstance(shape, ListOf):
        return "lists"
    if isinstance(shape, Any_):
        return "values"
    return f"({shape.describe()})"


def _shown(value: Any, shape: Scalar | MapOf | Struct) -> str:
    return "the value" if shape.sensitive else show(value)


def unknown_key(value: Any, sensitive: bool = False) -> str:
    """What is said of an unknown key. Its text is never shown: it may be a password under a misspelt key."""
    if sensitive:
        return "unknown key"
    return f"unknown key ({'a string' if isinstance(value, str) else f'value {show(value)}'})"


def show(value: Any) -> str:
    """A value as a message shows it: scalars on one line and cut short, of collections the kind only."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."

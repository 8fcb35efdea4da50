# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""YAML files as plain values that still know where each of them was written.

Values are what PyYAML's safe loader gives (YAML 1.1: ``yes`` is true, ``1:30`` is 90), because that is what PaaSTA
reads; on top of it duplicate and non-string keys are errors, and no input ends in a traceback, a crash or a hang.

This is the hot path of a load, so it takes each file through libyaml once and through its nodes once. Whatever is out
of the ordinary goes to ``yamlnodes``, which explains it. The nodes, ten times the size of the file, are not kept:
positions are looked up in the nodes of the same bytes, parsed again when somebody asks.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import Any

try:
    import yaml
    from yaml.constructor import SafeConstructor
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode
    from yaml.resolver import Resolver

    YAML_MISSING = ""
except ImportError as _error:  # on a managed host; the modules report it with missing_required_lib
    YAML_MISSING = str(_error)

from ansible_collections.paasta.platform.plugins.module_utils import collector

from .errors import ConfigError
from .model import KeyPath

# Deeper than any configuration; PyYAML's composer recurses in C and crashes the process at some ten thousand levels.
MAX_DEPTH = 200
# Aliases make a short file describe exponentially many values; no real file multiplies its size so much.
MAX_VALUES = 100_000
MAX_ALIAS_GROWTH = 20

INVALID = "invalid-yaml"  # rules.RULES

MERGE = "tag:yaml.org,2002:merge"
STR = "tag:yaml.org,2002:str"
MAP = "tag:yaml.org,2002:map"
SEQ = "tag:yaml.org,2002:seq"
_CACHE_LIMIT = 100_000
_LARGE = 100_000  # bytes; from here on the collector is paused, whoever reads


class _Typed(str):
    """The tag of a plain scalar that is not a string, with the value it stands for."""

    __slots__ = ("constant",)
    constant: Any


class _Unusual(Exception):
    """Something that only the careful reading in ``yamlnodes`` can explain or count."""


class _Tags(dict[str, str]):
    """What a plain scalar's text means, worked out once per process.

    One of the tags above, a _Typed, or a tag that no value can be made of.
    """

    def __missing__(self, text: str) -> str:
        # Nothing that begins with another character can be anything but a string.
        is_plain = text[:1] not in _RESOLVER.yaml_implicit_resolvers
        tag: str = STR if is_plain else _RESOLVER.resolve(ScalarNode, text, (True, False))
        construct = CONSTRUCT.get(tag)
        if tag == STR:
            tag = STR
        elif tag == MERGE:
            tag = MERGE
        elif construct is not None:
            try:
                typed = _Typed(tag)
                typed.constant = construct(ScalarNode(tag, text))
                tag = typed
            except (ValueError, OverflowError, KeyError, IndexError, yaml.YAMLError):
                pass
        if len(self) > _CACHE_LIMIT:
            self.clear()
        self[text] = tag
        return tag


def _make_loader() -> Any:
    """A loader that only composes nodes. libyaml's parser where PyYAML was built with it; else slower, same nodes."""
    c_parser = getattr(getattr(yaml, "cyaml", None), "CParser", None)
    base: Any = c_parser or yaml.SafeLoader
    tags = _Tags()

    class Composer(base):  # type: ignore[misc]
        if c_parser:
            # Called for every node, for resolvers by path, of which YAML 1.1 has none: the cheapest that take the
            # same arguments. The pure Python parser has them already.
            descend_resolver = staticmethod(operator.is_)
            ascend_resolver = staticmethod(bool)

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is ScalarNode:
                return tags[value] if implicit[0] else STR
            return MAP if kind is MappingNode else SEQ

    return Composer


def _scalar_constructors() -> dict[str, Any]:
    constructor = SafeConstructor()
    prefix = "tag:yaml.org,2002:"
    kinds = ("null", "bool", "int", "float", "timestamp")
    return {prefix + kind: getattr(constructor, f"construct_yaml_{kind}") for kind in kinds}


_LOADER: Any = None if YAML_MISSING else _make_loader()
_RESOLVER: Any = None if YAML_MISSING else Resolver()
CONSTRUCT: dict[str, Any] = {} if YAML_MISSING else _scalar_constructors()


class Document:
    """One parsed file. ``file`` is its name in messages, ``errors`` what is wrong with its YAML.

    Pickled as its bytes: its value is then read again when somebody asks.
    """

    __slots__ = ("_value", "data", "errors", "file")

    def __init__(self, file: str, data: bytes = b"", errors: list[ConfigError] | None = None) -> None:
        self.file = file
        self.data = data
        self.errors: list[ConfigError] = [] if errors is None else errors
        self._value: dict[str, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Document, (self.file, self.data)

    @property
    def value(self) -> dict[str, Any]:
        """A mapping; empty for an empty file, and for one that cannot be read."""
        if self._value is None:
            self._value, self.errors[:] = read(self.file, self.data) if self.data else ({}, self.errors)
        return self._value

    def forget(self) -> None:
        """Keep only the bytes; the value is read again when somebody asks."""
        self._value = None

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column, from 1, of a key (or list item), or of the nearest part of its path that is written.

        A key that came through ``<<`` is where the anchor wrote it. (0, 0) when not even the first part exists.
        """
        if not path or not self.data:
            return 0, 0
        node, mark = _compose(self.data), None
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            mark, node = found
        return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)

    def comment(self, path: KeyPath) -> str:
        """The comment at the end of the line that a key is written in, with its ``#``; empty without one."""
        line = self.position(path)[0]
        if not line:
            return ""
        text = self.data.decode("utf-8", "replace").splitlines()[line - 1]
        # A # in a quoted text is none; that the quotes are balanced before it tells the two apart well enough.
        for found in re.finditer(r"(?:^|\s)#", text):
            before = text[: found.start()]
            if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
                return text[found.start() :].strip()
        return ""

    def error(self, path: KeyPath, message: str, hint: str = "", rule: str = "") -> ConfigError:
        line, column = self.position(path)
        return ConfigError(self.file, line, column, dotted(path), message, hint, rule)


def dotted(path: KeyPath) -> str:
    """``main.extra_volumes[0].mode``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(file: str, data: bytes) -> Document:
    """Parse one file's bytes; never raises for any input. ``file`` is the name used in messages."""
    document = Document(file, data)
    document._value, document.errors = read(file, data)
    return document


def read(file: str, data: bytes) -> tuple[dict[str, Any], list[ConfigError]]:
    """A file's value and what is wrong with it."""
    if len(data) < _LARGE:
        return _read(file, data)
    with collector.paused():
        return _read(file, data)


def _read(file: str, data: bytes) -> tuple[dict[str, Any], list[ConfigError]]:
    try:
        if _may_be_too_deep(data) and _depth_exceeded(data):
            return {}, [ConfigError(file, 0, 0, "", f"is nested more than {MAX_DEPTH} levels deep", rule=INVALID)]
        root = _LOADER(data).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = ", ".join(str(part) for part in (error.context, error.problem) if part)
        return {}, [ConfigError(file, *place, "", f"is not valid YAML: {what}", rule=INVALID)]
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        return {}, [ConfigError(file, 0, 0, "", f"is not valid YAML: {what}", rule=INVALID)]
    if root.__class__ is MappingNode:
        # Without aliases there are never more values than bytes. With them a small file can describe very many.
        _remaining[0] = min(len(data), MAX_VALUES)
        try:
            return _mapping(root, 0), []
        except _Unusual:
            pass
    from .yamlnodes import read_carefully

    return read_carefully(file, root)


# How many more values one file may have before it is read with care; single-threaded like the caches above.
_remaining = [0]


def _mapping(node: Any, depth: int) -> dict[str, Any]:
    pairs = node.value
    _remaining[0] -= len(pairs) + 1
    if depth > MAX_DEPTH or _remaining[0] < 0 or node.tag is not MAP:
        raise _Unusual
    result: dict[str, Any] = {}
    merged: dict[str, Any] | None = None
    for key_node, value_node in pairs:
        tag = value_node.tag
        if tag is STR:
            value = value_node.value
        elif tag.__class__ is _Typed:
            value = tag.constant
        elif tag is MAP:
            value = _mapping(value_node, depth + 1)
        else:
            value = _sequence(value_node, depth + 1)
        if key_node.tag is STR:
            key = key_node.value
            if key in result:
                raise _Unusual
            result[key] = value
        elif key_node.tag is MERGE:
            merged = _merge(merged, value)
        else:
            raise _Unusual
    return result if merged is None else {**merged, **result}


def _sequence(node: Any, depth: int) -> list[Any]:
    if node.__class__ is not SequenceNode or node.tag is not SEQ:
        raise _Unusual
    items = node.value
    _remaining[0] -= len(items) + 1
    if depth > MAX_DEPTH or _remaining[0] < 0:
        raise _Unusual
    result: list[Any] = []
    for item in items:
        tag = item.tag
        if tag is STR:
            result.append(item.value)
        elif tag.__class__ is _Typed:
            result.append(tag.constant)
        elif tag is MAP:
            result.append(_mapping(item, depth + 1))
        else:
            result.append(_sequence(item, depth + 1))
    return result


def _merge(merged: dict[str, Any] | None, value: Any) -> dict[str, Any]:
    """Apply one ``<<``: of a list the first mapping wins, of several ``<<`` the last (as PyYAML does)."""
    result = merged or {}
    for source in reversed(value) if isinstance(value, list) else (value,):
        if not isinstance(source, dict):
            raise _Unusual
        result = {**result, **source}
    return result


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """The mark and the value node of one key or list item of a node."""
    if isinstance(part, int):
        if isinstance(node, SequenceNode) and part < len(node.value):
            return node.value[part].start_mark, node.value[part]
        return None
    if not isinstance(node, MappingNode):
        return None
    for key, value in reversed(node.value):
        if key.tag == STR and key.value == part:
            return key.start_mark, value
    for key, value in reversed(node.value):
        if key.tag == MERGE:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                found = _child(source, part)
                if found is not None:
                    return found
    return None


# What block collections are opened with: indentation and the dashes of nested lists, in UTF-16 with zeros between.
_INDENTATION = re.compile(rb"[ \t?:\0-]{100,}")
_HALF = MAX_DEPTH // 2


def _may_be_too_deep(data: bytes) -> bool:
    """A cheap upper bound: each level costs a bracket, or a column before anything else in its line."""
    count = data.count
    if count(b"[") + count(b"{") >= _HALF:
        return True
    # Indentation of one more column for each level takes so many bytes; without it a level needs a dash or a ?.
    if len(data) < _HALF * _HALF // 2 and count(b"-") + count(b"?") + count(b"\0") < _HALF:
        return False
    return _INDENTATION.search(data) is not None


def _depth_exceeded(data: bytes) -> bool:
    """Walk the parser's events, which needs no recursion, as far as the limit."""
    depth = 0
    loader = _LOADER(data)
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return False


@lru_cache(maxsize=8)
def _compose(data: bytes) -> Any:
    """The nodes of a file that has been read before; mistakes come file by file, so a few files are enough."""
    try:
        with collector.paused():
            return None if _may_be_too_deep(data) and _depth_exceeded(data) else _LOADER(data).get_single_node()
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
        return None  # its own error says where

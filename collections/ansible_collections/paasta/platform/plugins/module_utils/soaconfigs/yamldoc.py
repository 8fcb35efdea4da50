# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""YAML files as plain values that still know where each of them was written.

Values are what PyYAML's safe loader gives (YAML 1.1: ``yes`` is true, ``1:30`` is 90), because that is what PaaSTA
reads; on top of it duplicate and non-string keys are errors, and no input ends in a traceback or a crash. The parser
runs once (libyaml where PyYAML was built with it); positions are looked up in its nodes only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

try:
    import yaml
    from yaml.constructor import SafeConstructor
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    # PyYAML built without libyaml has no CSafeLoader: slower, same nodes.
    _BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    YAML_MISSING = ""
except ImportError as _error:  # on a managed host; the modules report it with missing_required_lib
    YAML_MISSING = str(_error)

from .errors import ConfigError
from .model import KeyPath

# Deeper than any configuration; PyYAML's composer recurses in C and crashes the process at some ten thousand levels.
MAX_DEPTH = 200
# Aliases make a short file describe exponentially many values; no real file multiplies its size so much.
MAX_VALUES = 100_000
MAX_ALIAS_GROWTH = 20

_MERGE = "tag:yaml.org,2002:merge"
_STR = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_CACHE_LIMIT = 100_000

# A value, the number of values and the number of levels in it.
_Built = tuple[Any, int, int]

_tags: dict[str, str] = {}
_scalars: dict[tuple[str, str], Any] = {}


def _make_loader() -> Any:
    """A loader that only composes nodes, with the type of each plain scalar looked up once per process."""

    class Composer(_BASE):  # type: ignore[misc]
        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is not ScalarNode:
                return _MAP if kind is MappingNode else _SEQ
            if not implicit[0]:
                return _STR
            tag = _tags.get(value)
            if tag is None:
                if len(_tags) > _CACHE_LIMIT:
                    _tags.clear()
                tag = _tags[value] = super().resolve(kind, value, implicit)
            return tag

    return Composer


def _scalar_constructors() -> dict[str, Callable[[Any], Any]]:
    constructor = SafeConstructor()
    prefix = "tag:yaml.org,2002:"
    kinds = ("null", "bool", "int", "float", "timestamp")
    return {prefix + kind: getattr(constructor, f"construct_yaml_{kind}") for kind in kinds}


_LOADER: Any = None if YAML_MISSING else _make_loader()
_CONSTRUCT: dict[str, Callable[[Any], Any]] = {} if YAML_MISSING else _scalar_constructors()


@dataclass(slots=True)
class Document:
    """One parsed file: ``value`` is a mapping (empty for an empty file), ``errors`` what is wrong with its YAML."""

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)
    root: Any = None

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column, from 1, of a key (or list item), or of the nearest part of its path that is written.

        A key that came through ``<<`` is where the anchor wrote it. (0, 0) when not even the first part exists.
        """
        node, mark = self.root, None
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            mark, node = found
        return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)

    def error(self, path: KeyPath, message: str, hint: str = "") -> ConfigError:
        line, column = self.position(path)
        return ConfigError(self.file, line, column, dotted(path), message, hint)


def dotted(path: KeyPath) -> str:
    """``main.extra_volumes[0].mode``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(file: str, data: bytes) -> Document:
    """Parse one file's bytes; never raises for any input. ``file`` is the name used in messages."""
    document = Document(file)
    try:
        if _may_be_too_deep(data) and _depth_exceeded(data):
            document.errors.append(ConfigError(file, 0, 0, "", f"is nested more than {MAX_DEPTH} levels deep"))
            return document
        loader = _LOADER(data)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = ", ".join(str(part) for part in (error.context, error.problem) if part)
        document.errors.append(ConfigError(file, *place, "", f"is not valid YAML: {what}"))
        return document
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        document.errors.append(ConfigError(file, 0, 0, "", f"is not valid YAML: {what}"))
        return document
    _fill(document, root)
    return document


def _fill(document: Document, root: Any) -> None:
    document.root = root
    if root is None or (isinstance(root, ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
        return
    if not isinstance(root, MappingNode):
        line, column = root.start_mark.line + 1, root.start_mark.column + 1
        document.errors.append(ConfigError(document.file, line, column, "", "must be a mapping of keys to values"))
        return
    builder = _Builder(document)
    value, size, depth = builder.build(root, ())
    if depth > MAX_DEPTH:
        document.errors.append(ConfigError(document.file, 0, 0, "", f"its aliases nest more than {MAX_DEPTH} levels"))
        return
    if size > max(MAX_VALUES, MAX_ALIAS_GROWTH * builder.built):
        message = f"its aliases expand to {size} values"
        document.errors.append(ConfigError(document.file, 0, 0, "", message, "write fewer nested aliases"))
        return
    document.value = value


class _Builder:
    """Turns nodes into values, each anchored node once however often it is used."""

    def __init__(self, document: Document) -> None:
        self._file = document.file
        self._errors = document.errors
        self._done: dict[int, _Built] = {}
        self._active: set[int] = set()
        self.built = 0

    def build(self, node: Any, path: KeyPath) -> _Built:
        """The node's value, and how many values and how many levels it has with all aliases written out."""
        if isinstance(node, ScalarNode):
            return self._scalar(node, path), 1, 0
        identity = id(node)
        if identity in self._done:
            return self._done[identity]
        if identity in self._active:
            self._error(node, path, "an alias refers to the value that contains it")
            return None, 1, 0
        self._active.add(identity)
        self.built += len(node.value)
        if node.tag not in (_MAP, _SEQ):
            self._error(node, path, f"tag {node.tag} is not supported")
            result: _Built = (None, 1, 0)
        elif isinstance(node, SequenceNode):
            result = self._sequence(node, path)
        else:
            result = self._mapping(node, path)
        self._active.discard(identity)
        self._done[identity] = result
        return result

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        if node.tag == _STR:
            return node.value
        key = (node.tag, node.value)
        if key in _scalars:
            return _scalars[key]
        construct = _CONSTRUCT.get(node.tag)
        if construct is None:
            self._error(node, path, f"tag {node.tag} is not supported")
            return None
        try:
            value = construct(node)
        except (ValueError, OverflowError, KeyError, IndexError, yaml.YAMLError) as error:
            self._error(node, path, f"cannot read {node.value!r}: {error}", "put it in quotes if it is text")
            return None
        if len(_scalars) > _CACHE_LIMIT:
            _scalars.clear()
        _scalars[key] = value
        return value

    def _sequence(self, node: Any, path: KeyPath) -> _Built:
        items, size, depth = [], 1, 0
        for index, child in enumerate(node.value):
            value, count, below = self.build(child, (*path, index))
            items.append(value)
            size += count
            depth = max(depth, below)
        return items, size, depth + 1

    def _mapping(self, node: Any, path: KeyPath) -> _Built:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        size, depth = 1, 0
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                count, below = self._merge(merged, value_node, path)
                size += count
                depth = max(depth, below)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            value, count, below = self.build(value_node, (*path, key))
            size += count
            depth = max(depth, below + 1)
            if key in own:
                message = f"duplicate key, first written in line {lines[key]}"
                self._error(key_node, (*path, key), message, "keep one of the two")
            own[key] = value
            lines[key] = key_node.start_mark.line + 1
        if merged:
            merged.update(own)
            return merged, size, depth
        return own, size, depth

    def _key(self, node: Any, path: KeyPath) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == _STR:
            return str(node.value)
        if not isinstance(node, ScalarNode):
            self._error(node, path, "a key must be a string")
        else:
            kind = node.tag.rpartition(":")[2]
            self._error(node, path, f"key {node.value} is not a string (YAML reads it as {kind})", "put it in quotes")
        return None

    def _merge(self, merged: dict[str, Any], node: Any, path: KeyPath) -> tuple[int, int]:
        """Apply one ``<<``: of a list the first mapping wins, of several ``<<`` the last (as PyYAML does).

        Returns how many values and how many levels came with it.
        """
        sources = node.value if isinstance(node, SequenceNode) else [node]
        size = depth = 0
        for source in reversed(sources):
            value, count, below = self.build(source, path)
            size += count
            depth = max(depth, below)
            if not isinstance(value, dict):
                self._error(source, path, "<< needs a mapping or a list of mappings")
                continue
            merged.update(value)
        return size, depth

    def _error(self, node: Any, path: KeyPath, message: str, hint: str = "") -> None:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self._errors.append(ConfigError(self._file, line, column, dotted(path), message, hint))


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """The mark and the value node of one key or list item of a node."""
    if isinstance(part, int):
        if isinstance(node, SequenceNode) and part < len(node.value):
            return node.value[part].start_mark, node.value[part]
        return None
    if not isinstance(node, MappingNode):
        return None
    for key, value in reversed(node.value):
        if key.tag == _STR and key.value == part:
            return key.start_mark, value
    for key, value in reversed(node.value):
        if key.tag == _MERGE:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                found = _child(source, part)
                if found is not None:
                    return found
    return None


def _may_be_too_deep(data: bytes) -> bool:
    """A cheap upper bound: each level costs a bracket or a column of the longest line."""
    brackets = data.count(b"[") + data.count(b"{")
    return brackets + max(map(len, data.split(b"\n"))) > MAX_DEPTH


def _depth_exceeded(data: bytes) -> bool:
    """Walk the parser's events, which needs no recursion, as far as the limit."""
    depth = 0
    loader = _LOADER(data)
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    return True
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    finally:
        loader.dispose()
    return False

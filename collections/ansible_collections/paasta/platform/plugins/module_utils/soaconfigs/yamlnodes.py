# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The careful reading of a YAML file's nodes: everything that is wrong with them, each at its place.

``yamldoc`` reads files that are as they should be; what it cannot explain comes here.
"""

from __future__ import annotations

from typing import Any

try:
    import yaml
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode
except ImportError:  # said by yamldoc.YAML_MISSING
    pass

from .errors import ConfigError
from .model import KeyPath
from .yamldoc import CONSTRUCT, INVALID, MAP, MAX_ALIAS_GROWTH, MAX_DEPTH, MAX_VALUES, MERGE, SEQ, STR, dotted

# A value, the number of values and the number of levels in it.
_Built = tuple[Any, int, int]


def read_carefully(file: str, root: Any) -> tuple[dict[str, Any], list[ConfigError]]:
    """The value of a file's root node (empty when there is none to be had) and what is wrong with it."""
    if root is None or (isinstance(root, ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
        return {}, []
    if not isinstance(root, MappingNode):
        line, column = root.start_mark.line + 1, root.start_mark.column + 1
        return {}, [ConfigError(file, line, column, "", "must be a mapping of keys to values", rule=INVALID)]
    builder = _Builder(file)
    value, size, depth = builder.build(root, ())
    if depth > MAX_DEPTH:
        builder.errors.append(
            ConfigError(file, 0, 0, "", f"its aliases nest more than {MAX_DEPTH} levels", rule=INVALID)
        )
        return {}, builder.errors
    if size > max(MAX_VALUES, MAX_ALIAS_GROWTH * builder.built):
        message = f"its aliases expand to {size} values"
        builder.errors.append(ConfigError(file, 0, 0, "", message, "write fewer nested aliases", INVALID))
        return {}, builder.errors
    return value or {}, builder.errors


class _Builder:
    """Turns nodes into values, each anchored node once however often it is used."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.errors: list[ConfigError] = []
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
        if node.tag not in (MAP, SEQ):
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
        if node.tag == STR:
            return node.value
        construct = CONSTRUCT.get(node.tag)
        if construct is None:
            self._error(node, path, f"tag {node.tag} is not supported")
            return None
        try:
            return construct(node)
        except (ValueError, OverflowError, KeyError, IndexError, yaml.YAMLError) as error:
            self._error(node, path, f"cannot read {node.value!r}: {error}", "put it in quotes if it is text")
            return None

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
            if key_node.tag == MERGE:
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
                self._error(key_node, (*path, key), message, "keep one of the two", "duplicate-key")
            own[key] = value
            lines[key] = key_node.start_mark.line + 1
        if merged:
            merged.update(own)
            return merged, size, depth
        return own, size, depth

    def _key(self, node: Any, path: KeyPath) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == STR:
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

    def _error(self, node: Any, path: KeyPath, message: str, hint: str = "", rule: str = INVALID) -> None:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self.errors.append(ConfigError(self._file, line, column, dotted(path), message, hint, rule))

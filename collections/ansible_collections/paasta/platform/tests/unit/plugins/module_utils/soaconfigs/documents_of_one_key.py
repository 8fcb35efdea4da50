# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Whole documents around one key's value, with no more than what has to be beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import (
    Key,
    ListOf,
    MapOf,
    OneOf,
    Shape,
    Struct,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values import find

_NAME = "main"  # is right wherever a name is free


class KeyInDocument(NamedTuple):
    """A key at a path of a kind of document; ``around(value)`` is a document that is right if the value is."""

    path: str
    key: Key
    around: Callable[[Any], Any]
    without: Callable[[], Any]


def keys_of(kind: str, shape: Shape) -> Iterator[KeyInDocument]:
    """Every key of a document, however deep."""
    return _walk(kind, shape, "", lambda value: value)


def _walk(kind: str, shape: Shape, path: str, around: Callable[[Any], Any]) -> Iterator[KeyInDocument]:
    if isinstance(shape, Struct):
        for key in shape.keys:
            yield from _key(kind, shape, key, path, around)
    elif isinstance(shape, ListOf):
        yield from _walk(kind, shape.item, f"{path}[]", lambda value: around([value]))
    elif isinstance(shape, MapOf):
        below = f"{path}.<name>" if path else "<name>"
        yield from _walk(kind, shape.value, below, lambda value: around({_NAME: value}))
    elif isinstance(shape, OneOf):
        for choice in shape.shapes:
            yield from _walk(kind, choice, path, around)


def _key(kind: str, struct: Struct, key: Key, path: str, around: Callable[[Any], Any]) -> Iterator[KeyInDocument]:
    below = f"{path}.{key.name}" if path else key.name
    beside = _beside(kind, struct, key, path)

    def with_key(value: Any) -> Any:
        return around({**beside, key.name: value})

    yield KeyInDocument(below, key, with_key, lambda: around(beside))
    yield from _walk(kind, key.shape, below, with_key)


def _beside(kind: str, struct: Struct, key: Key, path: str) -> dict[str, Any]:
    """The other keys that have to be there: the required, and another one of those of which one is needed."""
    names = [other.name for other in struct.keys if other.required and other is not key]
    names += [name for name in struct.needs if name != key.name][:1]
    values = {name: find(kind, f"{path}.{name}" if path else name) for name in names}
    return {name: found.good[0] for name, found in values.items() if found is not None}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How the files of an instance become one mapping, and which of them each value came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .model import KeyPath, Source
from .yamldoc import Document

DEFAULT_SOURCE = Source("default", 0)


def deep_merge(overrides: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``overrides`` over ``defaults``: mappings merge key by key, everything else (lists too) is replaced whole.

    Neither argument is changed. Parts that come from one side only are shared with it, so treat the result as
    read-only or freeze it.
    """
    merged = dict(defaults)
    merged.update(overrides)
    for key, value in overrides.items():
        if isinstance(value, dict):
            below = defaults.get(key)
            if isinstance(below, dict):
                merged[key] = deep_merge(value, below)
    return merged


def leaves(value: Mapping[str, Any], path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all values that are not mappings with something in them. A list is one leaf: it merges as one."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key)


class Layer:
    """One mapping of a document that takes part in a merge.

    ``path`` is where it is in its document, ``under`` where it goes in the merged mapping. ``value``, of which parts
    may be left out, is read again from the document after pickling.
    """

    __slots__ = ("_value", "document", "path", "under")

    def __init__(
        self, document: Document, path: KeyPath = (), under: KeyPath = (), value: Mapping[str, Any] | None = None
    ) -> None:
        self.document = document
        self.path = path
        self.under = under
        self._value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return Layer, (self.document, self.path, self.under)

    @property
    def value(self) -> Mapping[str, Any]:
        """As it takes part in the merge."""
        if self._value is None:
            value: Any = self.document.value
            for part in self.path:
                value = value[part]
            for part in reversed(self.under):
                value = {part: value}
            self._value = value
        return self._value

    def forget(self) -> None:
        """Keep only where the value is. A reading holds on to no file's values but the merged ones."""
        self._value = None

    def place(self, path: KeyPath) -> KeyPath:
        """A key path of the merged mapping as one of the document."""
        return (*self.path, *path[len(self.under) :])

    def locate(self, path: KeyPath) -> Source:
        return Source(self.document.file, self.document.position(self.place(path))[0])

    def holds(self, path: KeyPath) -> bool:
        value: Any = self.value
        for part in path:
            if isinstance(part, int):
                if not isinstance(value, (list, tuple)) or part >= len(value):
                    return False
            elif not isinstance(value, Mapping) or part not in value:
                return False
            value = value[part]
        return True


def holder(layers: Sequence[Layer], path: KeyPath) -> Layer | None:
    """The layer that a value of the merged mapping came from, ``layers`` being in order of precedence."""
    return next((layer for layer in layers if layer.holds(path)), None)


class Provenance(Mapping[KeyPath, Source]):
    """Where each leaf of a merged mapping was written, worked out when first asked for.

    ``layers`` are in order of precedence, the strongest first. ``defaults`` are top-level keys that no file sets and
    the table of keys fills in.
    """

    __slots__ = ("_defaults", "_layers", "_merged", "_sources")

    def __init__(self, merged: Mapping[str, Any], layers: Sequence[Layer], defaults: Sequence[str] = ()) -> None:
        self._merged = merged
        self._layers = tuple(layers)
        self._defaults = defaults
        self._sources: dict[KeyPath, Source] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Provenance, (self._merged, self._layers, self._defaults)

    def _all(self) -> dict[KeyPath, Source]:
        if self._sources is None:
            sources: dict[KeyPath, Source] = {
                (name,): DEFAULT_SOURCE for name in self._defaults if name not in self._merged
            }
            for path in leaves(self._merged):
                # Nothing else can hold a leaf of the merge than one of the layers that were merged.
                sources[path] = next(layer.locate(path) for layer in self._layers if layer.holds(path))
            self._sources = sources
        return self._sources

    def __getitem__(self, path: KeyPath) -> Source:
        return self._all()[path]

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def merge_layers(layers: Sequence[Layer]) -> dict[str, Any]:
    """Merge layers, the strongest first, with PaaSTA's nesting: ((user over autotuned) over service-wide)."""
    merged = dict(layers[0].value) if layers else {}
    for layer in layers[1:]:
        if layer.value:
            merged = deep_merge(merged, layer.value)
    return merged

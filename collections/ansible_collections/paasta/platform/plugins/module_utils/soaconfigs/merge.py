# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How the files of an instance become one mapping, and which of them each value came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .model import KeyPath, Source

DEFAULT_SOURCE = Source("default", 0)


def deep_merge(overrides: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``overrides`` over ``defaults``: mappings merge key by key, everything else (lists too) is replaced whole.

    Neither argument is changed. Parts that come from one side only are shared with it, so treat the result as
    read-only or freeze it.
    """
    merged = dict(defaults)
    for key, value in overrides.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = deep_merge(value, below) if both else value  # type: ignore[arg-type]
    return merged


def leaves(value: Mapping[str, Any], path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all values that are not mappings with something in them. A list is one leaf: it merges as one."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key)


@dataclass(frozen=True, slots=True)
class Layer:
    """One mapping that takes part in a merge; ``locate`` tells where a key path of it is written."""

    value: Mapping[str, Any]
    locate: Callable[[KeyPath], Source]

    def holds(self, path: KeyPath) -> bool:
        value: Any = self.value
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                return False
            value = value[part]
        return True


class Provenance(Mapping[KeyPath, Source]):
    """Where each leaf of a merged mapping was written, worked out when first asked for.

    ``layers`` are in order of precedence, the strongest first. ``defaults`` are top-level keys that no file sets and
    the table of keys fills in.
    """

    __slots__ = ("_defaults", "_layers", "_merged", "_sources")

    def __init__(self, merged: Mapping[str, Any], layers: Sequence[Layer], defaults: Sequence[str] = ()) -> None:
        self._merged = merged
        self._layers = tuple(layers)
        self._defaults = tuple(defaults)
        self._sources: dict[KeyPath, Source] | None = None

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


def merge_layers(layers: Sequence[Layer], defaults: Sequence[str] = ()) -> tuple[dict[str, Any], Provenance]:
    """Merge layers, the strongest first, with PaaSTA's nesting: ((user over autotuned) over service-wide)."""
    merged: dict[str, Any] = {}
    for index, layer in enumerate(layers):
        merged = dict(layer.value) if index == 0 else deep_merge(merged, layer.value)
    return merged, Provenance(merged, layers, defaults)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Read-only versions of what YAML gives: mappings that are still dicts (so JSON takes them), lists as tuples."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any, NoReturn


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed, and can therefore be hashed and shared."""

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is read-only; copy it with dict() or thaw()")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: Any) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenDict, (dict(self),))


_ATOMS = frozenset({str, int, float, bool, type(None)})


def freeze(value: Any) -> Any:
    """The same value, read-only all the way down."""
    kind = value.__class__
    if kind is dict:
        if _ATOMS.issuperset(map(type, value.values())):
            return FrozenDict(value)
        return FrozenDict({intern(k): v if v.__class__ in _ATOMS else freeze(v) for k, v in value.items()})
    if kind is list:
        if _ATOMS.issuperset(map(type, value)):
            return tuple(value)
        return tuple([v if v.__class__ in _ATOMS else freeze(v) for v in value])
    if kind in _ATOMS or kind is FrozenDict:
        return value
    if isinstance(value, Mapping):
        return freeze(dict(value))
    return freeze(list(value)) if isinstance(value, (list, tuple)) else value


def thaw(value: Any) -> Any:
    """The same value as plain dicts and lists, to change or to write out."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value

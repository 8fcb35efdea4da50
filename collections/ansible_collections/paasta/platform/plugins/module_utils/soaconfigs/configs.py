# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a tree says for each cluster; from a cache only what is asked for is made into objects again."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

from .model import ClusterConfig, Namespace

_NAMESPACES = "namespaces"


class Configs(Mapping[str, ClusterConfig]):
    """Clusters' configurations by name. All have the same namespaces, which are pickled once."""

    __slots__ = ("_found", "_namespaces", "_stored")

    def __init__(self, found: Mapping[str, ClusterConfig], namespaces: tuple[Namespace, ...]) -> None:
        self._found: dict[str, ClusterConfig] = dict(found)
        self._namespaces: tuple[Namespace, ...] | None = namespaces
        self._stored: dict[str, bytes] = {}

    def __getstate__(self) -> dict[str, bytes]:
        stored = {name: _dump(self[name], self.namespaces) for name in self}
        return {
            **{f"cluster {name}": data for name, data in stored.items()},
            _NAMESPACES: pickle.dumps(self.namespaces),
        }

    def __setstate__(self, state: dict[str, bytes]) -> None:
        self._found = {}
        self._namespaces = None
        self._stored = state

    @property
    def namespaces(self) -> tuple[Namespace, ...]:
        if self._namespaces is None:
            self._namespaces = pickle.loads(self._stored[_NAMESPACES])
        return self._namespaces

    def __getitem__(self, name: str) -> ClusterConfig:
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = _Unpickler(self._stored[f"cluster {name}"], self).load()
        return found

    def __iter__(self) -> Iterator[str]:
        known = {name.removeprefix("cluster ") for name in self._stored if name != _NAMESPACES}
        return iter(sorted(known | self._found.keys()))

    def __len__(self) -> int:
        return sum(1 for _name in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]


def _dump(config: ClusterConfig, namespaces: tuple[Namespace, ...]) -> bytes:
    target = io.BytesIO()
    _Pickler(target, namespaces).dump(config)
    return target.getvalue()


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO, namespaces: tuple[Namespace, ...]) -> None:
        super().__init__(target, protocol=5)
        self._namespaces = namespaces

    def persistent_id(self, obj: Any) -> str | None:
        return _NAMESPACES if obj is self._namespaces else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, configs: Configs) -> None:
        super().__init__(io.BytesIO(data))
        self._configs = configs

    def persistent_load(self, _name: Any) -> tuple[Namespace, ...]:
        return self._configs.namespaces

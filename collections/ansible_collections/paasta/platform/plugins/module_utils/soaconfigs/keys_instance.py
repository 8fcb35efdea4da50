# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: what an instance may say, each with the types it applies to. Read through ``keys``."""

from __future__ import annotations

from dataclasses import replace

from .keys_common import COMMON_KEYS, STR
from .keys_long_running import KUBERNETES_KEYS, LONG_RUNNING_KEYS, MARATHON_KEYS, MARATHON_VARIANTS
from .shapes import Key

# The types that tree.load makes instances of; Marathon's have the same keys and more.
INSTANCE_TYPES = frozenset({"kubernetes", "eks", "adhoc"})
LONG_RUNNING_TYPES = frozenset({"kubernetes", "eks", "marathon"})
CONTAINER_TYPES = INSTANCE_TYPES | LONG_RUNNING_TYPES

_KUBERNETES = frozenset({"kubernetes", "eks"})
_MARATHON = frozenset({"marathon"})

_ADHOC_KEYS = (Key("docker_url", STR, "image to run instead of the service's own"),)


def _rows() -> tuple[Key, ...]:
    """All rows; a key that means something else to Marathon has a row of its own for it, after the others'."""
    special = {key.name for key in MARATHON_VARIANTS}
    groups = (
        (COMMON_KEYS, CONTAINER_TYPES),
        (_ADHOC_KEYS, frozenset({"adhoc"})),
        (LONG_RUNNING_KEYS, LONG_RUNNING_TYPES),
        (KUBERNETES_KEYS, _KUBERNETES),
        (MARATHON_KEYS, _MARATHON),
    )
    rows = [
        replace(key, applies=applies - _MARATHON if key.name in special else applies)
        for keys, applies in groups
        for key in keys
    ]
    return (*rows, *(replace(key, applies=_MARATHON) for key in MARATHON_VARIANTS))


INSTANCE_KEYS = _rows()

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of where an instance's volumes are mounted: nothing may hide anything else unnoticed."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from .model import KeyPath
from .subjects import Subject
from .yamldoc import dotted

# Every key whose items are mounted, and the name of the path in an item.
_MOUNTS = (
    ("extra_volumes", "containerPath"),
    ("aws_ebs_volumes", "container_path"),
    ("persistent_volumes", "container_path"),
    ("secret_volumes", "container_path"),
    ("projected_sa_volumes", "container_path"),
)

_Mount = tuple[str, KeyPath, Any]  # normal path in the container, where it is written, the volume


def volumes(subject: Subject) -> None:
    check(subject, (), subject.config)


def check(subject: Subject, prefix: KeyPath, config: Mapping[str, Any]) -> None:
    """Check the volumes of a mapping that is at ``prefix`` of the subject."""
    found = [(key, name, items) for key, name in _MOUNTS if (items := config.get(key))]
    if len(found) > 1 or (found and len(found[0][2]) > 1):
        mounts: list[_Mount] = []
        for key, name, items in found:
            mounts += [(posixpath.normpath(item[name]), (*prefix, key, n, name), item) for n, item in enumerate(items)]
        _overlaps(subject, mounts)


def _overlaps(subject: Subject, mounts: list[_Mount]) -> None:
    seen: list[_Mount] = []
    for mount in mounts:
        path, where, item = mount
        same = next((other for other in seen if other[0] == path), None)
        if same is not None and same[2] == item and same[1][:-2] == where[:-2]:
            message = f"the volume is already named in {_volume(same)}"
            subject.warn("repeated-volume", where, message, "once is enough")
            continue
        if same is not None:
            message = f"{path} is already mounted by {_volume(same)}"
            subject.error("duplicate-volume", where, message, "mount one of the two somewhere else")
        seen.append(mount)
    for path, where, _item in seen:
        outer = next((other for other in seen if _inside(path, other[0])), None)
        if outer is not None:
            message = f"{path} is inside {outer[0]}, which {_volume(outer)} mounts"
            subject.warn("nested-volume", where, message, "the inner one hides what the outer one has there")


def _volume(mount: _Mount) -> str:
    """``extra_volumes[0]``"""
    return dotted(mount[1][-3:-1])


def _inside(path: str, outer: str) -> bool:
    return path != outer and path.startswith(outer.rstrip("/") + "/")


CHECKS = (volumes,)

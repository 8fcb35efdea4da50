# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which parts of a value look like secrets, so that nobody writes them to a file that people commit."""

from __future__ import annotations

import re
from typing import Any

from .model import KeyPath
from .settings import inside
from .shapes import Any_, Shape

_NAMES = re.compile(r"passw|secret|token|credential|api_?key|private_?key|access_?key", re.IGNORECASE)
_TEXTS = re.compile(
    r"://[^/@\s]*:[^/@\s]+@"  # a password in a URL
    r"|[?&;](\w*(token|password|secret|signature|api_?key))=[^&\s]"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://hooks\.slack\.com/"
    r"|\b(xox[abprs]-|hvs\.|ghp_|AKIA[0-9A-Z]{12})",
    re.IGNORECASE,
)


def find(value: Any, shape: Shape | None, path: KeyPath = ()) -> list[KeyPath]:
    """The key paths of texts that look like secrets: by what they are anywhere, by the name of their key only where
    the shape is open (None or any value), because elsewhere it is known what the keys mean.
    """
    if isinstance(value, dict):
        named = value.get("name") if _open(shape) else None
        found = []
        for key, item in value.items():
            # Also one of a list of {name: X, value: Y}, as containers' environments are.
            says = isinstance(named, str) and key == "value" and _NAMES.search(named)
            below = inside(shape, key)
            if isinstance(item, str) and item and _open(below) and (says or _NAMES.search(str(key))):
                found.append((*path, key))
            else:
                found += find(item, below, (*path, key))
        return found
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in find(item, inside(shape, 0), (*path, index))]
    return [path] if isinstance(value, str) and _TEXTS.search(value) else []


def _open(shape: Shape | None) -> bool:
    return shape is None or isinstance(shape, Any_)

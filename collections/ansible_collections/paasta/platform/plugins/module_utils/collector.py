# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Python's collector of cycles, kept out of work that builds many objects which all stay."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

# So many new objects are worth to be taken away from the collector: looking at them once costs it some 30 ms.
_MANY_OBJECTS = 20_000


@contextlib.contextmanager
def paused(freeze: bool = False) -> Iterator[None]:
    """No search for cycles inside: it takes more than half of the time of a reading, and with large files nearly all.

    ``freeze``: a large result is never searched afterwards either; it still goes when nobody refers to it any more.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if freeze and gc.get_count()[0] > _MANY_OBJECTS:
                gc.freeze()
            gc.enable()

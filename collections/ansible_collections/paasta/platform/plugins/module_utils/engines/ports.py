# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which port of a host a replica is reached at: a pure function, so that a plan can be computed twice alike."""

from __future__ import annotations

import zlib
from collections.abc import Container

#: First and last port given to replicas. Mesos agents offer 31000-32000 by default, so firewalls of existing
#: PaaSTA hosts are open for it, and it lies below Linux's default ephemeral range (32768-60999).
DEFAULT_RANGE = (31000, 31999)


class NoPort(Exception):
    """Every port of the range is taken."""


def allocate(name: str, taken: Container[int], first: int, last: int) -> int:
    """The port for the replica called ``name``: the first free one from a place that its name decides.

    Starting at different places keeps a port from going at once from a replica that has just stopped to another
    service, where a client that is a moment behind would talk to the wrong one.

    :raises NoPort: when ``first`` to ``last`` are all in ``taken``.
    """
    size = last - first + 1
    start = zlib.crc32(name.encode()) % size
    for offset in range(size):
        port = first + (start + offset) % size
        if port not in taken:
            return port
    raise NoPort(f"no free port between {first} and {last} for {name}")

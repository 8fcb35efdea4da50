# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the inventory of the scenario says."""

from __future__ import annotations

from driver import Platform

NODES = ("node1", "node2", "node3")
GATEWAY = "127.0.0.77"
PLATFORM = Platform("molecule", GATEWAY, NODES)

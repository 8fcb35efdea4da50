# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the inventory of the scenario says."""

from __future__ import annotations

NODES = ("node1", "node2", "node3")
GATEWAY = "127.0.0.77"

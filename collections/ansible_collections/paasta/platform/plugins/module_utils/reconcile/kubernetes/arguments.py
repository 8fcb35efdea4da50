# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the bulk modules over a Kubernetes cluster: plain data, readable where ``kubernetes`` is missing."""

from __future__ import annotations

from typing import Any

from ..secrets import PROVIDER_ARGUMENTS
from .access import AUTH_ARGUMENTS

INFO_ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "cluster": {"type": "str", "required": True},
    "plan": {"type": "dict", "required": True},
    "only": {"type": "list", "elements": "str", "default": []},
    "undeployed": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS: dict[str, Any] = {
    **INFO_ARGUMENTS,
    **PROVIDER_ARGUMENTS,
    "soa_dir": {"type": "path"},
    "secret_environment": {"type": "str", "no_log": False},
    "prune_guard": {"type": "float", "default": 0.5},
    "timeout": {"type": "float", "default": 600},
    "lock_timeout": {"type": "float", "default": 300},
    "lock_namespace": {"type": "str", "default": "paasta"},
    "force_conflicts": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "rollback": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 16},
    "rate_limit": {"type": "float", "default": 0},
}

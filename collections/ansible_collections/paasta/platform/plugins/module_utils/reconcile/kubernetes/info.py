# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""See what runs of the plan on a Kubernetes cluster: the work of ``kubernetes_instances_info``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from .access import NoAccess
from .connection import connected, without_credentials
from .errors import ApiError, Unreachable
from .row import brief
from .rows import of_plan

#: Seconds for which a server that does not answer is asked again: somebody looks at the screen.
PATIENCE = 15.0


def gather(args: Mapping[str, Any]) -> dict[str, Any]:
    """Look only. ``args`` is as in :data:`~.arguments.INFO_ARGUMENTS`; returns the module's result."""
    try:
        with connected(args, patience=PATIENCE) as api:
            rows = of_plan(api, args)
    except (NoAccess, ApiError, Unreachable) as error:
        return without_credentials({"failed": True, "msg": str(error)}, args)
    emit("rows", rows=[brief(row) for row in rows])
    return {"changed": False, "instances": rows}

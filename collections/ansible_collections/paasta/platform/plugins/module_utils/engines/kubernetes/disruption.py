# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The PodDisruptionBudget of an instance: how many of its pods the drain of a node may stop at once.

PaaSTA's default, and a ``bounce_margin_factor`` of 1, give 0, and no node with such a pod can ever be drained. Here it
is at least 1, unless ``paasta_pdb_max_unavailable`` itself is 0.
"""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels
from .facts import Facts


def budget(instance: Instance, facts: Facts) -> dict[str, Any]:
    """The manifest."""
    settings = facts.settings
    policy = instance.keys.get("unhealthy_pod_eviction_policy") or settings.unhealthy_pod_eviction_policy
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": labels.metadata(instance, facts),
        "spec": {
            "maxUnavailable": _max_unavailable(instance, facts),
            "selector": {"matchLabels": labels.selector(instance, facts)},
            "unhealthyPodEvictionPolicy": policy,
        },
    }


def _max_unavailable(instance: Instance, facts: Facts) -> int | str:
    """What the instance's own margin leaves, else the setting. Kubernetes rounds a share up to whole pods."""
    margin = instance.keys.get("bounce_margin_factor")
    if margin is None:
        return facts.settings.pdb_max_unavailable
    share = math.ceil(round((1 - margin) * 100, 6))
    return f"{share}%" if share else 1

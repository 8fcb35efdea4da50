# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The workload of an instance: a Deployment, or a StatefulSet where each replica has volumes of its own."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, Version

from . import labels, names, pod, strategy, volumes
from .facts import Facts

#: Kubernetes labels the pods of a StatefulSet with its name, a dash and ten characters of a hash.
_STATEFUL_NAME_LIMIT = names.NAME_LIMIT - 11


def kind(instance: Instance) -> str:
    """``Deployment`` or ``StatefulSet``."""
    return "StatefulSet" if instance.keys.get("persistent_volumes") else "Deployment"


def workload(
    instance: Instance, version: Version, facts: Facts, *, config_sha: str, replicas: int | None
) -> dict[str, Any]:
    """The manifest. ``replicas`` None leaves their number to an autoscaler."""
    of = kind(instance)
    ready = strategy.min_ready_seconds(instance)
    version_labels = pod.version_labels(instance, version, facts, config_sha)
    own: dict[str, Any] = {
        "selector": {"matchLabels": labels.selector(instance, facts)},
        # None to keep: the version before is deployed again from soa-configs, not from what is left of it.
        "revisionHistoryLimit": 0,
        "template": pod.template(instance, version, facts, version_labels),
        **(_stateful(instance, facts) if of == "StatefulSet" else _deployment(instance, facts)),
    }
    if replicas is not None:
        own["replicas"] = replicas
    if ready:
        own["minReadySeconds"] = ready
    return {
        "apiVersion": "apps/v1",
        "kind": of,
        "metadata": labels.metadata(instance, facts, labels=version_labels),
        "spec": own,
    }


def problems(instance: Instance) -> list[str]:
    """Names that Kubernetes would take, and then create no pod."""
    name = names.app(instance)
    if kind(instance) != "StatefulSet" or len(name) <= _STATEFUL_NAME_LIMIT:
        return []
    message = f"{name} has {len(name)} characters, the limit of a StatefulSet's name is {_STATEFUL_NAME_LIMIT}"
    return [problem(instance, ("persistent_volumes",), message, "shorten the instance name")]


def _deployment(instance: Instance, facts: Facts) -> dict[str, Any]:
    deadline = strategy.progress_deadline(instance)
    return {
        "strategy": strategy.deployment(instance, facts),
        **({"progressDeadlineSeconds": deadline} if deadline else {}),
    }


def _stateful(instance: Instance, facts: Facts) -> dict[str, Any]:
    """Its headless Service has its own name. ``updateStrategy`` is Kubernetes' default, which is all that we want."""
    own: dict[str, Any] = {
        "serviceName": names.app(instance),
        "volumeClaimTemplates": volumes.claim_templates(instance, facts),
    }
    if instance.keys.get("pod_management_policy") == "Parallel":
        own["podManagementPolicy"] = "Parallel"
    return own

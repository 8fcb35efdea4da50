# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Workloads as the engine renders them, reduced to what a rollout is about, applied by the code that tests test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import Target
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.rollout import Change, Rollout

P = "paasta.yelp.com"
CONFIG = "config00000001"
Edit = Callable[[dict[str, Any]], None]


def sha(version: str) -> str:
    """A git sha that begins with a word for people: ``good0000...``."""
    return version.ljust(40, "0")


def workload(
    cluster: str, namespace: str, service: str, version: str, *, kind: str = "Deployment", replicas: int = 2
) -> dict[str, Any]:
    """A Deployment or StatefulSet ``main`` of a service, image and labels those of a version."""
    identity = {f"{P}/service": service, f"{P}/instance": "main"}
    labels = {
        **identity,
        f"{P}/managed": "true",
        f"{P}/cluster": cluster,
        f"{P}/git_sha": sha(version),
        f"{P}/config_sha": CONFIG,
    }
    container = {"name": "main", "image": f"registry.example/services-{service}:{version}"}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": identity},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = service
    else:
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "0%"}}
    metadata = {"namespace": namespace, "name": f"{service}-main", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


@dataclass
class Deployer:
    """What a run does about workloads: apply, then wait.

    texts: what people were told, by instance. heard: the same, in order.
    """

    api: Api
    cluster: str
    texts: dict[str, list[str]] = field(default_factory=dict)
    heard: list[Change] = field(default_factory=list)

    def apply(self, namespace: str, service: str, version: str, *, edit: Edit | None = None, **options: Any) -> Target:
        manifest = workload(self.cluster, namespace, service, version, **options)
        if edit:
            edit(manifest)
        live = self.api.apply(copy.deepcopy(manifest), manager="paasta", force=True)
        return Target(
            id=f"{service}.main",
            namespace=namespace,
            name=manifest["metadata"]["name"],
            kind=manifest["kind"],
            generation=live["metadata"]["generation"],
            git_sha=sha(version),
            config_sha=CONFIG,
            replicas=live["spec"]["replicas"],
            autoscaling=None,
            margin=1.0,
            bounce_method="crossover",
        )

    def hear(self, change: Change) -> None:
        self.heard.append(change)
        self.texts.setdefault(change.target.id, []).append(change.text)

    def wait(self, *targets: Target, timeout: float = 60.0, **options: Any) -> dict[str, str]:
        """By id why it failed; empty for what is done."""
        rollout = Rollout(self.api, P, self.cluster, targets, timeout, **options)
        return {id: str(failure or "") for id, failure in rollout.wait(self.hear).items()}

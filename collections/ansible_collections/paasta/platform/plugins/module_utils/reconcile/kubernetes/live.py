# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is in the cluster: every object that paasta manages there, listed once per kind, all kinds at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import label_value, ref

from .api import Api
from .errors import ApiError
from .kinds import collection

#: Kinds with the labels of an instance.
OF_INSTANCES = (
    "ServiceAccount",
    "Service",
    "PodDisruptionBudget",
    "Deployment",
    "StatefulSet",
    "HorizontalPodAutoscaler",
)
WORKLOADS = ("Deployment", "StatefulSet")

#: Kinds that several instances share.
SHARED = ("Namespace", "LimitRange", "RoleBinding", "ConfigMap")

Manifest = Mapping[str, Any]


@dataclass(slots=True)
class Live:
    """The objects that are there, by reference. Of Namespaces and Secrets only the metadata is known."""

    prefix: str
    cluster: str
    objects: dict[str, Manifest] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()

    def get(self, manifest: Manifest) -> Manifest | None:
        """The object with the kind, namespace and name of a manifest."""
        return self.objects.get(ref(manifest))

    def of(self, *kinds: str) -> Iterator[Manifest]:
        return (found for found in self.objects.values() if found["kind"] in kinds)

    def by_instance(self, *kinds: str) -> dict[str, list[Manifest]]:
        """Objects by the ``service.instance`` that they belong to."""
        groups: dict[str, list[Manifest]] = {}
        for found in self.of(*kinds):
            if id := self.instance(found):
                groups.setdefault(id, []).append(found)
        return groups

    def label(self, found: Manifest, name: str) -> str:
        return str((found["metadata"].get("labels") or {}).get(f"{self.prefix}/{name}", ""))

    def instance(self, found: Manifest) -> str:
        """``service.instance`` of an object; empty for one that is no instance's."""
        service, name = self.label(found, "service"), self.label(found, "instance")
        return f"{service}.{name}" if service and name else ""

    def add(self, found: Manifest) -> None:
        self.objects[ref(found)] = found


def look(api: Api, prefix: str, cluster: str, only: Iterable[str], secrets: bool) -> Live:
    """List what the cluster has. ``only`` limits instances' objects to the services that it names.

    PaaSTA labels some kinds without the cluster: what has no such label counts as ours, what has another one does not.
    """
    managed = f"{prefix}/managed=true"
    services = sorted({label_value(name.partition(".")[0]) for name in only})
    of_services = f"{managed},{prefix}/service in ({','.join(services)})" if services else managed
    wanted = [(kind, of_services, False) for kind in OF_INSTANCES] + [(kind, managed, False) for kind in SHARED[1:]]
    wanted.append(("Namespace", "", True))
    if secrets:
        wanted.append(("Secret", of_services, True))

    def ask(question: tuple[str, str, bool]) -> list[dict[str, Any]]:
        kind, selector, metadata_only = question
        return api.list(collection(kind), label_selector=selector or None, metadata_only=metadata_only)[0]

    live = Live(prefix, cluster)
    namespaces = []
    answers: list[list[dict[str, Any]] | ApiError] = api.map(ask, wanted)
    for (kind, _selector, _metadata), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        for found in answer:
            if kind == "Namespace":
                namespaces.append(found["metadata"]["name"])
                live.add(found)
            elif live.label(found, "cluster") in ("", cluster):
                live.add(found)
    live.namespaces = frozenset(namespaces)
    return live

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Labels and annotations: their names under the platform's prefixes, and those that every object has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import names

if TYPE_CHECKING:
    from .facts import Facts

#: Attributes of nodes, and of who owns what, that are not PaaSTA's own (PaaSTA: paasta_prefixed).
_OF_NODES = frozenset({"region", "superregion", "ecosystem", "habitat", "pool", "hostname", "owner"})
_INSTANCE_TYPE = frozenset({"instance_type", "instance-type"})


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of labels and annotations.

    :ivar prefix: of paasta's own, ``paasta.yelp.com`` where PaaSTA's tools shall find them.
    :ivar node_prefix: of labels of nodes, pools and owners, and of PaaSTA's oldest labels: ``yelp.com``.
    """

    prefix: str = "paasta.yelp.com"
    node_prefix: str = "yelp.com"

    def own(self, name: str) -> str:
        """``paasta.yelp.com/<name>``"""
        return f"{self.prefix}/{name}"

    def legacy(self, name: str) -> str:
        """``yelp.com/<name>``"""
        return f"{self.node_prefix}/{name}"

    def prefixed(self, name: str) -> str:
        """A label of pods by its short name (PaaSTA: paasta_prefixed); one with a prefix is left as it is."""
        if name in _OF_NODES:
            return self.legacy(name)
        return name if "/" in name else self.own(name)

    def of_node(self, name: str) -> str:
        """A label of nodes by its short name (PaaSTA: to_node_label); any other name is left as it is."""
        if name in _INSTANCE_TYPE:
            return "node.kubernetes.io/instance-type"
        return self.legacy(name) if name in _OF_NODES or name == "datacenter" else name


def identity(instance: Instance, facts: Facts) -> dict[str, str]:
    """The labels of every object of an instance, by which it is listed and pruned."""
    own = facts.labels.own
    return {
        own("managed"): "true",
        own("cluster"): names.label_value(facts.cluster),
        own("service"): names.label_value(instance.service),
        own("instance"): names.label_value(instance.name),
    }


def selector(instance: Instance, facts: Facts) -> dict[str, str]:
    """The labels that tell an instance's pods from all others; a Deployment can never change them."""
    own = facts.labels.own
    return {
        own("service"): names.label_value(instance.service),
        own("instance"): names.label_value(instance.name),
    }


def metadata(
    instance: Instance,
    facts: Facts,
    *,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """``metadata`` of an object that belongs to one instance: all of them are called as its workload."""
    return {
        "name": names.app(instance),
        "namespace": names.namespace(instance),
        "labels": {**identity(instance, facts), **(labels or {})},
    }


def shared_metadata(
    facts: Facts,
    name: str,
    *,
    namespace: str = "",
    service: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """``metadata`` of an object that several instances share; ``service`` when all of them belong to one."""
    own = facts.labels.own
    found: dict[str, Any] = {"name": name}
    if namespace:
        found["namespace"] = namespace
    found["labels"] = {own("managed"): "true", own("cluster"): names.label_value(facts.cluster)}
    if service is not None:
        found["labels"][own("service")] = names.label_value(service)
    found["labels"].update(labels or {})
    if annotations:
        found["annotations"] = dict(annotations)
    return found

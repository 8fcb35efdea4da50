# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a cluster's inventory, and its soa-configs as a whole, say to the engine ``kubernetes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import (
    ClusterConfig,
    Instance,
    Namespace,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings, bind

from .labels import Labels

# Settings that pods are made of: of all instances, and of those with the hacheck sidecar.
_OF_PODS = (
    "mesh_address", "volumes", "deploy_blacklist", "deploy_whitelist", "uses_bulkdata_default", "pod_defaults",
    "topology_spread_constraints", "kubernetes_label_prefix", "kubernetes_node_label_prefix",
    "kubernetes_pod_security", "kubernetes_add_registration_labels", "enable_cost_owner_label",
)  # fmt: skip
_OF_SIDECARS = (
    "hacheck_sidecar_image_url", "hacheck_sidecar_volumes", "hacheck_match_initial_delay",
    "enable_nerve_readiness_check", "enable_envoy_readiness_check", "nerve_readiness_check_script",
    "envoy_readiness_check_script", "envoy_nerve_readiness_check_script", "readiness_check_prefix_template",
    "sidecar_requirements_config",
)  # fmt: skip
_BINDS = ("volumes", "hacheck_sidecar_volumes")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is the same for all instances of a cluster.

    :ivar cluster: its name.
    :ivar registry: prefix of image names as nodes pull them, for example ``registry.example.org:5000``.
    :ivar settings: the platform's settings.
    :ivar labels: names of labels and annotations.
    :ivar namespaces: of the mesh, by id. They come from the same reading of soa-configs as the instances.
    :ivar authenticating: services whose pods get a token to say who they are.
    """

    cluster: str
    registry: str
    settings: Settings = field(default_factory=Settings)
    labels: Labels = field(default_factory=Labels)
    namespaces: Mapping[str, Namespace] = field(default_factory=FrozenDict)
    authenticating: frozenset[str] = frozenset()
    #: What takes part in config shas: settings that are not at their default, of all pods, and of those with a sidecar.
    of_pods: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    of_sidecars: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_pods", _changed(self.settings, _OF_PODS))
        object.__setattr__(self, "of_sidecars", _changed(self.settings, _OF_SIDECARS))

    def in_mesh(self, instance: Instance) -> bool:
        """Whether clients reach the instance through the mesh: its first registration has a proxy port."""
        mesh = self.namespaces.get(instance.registrations[0])
        return mesh is not None and mesh.proxy_port is not None

    def of_pool(self, pool: str) -> list[Any]:
        """What the platform says of the nodes of a pool, for config shas; empty when it says nothing."""
        found = [self.settings.pool_node_affinities.get(pool), self.settings.kubernetes_pool_tolerations.get(pool)]
        return found if any(found) else []


def facts(settings: Settings, registry: str, config: ClusterConfig) -> Facts:
    """The facts of a cluster, from its inventory and what was read of its soa-configs."""
    return Facts(
        cluster=config.cluster,
        registry=registry,
        settings=settings,
        labels=Labels(settings.kubernetes_label_prefix, settings.kubernetes_node_label_prefix),
        namespaces=FrozenDict({namespace.id: namespace for namespace in config.namespaces}),
        authenticating=frozenset(config.authenticating) | frozenset(settings.always_authenticating_services),
    )


def _changed(settings: Settings, names: tuple[str, ...]) -> dict[str, Any]:
    """Settings that are not at their default, JSON-ready but for frozen mappings and tuples."""
    values = {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(_DEFAULTS, name)}
    for name in _BINDS:
        if name in values:
            values[name] = sorted(bind(volume) for volume in values[name])
    return values


_DEFAULTS = Settings()

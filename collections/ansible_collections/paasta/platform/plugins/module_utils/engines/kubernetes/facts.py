# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a cluster's inventory, and its soa-configs as a whole, say to the engine ``kubernetes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import (
    ClusterConfig,
    Instance,
    Namespace,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model_records import Authorization
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings

from .labels import Labels


@dataclass(frozen=True, slots=True)
class Facts:
    """What is the same for all instances of a cluster.

    :ivar cluster: its name.
    :ivar registry: prefix of image names as nodes pull them, for example ``registry.example.org:5000``.
    :ivar settings: the platform's settings.
    :ivar labels: names of labels and annotations.
    :ivar namespaces: of the mesh, by id. They come from the same reading of soa-configs as the instances.
    :ivar authenticating: services whose pods get a token to say who they are.
    :ivar authorizations: by service, who may call it.
    """

    cluster: str
    registry: str
    settings: Settings = field(default_factory=Settings)
    labels: Labels = field(default_factory=Labels)
    namespaces: Mapping[str, Namespace] = field(default_factory=FrozenDict)
    authenticating: frozenset[str] = frozenset()
    authorizations: Mapping[str, Authorization] = field(default_factory=FrozenDict)

    def in_mesh(self, instance: Instance) -> bool:
        """Whether clients reach the instance through the mesh: its first registration has a proxy port."""
        mesh = self.namespaces.get(instance.registrations[0])
        return mesh is not None and mesh.proxy_port is not None


def facts(settings: Settings, registry: str, config: ClusterConfig) -> Facts:
    """The facts of a cluster, from its inventory and what was read of its soa-configs."""
    return Facts(
        cluster=config.cluster,
        registry=registry,
        settings=settings,
        labels=Labels(settings.kubernetes_label_prefix, settings.kubernetes_node_label_prefix),
        namespaces=FrozenDict({namespace.id: namespace for namespace in config.namespaces}),
        authenticating=frozenset(config.authenticating) | frozenset(settings.always_authenticating_services),
        authorizations=config.authorizations,
    )

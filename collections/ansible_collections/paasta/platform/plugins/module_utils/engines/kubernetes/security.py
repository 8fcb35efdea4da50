# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Security contexts. The setting ``kubernetes_pod_security`` says whose rules they follow.

``restricted``, the default, is the Pod Security Standard of that name: no root, no more privileges than at the start,
no capability, the runtime's seccomp profile. An instance takes back what it asks for: ``cap_add`` gives capabilities,
which are of no use to a process that is not root, so such an instance may be root; ``privileged`` lifts all of it.
``paasta`` takes the capabilities that PaaSTA takes, and nothing else.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.capabilities import DROPPED
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from .facts import Facts

#: The capability that the Restricted standard lets a container have.
_HARMLESS = frozenset({"NET_BIND_SERVICE"})
#: PaaSTA: group of the token of an IAM role, which an image's own user could not read otherwise.
_IAM_FS_GROUP = 65534


def container(instance: Instance, facts: Facts) -> dict[str, Any]:
    """``securityContext`` of the main container."""
    added = _added(instance)
    if not _restricted(facts):
        dropped = [name for name in DROPPED if name not in added]
        context: dict[str, Any] = {"capabilities": {"drop": dropped}} if dropped else {}
        return {**context, "privileged": True} if instance.privileged else context
    if instance.privileged:
        return {"privileged": True}
    context = {"capabilities": {"drop": ["ALL"]}}
    if added:
        context["capabilities"]["add"] = added
    if "SYS_ADMIN" not in added:  # the two together are refused by the API
        context["allowPrivilegeEscalation"] = False
    return context


def sidecar(facts: Facts) -> dict[str, Any]:
    """``securityContext`` of a container that asks for nothing."""
    if not _restricted(facts):
        return {}
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod(instance: Instance, facts: Facts) -> dict[str, Any]:
    """``securityContext`` of the pod, before ``pod_defaults``, which may say otherwise."""
    if not _restricted(facts) or instance.privileged:
        return {}
    context: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if _HARMLESS.issuperset(_added(instance)):
        context["runAsNonRoot"] = True
    return context


def volumes_group(instance: Instance) -> dict[str, Any]:
    """What an instance itself says in its pod's ``securityContext``; nothing overrides it."""
    group = instance.keys.get("fs_group")
    if group is None and instance.keys.get("iam_role"):
        group = _IAM_FS_GROUP
    if group is None:
        return {}
    policy = instance.keys.get("fs_group_change_policy")
    return {"fsGroup": group, **({"fsGroupChangePolicy": policy} if policy else {})}


def warnings(instance: Instance, facts: Facts) -> list[str]:
    """What an instance asks for that a namespace which enforces the Restricted standard refuses."""
    if not _restricted(facts):
        return []
    if instance.privileged:
        return [problem(instance, ("privileged",), "the pod is not restricted in any way")]
    beyond = [name for name in _added(instance) if name not in _HARMLESS]
    if not beyond:
        return []
    return [problem(instance, ("cap_add",), f"{', '.join(beyond)}: the pod may run as root, to be able to use them")]


def _restricted(facts: Facts) -> bool:
    return facts.settings.kubernetes_pod_security == "restricted"


def _added(instance: Instance) -> list[str]:
    """``cap_add`` by the names that Kubernetes has, without ``CAP_``."""
    return sorted({name.upper().removeprefix("CAP_") for name in instance.cap_add})

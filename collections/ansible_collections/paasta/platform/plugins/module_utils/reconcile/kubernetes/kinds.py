# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of objects that are read or written, and where the API server has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Kind:
    api_version: str
    kind: str
    plural: str
    namespaced: bool
    # Objects of a lower order are applied first: what others need is there before them.
    order: int

    @property
    def base(self) -> str:
        """The path under which its API group and version are."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


class UnknownKind(ValueError):
    """An object of a kind that is not in the table; the text says which there are."""


_LAST = 90

KINDS = (
    Kind("v1", "Namespace", "namespaces", False, 0),
    Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", False, 5),
    Kind("v1", "ResourceQuota", "resourcequotas", True, 10),
    Kind("v1", "LimitRange", "limitranges", True, 10),
    Kind("v1", "ServiceAccount", "serviceaccounts", True, 20),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", False, 20),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles", True, 20),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", False, 25),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", True, 25),
    Kind("v1", "Secret", "secrets", True, 30),
    Kind("v1", "ConfigMap", "configmaps", True, 30),
    Kind("v1", "Service", "services", True, 40),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, 40),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", True, 50),
    Kind("apps/v1", "Deployment", "deployments", True, 60),
    Kind("apps/v1", "StatefulSet", "statefulsets", True, 60),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, 70),
    Kind("apiregistration.k8s.io/v1", "APIService", "apiservices", False, 80),
    Kind("v1", "Pod", "pods", True, _LAST),
    Kind("v1", "Node", "nodes", False, _LAST),
    Kind("v1", "Event", "events", True, _LAST),
    Kind("events.k8s.io/v1", "Event", "events", True, _LAST),
    Kind("apps/v1", "ReplicaSet", "replicasets", True, _LAST),
    Kind("apps/v1", "ControllerRevision", "controllerrevisions", True, _LAST),
    Kind("coordination.k8s.io/v1", "Lease", "leases", True, _LAST),
)
_BY_VERSION = {(kind.api_version, kind.kind): kind for kind in KINDS}
# By its name alone; of the two kinds of events that is core/v1's, the first.
_BY_NAME = {kind.kind: kind for kind in reversed(KINDS)}
_BY_PLURAL = {(kind.base, kind.plural): kind for kind in KINDS}


def find(kind: str, api_version: str = "") -> Kind:
    """The kind of this name, of any API version if none is given.

    :raises UnknownKind:
    """
    found = _BY_VERSION.get((api_version, kind)) if api_version else _BY_NAME.get(kind)
    if found is None:
        known = [f"{each.api_version}/{each.kind}" for each in KINDS]
        wanted = f"{api_version}/{kind}" if api_version else kind
        hint = did_you_mean(wanted, known) or f"known are {', '.join(known)}"
        raise UnknownKind(f"objects of kind {wanted} are not handled: {hint}")
    return found


def of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object."""
    return find(manifest.get("kind", ""), manifest.get("apiVersion", "v1"))


def collection(kind: Kind | str, namespace: str | None = None) -> str:
    """The path of all objects of a kind, in one namespace or in all.

    :param kind: a kind, or its name such as ``Deployment`` or ``events.k8s.io/v1/Event``.
    """
    if isinstance(kind, str):
        version, _slash, name = kind.rpartition("/")
        kind = find(name, version)
    if namespace and kind.namespaced:
        return f"{kind.base}/namespaces/{quote(namespace)}/{kind.plural}"
    return f"{kind.base}/{kind.plural}"


def path(thing: Mapping[str, Any] | str) -> str:
    """The path of one object.

    :param thing: an object with its apiVersion and kind, or a reference such as
        ``apps/v1/Deployment/paastasvc-web/web-main`` or ``v1/Namespace//paastasvc-web``.
    :raises UnknownKind:
    """
    if isinstance(thing, str):
        version, kind, namespace, name = _parts(thing)
    else:
        metadata = thing["metadata"]
        version, kind = thing["apiVersion"], thing["kind"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
    found = find(kind, version)
    if found.namespaced and not namespace:
        raise UnknownKind(f"{kind} {name} has no namespace")
    return f"{collection(found, namespace)}/{quote(name, safe='')}"


def at(path_: str) -> Kind | None:
    """The kind that is at a path."""
    return _taken_apart(path_)[0]


def subject(method: str, path_: str) -> str:
    """A request in words, from its path: ``PATCH Deployment paastasvc-web/web-main``."""
    kind, namespace, rest = _taken_apart(path_)
    if kind is None:
        return f"{method} {path_}"
    if len(rest) == 1:
        return f"{method} {kind.plural}{f' in {namespace}' if namespace else ''}"
    name = f"{namespace}/{rest[1]}" if namespace else rest[1]
    what = f" ({rest[2]})" if len(rest) > 2 else ""
    return f"{method} {kind.kind} {name}{what}"


def _taken_apart(path_: str) -> tuple[Kind | None, str, list[str]]:
    """A path's kind, namespace, and what follows: plural, name, subresource."""
    parts = path_.strip("/").split("/")
    start = 2 if parts[0] == "api" else 3
    base, rest = "/" + "/".join(parts[:start]), parts[start:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        # /namespaces/x/pods is in a namespace; /namespaces/x/status would be of one, and is not asked for.
        namespace, rest = rest[1], rest[2:]
    return (_BY_PLURAL.get((base, rest[0])) if rest else None), namespace, rest


def _parts(ref: str) -> tuple[str, str, str, str]:
    head, _slash, name = ref.rpartition("/")
    head, _slash, namespace = head.rpartition("/")
    version, _slash, kind = head.rpartition("/")
    if not (version and kind and name):
        raise UnknownKind(f"{ref!r} is not a reference to an object: <apiVersion>/<Kind>/<namespace or empty>/<name>")
    return version, kind, namespace, name

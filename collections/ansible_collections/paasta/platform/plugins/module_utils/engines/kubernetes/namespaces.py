# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Namespaces of instances, and what every namespace of ours has: a LimitRange and RoleBindings.

A service has a namespace of its own, ``paastasvc-web``. Where an instance names another one with its key
``namespace``, other things may live there: it is created if it is missing, but it has none of the labels by which
objects count as ours, and no LimitRange.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels, names, quantities
from .facts import Facts

_LIMITS = "limit-mem-cpu-disk-per-container"  # PaaSTA: ensure_paasta_namespace_limits
_RBAC = "rbac.authorization.k8s.io"


def objects(instance: Instance, facts: Facts) -> list[dict[str, Any]]:
    """The namespace of an instance and what is in it for all its instances, in the order they are created."""
    name = names.namespace(instance)
    own = name == names.service_namespace(instance.service)
    found = [_namespace(name, instance.service if own else None, facts)]
    if own and facts.settings.kubernetes_namespace_limits:
        found.append(_limit_range(name, instance.service, facts))
    found += [_role_binding(name, row, facts) for row in facts.settings.kubernetes_namespace_role_bindings]
    return found


def is_guest(manifest: Mapping[str, Any]) -> bool:
    """Whether this is a namespace of somebody else, as an instance in it needs it: only that it is there."""
    return manifest["kind"] == "Namespace" and set(manifest["metadata"]["labels"]) == {"name"}


def _namespace(name: str, service: str | None, facts: Facts) -> dict[str, Any]:
    """``service`` is the one whose namespace it is; None for one that others may use."""
    if service is None:
        metadata: dict[str, Any] = {"name": name, "labels": {"name": name}}
    else:
        metadata = labels.shared_metadata(facts, name, service=service, labels={"name": name})
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _limit_range(namespace: str, service: str, facts: Facts) -> dict[str, Any]:
    """What a container gets that says nothing, such as one that somebody else's webhook puts into a pod."""
    limits = {
        resource: quantities.canonical(amount)
        for resource, amount in sorted(facts.settings.kubernetes_namespace_limits.items())
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": labels.shared_metadata(facts, _LIMITS, namespace=namespace, service=service),
        "spec": {"limits": [{"type": "Container", "default": limits, "defaultRequest": limits}]},
    }


def _role_binding(namespace: str, row: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": labels.shared_metadata(facts, row["name"], namespace=namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": row["cluster_role"]},
        "subjects": [_subject(subject, namespace) for subject in row["subjects"]],
    }


def _subject(subject: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A service account without a namespace is one of the binding's own."""
    named = {"kind": subject["kind"], "name": subject["name"]}
    if subject["kind"] == "ServiceAccount":
        return {**named, "namespace": subject.get("namespace") or namespace}
    return {**named, "apiGroup": _RBAC}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which pods a drain of a node did not move, and what holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_Object = Mapping[str, Any]


def drain_blockers(objects: Sequence[_Object], node: str) -> list[str]:
    """A line for each pod on a node that an eviction should have moved, with the budgets that hold it.

    :param objects: pods and budgets of all namespaces, in any order.
    """
    budgets = [each for each in objects if each["kind"] == "PodDisruptionBudget"]
    pods = [each for each in objects if each["kind"] == "Pod" and each["spec"].get("nodeName") == node]
    lines = []
    for pod in pods:
        if not _movable(pod):
            continue
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        lines.append(f"{name}: {'; '.join(_reasons(pod, budgets))}")
    return sorted(lines)


def _movable(pod: _Object) -> bool:
    """Not those that a drain leaves where they are: of DaemonSets, of the host itself, and finished ones."""
    metadata = pod["metadata"]
    owners = {owner["kind"] for owner in metadata.get("ownerReferences") or ()}
    static = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    return "DaemonSet" not in owners and not static and pod["status"].get("phase") not in ("Succeeded", "Failed")


def _reasons(pod: _Object, budgets: Sequence[_Object]) -> list[str]:
    metadata = pod["metadata"]
    own = [
        each
        for each in budgets
        if each["metadata"]["namespace"] == metadata["namespace"]
        and _selects(each["spec"].get("selector"), metadata.get("labels") or {})
    ]
    if len(own) > 1:
        names = ", ".join(sorted(each["metadata"]["name"] for each in own))
        return [f"has {len(own)} PodDisruptionBudgets ({names}), and Kubernetes evicts only pods with one"]
    if holding := [_budget(each) for each in own if not each.get("status", {}).get("disruptionsAllowed")]:
        return holding
    if metadata.get("deletionTimestamp"):
        return [f"is ending since {metadata['deletionTimestamp']}"]
    if not metadata.get("ownerReferences"):
        return ["no controller would start it again elsewhere (drain_force=true removes it)"]
    return ["no budget holds it: it did not end in time"]


def _budget(budget: _Object) -> str:
    status = budget.get("status", {})
    have, need = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    return f"PodDisruptionBudget {budget['metadata']['name']} lets none go ({have} pods are healthy, {need} have to be)"


def _selects(selector: _Object | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of the API matches. An empty one matches everything, and none at all nothing."""
    if selector is None:
        return False
    exact = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in exact) and all(
        _matches(each, labels) for each in selector.get("matchExpressions") or ()
    )


def _matches(expression: _Object, labels: Mapping[str, str]) -> bool:
    there, values = expression["key"] in labels, expression.get("values") or ()
    return {
        "In": there and labels.get(expression["key"]) in values,
        "NotIn": not there or labels[expression["key"]] not in values,
        "Exists": there,
        "DoesNotExist": not there,
    }.get(expression["operator"], False)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        return {"drain_blockers": drain_blockers}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests as they are sent: the plan's, with what a workload that is there decides for itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import fields
from .live import WORKLOADS, Manifest

REPLICAS_FIELD = "f:replicas"


def as_it_is(manifest: Manifest, before: Manifest, mine: Mapping[str, Any], plan: Mapping[str, Any] | None) -> Manifest:
    """The manifest with what the workload that is there decides for itself.

    * An autoscaled one keeps its replicas. Where the field is still ours it has to be sent, or the server would set it
      to its default, one, in the middle of the day.
    * Pods that were adopted, or made before a change of the hash alone, keep their config sha as long as the
      workload's own says that it is of the same configuration.
    """
    if manifest["kind"] not in WORKLOADS or plan is None:
        return manifest
    if plan["autoscaling"] and REPLICAS_FIELD in mine.get("f:spec", {}):
        bounds = plan["autoscaling"]
        replicas = before["spec"].get("replicas", 1)
        manifest = with_replicas(manifest, min(max(replicas, bounds["min"]), bounds["max"]))
    labels, there = manifest["metadata"].get("labels") or {}, before["metadata"].get("labels") or {}
    names = sha_labels(manifest)
    if names and all(labels[name] == there.get(name) for name in names if name in labels):
        manifest = with_template_sha(manifest, before, names)
    return manifest


def sha_labels(manifest: Manifest) -> list[str]:
    """The labels of a workload's pods that have the config sha: ours, and the one of old PaaSTA."""
    if manifest["kind"] not in WORKLOADS:
        return []
    return [name for name in manifest["spec"]["template"]["metadata"]["labels"] if name.endswith("config_sha")]


def with_template_sha(manifest: Manifest, before: Manifest, names: list[str]) -> Manifest:
    there = before["spec"]["template"]["metadata"].get("labels") or {}
    kept = {name: there[name] for name in names if name in there}
    template = manifest["spec"]["template"]
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], **kept}}
    return {**manifest, "spec": {**manifest["spec"], "template": {**template, "metadata": metadata}}}


def with_replicas(manifest: Manifest, replicas: int | None) -> Manifest:
    spec = {name: value for name, value in manifest["spec"].items() if name != "replicas"}
    if replicas is not None:
        spec["replicas"] = replicas
    return {**manifest, "spec": spec}


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) from one to the other."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if below := merge_patch(old, value):
                patch[name] = below
        elif value != old:
            patch[name] = value
    return patch


def without(value: Any, path: fields.Path) -> Any:
    if isinstance(value, Mapping):
        if len(path) == 1:
            return {name: item for name, item in value.items() if name != path[0]}
        return {name: without(item, path[1:]) if name == path[0] else item for name, item in value.items()}
    if isinstance(value, list):
        if len(path) == 1:
            return [item for item in value if f"[{fields.label(item)}]" != path[0]]
        return [without(item, path[1:]) if f"[{fields.label(item)}]" == path[0] else item for item in value]
    return value

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The pod template of an instance: its labels and annotations, and the spec around the containers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, Version

from . import accounts, autoscaling, labels, lifecycle, names, placement, security, sidecar, volumes
from .container import container
from .facts import Facts

_HUMP = re.compile("_([a-z0-9])")
_NOT_IN_NAMES = re.compile("[^a-z0-9.-]+")


def template(instance: Instance, version: Version, facts: Facts, labels_too: Mapping[str, str]) -> dict[str, Any]:
    """``template`` of a workload; ``labels_too`` are those of :func:`version_labels`."""
    return {
        "metadata": {
            "labels": {**labels_too, **pod_labels(instance, facts)},
            "annotations": pod_annotations(instance, facts),
        },
        "spec": spec(instance, version, facts),
    }


def version_labels(instance: Instance, version: Version, facts: Facts, config_sha: str) -> dict[str, str]:
    """What workload and pods are labelled with alike; PaaSTA's older labels say some of it again."""
    own, legacy, value = facts.labels.own, facts.labels.legacy, names.label_value
    optional = {
        own("image_version"): version.image_version,
        own("prometheus_shard"): instance.keys.get("prometheus_shard"),
        legacy("owner"): instance.team,
    }
    return {
        **labels.identity(instance, facts),
        own("git_sha"): version.git_sha,
        own("config_sha"): config_sha,
        own("autoscaled"): "true" if autoscaling.enabled(instance) else "false",
        own("pool"): value(instance.pool),
        facts.labels.prefixed("pool"): value(instance.pool),
        legacy("paasta_service"): value(instance.service),
        legacy("paasta_instance"): value(instance.name),
        legacy("paasta_git_sha"): version.git_sha,
        legacy("paasta_config_sha"): config_sha,
        **{name: value(text) for name, text in optional.items() if text},
    }


def pod_labels(instance: Instance, facts: Facts) -> dict[str, str]:
    """Labels that only pods have: what the mesh, meshes of others, load balancers and Prometheus look for."""
    own, keys, value = facts.labels.own, instance.keys, names.label_value
    found = {own("deploy_group"): value(instance.deploy_group)}
    if facts.in_mesh(instance):
        found[own("weight")] = str(instance.weight)
    if facts.settings.kubernetes_add_registration_labels:
        prefix = f"registrations.{facts.labels.prefix}"
        found.update({f"{prefix}/{value(registration)}": "true" for registration in instance.registrations})
    if keys.get("is_istio_sidecar_injection_enabled"):
        found["sidecar.istio.io/inject"] = "true"
    if keys.get("enable_aws_lb_readiness_gate"):
        found["elbv2.k8s.aws/pod-readiness-gate-inject"] = "enabled"
    if facts.settings.enable_cost_owner_label and keys.get("cost_owner"):
        found[facts.labels.legacy("cost_owner")] = value(keys["cost_owner"])
    found.update(autoscaling.pod_labels(instance, facts))
    return found


def pod_annotations(instance: Instance, facts: Facts) -> dict[str, str]:
    """Also what replaces pods when it changes: a restart that somebody asked for, and a rotated secret."""
    own, keys = facts.labels.own, instance.keys
    in_mesh = facts.in_mesh(instance)
    optional = {
        own("prometheus_path"): keys.get("prometheus_path"),
        own("prometheus_port"): keys.get("prometheus_port"),
        own("force_bounce"): instance.force_bounce,
        own("secrets-digest"): _secrets_digest(instance),
        "smartstack_registrations": json.dumps(list(instance.registrations)) if in_mesh else None,
    }
    return {
        own("routable_ip"): "true" if routable(instance, facts) or autoscaling.scraped(instance) else "false",
        # PaaSTA: empty, so that kube2iam and its like give a pod no role besides that of its service account.
        "iam.amazonaws.com/role": "",
        **{name: str(text) for name, text in optional.items() if text},
        **autoscaling.pod_annotations(instance, facts),
    }


def spec(instance: Instance, version: Version, facts: Facts) -> dict[str, Any]:
    """The pod's ``spec``: the platform's ``pod_defaults``, and over them what the instance says."""
    mounts, mounted = volumes.mounts_and_volumes(instance, facts)
    containers = [container(instance, version, facts, mounts)]
    if sidecar.present(instance, facts):
        beside_mounts, beside = volumes.host_mounts(facts.settings.hacheck_sidecar_volumes, mounted)
        containers.append(sidecar.container(instance, facts, beside_mounts))
        mounted = [*mounted, *(volume for volume in beside if volume not in mounted)]
    optional = {
        "imagePullSecrets": pull_secrets(instance, facts),
        "serviceAccountName": accounts.service_account_name(instance, facts),
        "terminationGracePeriodSeconds": lifecycle.grace_period(instance, facts),
        "volumes": mounted,
        **placement.pod_fields(instance, facts),
    }
    own = {
        "containers": containers,
        "shareProcessNamespace": True,
        **{name: value for name, value in optional.items() if value not in (None, [], {})},
    }
    defaults = {_camel(name): thaw(value) for name, value in facts.settings.pod_defaults.items()}
    context = {
        **security.pod(instance, facts),
        **defaults.pop("securityContext", {}),
        **security.volumes_group(instance),
    }
    if context:
        own["securityContext"] = context
    return merged(defaults, own)


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` over ``defaults``: mappings key by key, lists one after the other, everything else as ``own`` has it."""
    found = {**defaults, **own}
    for name in defaults.keys() & own.keys():
        default, value = defaults[name], own[name]
        if isinstance(default, dict) and isinstance(value, dict):
            found[name] = merged(default, value)
        elif isinstance(default, list) and isinstance(value, list):
            found[name] = [*value, *(item for item in default if item not in value)]
    return found


def _camel(name: str) -> str:
    """PaaSTA's names are those of the Python client, ``dns_policy``; Kubernetes' own are taken as well."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def pull_secret(registry: str) -> str:
    """The Secret, in an instance's namespace, with the credentials of a private registry: whoever runs the platform
    puts it there.
    """
    return names.limited(f"paasta-registry-{_NOT_IN_NAMES.sub('-', registry.lower()).strip('.-')}")


def pull_secrets(instance: Instance, facts: Facts) -> list[dict[str, str]]:
    """``imagePullSecrets``."""
    registry = instance.docker_registry or facts.registry
    return [{"name": pull_secret(registry)}] if registry in facts.settings.private_docker_registries else []


def routable(instance: Instance, facts: Facts) -> bool:
    """Whether somebody outside of the cluster's own network must reach the pod, be it autoscaled or not."""
    keys = instance.keys
    return bool(facts.in_mesh(instance) or keys.get("routable_ip") or keys.get("prometheus_port"))


def _secrets_digest(instance: Instance) -> str | None:
    """One digest of all secrets of an instance: it changes when one of them is rotated."""
    if not instance.secrets:
        return None
    text = json.dumps([[use.service, use.name, use.digest] for use in instance.secrets])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The environment of the main container: what PaaSTA gives to every container, and the instance's own ``env``.

``PAASTA_SOA_CONFIGS_SHA`` is not among it: every commit of soa-configs would replace every pod.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, Version

from . import secrets
from .facts import Facts

_AWS_APP_ID_LIMIT = 50


def environment(instance: Instance, version: Version, facts: Facts) -> list[dict[str, Any]]:
    """``env``: what is injected first, so that the instance's own values may refer to it as ``$(PAASTA_POD_IP)``.

    An instance's own variable wins over an injected one of the same name.
    """
    from_secrets = secrets.environment(instance, facts)
    own = {name: value for name, value in instance.env.items() if name not in from_secrets}
    given = [
        entry for entry in injected(instance, version, facts) if entry["name"] not in own.keys() | from_secrets.keys()
    ]
    values = {name: plain(name, value) for name, value in own.items()}
    values |= {name: {"name": name, "valueFrom": value} for name, value in from_secrets.items()}
    return given + [values[name] for name in sorted(values)]


def injected(instance: Instance, version: Version, facts: Facts) -> list[dict[str, Any]]:
    """What every main container gets."""
    gpus = instance.keys.get("gpus")
    values = {
        "PAASTA_SERVICE": instance.service,
        "PAASTA_INSTANCE": instance.name,
        "PAASTA_INSTANCE_TYPE": instance.instance_type,
        "PAASTA_DEPLOY_GROUP": instance.deploy_group,
        "PAASTA_DOCKER_IMAGE": version.docker_image,
        "PAASTA_GIT_SHA": version.git_sha[:8],
        "PAASTA_IMAGE_VERSION": version.image_version,
        "PAASTA_MONITORING_TEAM": instance.team,
        "PAASTA_RESOURCE_CPUS": _number(instance.cpus),
        "PAASTA_RESOURCE_MEM": _number(instance.mem),
        "PAASTA_RESOURCE_DISK": _number(instance.disk),
        "PAASTA_RESOURCE_GPUS": str(gpus) if gpus else None,
        "PAASTA_PORT": str(instance.container_port),
        "PAASTA_MESH_ADDRESS": facts.settings.mesh_address,
        "AWS_SDK_UA_APP_ID": instance.id[:_AWS_APP_ID_LIMIT],
    }
    return [*of_pod(facts), *(plain(name, value) for name, value in sorted(values.items()) if value is not None)]


def of_pod(facts: Facts) -> list[dict[str, Any]]:
    """What only the pod knows (downward API); sidecars get it as well."""
    cluster = f"metadata.labels['{facts.labels.own('cluster')}']"
    paths = {
        "PAASTA_POD_IP": "status.podIP",
        "POD_NAME": "metadata.name",
        "PAASTA_HOST": "spec.nodeName",
        "PAASTA_CLUSTER": cluster,
    }
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]


def plain(name: str, value: str) -> dict[str, Any]:
    """A variable; the API server does not keep a value that is empty."""
    return {"name": name, "value": value} if value else {"name": name}


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)

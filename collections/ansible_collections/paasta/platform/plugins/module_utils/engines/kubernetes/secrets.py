# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets: which Secret objects an instance refers to, what the reconciler has to put into them, and their manifests.

A plan holds names and digests only. An object holds one secret, as PaaSTA's sync makes it, so that a team that moves
here finds every object under the name it had.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines import secret_uses
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse

from . import names
from .facts import Facts

#: Kubernetes: the length of an object's name.
_LIMIT = 253
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def object_name(namespace: str, service: str, name: str) -> str:
    """The Secret that holds a secret: ``paastasvc-web-secret-web-web--token`` (PaaSTA: get_paasta_secret_name)."""
    return names.limited(f"{namespace}-secret-{names.sanitise(service)}-{names.sanitise(name)}", _LIMIT)


def environment(instance: Instance, facts: Facts) -> dict[str, dict[str, Any]]:
    """Variable → ``valueFrom`` of those that are secrets."""
    namespace = names.namespace(instance)
    return {
        variable: {"secretKeyRef": {"name": object_name(namespace, use.service, use.name), "key": use.name}}
        for variable, use in secret_uses.environment(instance, []).items()
    }


def uses(instance: Instance, facts: Facts) -> list[dict[str, str]]:
    """What the reconciler must create in the instance's namespace: ``object``, ``key``, ``service``, ``name`` and
    ``digest`` of each secret, sorted by object.
    """
    namespace = names.namespace(instance)
    found = [
        {
            "object": object_name(namespace, use.service, use.name),
            "key": use.name,
            "service": use.service,
            "name": use.name,
            "digest": use.digest,
        }
        for use in _uses(instance)
    ]
    return sorted(found, key=lambda entry: entry["object"])


def manifest(entry: Mapping[str, str], namespace: str, cleartext: bytes, cluster: str, prefix: str) -> dict[str, Any]:
    """The Secret of one of :func:`uses`. The annotation tells whether it is up to date without reading it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": entry["object"],
            "namespace": namespace,
            "labels": {
                f"{prefix}/managed": "true",
                f"{prefix}/cluster": names.label_value(cluster),
                f"{prefix}/service": names.label_value(entry["service"]),
            },
            "annotations": {f"{prefix}/secret-digest": entry["digest"]},
        },
        "type": "Opaque",
        "data": {entry["key"]: base64.b64encode(cleartext).decode("ascii")},
    }


def problems(instance: Instance, facts: Facts) -> list[str]:
    """Everything that is wrong with the secrets of an instance."""
    found: secret_uses.Problems = []
    secret_uses.environment(instance, found)
    secret_uses.volumes(instance, found)
    lines = [problem(instance, path, message) for path, message in found]
    lines += _unnameable(instance)
    if instance.keys.get("ssm_secrets"):
        message = "engine kubernetes does not read AWS parameters"
        hint = "add their values with playbooks/secret.yml, and name them in env as SECRET(name)"
        lines.append(problem(instance, ("ssm_secrets",), message, hint))
    return lines


def _unnameable(instance: Instance) -> Iterator[str]:
    """Names that no object can have, and two secrets that would share one: ``a_b`` and ``a--b``."""
    seen: dict[str, SecretUse] = {}
    for use in _uses(instance):
        name = object_name(names.namespace(instance), use.service, use.name)
        other = seen.setdefault(name, use)
        if not _OBJECT.fullmatch(name):
            message = f"secret {use.name}: a Kubernetes object cannot be called {name}"
            yield problem(instance, (), message, "begin and end the secret's name with a letter or digit")
        elif other is not use:
            message = f"secrets {other.name} and {use.name} would both be the Kubernetes object {name}"
            yield problem(instance, (), message, "rename one of the two")


def _uses(instance: Instance) -> list[SecretUse]:
    """The secrets that the instance really takes, each once."""
    taken = [*secret_uses.environment(instance, []).values()]
    taken += [volume.use for volume in secret_uses.volumes(instance, [])]
    return list({(use.service, use.name): use for use in taken}.values())

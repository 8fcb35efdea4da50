# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What an instance takes from secrets, for the engine ``docker``: which variable and which file has which secret.

Names and digests only; the reconciler adds cleartext when it creates a container. As part of a plan::

    {"env": {"TOKEN": {"service": "web", "name": "token", "digest": "3a7b..."}},
     "files": [{"directory": "/etc/tls", "path": "key.pem", "mode": "0400",
                "service": "_shared", "name": "tls_key", "digest": "99c0..."}]}
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, KeyPath, SecretUse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import dotted

from . import secret_uses

#: On containers with secrets: what has which secret, as :func:`describe` says it, in JSON.
LABEL = "paasta_secrets"

#: Hex digits of a digest that labels and diffs show; the config sha covers all 64.
DIGEST_SHOWN = 12


def render(instance: Instance) -> tuple[dict[str, Any], list[str]]:
    """The plan's ``secrets`` of an instance, and what is wrong with them, one sentence each without the instance."""
    found: secret_uses.Problems = []
    environment = {name: _use(use) for name, use in secret_uses.environment(instance, found).items()}
    files = [
        {"directory": volume.directory, "path": path, "mode": mode, **_use(volume.use)}
        for volume in secret_uses.volumes(instance, found)
        for path, mode in volume.files.items()
    ]
    return {"env": environment, "files": files}, [f"{_where(path)}: {message}" for path, message in found]


def describe(secrets: Mapping[str, Any], service: str) -> dict[str, str]:
    """What people and labels get: ``env.TOKEN`` → ``SECRET(token) 3a7b21c09d8e``; of files, the mode as well."""

    def text(use: Mapping[str, str]) -> str:
        reference = SecretRef(use["service"], use["name"]).reference(service)
        return " ".join(filter(None, [reference, use.get("mode", ""), use["digest"][:DIGEST_SHOWN]]))

    described = {f"env.{variable}": text(use) for variable, use in secrets["env"].items()}
    return described | {posixpath.join(use["directory"], use["path"]): text(use) for use in secrets["files"]}


def label(secrets: Mapping[str, Any], service: str) -> dict[str, str]:
    """The label of a container with secrets; none without, so that those keep their config sha."""
    described = describe(secrets, service)
    return {LABEL: json.dumps(described, sort_keys=True)} if described else {}


def read_label(labels: Mapping[str, str]) -> dict[str, str]:
    """What :func:`describe` said when the container was created."""
    text = labels.get(LABEL)
    return dict(json.loads(text)) if text else {}


def references(secrets: Mapping[str, Any]) -> set[SecretRef]:
    """Every secret that a plan's ``secrets`` name."""
    return {SecretRef(use["service"], use["name"]) for use in (*secrets["env"].values(), *secrets["files"])}


def _use(use: SecretUse) -> dict[str, str]:
    return {"service": use.service, "name": use.name, "digest": use.digest}


def _where(path: KeyPath) -> str:
    return f"env {path[1]}" if path[0] == "env" else dotted(path)

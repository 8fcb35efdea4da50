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
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef, parse_reference

#: On containers with secrets: what has which secret, as :func:`describe` says it, in JSON.
LABEL = "paasta_secrets"

#: Hex digits of a digest that labels and diffs show; the config sha covers all 64.
DIGEST_SHOWN = 12

#: Of files without ``mode`` and ``default_mode``, as Kubernetes has it.
DEFAULT_MODE = "0644"

_MODE = re.compile("[0-7]{3}|0[0-7]{3}")


def render(instance: Instance) -> tuple[dict[str, Any], list[str]]:
    """The plan's ``secrets`` of an instance, and what is wrong with them, one sentence each without the instance."""
    uses = {SecretRef(use.service, use.name): use for use in instance.secrets}
    problems: list[str] = []
    environment = {}
    for variable, value in sorted(instance.env.items()):
        reference = parse_reference(value, instance.service)
        if reference is not None:
            environment[variable] = _use(uses, reference, f"env {variable}", problems)
    files = _files(instance, uses, problems)
    return {"env": environment, "files": files}, problems


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


def _use(uses: Mapping[SecretRef, SecretUse], reference: SecretRef, where: str, problems: list[str]) -> dict[str, str]:
    use = uses.get(reference)
    if use is None:
        problems.append(
            f"{where}: {reference.file} has nothing for this cluster's environment; add it with playbooks/secret.yml"
        )
    return {"service": reference.service, "name": reference.name, "digest": use.digest if use else ""}


def _files(instance: Instance, uses: Mapping[SecretRef, SecretUse], problems: list[str]) -> list[dict[str, str]]:
    """The files of ``secret_volumes``: of each secret one, called after it unless ``items`` say otherwise."""
    files: list[dict[str, str]] = []
    seen: list[Mapping[str, Any]] = []
    for index, volume in enumerate(instance.keys.get("secret_volumes") or ()):
        if volume in seen:
            continue  # written twice, which soa-configs only warn of
        seen.append(volume)
        key, directory = f"secret_volumes[{index}]", posixpath.normpath(volume["container_path"])
        if not directory.startswith("/") or not directory.strip("/"):
            problems.append(f"{key}.container_path: {volume['container_path']}: must be an absolute path, and not /")
        use = _use(uses, SecretRef(instance.service, volume["secret_name"]), f"{key}.secret_name", problems)
        files += [{"directory": directory, **file, **use} for file in _items(volume, key, problems)]
    directories = {file["directory"] for file in files}
    mounts = directories | {posixpath.normpath(volume.container_path) for volume in instance.extra_volumes}
    for path in sorted(mounts):
        for outer in sorted(directories):
            if path.startswith(f"{outer}/"):
                problems.append(f"secret_volumes: {path} is inside of {outer}, which is read-only: mount it elsewhere")
    return files


def _items(volume: Mapping[str, Any], key: str, problems: list[str]) -> list[dict[str, str]]:
    """The files of one secret volume: path in it, and mode."""
    name, default = volume["secret_name"], volume.get("default_mode") or DEFAULT_MODE
    files: dict[str, dict[str, str]] = {}
    for index, item in enumerate(volume.get("items") or [{"key": name, "path": name}]):
        where = f"{key}.items[{index}]"
        path, mode = posixpath.normpath(item["path"]), item.get("mode") or default
        if item["key"] != name:
            problems.append(f"{where}.key: {item['key']}: must be {name}, the only key that this secret has")
        if path.startswith("/") or path.split("/")[0] in (".", ".."):
            problems.append(f"{where}.path: {item['path']}: must be a path inside of the volume")
        elif any(f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/") for other in files):
            problems.append(f"{where}.path: {item['path']}: is in the way of another item of the volume")
        if not _MODE.fullmatch(mode):
            problems.append(f"{key}: mode {mode}: must be octal and in quotes, such as '0400'")
        files[path] = {"path": path, "mode": mode}
    return list(files.values())

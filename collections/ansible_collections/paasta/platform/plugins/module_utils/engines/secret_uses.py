# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What an instance takes from secrets: which variable and which volume has which, and what is wrong with that.

The same for every engine. What is wrong is a list of pairs: the path of the key and one sentence.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, KeyPath, SecretUse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef, parse_reference

Problems: TypeAlias = "list[tuple[KeyPath, str]]"

#: Of files without ``mode`` and ``default_mode``, as Kubernetes has it.
DEFAULT_MODE = "0644"

_MODE = re.compile("[0-7]{3}|0[0-7]{3}")


@dataclass(frozen=True, slots=True)
class SecretVolume:
    """One of ``secret_volumes``. ``files`` are path in the directory → octal mode, such as ``0400``."""

    directory: str
    use: SecretUse
    default_mode: str
    files: Mapping[str, str]


def environment(instance: Instance, problems: Problems) -> dict[str, SecretUse]:
    """The variables that are secrets, sorted. A secret that the cluster does not have is a problem, and here ""."""
    uses = _uses(instance)
    found = {}
    for variable, value in sorted(instance.env.items()):
        reference = parse_reference(value, instance.service) if value[-1:] == ")" else None
        if reference is not None:
            found[variable] = _use(uses, reference, ("env", variable), problems)
    return found


def volumes(instance: Instance, problems: Problems) -> list[SecretVolume]:
    """``secret_volumes``: of each one file, called after the secret unless ``items`` say otherwise."""
    written = instance.keys.get("secret_volumes")
    if not written:
        return []
    uses = _uses(instance)
    found: list[SecretVolume] = []
    seen: list[Mapping[str, Any]] = []
    for index, volume in enumerate(written):
        if volume in seen:
            continue  # written twice, which soa-configs only warn of
        seen.append(volume)
        path: KeyPath = ("secret_volumes", index)
        directory = posixpath.normpath(volume["container_path"])
        if not directory.startswith("/") or not directory.strip("/"):
            message = f"{volume['container_path']}: must be an absolute path, and not /"
            problems.append(((*path, "container_path"), message))
        name = volume["secret_name"]
        use = _use(uses, SecretRef(instance.service, name), (*path, "secret_name"), problems)
        default = volume.get("default_mode") or DEFAULT_MODE
        found.append(SecretVolume(directory, use, default, _files(volume, default, path, problems)))
    problems += _nested(instance, {volume.directory for volume in found})
    return found


def _uses(instance: Instance) -> dict[SecretRef, SecretUse]:
    return {SecretRef(use.service, use.name): use for use in instance.secrets}


def _use(uses: Mapping[SecretRef, SecretUse], reference: SecretRef, path: KeyPath, problems: Problems) -> SecretUse:
    use = uses.get(reference)
    if use is None:
        message = f"{reference.file} has nothing for this cluster's environment; add it with playbooks/secret.yml"
        problems.append((path, message))
    return use or SecretUse(reference.service, reference.name, "")


def _files(volume: Mapping[str, Any], default: str, path: KeyPath, problems: Problems) -> dict[str, str]:
    name = volume["secret_name"]
    files: dict[str, str] = {}
    for index, item in enumerate(volume.get("items") or [{"key": name, "path": name}]):
        here: KeyPath = (*path, "items", index)
        file, mode = posixpath.normpath(item["path"]), item.get("mode") or default
        if item["key"] != name:
            problems.append(((*here, "key"), f"{item['key']}: must be {name}, the only key that this secret has"))
        if file.startswith("/") or file.split("/")[0] in (".", ".."):
            problems.append(((*here, "path"), f"{item['path']}: must be a path inside of the volume"))
        elif any(f"{file}/".startswith(f"{other}/") or f"{other}/".startswith(f"{file}/") for other in files):
            problems.append(((*here, "path"), f"{item['path']}: is in the way of another item of the volume"))
        if not _MODE.fullmatch(mode):
            problems.append((path, f"mode {mode}: must be octal and in quotes, such as '0400'"))
        files[file] = mode
    return files


def _nested(instance: Instance, directories: set[str]) -> Iterator[tuple[KeyPath, str]]:
    """Mounts inside of a volume of secrets: nobody can make their directories there."""
    mounts = directories | {posixpath.normpath(volume.container_path) for volume in instance.extra_volumes}
    for path in sorted(mounts):
        for outer in sorted(directories):
            if path.startswith(f"{outer}/"):
                message = f"{path} is inside of {outer}, which is read-only: mount it elsewhere"
                yield ("secret_volumes",), message

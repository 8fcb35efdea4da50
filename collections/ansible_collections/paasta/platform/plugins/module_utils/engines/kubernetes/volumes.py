# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is mounted into the container of an instance, and the claims of a StatefulSet.

Everything is sorted by path, for the order in soa-configs means nothing and must not replace pods. Only claims keep
it: a StatefulSet cannot change them, and those that PaaSTA created have that order.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines import secret_uses
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, KeyPath, Volume

from . import names, quantities, secrets
from .facts import Facts

BULK_DATA = "/nail/bulkdata"  # PaaSTA: where uses_bulkdata mounts the host's directory of that name
BOTO_KEYS = "/etc/boto_cfg"
CRYPTO_KEYS = "/etc/crypto_keys"
DATASTORE_CREDENTIALS = "/datastore"
_BOTO_FORMATS = ("cfg", "json", "sh", "yaml")
_READABLE = 0o444
_DEFAULT_MODE = int(secret_uses.DEFAULT_MODE, 8)
_STORAGE_CLASS = "ebs"  # PaaSTA: for a class that the platform does not support
_TOKEN_SECONDS = 3600
_TOKEN_MINIMUM = 600  # Kubernetes


@dataclass(frozen=True, slots=True)
class Mount:
    """Something at a path of the container.

    :ivar name: wanted name of the volume, for people; two different volumes may want the same.
    :ivar source: the volume without its name; None for a claim of the StatefulSet.
    :ivar where: the key that asks for it; empty for the platform's own.
    """

    path: str
    name: str
    source: Mapping[str, Any] | None
    read_only: bool
    where: KeyPath = ()


def mounts_and_volumes(instance: Instance, facts: Facts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """``volumeMounts`` of the container, and ``volumes`` of its pod."""
    return rendered(_distinct(_mounts(instance, facts)))


def host_mounts(
    volumes: Iterable[Volume], beside: Iterable[Mapping[str, Any]] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The same for directories of the host, as a sidecar has them; ``beside`` are the pod's other volumes."""
    return rendered({mount.path: mount for mount in map(_host, volumes)}.values(), beside)


def rendered(
    mounts: Iterable[Mount], beside: Iterable[Mapping[str, Any]] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mounts and volumes, in the order of their paths, with names that nothing else of the pod has."""
    ordered = sorted(mounts, key=lambda mount: mount.path)
    named = _names(ordered, beside)
    volumes = {
        name: {"name": name, **mount.source}
        for name, mount in zip(named, ordered, strict=True)
        if mount.source is not None
    }
    return [
        {"name": name, "mountPath": mount.path, **({"readOnly": True} if mount.read_only else {})}
        for name, mount in zip(named, ordered, strict=True)
    ], list(volumes.values())


def claim_templates(instance: Instance, facts: Facts) -> list[dict[str, Any]]:
    """``volumeClaimTemplates`` of a StatefulSet, from ``persistent_volumes``."""
    written = _unique(instance.keys.get("persistent_volumes") or ())
    if not written:
        return []
    ordered = sorted(_distinct(_mounts(instance, facts)), key=lambda mount: mount.path)
    named = {mount.path: name for name, mount in zip(_names(ordered), ordered, strict=True)}
    return [_claim(named[_path(volume["container_path"])], volume, facts) for volume in written]


def _claim(name: str, volume: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": quantities.gibibytes(volume["size"])}},
    }
    storage = _storage_class(volume.get("storage_class_name"), facts.settings.supported_storage_classes)
    if storage:
        spec["storageClassName"] = storage
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _storage_class(wanted: str | None, supported: tuple[str, ...]) -> str | None:
    """PaaSTA knows ``ebs`` only besides what the platform lists. Where it lists nothing, its cluster knows best: the
    class that is named, else the default one.
    """
    if not supported:
        return wanted
    return wanted if wanted in supported else _STORAGE_CLASS


def _mounts(instance: Instance, facts: Facts) -> list[Mount]:
    """Everything that is asked for, the platform's own first. A path may come twice."""
    keys = instance.keys
    found = [_host(volume) for volume in facts.settings.volumes]
    if keys.get("uses_bulkdata", facts.settings.uses_bulkdata_default):
        found.append(_host(Volume(BULK_DATA, BULK_DATA, "RO")))
    found += [_host(volume, ("extra_volumes", n)) for n, volume in enumerate(instance.extra_volumes)]
    found += [_ebs(volume, ("aws_ebs_volumes", n)) for n, volume in _numbered(keys.get("aws_ebs_volumes"))]
    found += [_persistent(volume, ("persistent_volumes", n)) for n, volume in _numbered(keys.get("persistent_volumes"))]
    found += _secrets(instance)
    found += [_token(volume, ("projected_sa_volumes", n)) for n, volume in _numbered(keys.get("projected_sa_volumes"))]
    settings = facts.settings.service_auth_token_settings
    if instance.service in facts.authenticating and settings.get("audience") and settings.get("container_path"):
        found.append(_token(settings, ()))
    if keys.get("boto_keys"):
        found.append(_boto(instance))
    if _crypto_keys(instance):
        found.append(_crypto(instance))
    if _datastores(instance):
        found.append(_datastore(instance))
    return found


def _distinct(mounts: Iterable[Mount]) -> Iterable[Mount]:
    """One mount for each path: the instance's own before the platform's (PaaSTA: get_volumes)."""
    return {mount.path: mount for mount in mounts}.values()


def _numbered(items: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return enumerate(_unique(items or ()))


def _unique(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what is written twice, which soa-configs only warn of."""
    found: list[Mapping[str, Any]] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _path(path: str) -> str:
    return posixpath.normpath(path) if path else path


@lru_cache(maxsize=4096)
def _host(volume: Volume, where: KeyPath = ()) -> Mount:
    source = {"hostPath": {"path": volume.host_path}}
    return Mount(_path(volume.container_path), f"host--{volume.host_path}", source, volume.mode == "RO", where)


def _ebs(volume: Mapping[str, Any], where: KeyPath) -> Mount:
    source = {"volumeID": volume["volume_id"]}
    source |= {
        field: volume[key] for key, field in (("fs_type", "fsType"), ("partition", "partition")) if volume.get(key)
    }
    name = f"aws-ebs--{volume['volume_id']}{volume.get('partition', '')}"
    return Mount(_path(volume["container_path"]), name, {"awsElasticBlockStore": source}, _reads(volume), where)


def _persistent(volume: Mapping[str, Any], where: KeyPath) -> Mount:
    return Mount(_path(volume["container_path"]), f"pv--{volume['container_path']}", None, _reads(volume), where)


def _reads(volume: Mapping[str, Any]) -> bool:
    """PaaSTA: read_only_mode; a volume that does not say is read-only."""
    return bool(volume.get("mode", "RO") == "RO")


def _secrets(instance: Instance) -> Iterator[Mount]:
    namespace = names.namespace(instance)
    for index, volume in enumerate(secret_uses.volumes(instance, [])):
        use, default = volume.use, int(volume.default_mode, 8)
        source: dict[str, Any] = {"secretName": secrets.object_name(namespace, use.service, use.name)}
        if default != _DEFAULT_MODE:
            source["defaultMode"] = default
        if volume.files != {use.name: volume.default_mode}:
            source["items"] = [_item(use.name, path, int(mode, 8), default) for path, mode in volume.files.items()]
        yield Mount(volume.directory, f"secret--{use.name}", {"secret": source}, True, ("secret_volumes", index))


def _item(key: str, path: str, mode: int, default: int) -> dict[str, Any]:
    return {"key": key, "path": path, **({"mode": mode} if mode != default else {})}


def _token(volume: Mapping[str, Any], where: KeyPath) -> Mount:
    token = {"audience": volume["audience"], "path": "token"}
    seconds = volume.get("expiration_seconds") or _TOKEN_SECONDS
    if seconds != _TOKEN_SECONDS:
        token["expirationSeconds"] = seconds
    source = {"projected": {"sources": [{"serviceAccountToken": token}]}}
    return Mount(_path(volume["container_path"]), f"projected-sa--{volume['audience']}", source, True, where)


# PaaSTA's sync fills the Secrets of the next three; see warnings().


def _boto(instance: Instance) -> Mount:
    files = sorted(f"{key}.{form}" for key in instance.keys["boto_keys"] for form in _BOTO_FORMATS)
    items = {file.replace(".", "-").replace("_", "--"): file for file in files}
    return _synced(instance, "boto_keys", BOTO_KEYS, "boto-key", items)


def _crypto_keys(instance: Instance) -> list[str]:
    keys = instance.keys.get("crypto_keys") or {}
    return sorted(
        [f"public/{key}" for key in keys.get("encrypt") or ()] + [f"private/{key}" for key in keys.get("decrypt") or ()]
    )


def _crypto(instance: Instance) -> Mount:
    items = {key.replace("/", "-"): f"{key}.json" for key in _crypto_keys(instance)}
    return _synced(instance, "crypto_keys", CRYPTO_KEYS, "crypto-key", items, optional=True)


def _datastores(instance: Instance) -> list[str]:
    stores = instance.keys.get("datastore_credentials") or {}
    return sorted(f"{store}/{name}" for store, credentials in stores.items() for name in credentials or ())


def _datastore(instance: Instance) -> Mount:
    items = {f"secrets-datastore-{path.replace('/', '-')}": f"{path}/credentials" for path in _datastores(instance)}
    return _synced(instance, "datastore_credentials", DATASTORE_CREDENTIALS, "datastore-creds", items)


def synced_secret(instance: Instance, key: str) -> str:
    """The Secret that PaaSTA's sync makes for ``boto_keys``, ``crypto_keys`` or ``datastore_credentials``."""
    if key == "boto_keys":
        return names.limited(f"paasta-boto-key-{names.app(instance)}")
    kind = {"crypto_keys": "crypto-key", "datastore_credentials": "datastore-credentials"}[key]
    return names.limited(f"{names.namespace(instance)}-{kind}-{names.app(instance)}", 253)


def _synced(
    instance: Instance, key: str, path: str, kind: str, items: Mapping[str, str], *, optional: bool = False
) -> Mount:
    source: dict[str, Any] = {
        "secretName": synced_secret(instance, key),
        "defaultMode": _READABLE,
        "items": [{"key": name, "path": file} for name, file in items.items()],
    }
    if optional:
        source["optional"] = True
    return Mount(path, f"secret-{kind}-{names.app(instance)}", {"secret": source}, True, (key,))


def _names(mounts: list[Mount], beside: Iterable[Mapping[str, Any]] = ()) -> list[str]:
    """The name of each mount's volume. Those that different volumes want are told apart by a hash of what they are;
    a claim always gets its own, for its data is found by it.
    """
    wanted = [_volume_name(mount.name) for mount in mounts]
    first: dict[str, Any] = {name: None for name, mount in zip(wanted, mounts, strict=True) if mount.source is None}
    first |= {volume["name"]: {key: item for key, item in volume.items() if key != "name"} for volume in beside}
    found = []
    for name, mount in zip(wanted, mounts, strict=True):
        if mount.source is None or first.setdefault(name, mount.source) == mount.source:
            found.append(name)
        else:
            found.append(_hashed(name, repr(mount.source)))
    return found


@lru_cache(maxsize=4096)
def _volume_name(text: str) -> str:
    """PaaSTA: get_sanitised_volume_name, which shortens in another way than all other names are shortened."""
    name = names.path(text)
    return name if len(name) <= names.NAME_LIMIT else _hashed(name, name)


def _hashed(name: str, text: str) -> str:
    """The beginning of a name and 4 digits of a hash of something."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:4]
    return f"{name[: names.NAME_LIMIT - 6]}--{digest}"


def problems(instance: Instance, facts: Facts) -> list[str]:
    """Paths that cannot be mounted, or more than once; tokens that the API refuses."""
    lines: list[str] = []
    seen: dict[str, Mount] = {}
    for mount in _mounts(instance, facts):
        other = seen.get(mount.path)
        if not mount.path.startswith("/") or ":" in mount.path:
            lines.append(problem(instance, mount.where, f"{mount.path}: must be an absolute path without a colon"))
        elif other is not None and other.source != mount.source and _collide(other, mount):
            message = f"{mount.path} is already mounted by {other.where[0]}"
            lines.append(problem(instance, mount.where, message, "mount one of the two somewhere else"))
        seen[mount.path] = mount
    lines += _same_claims(instance)
    for index, volume in enumerate(instance.keys.get("projected_sa_volumes") or ()):
        seconds = volume.get("expiration_seconds", _TOKEN_SECONDS)
        if seconds < _TOKEN_MINIMUM:
            path = ("projected_sa_volumes", index, "expiration_seconds")
            lines.append(problem(instance, path, f"{seconds}: Kubernetes gives tokens for at least {_TOKEN_MINIMUM} s"))
    settings = facts.settings.service_auth_token_settings
    if instance.service in facts.authenticating and bool(settings.get("audience")) != bool(
        settings.get("container_path")
    ):
        lines.append(f"{instance.id}: paasta_service_auth_token_settings needs both audience and container_path")
    return lines


def _same_claims(instance: Instance) -> Iterator[str]:
    """Claims cannot be told apart by a hash as other volumes are: their names must not depend on each other."""
    taken: dict[str, str] = {}
    for index, volume in _numbered(instance.keys.get("persistent_volumes")):
        path = volume["container_path"]
        other = taken.setdefault(_volume_name(f"pv--{path}"), path)
        if other != path:
            message = f"the claim of {path} would have the name of that of {other}"
            yield problem(instance, ("persistent_volumes", index), message, "mount one of the two somewhere else")


def _collide(first: Mount, second: Mount) -> bool:
    """Whether one of the two must not give way: the platform's do, and any to AWS and crypto keys, as in PaaSTA."""
    return bool(first.where and second.where) and second.where[0] not in ("boto_keys", "crypto_keys")


def warnings(instance: Instance) -> list[str]:
    """Mounts of Secrets that paasta does not fill: pods wait for them until something else does."""
    lines = []
    for key in ("boto_keys", "crypto_keys", "datastore_credentials"):
        if instance.keys.get(key):
            message = f"Secret {synced_secret(instance, key)} of namespace {names.namespace(instance)} is mounted"
            hint = "paasta does not fill it: PaaSTA's paasta_secrets_sync, or you, must"
            lines.append(problem(instance, (key,), message, hint))
    return lines

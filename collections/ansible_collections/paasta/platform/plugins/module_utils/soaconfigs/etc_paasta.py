# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""PaaSTA's system configuration, /etc/paasta: read, merged, and translated to settings.

No message holds a value of these files: any of them may be a secret.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import jsondoc, secret_values
from .errors import ConfigError, InvalidConfigs, nearest
from .files import read_bytes
from .keys_etc_paasta import DROPPED
from .keys_settings import SETTINGS, Setting
from .model import KeyPath, Source
from .settings import bind, coerce, problems, volume
from .yamldoc import dotted

_TAKEN: dict[str, Setting] = {key: row for row in SETTINGS.values() for key in row.paasta}
# Those of PaaSTA's own plugins, which need no successor.
_PLAIN_PROVIDERS = ("paasta_tools.secret_providers", None)


@dataclass(slots=True)
class SystemConfig:
    """Every file below a directory as one mapping; ``sources`` has the first place of each key path."""

    value: dict[str, Any] = field(default_factory=dict)
    sources: dict[KeyPath, Source] = field(default_factory=dict)


def read(directory: str) -> SystemConfig:
    """Read and merge every ``*.json`` below a directory, recursively.

    :raises InvalidConfigs: for files that cannot be read or parsed, and for every leaf that two files give different
        values, all at once. PaaSTA skips the former silently.
    """
    errors: list[ConfigError] = []

    def unlistable(error: OSError) -> None:
        place = os.path.relpath(error.filename or directory, directory)
        errors.append(ConfigError(directory if place == "." else place, 0, 0, "", f"cannot be read: {error.strerror}"))

    names = []
    for parent, _directories, files in os.walk(directory, onerror=unlistable):
        names += [os.path.relpath(os.path.join(parent, name), directory) for name in files if name.endswith(".json")]
    if not names and not errors:
        errors.append(ConfigError(directory, 0, 0, "", "has no *.json file"))
    documents = [_document(directory, name) for name in sorted(names)]
    for document in documents:
        errors += document.errors
    config, conflicts = merge(documents)
    if errors or conflicts:
        raise InvalidConfigs(errors + conflicts)
    return config


def _document(directory: str, name: str) -> jsondoc.JsonDocument:
    try:
        return jsondoc.parse(name, read_bytes(os.path.join(directory, name)))
    except OSError as error:
        return jsondoc.JsonDocument(name, errors=[ConfigError(name, 0, 0, "", f"cannot be read: {error.strerror}")])


def merge(documents: list[jsondoc.JsonDocument]) -> tuple[SystemConfig, list[ConfigError]]:
    """All documents in one; the same leaf twice is fine when both are equal, else an error at the later one."""
    config = SystemConfig()
    errors: list[ConfigError] = []
    for document in documents:
        _merge_into(config, config.value, document, document.value, (), errors)
    return config, errors


def _merge_into(
    config: SystemConfig,
    target: dict[str, Any],
    document: jsondoc.JsonDocument,
    value: Mapping[str, Any],
    path: KeyPath,
    errors: list[ConfigError],
) -> None:
    for key, item in value.items():
        here = (*path, key)
        line, column = document.places.get(here, (0, 0))
        source = Source(document.file, line)
        first = config.sources.setdefault(here, source)
        if key not in target:
            target[key] = {} if isinstance(item, dict) else item
        if isinstance(item, dict) and isinstance(target[key], dict):
            _merge_into(config, target[key], document, item, here, errors)
        elif json.dumps(item, sort_keys=True) != json.dumps(target[key], sort_keys=True):
            message = f"differs from {first}"
            errors.append(ConfigError(document.file, line, column, dotted(here), message, "keep one of the two"))


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report: a key of /etc/paasta, where it is, and what became of it."""

    key: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.key} ({self.source}): {self.text}" if self.source else f"{self.key}: {self.text}"


@dataclass(slots=True)
class Translation:
    """``values`` by setting name; ``origins`` names the files of each. The rest is the report, sorted by key."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    taken: list[Note] = field(default_factory=list)
    renamed: list[Note] = field(default_factory=list)
    dropped: list[Note] = field(default_factory=list)
    unknown: list[Note] = field(default_factory=list)
    attention: list[Note] = field(default_factory=list)


def translate(config: SystemConfig) -> Translation:
    """What the configuration says, as settings; see :class:`Translation`."""
    result = Translation()
    for key in sorted(config.value):
        value = config.value[key]
        source = _sources(config, key)
        convert = _CONVERT.get(key)
        if value is None:
            result.dropped.append(Note(key, source, "is null, which sets nothing"))
        elif convert is not None:
            convert(result, key, value, source)
        elif key in _TAKEN:
            _take(result, _TAKEN[key], key, value, source)
        else:
            _leave(result, key, source)
    return result


def _sources(config: SystemConfig, key: str) -> str:
    """The file and line of a top-level key; of all files when several set parts of it."""
    places = {str(config.sources[(key,)].file): config.sources[(key,)].line}
    for path, source in config.sources.items():
        if path[0] == key:
            places.setdefault(source.file, source.line)
    return ", ".join(f"{file}:{line}" for file, line in sorted(places.items()))


def _take(result: Translation, row: Setting, key: str, value: Any, source: str) -> None:
    """One setting, when the value is good and holds no secret."""
    value = coerce(value, row.shape)
    found = secret_values.find(value, row.shape)
    if found:
        places = ", ".join(dotted((key, *path)) for path in found)
        text = f"not written: {places} looks like a secret; set {row.variable} yourself, the secret in Ansible Vault"
        result.attention.append(Note(key, source, text))
        return
    bad = problems(row, value, hide=True)
    if bad:
        texts = "; ".join(f"{error.key} {error.message}" for error in bad)
        result.attention.append(Note(key, source, f"not written: {texts}"))
        return
    result.values[row.name] = value
    result.origins[row.name] = f"{key} in {', '.join(place.rpartition(':')[0] for place in source.split(', '))}"
    note = Note(key, source, row.variable)
    (result.taken if row.name == key else result.renamed).append(note)


def _leave(result: Translation, key: str, source: str) -> None:
    for pattern, reason in DROPPED.items():
        if fnmatch.fnmatchcase(key, pattern):
            result.dropped.append(Note(key, source, reason))
            return
    match = nearest(key, [*_TAKEN, *_CONVERT, *(name for name in DROPPED if "*" not in name)])
    text = f"PaaSTA has no such key; did you mean {match}?" if match else "PaaSTA has no such key"
    result.unknown.append(Note(key, source, text))


def _volumes(result: Translation, key: str, value: Any, source: str) -> None:
    """PaaSTA's mappings in Docker's notation, unless a path has a colon in it."""
    row = _TAKEN[key]
    if not problems(row, value) and isinstance(value, list):
        value = [item if ":" in "".join(item.values()) else bind(volume(item)) for item in value]
    _take(result, row, key, value, source)


def _slack(result: Translation, key: str, value: Any, source: str) -> None:
    _vault(result, "slack.token", source, "slack_token")


def _vault(result: Translation, key: str, source: str, setting: str) -> None:
    variable = SETTINGS[setting].variable
    text = f"a secret, not written: set {variable} in a file of its own that is encrypted with Ansible Vault"
    result.attention.append(Note(key, source, text))


def _marathon_servers(result: Translation, key: str, value: Any, source: str) -> None:
    servers = value if isinstance(value, list) else [value]
    if any(isinstance(server, dict) and "password" in server for server in servers):
        _vault(result, "marathon_servers.password", source, "marathon_passwords")
    without = [
        {name: item for name, item in server.items() if name != "password"} if isinstance(server, dict) else server
        for server in servers
    ]
    _take(result, _TAKEN[key], key, without, source)


def _paasta_native(result: Translation, key: str, value: Any, source: str) -> None:
    _leave(result, key, source)
    if isinstance(value, dict) and "secret" in value:
        text = "a secret, not written: nothing uses it any more, so revoke it in Mesos"
        result.attention.append(Note("paasta_native.secret", source, text))


def _git_config(result: Translation, key: str, value: Any, source: str) -> None:
    """PaaSTA: a service without git_url is git_user@git_server:services/<service> of the default repository."""
    server = value
    for part in ("repos", "default", "git_server"):
        server = server.get(part) if isinstance(server, dict) else None
    if not isinstance(server, str) or secret_values.find(server, None):
        text = "has no repos.default.git_server, so paasta_git_url is not written"
        result.attention.append(Note(key, source, text))
        return
    user = value.get("git_user")
    url = f"{user if isinstance(user, str) else 'git'}@{server}:services/{{service}}"
    _take(result, SETTINGS["git_url"], key, url, source)
    if "git_url" in result.values:
        result.attention.append(Note(key, source, "check paasta_git_url; other repositories of git_config are left"))


def _custom_resources(result: Translation, key: str, value: Any, source: str) -> None:
    """PaaSTA's list, by the type that files begin with."""
    types: dict[str, Any] = {}
    for item in value if isinstance(value, list) else [value]:
        names = item.get("kube_kind") if isinstance(item, dict) else None
        prefix = item.get("file_prefix") if isinstance(item, dict) else None
        if not isinstance(names, dict) or not isinstance(prefix, str) or prefix in types:
            text = "not written: an item lacks file_prefix or kube_kind, or two have the same file_prefix"
            result.attention.append(Note(key, source, text))
            return
        parts = {
            "group": item.get("group"),
            "version": item.get("version"),
            "kind": names.get("singular"),
            "plural": names.get("plural"),
        }
        types[prefix] = {name: part for name, part in parts.items() if part is not None}
    _take(result, _TAKEN[key], key, types, source)


def _pdb(result: Translation, key: str, value: Any, source: str) -> None:
    _take(result, _TAKEN[key], key, value, source)
    if value == 0 and "pdb_max_unavailable" in result.values:
        text = "0 lets no node be drained while its instances run; 1 is the default here"
        result.attention.append(Note(key, source, text))


def _secret_provider(result: Translation, key: str, value: Any, source: str) -> None:
    _leave(result, key, source)
    if value not in _PLAIN_PROVIDERS:
        text = "set paasta_vault_url if it was HashiCorp Vault, else paasta_secret_lookup"
        result.attention.append(Note(key, source, text))


_CONVERT: dict[str, Callable[[Translation, str, Any, str], None]] = {
    "volumes": _volumes,
    "hacheck_sidecar_volumes": _volumes,
    "slack": _slack,
    "marathon_servers": _marathon_servers,
    "paasta_native": _paasta_native,
    "git_config": _git_config,
    "kubernetes_custom_resources": _custom_resources,
    "pdb_max_unavailable": _pdb,
    "secret_provider": _secret_provider,
}

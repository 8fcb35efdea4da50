# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Add, change, rotate and remove secrets in a soa-configs directory: all that was asked for, or nothing.

Everything is checked, read, compared and encrypted before the first file is touched. Results, diffs and messages hold
names and digests of ciphertexts, never cleartext.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..soaconfigs.atomic import locked, write
from ..soaconfigs.errors import ConfigError, InvalidConfigs, did_you_mean
from ..soaconfigs.files import MAX_FILE_BYTES, SoaDir, read_bytes
from ..soaconfigs.secrets import (
    ANSIBLE_VAULT,
    DIRECTORY,
    LOOKUP,
    NAME,
    NAME_HINT,
    SHARED,
    VAULT,
    Encrypted,
    SecretFile,
    SecretRef,
    dump,
    is_term,
    load,
    with_environment,
)
from ..soaconfigs.shapes import show
from ..table import lines
from .secrets import MISSING, PROVIDER_ARGUMENTS, Files, Item, Provider, Read, SecretError, SecretErrors, decrypt

_SOURCES = ("value", "value_base64", "value_file", "lookup")
ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": False,
        "options": {
            "service": {"type": "str"},
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent", "rotated"], "default": "present"},
            "environments": {"type": "list", "elements": "str", "default": []},
            "exists": {"type": "bool"},
            "value": {"type": "str", "no_log": True},
            "value_base64": {"type": "str", "no_log": True},
            "value_file": {"type": "path"},
            "lookup": {
                "type": "dict",
                "options": {
                    "term": {"type": "str", "required": True},
                    "version": {"type": "str", "required": True},
                },
            },
            "motivation": {"type": "str"},
            "extra_namespaces": {"type": "list", "elements": "str"},
        },
        "mutually_exclusive": [_SOURCES],
        "required_if": [
            ("state", "present", ("service", "name")),
            ("state", "present", _SOURCES, True),
            ("state", "absent", ("service", "name")),
        ],
    },
    "provider": {"type": "str", "choices": [ANSIBLE_VAULT, VAULT]},
    "vault_id": {"type": "str"},
    **PROVIDER_ARGUMENTS,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one secret in one environment."""

    ref: SecretRef
    environment: str
    action: str  # added, updated, rotated, removed or unchanged
    entry: Encrypted | None  # what is stored now; None when removed, or when check mode did not encrypt

    def document(self) -> dict[str, Any]:
        return {
            "service": self.ref.service,
            "name": self.ref.name,
            "environment": self.environment,
            "action": self.action,
            "provider": self.entry.provider if self.entry else None,
            "digest": self.entry.digest if self.entry else None,
        }


def run(args: Mapping[str, Any], providers: Mapping[str, Provider], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Carry out ARGUMENTS' request; returns a module result, with ``failed`` and ``msg`` when nothing was written."""
    try:
        with contextlib.nullcontext() if check_mode else locked(args["soa_dir"]):
            edit = Edit(SoaDir(args["soa_dir"]), args, providers, check_mode)
            edit.prepare()
            if not check_mode:
                edit.write()
            return edit.result(diff)
    except InvalidConfigs as error:
        listed = "\n".join(map(str, error.errors))
        return {"failed": True, "msg": f"Nothing was written.\n{listed}"}
    except SecretErrors as error:
        return {"failed": True, "msg": f"Nothing was written.\n{error}"}
    except OSError as error:
        return {"failed": True, "msg": f"{error.filename or args['soa_dir']}: cannot be written: {error.strerror}"}


def names(soa: SoaDir, service: str) -> list[SecretRef]:
    """The secrets of a service, sorted; none when it has no directory of them."""
    try:
        found = os.listdir(os.path.join(soa.root, service, DIRECTORY))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [SecretRef(service, name.removesuffix(".json")) for name in sorted(found) if name.endswith(".json")]


class Edit:
    """One request: its entries in order, the documents they change, and what came of each."""

    def __init__(
        self, soa: SoaDir, args: Mapping[str, Any], providers: Mapping[str, Provider], check_mode: bool
    ) -> None:
        self._soa = soa
        self._args = args
        self._providers = providers
        self._check_mode = check_mode
        self._files = Files(soa)
        self._before: dict[SecretRef, Read] = {}
        self._after: dict[SecretRef, dict[str, Any]] = {}
        self._outcomes: list[Outcome] = []
        self._warnings: list[str] = []
        self._errors: list[ConfigError] = []
        self._failures: dict[str, str] = {}

    def prepare(self) -> None:
        """Work out every new file; InvalidConfigs for what is wrong, SecretErrors for what a provider could not do."""
        entries = self._args["secrets"]
        for index, entry in enumerate(entries):
            for environment in entry["environments"]:
                if not environment or environment != environment.strip():
                    message = f"{show(environment)} is not the name of an environment"
                    self._refuse(f"secrets[{index}].environments", message, "give names without spaces around them")
        refs = [self._refs(f"secrets[{index}]", entry) for index, entry in enumerate(entries)]
        values = [self._value(f"secrets[{index}]", entry) for index, entry in enumerate(entries)]
        for ref in dict.fromkeys(ref for found in refs for ref in found):
            self._read(ref)
        if self._errors:
            raise InvalidConfigs(self._errors)
        for index, entry in enumerate(entries):
            if entry["state"] == "rotated":
                self._rotate(f"secrets[{index}]", refs[index], entry["environments"])
            elif entry["state"] == "absent":
                self._remove(refs[index][0], entry["environments"])
            else:
                self._set(f"secrets[{index}]", refs[index][0], entry, values[index])
        if self._errors:
            raise InvalidConfigs(self._errors)
        if self._failures:
            raise SecretErrors(self._failures)

    def write(self) -> None:
        changed = self._changed()
        kept = {ref: document for ref in changed if (document := self._after[ref]).get("environments")}
        for service in sorted({ref.service for ref in kept}):
            directory = os.path.join(self._soa.root, service, DIRECTORY)
            os.makedirs(directory, exist_ok=True)
        write({os.path.join(self._soa.root, ref.file): dump(document) for ref, document in kept.items()})
        for ref in changed:
            if ref not in kept:
                os.unlink(os.path.join(self._soa.root, ref.file))

    def result(self, diff: bool) -> dict[str, Any]:
        changed = self._changed()
        rows = [outcome.document() for outcome in self._outcomes]
        result: dict[str, Any] = {"changed": bool(changed), "files": [ref.file for ref in changed], "secrets": rows}
        cells = [[str(cell or "-") for cell in {**row, "digest": (row["digest"] or "")[:12]}.values()] for row in rows]
        result["table"] = "\n".join(lines(list(rows[0]), cells)) if rows else "no secrets"
        if self._warnings:
            result["warnings"] = self._warnings
        if diff:
            result["diff"] = [self._diff(ref) for ref in changed]
        return result

    def _changed(self) -> list[SecretRef]:
        return [ref for ref in sorted(self._after) if self._after[ref] != self._before[ref].document]

    def _refuse(self, where: str, message: str, hint: str = "") -> None:
        self._errors.append(ConfigError("", 0, 0, where, message, hint))

    def _refs(self, where: str, entry: Mapping[str, Any]) -> list[SecretRef]:
        """The secrets that an entry is about: one, or for ``rotated`` without a name all that there are."""
        service, name = entry["service"], entry["name"]
        services = [*self._soa.services, SHARED]
        if service is not None and service not in services:
            self._refuse(f"{where}.service", f"{show(service)} is not a service", did_you_mean(service, services))
            return []
        if name is None:
            return [
                ref for its_service in ([service] if service else services) for ref in names(self._soa, its_service)
            ]
        if service is None:
            self._refuse(f"{where}.service", "is missing", f"name the service of {show(name)}, or {SHARED}")
            return []
        if not NAME.fullmatch(name):
            self._refuse(f"{where}.name", f"{show(name)} is not the name of a secret", NAME_HINT)
            return []
        return [SecretRef(service, name)]

    def _read(self, ref: SecretRef) -> None:
        """The secret as it is; an empty one when it has no file."""
        self._before[ref] = Read({}, SecretFile())
        path = os.path.join(self._soa.root, ref.file)
        try:
            document, secret, errors = load(ref.file, read_bytes(path))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._errors.append(ConfigError(ref.file, 0, 0, "", f"cannot be read: {error.strerror}"))
        else:
            self._errors.extend(errors)
            self._before[ref] = Read(document, secret)
        self._after[ref] = dict(self._before[ref].document)

    def _value(self, where: str, entry: Mapping[str, Any]) -> bytes | Encrypted | None:
        """The cleartext of an entry, or the lookup that finds it; None where it needs none or is wrong."""
        if entry["state"] != "present":
            return None
        if not entry["environments"]:
            self._refuse(f"{where}.environments", "is empty", "name the environments that get this value")
        if entry["lookup"]:
            term, version = entry["lookup"]["term"], entry["lookup"]["version"]
            if not is_term(term):
                self._refuse(f"{where}.lookup.term", f"{show(term)} is not the term of a lookup")
            return Encrypted(LOOKUP, term=term, version=version)
        try:
            if entry["value_file"] is not None:
                value = _whole(entry["value_file"])
            elif entry["value_base64"] is not None:
                value = base64.b64decode("".join(entry["value_base64"].split()), validate=True)
            else:
                value = str(entry["value"]).encode("utf-8", "surrogateescape")
        except OSError as error:
            self._refuse(f"{where}.value_file", f"{entry['value_file']} cannot be read: {error.strerror}")
            return None
        except (binascii.Error, ValueError):
            self._refuse(f"{where}.value_base64", "is not base64")
            return None
        if not value:
            self._refuse(where, "the value is empty", "give one; a prompt needs a terminal")
        elif value.endswith(b"\n") and entry["value_file"] is not None and value.count(b"\n") == 1:
            self._warnings.append(
                f"{where}: the value ends in a line feed, which is now part of it (printf writes none)"
            )
        return value

    def _set(self, where: str, ref: SecretRef, entry: Mapping[str, Any], value: bytes | Encrypted | None) -> None:
        for environment in entry["environments"]:
            current = self._current(ref).environments.get(environment)
            if entry["exists"] is not None and entry["exists"] != (current is not None):
                problem = "has no value" if entry["exists"] else "has a value already"
                hint = "add it" if entry["exists"] else "update it, or choose another name"
                self._refuse(where, f"{ref.file} {problem} for environment {show(environment)}", hint)
                continue
            if current and self._same(ref, environment, current, value):
                self._outcomes.append(Outcome(ref, environment, "unchanged", current))
                continue
            action = "updated" if current else "added"
            new = value if isinstance(value, Encrypted) else self._encrypt(ref, environment, current, value or b"")
            self._store(ref, environment, new or Encrypted("check_mode"))
            self._outcomes.append(Outcome(ref, environment, action, new))
        document = self._after[ref]
        if entry["motivation"] is not None:
            # PaaSTA's code and its documentation spell it differently; what the file has stays.
            key = next((key for key in document if key.startswith("cross_env")), "cross_env_motivation")
            document[key] = {**document.get(key, {}), **dict.fromkeys(entry["environments"], entry["motivation"])}
        if entry["extra_namespaces"] is not None:
            document["extra_namespaces"] = entry["extra_namespaces"]

    def _current(self, ref: SecretRef) -> SecretFile:
        """The secret with what this request changed so far."""
        if self._after[ref] == self._before[ref].document:
            return self._before[ref].secret
        return load(ref.file, dump(self._after[ref]).encode())[1]

    def _same(self, ref: SecretRef, environment: str, current: Encrypted, value: bytes | Encrypted | None) -> bool:
        """Whether the value is stored already, with the provider that was asked for."""
        if isinstance(value, Encrypted) or current.provider == LOOKUP:
            return value == current
        if self._args["provider"] not in (None, current.provider):
            return False
        item = self._item(ref, environment, current)
        if item is None:
            return False
        found = decrypt([item], self._providers)[item]
        if isinstance(found, SecretError):
            self._warnings.append(f"{item} is written anew, because it cannot be compared: {found}")
            return False
        return found == value

    def _item(self, ref: SecretRef, environment: str, entry: Encrypted) -> Item | None:
        try:
            return Item(ref, environment, entry, self._files.key(ref.service))
        except SecretError as error:
            self._failures[ref.file] = str(error)
            return None

    def _encrypt(self, ref: SecretRef, environment: str, current: Encrypted | None, value: bytes) -> Encrypted | None:
        """New ciphertext, or None in check mode: HashiCorp Vault would make a key that does not exist yet."""
        default = VAULT if self._args["vault"] else ANSIBLE_VAULT
        name = self._args["provider"] or (current.provider if current and current.provider != LOOKUP else default)
        provider = self._providers.get(name)
        if provider is None:
            self._failures[f"{ref.file} ({environment})"] = MISSING[name]
        if self._check_mode or provider is None:
            return None
        try:
            return provider.encrypt(self._files.key(ref.service), value)
        except SecretError as error:
            self._failures[f"{ref.file} ({environment})"] = str(error)
            return None

    def _rotate(self, where: str, refs: list[SecretRef], environments: list[str]) -> None:
        known = {environment for ref in refs for environment in self._current(ref).environments}
        for environment in environments:
            if refs and environment not in known:
                # Who rotates after a leak must not believe that it was done.
                message = f"no secret has a value for environment {show(environment)}"
                self._refuse(f"{where}.environments", message, did_you_mean(environment, known))
        by_provider: dict[str, list[Item]] = {}
        for ref in refs:
            entries = self._current(ref).environments
            if not entries:
                self._failures[ref.file] = "does not exist; add it with playbooks/secret.yml -e do=add"
            for environment in environments or entries:
                if environment in entries and (item := self._item(ref, environment, entries[environment])):
                    by_provider.setdefault(item.entry.provider, []).append(item)
        for name, items in by_provider.items():
            provider = self._providers.get(name)
            results = provider.rotate(items) if provider else dict.fromkeys(items, SecretError(MISSING[name]))
            for item in items:
                self._rotated(item, results[item])

    def _rotated(self, item: Item, result: Encrypted | SecretError) -> None:
        if isinstance(result, SecretError):
            self._failures[str(item)] = str(result)
            return
        if result != item.entry:
            self._store(item.ref, item.environment, result)
            # What is encrypted now is not what the next run will write.
            stored = None if self._check_mode else result
            self._outcomes.append(Outcome(item.ref, item.environment, "rotated", stored))
        else:
            self._outcomes.append(Outcome(item.ref, item.environment, "unchanged", result))

    def _remove(self, ref: SecretRef, environments: list[str]) -> None:
        for environment in environments or list(self._current(ref).environments):
            if environment in self._current(ref).environments:
                self._store(ref, environment, None)
                self._outcomes.append(Outcome(ref, environment, "removed", None))
        if not self._after[ref].get("environments"):
            self._after[ref] = {}

    def _store(self, ref: SecretRef, environment: str, entry: Encrypted | None) -> None:
        self._after[ref] = with_environment(self._after[ref], environment, entry)

    def _diff(self, ref: SecretRef) -> dict[str, str]:
        before = _summary(self._before[ref].secret.environments)
        entries: dict[str, Encrypted | None] = dict(self._before[ref].secret.environments)
        for outcome in self._outcomes:
            if outcome.ref == ref:
                entries[outcome.environment] = outcome.entry
                if outcome.action == "removed":
                    del entries[outcome.environment]
        return {"before_header": ref.file, "after_header": ref.file, "before": before, "after": _summary(entries)}


def _whole(path: str) -> bytes:
    """All of a file, or of a pipe such as ``<(pwgen 40 1)``, which is read until its writer ends."""
    with open(path, "rb") as stream:
        value = stream.read(MAX_FILE_BYTES + 1)
    if len(value) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"has more than {MAX_FILE_BYTES // 1024**2} MiB", path)
    return value


def _summary(entries: Mapping[str, Encrypted | None]) -> str:
    lines = [
        f"{environment}: {entry.provider} {entry.digest[:16]}"
        if entry
        else f"{environment}: not encrypted in check mode"
        for environment, entry in sorted(entries.items())
    ]
    return "".join(f"{line}\n" for line in lines)

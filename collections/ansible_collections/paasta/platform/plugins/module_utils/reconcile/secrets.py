# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""From references to cleartext: read the files, group what is in them by provider, have each decrypt all of its own.

Cleartext is only ever a value of what ``resolve`` returns. No exception, no ``repr`` and no message here holds any.
Providers that need Ansible's controller (Ansible Vault, lookups) are in plugin_utils.secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ..soaconfigs.errors import ConfigError, did_you_mean
from ..soaconfigs.files import SoaDir
from ..soaconfigs.secrets import ANSIBLE_VAULT, LOOKUP, VAULT, Encrypted, SecretFile, SecretRef, load
from ..soaconfigs.shapes import show

DEFAULT_KEY = "paasta"  # PaaSTA: the transit key of services whose service.yaml has no encryption_key

# How to reach the providers: arguments of every module that needs secrets. docs/secrets.md has the inventory variables.
PROVIDER_ARGUMENTS: dict[str, Any] = {
    "vault": {
        "type": "dict",
        "options": {
            "url": {"type": "str", "required": True},
            "mount": {"type": "str", "default": "transit"},
            "token": {"type": "str", "no_log": True},
            "token_file": {"type": "path", "no_log": False},
            "login": {
                "type": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "data": {"type": "dict", "required": True, "no_log": True},
                },
            },
            "namespace": {"type": "str"},
            "ca": {"type": "path"},
            "timeout": {"type": "float", "default": 30},
        },
    },
    "lookup": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "options": {"type": "dict", "default": {}, "no_log": True},
            "term": {"type": "str", "default": "{term}"},
        },
    },
}
MISSING = {
    ANSIBLE_VAULT: "it is encrypted with Ansible Vault, which only the controller can: run the task there",
    VAULT: "it is encrypted with HashiCorp Vault, and no address of one is set: set paasta_vault_url",
    LOOKUP: "it is read with a lookup, and none is named: set paasta_secret_lookup",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One ciphertext to decrypt. ``key`` is the name of the service's transit key; only HashiCorp Vault has those."""

    ref: SecretRef
    environment: str
    entry: Encrypted
    key: str = DEFAULT_KEY

    def __str__(self) -> str:
        return f"{self.ref.file} ({self.environment})"


class SecretError(Exception):
    """Why one secret could not be decrypted, encrypted or found, and the way out. Holds no value and no ciphertext."""


class SecretErrors(Exception):
    """Every secret that could not be had, with the reason; those with the same reason share a line."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        """``failures``: what is wrong by the secret's file and environment."""
        self.failures = dict(failures)
        super().__init__(self.failures)

    def __str__(self) -> str:
        by_reason: dict[str, list[str]] = {}
        for place, reason in sorted(self.failures.items()):
            by_reason.setdefault(reason, []).append(place)
        count = len(self.failures)
        lines = [f"{', '.join(places)}: {reason}" for reason, places in by_reason.items()]
        return "\n".join([f"{count} secret{'' if count == 1 else 's'} cannot be had:", *lines])


Decrypted: TypeAlias = "Mapping[Item, bytes | SecretError]"
Reencrypted: TypeAlias = "Mapping[Item, Encrypted | SecretError]"


class Provider(Protocol):
    """Who encrypts and decrypts. What fails for one item is that item's result, so that the others are still had."""

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        """All cleartexts at once; every item has a result."""

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        """One new ciphertext, which differs each time; SecretError when it cannot be made."""

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        """The same cleartexts under the newest key; the same entry again where it is under that key already."""


@dataclass(frozen=True, slots=True)
class Read:
    """One secret's file: the JSON document as it is written, and what it means."""

    document: Mapping[str, Any]
    secret: SecretFile


class Files:
    """The secrets of a soa-configs directory, each file read once. Reading errors are SecretError with their place."""

    def __init__(self, soa: SoaDir) -> None:
        self._soa = soa
        self._keys: dict[str, str | ConfigError] = {}

    def read(self, ref: SecretRef) -> Read:
        path, errors = self._soa.read(ref.service, ref.file.partition("/")[2])
        if not errors:
            document, secret, errors = load(ref.file, path)
            if not errors:
                return Read(document, secret)
        raise SecretError("; ".join(str(error).removeprefix(ref.file).lstrip(": ") for error in errors))

    def item(self, ref: SecretRef, environment: str) -> Item:
        """What there is to decrypt of a secret in an environment."""
        environments = self.read(ref).secret.environments
        if environment not in environments:
            hint = did_you_mean(environment, environments) or "add it with playbooks/secret.yml"
            raise SecretError(f"has no value for environment {show(environment)}; {hint}")
        return Item(ref, environment, environments[environment], self.key(ref.service))

    def key(self, service: str) -> str:
        """``encryption_key`` of a service's service.yaml."""
        if service not in self._keys:
            self._keys[service] = self._key(service)
        found = self._keys[service]
        if isinstance(found, ConfigError):
            raise SecretError(str(found))
        return found

    def _key(self, service: str) -> str | ConfigError:
        if not self._soa.has(service, "service.yaml"):
            return DEFAULT_KEY
        document = self._soa.yaml(service, "service.yaml")
        key = document.value.get("encryption_key", DEFAULT_KEY)
        if document.errors:
            return document.errors[0]
        if not isinstance(key, str) or not key:
            return document.error(("encryption_key",), f"{show(key)} is not the name of a key")
        return key


def decrypt(items: Iterable[Item], providers: Mapping[str, Provider]) -> dict[Item, bytes | SecretError]:
    """Each provider asked once for all that it holds; an item whose provider is missing says what to set."""
    by_provider: dict[str, list[Item]] = {}
    for item in items:
        by_provider.setdefault(item.entry.provider, []).append(item)
    results: dict[Item, bytes | SecretError] = {}
    for name, its_items in by_provider.items():
        provider = providers.get(name)
        if provider is None:
            results.update((item, SecretError(MISSING[name])) for item in its_items)
        else:
            results.update(provider.decrypt(its_items))
    return results


def resolve(
    refs: Iterable[SecretRef], *, soa_dir: str, environment: str, providers: Mapping[str, Provider]
) -> dict[SecretRef, bytes]:
    """The cleartext of every secret in one environment; SecretErrors names all that could not be had.

    ``providers`` are by the names of soaconfigs.secrets: ansible_vault, vault, lookup. InvalidConfigs when ``soa_dir``
    is none.
    """
    files = Files(SoaDir(soa_dir))
    items: list[Item] = []
    failures: dict[str, str] = {}
    for ref in dict.fromkeys(refs):
        try:
            items.append(files.item(ref, environment))
        except SecretError as error:
            failures[f"{ref.file} ({environment})"] = str(error)
    cleartexts: dict[SecretRef, bytes] = {}
    for item, result in decrypt(items, providers).items():
        if isinstance(result, SecretError):
            failures[str(item)] = str(result)
        else:
            cleartexts[item.ref] = result
    if failures:
        raise SecretErrors(failures)
    return cleartexts

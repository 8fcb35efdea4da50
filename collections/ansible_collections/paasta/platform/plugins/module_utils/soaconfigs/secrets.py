# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""References to secrets, and the files that hold them encrypted. Nothing here can decrypt, and nothing here does IO.

All providers share PaaSTA's one JSON file per secret, ``<service>/secrets/<name>.json``, with one entry per
environment; what the entry holds tells who can decrypt it::

    {"environments": {"dev":     {"ciphertext": "$ANSIBLE_VAULT;1.1;AES256\\n3832...\\n"},
                      "prod":    {"ciphertext": "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQ..."},
                      "staging": {"lookup": {"term": "web/token", "version": 3}}}}

That the names are readable without any password is what lets validation say that a secret is missing where none can
be decrypted; that a digest can be made of the ciphertext is what lets a plan tell that one was rotated.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import jsondoc, keys_records
from .errors import ConfigError
from .model import KeyPath
from .yamldoc import dotted

SHARED = "_shared"  # the directory of SHARED_SECRET(name)
DIRECTORY = "secrets"
NAME = re.compile(r"[A-Za-z0-9_-]+")
NAME_HINT = "use letters, digits, _ and -"

# The providers, by the names that inventories and arguments use.
ANSIBLE_VAULT = "ansible_vault"
VAULT = "vault"
LOOKUP = "lookup"

# PaaSTA: secret_tools.SECRET_REGEX, which also takes an empty name; no file can have that.
_REFERENCE = re.compile(r"(SHARED_)?SECRET\(([A-Za-z0-9_-]+)\)")
_ALMOST = re.compile(r"\s*(SHARED_)?SECRET\s*\(")
_TRANSIT = re.compile(keys_records.TRANSIT, re.ASCII)
_ANSIBLE = re.compile(keys_records.ANSIBLE_VAULT, re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """A secret: the service that owns it (``_shared`` for all services) and its name there."""

    service: str
    name: str

    def reference(self, of_service: str) -> str:
        """How ``of_service`` refers to it in ``env``."""
        return f"SECRET({self.name})" if self.service == of_service else f"SHARED_SECRET({self.name})"

    @property
    def file(self) -> str:
        """Its path in the soa-configs directory: ``web/secrets/token.json``."""
        return f"{self.service}/{DIRECTORY}/{self.name}.json"


def parse_reference(value: str, service: str) -> SecretRef | None:
    """What a value of ``env`` refers to; None when it is a value like any other."""
    found = _REFERENCE.fullmatch(value)
    return SecretRef(SHARED if found[1] else service, found[2]) if found else None


def references(config: Mapping[str, Any], service: str) -> list[tuple[KeyPath, SecretRef]]:
    """The secrets that an instance (or a Tron action) uses: key path in its merged mapping, and the secret.

    ``secret_volumes`` name secrets of the service without the macro, as in PaaSTA. What is malformed is left out.
    """
    found: list[tuple[KeyPath, SecretRef]] = []
    for name, value in _mapping(config.get("env")).items():
        if isinstance(value, str) and value[-1:] == ")" and (reference := parse_reference(value, service)):
            found.append((("env", name), reference))
    for index, volume in enumerate(_sequence(config.get("secret_volumes"))):
        secret = _mapping(volume).get("secret_name")
        if isinstance(secret, str) and NAME.fullmatch(secret):
            found.append((("secret_volumes", index, "secret_name"), SecretRef(service, secret)))
    return found


def malformed_references(config: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    """Values that were meant as references and are none: key path and what is wrong, without the value.

    PaaSTA hands ``SECRET(a b)`` to the container as it is. It may also be cleartext in the wrong place.
    """
    found: list[tuple[KeyPath, str]] = []
    for name, value in _mapping(config.get("env")).items():
        if isinstance(value, str) and "SECRET" in value and _ALMOST.match(value) and not _REFERENCE.fullmatch(value):
            message = "is not a reference to a secret, though it begins like one: it must be SECRET(name) or "
            found.append((("env", name), f"{message}SHARED_SECRET(name), of letters, digits, _ and -"))
    for index, volume in enumerate(_sequence(config.get("secret_volumes"))):
        secret = _mapping(volume).get("secret_name")
        if isinstance(secret, str) and not NAME.fullmatch(secret):
            message = "is not the name of a secret: it must be letters, digits, _ and -, without SECRET()"
            found.append((("secret_volumes", index, "secret_name"), message))
    return found


_NOTHING: dict[str, Any] = {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _sequence(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else ()


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A secret in one environment: ciphertext, or the ``term`` and ``version`` that a lookup finds it by."""

    provider: str  # ansible_vault, vault or lookup
    ciphertext: str = field(default="", repr=False)
    term: str = ""
    version: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 in hex of what is stored. Line ends and indentation of Ansible Vault's hex digits do not count."""
        stored = [self.term, self.version] if self.provider == LOOKUP else self.ciphertext.split()
        return hashlib.sha256(json.dumps([self.provider, *stored]).encode("ascii")).hexdigest()

    def document(self) -> dict[str, Any]:
        """The entry as it is written into the file."""
        if self.provider == LOOKUP:
            return {"lookup": {"term": self.term, "version": self.version}}
        return {"ciphertext": self.ciphertext}


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One secret: how it is encrypted in each environment, and what PaaSTA records beside that.

    ``motivation`` says by environment why the same value is used in another one, too.
    """

    environments: Mapping[str, Encrypted] = field(default_factory=dict)
    extra_namespaces: tuple[str, ...] = ()
    motivation: Mapping[str, str] = field(default_factory=dict)

    def digest(self, environment: str) -> str | None:
        """What takes part in the config sha of who uses it; None when the environment has no such secret."""
        entry = self.environments.get(environment)
        return entry.digest if entry else None


def parse_ciphertext(text: str) -> Encrypted | None:
    """Ciphertext with its provider, told by its first characters; None when it is not known."""
    if _TRANSIT.fullmatch(text):
        return Encrypted(VAULT, text)
    return Encrypted(ANSIBLE_VAULT, text) if _ANSIBLE.fullmatch(text) else None


def load(file: str, data: bytes) -> tuple[dict[str, Any], SecretFile, list[ConfigError]]:
    """As ``read``, with the JSON document itself, for who changes it."""
    # Its messages hold nothing of the file itself, which may have cleartext in it by mistake.
    parsed = jsondoc.parse(file, data)
    if parsed.errors:
        return {}, SecretFile(), parsed.errors
    problems: list[tuple[KeyPath, str, str]] = []
    keys_records.SECRET.check(parsed.value, (), lambda *problem: problems.append(problem))
    result = _file(parsed.value, problems)
    errors = [
        ConfigError(file, *parsed.places.get(path, (0, 0)), dotted(path), message, hint)
        for path, message, hint in problems
    ]
    return parsed.value, result, errors


def read(file: str, data: bytes) -> tuple[SecretFile, list[ConfigError]]:
    """Parse one secret's file; what is wrong is returned, without any value of the file, and the rest is still read."""
    _document, result, errors = load(file, data)
    return result, errors


def _file(document: Mapping[str, Any], problems: list[tuple[KeyPath, str, str]]) -> SecretFile:
    """What the table of keys finds nothing wrong with; the rest is left out."""
    wrong = {path[: length + 1] for path, _message, _hint in problems for length in range(len(path))}
    environments: dict[str, Encrypted] = {}
    for name, entry in _mapping(document.get("environments")).items():
        path = ("environments", name)
        if path not in wrong and entry.get("ciphertext") is not None and entry.get("lookup") is not None:
            problems.append((path, "has ciphertext and lookup both", ""))
        elif path not in wrong:
            environments[name] = _entry(entry)
    namespaces = () if ("extra_namespaces",) in wrong else document.get("extra_namespaces", ())
    motivation: dict[str, str] = {}
    for key in ("cross_env_motivation", "cross_environment_motivation"):
        if (key,) not in wrong:
            motivation.update(document.get(key, {}))
    return SecretFile(environments, tuple(namespaces), motivation)


def _entry(entry: Mapping[str, Any]) -> Encrypted:
    if entry.get("ciphertext") is None:
        return Encrypted(LOOKUP, term=entry["lookup"]["term"], version=str(entry["lookup"]["version"]))
    text: str = entry["ciphertext"]
    return Encrypted(VAULT if _TRANSIT.fullmatch(text) else ANSIBLE_VAULT, text)


def is_term(term: str) -> bool:
    return keys_records.TERM.accepts(term)


def with_environment(document: Mapping[str, Any], environment: str, entry: Encrypted | None) -> dict[str, Any]:
    """The document with an environment's entry replaced, or removed for None; all else stays.

    PaaSTA's ``signature``, an HMAC of the cleartext, goes with the ciphertext that it belonged to.
    """
    environments = dict(document.get("environments", {}))
    environments.pop(environment, None)
    if entry is not None:
        environments[environment] = entry.document()
    return {**document, "environments": dict(sorted(environments.items()))}


def dump(document: Mapping[str, Any]) -> str:
    """The text of a document, laid out as PaaSTA writes it."""
    return json.dumps(document, indent=4, ensure_ascii=True) + "\n"

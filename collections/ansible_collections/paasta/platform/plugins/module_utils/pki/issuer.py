# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The side of the authorities: sign what hosts ask for, and hand on what the hosts of the control plane share."""

from __future__ import annotations

import base64
import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import sealing, x509
from .entries import AUTHORITIES, SHARED, Entry, read
from .store import Store

# Secrets are encrypted with the first provider; the last one reads those that were stored before.
_ENCRYPTION = """apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: {key}
      - identity: {{}}
"""


class Refused(Exception):
    """Nothing can be signed; the text says why, and the way out."""


def issued(
    store: Store, hosts: Sequence[Mapping[str, Any]], create: bool, now: datetime.datetime, check_mode: bool
) -> dict[str, Any]:
    """Sign for all hosts.

    :param hosts: each ``host``, ``certificates`` (as in :data:`.entries.OPTIONS`), and of its result of ``requested``:
        ``requests``, ``authorities`` and ``public_key``.
    :param create: make authorities if this host has none.
    :returns: ``changed``: authorities were made; ``hosts``: by name what :func:`.host.installed` takes. In check mode
        nothing is made, and without authorities nothing is signed.
    :raises Refused: a host trusts other authorities, or some of ours are missing or useless.
    :raises Invalid: a request is not what it should be.
    """
    missing = [name for name in (*SHARED, *(f"{one}.crt" for one in AUTHORITIES)) if not store.read(name)]
    _check_trust(store, hosts)
    if missing:
        _check_beginning(store, missing, create)
        if check_mode:
            return {"changed": True, "hosts": {}}
        _make(store, now)
    authorities = {name: (store.read(f"{name}.crt"), store.read(f"{name}.key")) for name in AUTHORITIES}
    _check_authorities(store, authorities, now)
    signed = {asked["host"]: _sign(store, asked, authorities, now) for asked in hosts}
    return {"changed": bool(missing), "hosts": signed}


def _sign(
    store: Store, asked: Mapping[str, Any], authorities: Mapping[str, tuple[str, str]], now: datetime.datetime
) -> dict[str, Any]:
    """What :func:`.host.installed` takes on one host."""
    entries: dict[str, Entry] = {entry.name: entry for entry in read(asked["certificates"])}
    if unknown := sorted(set(asked["requests"]) - set(entries)):
        raise x509.Invalid(f"{asked['host']} asks for {', '.join(unknown)}, which it should not have")
    sealed = ""
    if asked["public_key"]:
        sealed = sealing.seal({name: store.read(name) for name in SHARED}, asked["public_key"])
    needed = AUTHORITIES if sealed else {entry.authority for entry in entries.values()}
    certificates = {
        name: x509.sign(request, entries[name], *authorities[entries[name].authority], now)
        for name, request in asked["requests"].items()
    }
    return {
        "certificates": certificates,
        "authorities": {name: authorities[name][0] for name in sorted(needed)},
        "sealed": sealed,
    }


def _check_trust(store: Store, hosts: Sequence[Mapping[str, Any]]) -> None:
    """Nobody trusts other authorities than those that are here."""
    own = {name: x509.fingerprint(text) for name in AUTHORITIES if (text := store.read(f"{name}.crt"))}
    strange = {
        asked["host"]: name
        for asked in hosts
        for name, fingerprint in asked["authorities"].items()
        if own.get(name) != fingerprint
    }
    who = ", ".join(sorted(strange))
    if strange and not own:
        raise Refused(
            f"{who}: trust authorities whose keys no host of group kube_control_plane has. Bring back a host that has "
            "them, or their backup; to begin a new cluster, remove the directory of the certificates on every host"
        )
    if lost := sorted({f"{name}.crt" for name in strange.values() if name not in own}):
        raise Refused(f"This host has no {', '.join(lost)}: copy it to {store.path('')} from one that has it ({who})")
    if strange:
        raise Refused(
            f"{who}: trust authorities of another cluster. If they shall join this one, remove the directory of the "
            "certificates there"
        )


def _check_beginning(store: Store, missing: Sequence[str], create: bool) -> None:
    """That something may be made here. Certificates are made last: keys alone are what a killed run has left."""
    there = [f"{name}.crt" for name in AUTHORITIES if store.read(f"{name}.crt")]
    secrets = [name for name in SHARED if name in missing]
    if there and secrets:
        raise Refused(
            f"This host has only a part of what the control plane shares: {', '.join(there)}, but not "
            f"{', '.join(secrets)}. Put it back from another host of the control plane or a backup"
        )
    if not create:
        raise Refused(
            "This host has no authorities, and not every host of group kube_control_plane was asked: another one may "
            "have them. Run it for the whole group (without --limit), with all of its hosts up"
        )


def _check_authorities(store: Store, authorities: Mapping[str, tuple[str, str]], now: datetime.datetime) -> None:
    problems = []
    for name, (certificate, key) in authorities.items():
        try:
            pair = x509.is_pair(certificate, key)
        except (ValueError, TypeError):  # TypeError: the key has a password
            pair = False
        if not pair:
            problems.append(f"{store.path(name)}.key is not the key of {name}.crt: put back the right one")
        elif x509.ends(certificate) <= now:
            problems.append(f"{store.path(name)}.crt has ended: replace it by hand (README of the role kubernetes)")
    if problems:
        raise Refused("; ".join(problems))


def _make(store: Store, now: datetime.datetime) -> None:
    """What is missing; certificates last, so that one that is there has its key, and all other secrets are there."""

    def ensure(name: str, make: Any) -> str:
        text = store.read(name)
        if not text:
            text = make()
            store.write(name, text)
        return str(text)

    keys = {name: ensure(f"{name}.key", x509.new_key) for name in AUTHORITIES}
    account = ensure("sa.key", x509.new_service_account_key)
    ensure("sa.pub", lambda: x509.public_key(account))
    ensure("encryption.yaml", lambda: _ENCRYPTION.format(key=base64.b64encode(os.urandom(32)).decode()))
    for name, key in keys.items():
        ensure(f"{name}.crt", lambda name=name, key=key: x509.new_authority(x509.AUTHORITY_NAMES[name], key, now))

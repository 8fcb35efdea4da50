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
from .entries import AUTHORITIES, SHARED, read
from .store import Store

_COMMON_NAMES = {"ca": "kubernetes", "front-proxy-ca": "kubernetes-front-proxy", "etcd/ca": "etcd"}

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


def issued(store: Store, hosts: Sequence[Mapping[str, Any]], now: datetime.datetime) -> dict[str, Any]:
    """Sign for all hosts; what has no authorities yet makes them.

    :param hosts: each ``host``, ``certificates`` (as in :data:`.entries.OPTIONS`), and of its result of ``requested``:
        ``requests``, ``authorities`` and ``public_key``.
    :returns: ``changed``: authorities were made; ``hosts``: by name what :func:`.host.installed` takes.
    :raises Refused: a host trusts other authorities, or some of ours are missing.
    :raises Invalid: a request is not what it should be.
    """
    missing = [name for name in (*(f"{one}.crt" for one in AUTHORITIES), *SHARED) if not store.read(name)]
    _check(store, hosts, missing)
    if missing:
        _make(store, now)
    certificates = {name: store.read(f"{name}.crt") for name in AUTHORITIES}
    keys = {name: store.read(f"{name}.key") for name in AUTHORITIES}
    signed: dict[str, Any] = {}
    for asked in hosts:
        entries = {entry.name: entry for entry in read(asked["certificates"])}
        if unknown := sorted(set(asked["requests"]) - set(entries)):
            raise x509.Invalid(f"{asked['host']} asks for {', '.join(unknown)}, which it should not have")
        chosen = [entries[name] for name in asked["requests"]]
        sealed = ""
        if asked["public_key"]:
            sealed = sealing.seal({name: store.read(name) for name in SHARED}, asked["public_key"])
        needed = AUTHORITIES if sealed else {entry.authority for entry in entries.values()}
        signed[asked["host"]] = {
            "certificates": {
                one.name: x509.sign(
                    asked["requests"][one.name], one, certificates[one.authority], keys[one.authority], now
                )
                for one in chosen
            },
            "authorities": {name: certificates[name] for name in sorted(needed)},
            "sealed": sealed,
        }
    return {"changed": bool(missing), "hosts": signed}


def _check(store: Store, hosts: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> None:
    """That there is one set of authorities, here or nowhere."""
    trusted = {(name, print_): asked["host"] for asked in hosts for name, print_ in asked["authorities"].items()}
    # Certificates are made last: keys alone are what a killed run has left.
    if missing and any(store.read(f"{name}.crt") for name in AUTHORITIES):
        raise Refused(
            f"This host has only a part of the cluster's authorities; it lacks {', '.join(missing)}. Put them back "
            "from another host of the control plane or a backup"
        )
    if missing and trusted:
        raise Refused(
            f"{', '.join(sorted(set(trusted.values())))}: trust authorities whose keys no host of group "
            "kube_control_plane has. Bring back a host that has them, or their backup; to begin a new cluster, remove "
            "the directory of the certificates on every host"
        )
    own = {name: x509.fingerprint(store.read(f"{name}.crt")) for name in AUTHORITIES} if not missing else {}
    strangers = sorted({host for (name, print_), host in trusted.items() if own.get(name, print_) != print_})
    if strangers:
        raise Refused(
            f"{', '.join(strangers)}: trust authorities of another cluster. If they shall join this one, remove the "
            "directory of the certificates there"
        )


def _make(store: Store, now: datetime.datetime) -> None:
    """New authorities and shared secrets; certificates last, so that one that is there has its key."""
    made = {name: x509.new_authority(_COMMON_NAMES[name], now) for name in AUTHORITIES}
    private, public = x509.service_account_keys()
    key = base64.b64encode(os.urandom(32)).decode()
    texts = {f"{name}.key": pair[1] for name, pair in made.items()}
    texts |= {"sa.key": private, "sa.pub": public, "encryption.yaml": _ENCRYPTION.format(key=key)}
    texts |= {f"{name}.crt": pair[0] for name, pair in made.items()}
    for name, text in texts.items():
        store.write(name, text)

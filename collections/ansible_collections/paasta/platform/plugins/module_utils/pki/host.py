# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A host's side: ask for the certificates that are due, install what was signed. Its private keys never leave it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from . import sealing, x509
from .entries import AUTHORITIES, SHARED, Entry
from .store import Store

# For the one message with which the shared secrets come.
_SEALING_KEY = ".sealing.key"


def requested(
    store: Store, entries: Sequence[Entry], holds: bool, renew_days: float, now: datetime.datetime, check_mode: bool
) -> dict[str, Any]:
    """What has to be signed for this host: ``due`` (reasons by name), ``requests`` (PEM by name), ``authorities``
    (fingerprints of those it trusts), ``complete`` (it holds all shared secrets), ``public_key`` to seal these to,
    where it lacks some. In check mode nothing is made, so that there are no requests.
    """
    trusted = {name: text for name in AUTHORITIES if (text := store.read(f"{name}.crt"))}
    reasons = {entry.name: _why_due(store, entry, now, renew_days) for entry in entries}
    due = {name: reason for name, reason in reasons.items() if reason}
    lacking = [name for name in SHARED if not store.read(name)] if holds else []
    if lacking:
        due["shared secrets"] = f"there is no {', '.join(lacking)}"
    requests: dict[str, str] = {}
    public_key = ""
    if not check_mode:
        requests = {entry.name: _request(store, entry) for entry in entries if entry.name in due}
        public_key = _sealing_key(store) if lacking else ""
    return {
        "changed": bool(due),
        "due": due,
        "requests": requests,
        "authorities": {name: x509.fingerprint(text) for name, text in trusted.items()},
        "complete": holds and not lacking,
        "public_key": public_key,
    }


def installed(store: Store, entries: Sequence[Entry], issued: Mapping[str, Any]) -> dict[str, Any]:
    """Install what was signed for this host.

    :returns: ``changed``, and ``renewed``: names of certificates that are new.
    :raises Invalid: a certificate is not of the key that was made for it.
    :raises Broken: the shared secrets cannot be opened.
    """
    certificates: Mapping[str, str] = issued["certificates"]
    for name, text in certificates.items():
        if not x509.is_pair(text, store.read(_pending(name))):
            raise x509.Invalid(f"{name}: the certificate is not of the key that waits for it; run this again")
    shared: Mapping[str, str] = {}
    if issued["sealed"]:
        shared = sealing.opened(issued["sealed"], store.read(_SEALING_KEY))
    for name, text in (*shared.items(), *((f"{one}.crt", pem) for one, pem in issued["authorities"].items())):
        store.write(name, text)
    for entry in entries:
        if text := certificates.get(entry.name, ""):
            # Killed between the two, the next run sees a certificate of another key, and asks for a new one.
            store.move(_pending(entry.name), f"{entry.name}.key")
            store.write(f"{entry.name}.crt", text)
    store.remove(_SEALING_KEY)
    return {"changed": True, "renewed": sorted(certificates)}


def listed(store: Store, now: datetime.datetime) -> dict[str, Any]:
    """Every certificate there is, for people: those of :func:`.x509.describe`, each with its ``file``."""
    found = []
    for path, text in store.certificates():
        try:
            found.append({"file": path, **x509.describe(text, now)})
        except ValueError as error:
            found.append(
                {"file": path, "subject": f"cannot be read: {error}", "issuer": "", "names": [], "ends": "", "days": 0}
            )
    return {"changed": False, "certificates": found}


def _why_due(store: Store, entry: Entry, now: datetime.datetime, renew_days: float) -> str:
    texts = (store.read(f"{name}") for name in (f"{entry.name}.crt", f"{entry.name}.key", f"{entry.authority}.crt"))
    certificate, key, authority = texts
    return x509.why_due(entry, certificate, key, authority, now, renew_days)


def _pending(name: str) -> str:
    return f"{name}.key.new"


def _request(store: Store, entry: Entry) -> str:
    """A request with a new key; one that an earlier run has left is used."""
    key = store.read(_pending(entry.name))
    if not key:
        key = x509.new_key()
        store.write(_pending(entry.name), key)
    return x509.request(key, entry)


def _sealing_key(store: Store) -> str:
    key = store.read(_SEALING_KEY)
    if not key:
        key = sealing.new_key()
        store.write(_SEALING_KEY, key)
    return sealing.public(key)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A host's side: ask for the certificates that are due, install what was signed. Its private keys never leave it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
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

    Files that others could read are closed to them: ``closed`` has their names.

    :raises Invalid: a certificate of an authority cannot be read.
    """
    trusted = {name: text for name in AUTHORITIES if (text := store.read(f"{name}.crt"))}
    fingerprints = {name: _fingerprint(store, name, text) for name, text in trusted.items()}
    reasons = {entry.name: _why_due(store, entry, now, renew_days) for entry in entries}
    due = {name: reason for name, reason in reasons.items() if reason}
    everything = (*SHARED, *(f"{name}.crt" for name in AUTHORITIES))
    lacking = [name for name in everything if not store.read(name)] if holds else []
    closed = store.exposed([*everything, *(f"{entry.name}.key" for entry in entries)])
    requests: dict[str, str] = {}
    public_key = ""
    result = {"warnings": _warnings(store, trusted, now), "diff": _foretold(store, entries, due, lacking, now)}
    if lacking:
        due["shared secrets"] = f"there is no {', '.join(lacking)}"
    if not check_mode:
        for name in closed:
            store.write(name, store.read(name))
        requests = {entry.name: _request(store, entry) for entry in entries if entry.name in due}
        public_key = _sealing_key(store) if lacking else ""
        result["diff"] = []  # the step that installs them has it
    return result | {
        "changed": bool(due or closed),
        "due": due,
        "closed": closed,
        "requests": requests,
        "authorities": fingerprints,
        "complete": holds and not lacking,
        "public_key": public_key,
    }


def installed(
    store: Store, entries: Sequence[Entry], issued: Mapping[str, Any], now: datetime.datetime, check_mode: bool
) -> dict[str, Any]:
    """Install what was signed for this host.

    :returns: ``changed``, and ``renewed``: names of certificates that are new.
    :raises Invalid: a certificate is not of the key that was made for it, or not of the authority that comes with it.
    :raises Broken: the shared secrets cannot be opened.
    """
    certificates: Mapping[str, str] = issued["certificates"]
    wanted = {entry.name: entry for entry in entries}
    for name, text in certificates.items():
        authority = issued["authorities"].get(wanted[name].authority, "") if name in wanted else ""
        if not _fits(text, store.read(_pending(name)), authority):
            raise x509.Invalid(f"{name}: the certificate is not of the key that waits for it; run this again")
    shared: Mapping[str, str] = {}
    if issued["sealed"]:
        shared = sealing.opened(issued["sealed"], store.read(_SEALING_KEY))
    others = {**shared, **{f"{name}.crt": text for name, text in issued["authorities"].items()}}
    diff = [_difference(store, name, x509.describe(text, now), now) for name, text in sorted(certificates.items())]
    diff += _named(name for name, text in others.items() if store.read(name) != text)
    if not check_mode:
        for name, text in others.items():
            store.write(name, text)
        for name, text in certificates.items():
            # Killed between the two, the next run sees a certificate of another key, and asks for a new one.
            store.move(_pending(name), f"{name}.key")
            store.write(f"{name}.crt", text)
        store.remove(_SEALING_KEY)
    return {"changed": True, "renewed": sorted(certificates), "diff": diff}


def listed(store: Store, now: datetime.datetime) -> dict[str, Any]:
    """Every certificate there is, for people: those of :func:`.x509.describe`, each with its ``file``."""
    unreadable: dict[str, Any] = {"names": [], "usages": [], "issuer": "", "ends": "", "days": 0}
    found = []
    for path, text in store.certificates():
        try:
            found.append({"file": path, **x509.describe(text, now)})
        except ValueError as error:
            found.append({"file": path, "subject": f"cannot be read: {error}", **unreadable})
    return {"changed": False, "certificates": found}


def _why_due(store: Store, entry: Entry, now: datetime.datetime, renew_days: float) -> str:
    texts = (store.read(name) for name in (f"{entry.name}.crt", f"{entry.name}.key", f"{entry.authority}.crt"))
    certificate, key, authority = texts
    return x509.why_due(entry, certificate, key, authority, now, renew_days)


def _fingerprint(store: Store, name: str, text: str) -> str:
    try:
        return x509.fingerprint(text)
    except ValueError as error:
        raise x509.Invalid(
            f"{store.path(f'{name}.crt')} is no certificate ({error}): copy it from another host of the cluster"
        ) from error


def _fits(certificate: str, key: str, authority: str) -> bool:
    try:
        return x509.is_pair(certificate, key) and x509.is_signed_by(certificate, authority)
    except ValueError:
        return False


def _warnings(store: Store, authorities: Mapping[str, str], now: datetime.datetime) -> list[str]:
    """Authorities whose end is near: no run renews them, and certificates end with them."""
    ends = {name: x509.ends(text) for name, text in authorities.items()}
    return [
        f"The authority {store.path(f'{name}.crt')} ends on {end:%Y-%m-%d}, and its certificates do not outlive it: "
        "replace it by hand before (README of the role kubernetes)"
        for name, end in ends.items()
        if (end - now).days < x509.DAYS
    ]


def _foretold(
    store: Store, entries: Sequence[Entry], due: Mapping[str, str], lacking: Sequence[str], now: datetime.datetime
) -> list[dict[str, str]]:
    """What a run would do, as Ansible prints it under ``--diff``."""
    found = []
    for entry in entries:
        if entry.name in due:
            issuer = "CN=" + x509.AUTHORITY_NAMES[entry.authority]
            found.append(_difference(store, entry.name, x509.foretell(entry, issuer, now), now, due[entry.name]))
    return found + _named(lacking)


def _difference(
    store: Store, name: str, after: Mapping[str, Any], now: datetime.datetime, reason: str = ""
) -> dict[str, str]:
    path = store.path(f"{name}.crt")
    text = store.read(f"{name}.crt")
    try:
        before = _shown(x509.describe(text, now)) if text else ""
    except ValueError:
        before = "cannot be read\n"
    heading = f"{path} ({reason})" if reason else path
    return {"before_header": heading, "after_header": path, "before": before, "after": _shown(after)}


def _shown(described: Mapping[str, Any]) -> str:
    lines = {
        "subject": described["subject"],
        "names": ", ".join(described["names"]),
        "usages": ", ".join(described["usages"]),
        "issuer": described["issuer"],
        "ends": described["ends"][:10],  # a date: it is foretold, and a second later it is another second
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


def _named(names: Iterable[str]) -> list[dict[str, str]]:
    """Files that are written and not shown."""
    listing = "".join(f"{name}\n" for name in names)
    if not listing:
        return []
    heading = "authorities and shared secrets"
    return [{"before_header": heading, "after_header": heading, "before": "", "after": listing}]


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

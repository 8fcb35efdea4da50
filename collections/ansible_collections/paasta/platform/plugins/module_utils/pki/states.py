# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The states of the module ``kube_certificates``: one function of plain data for the three steps and the table."""

from __future__ import annotations

import datetime
import grp
import os
import pwd
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from . import host, issuer, x509
from .entries import OPTIONS, read
from .sealing import Broken
from .store import Store

_CERTIFICATES: dict[str, Any] = {"type": "list", "elements": "dict", "options": OPTIONS, "default": []}
_ASKED: dict[str, Any] = {
    "host": {"type": "str", "required": True},
    "certificates": _CERTIFICATES,
    "requests": {"type": "dict", "required": True},
    "authorities": {"type": "dict", "required": True},
    "public_key": {"type": "str", "default": "", "no_log": False},
}
_ISSUED: dict[str, Any] = {
    "certificates": {"type": "dict", "required": True},
    "authorities": {"type": "dict", "required": True},
    "sealed": {"type": "str", "default": ""},
}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["requested", "issued", "installed", "listed"], "required": True},
    "directory": {"type": "path", "required": True},
    "certificates": _CERTIFICATES,
    "holds_authorities": {"type": "bool", "default": False},
    "renew_days": {"type": "float", "default": 60},
    "create_authorities": {"type": "bool", "default": False},
    "hosts": {"type": "list", "elements": "dict", "options": _ASKED, "default": []},
    "issued": {"type": "dict", "options": _ISSUED},
}
REQUIRED_IF = [("state", "issued", ["hosts"]), ("state", "installed", ["issued"])]


def run(args: Mapping[str, Any], check_mode: bool, diff: bool, now: datetime.datetime | None = None) -> dict[str, Any]:
    """``args`` is as in :data:`ARGUMENTS`; returns the module's result. The clock may be given, in UTC."""
    if x509.CRYPTOGRAPHY_MISSING:
        return {"failed": True, "msg": f"{missing_required_lib('cryptography')} ({x509.CRYPTOGRAPHY_MISSING})"}
    owner = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    store = Store(args["directory"], owner)
    try:
        result = _run(args, store, now or datetime.datetime.now(x509.UTC), check_mode)
    except (issuer.Refused, x509.Invalid, Broken, ValueError, OSError) as error:
        return {"failed": True, "msg": str(error)}
    return result if diff else {key: value for key, value in result.items() if key != "diff"}


def _run(args: Mapping[str, Any], store: Store, now: datetime.datetime, check_mode: bool) -> dict[str, Any]:
    if args["state"] == "listed":
        return host.listed(store, now)
    if args["state"] == "issued":
        return issuer.issued(store, args["hosts"], args["create_authorities"], now, check_mode)
    entries = read(args["certificates"])
    if args["state"] == "installed":
        return host.installed(store, entries, args["issued"], now, check_mode)
    return host.requested(store, entries, args["holds_authorities"], args["renew_days"], now, check_mode)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which proxy a request to an API server goes through."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies

from .errors import NoAccess


def choose(server: str, proxy: str | None, no_proxy: str | None) -> str | None:
    """The proxy for a server: the one given, or else the environment's. None: no proxy.

    :param no_proxy: hosts, domains, addresses and networks to reach directly, separated by commas; without it, what
        the environment says.
    """
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port
    from_environment = getproxies()
    if not proxy or proxy in from_environment.values():
        # As kubectl: a proxy of the environment is not asked for this machine's own addresses. The `kubernetes` package
        # takes it from there too, and does not say so.
        proxy = None if _is_loopback(host) else proxy or from_environment.get(parts.scheme)
    excepted = no_proxy if no_proxy is not None else os.environ.get("NO_PROXY", os.environ.get("no_proxy", ""))
    if not proxy or any(_covers(entry.strip(), host, port) for entry in excepted.split(",") if entry.strip()):
        return None
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise NoAccess(f"proxy {urlsplit(proxy).scheme}://...: only proxies of http:// and https:// are spoken to")
    return proxy


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*" or entry == f"{host}:{port}":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip(".").lower()
        return host.lower() == domain or host.lower().endswith(f".{domain}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

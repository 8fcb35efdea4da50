# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of smartstack.yaml: of each namespace by itself, and of all namespaces of a tree together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import keys
from .errors import did_you_mean
from .model import KeyPath
from .names import NAMESPACE_NAME, SOCKET_NAME_LIMIT
from .shapes import show
from .subjects import ServiceSubject, TreeSubject

FILE = "smartstack.yaml"
_ADVERTISE = tuple(keys.default(keys.NAMESPACE, "advertise"))
_DISCOVER = keys.default(keys.NAMESPACE, "discover")
_PROXY_KEYS = ("proxied_through", "clb_proxy")


def namespaces(subject: ServiceSubject) -> None:
    for name, namespace in subject.documents.namespaces.items():
        _name(subject, name)
        _locations(subject, name, namespace)
        _port(subject, name, namespace)
        monitoring = namespace.get("monitoring")
        if monitoring:
            _team(subject, name, monitoring)


def _name(subject: ServiceSubject, name: str) -> None:
    if not NAMESPACE_NAME.fullmatch(name):
        message = "is not a valid namespace name"
        subject.error("namespace-name", FILE, (name,), message, "use letters, digits, - and _")
    elif len(subject.service) + len(name) > SOCKET_NAME_LIMIT:
        # PaaSTA's other limit, 118 for the name of Envoy's listener, can never be the one that is reached.
        message = f"service and namespace name are longer than {SOCKET_NAME_LIMIT} characters together"
        subject.error("namespace-name-length", FILE, (name,), message)


def _locations(subject: ServiceSubject, name: str, namespace: Mapping[str, Any]) -> None:
    advertise: Sequence[str] = namespace.get("advertise", _ADVERTISE)
    discover: str = namespace.get("discover", _DISCOVER)
    if discover not in advertise:
        key = "discover" if "discover" in namespace else "advertise"
        message = f"discover is {discover}, which is not in advertise ({', '.join(advertise)})"
        subject.error("discover-not-advertised", FILE, (name, key), message)
    types = subject.tree.location_types
    if types:
        written: list[tuple[KeyPath, str]] = []
        if "advertise" in namespace:
            written += [((name, "advertise", index), item) for index, item in enumerate(advertise)]
        if "discover" in namespace:
            written.append(((name, "discover"), discover))
        for path, kind in written:
            if kind not in types:
                message = f"{show(kind)} is not a location type"
                subject.error("location-type", FILE, path, message, did_you_mean(kind, types))
    extra = namespace.get("extra_advertise")
    if extra:
        _extra_advertise(subject, name, extra, discover, types)


def _extra_advertise(
    subject: ServiceSubject, name: str, extra: Mapping[str, Sequence[str]], discover: str, types: Sequence[str]
) -> None:
    for source, destinations in extra.items():
        path: KeyPath = (name, "extra_advertise", source)
        _location(subject, path, source, types)
        for index, destination in enumerate(destinations):
            kind = _location(subject, (*path, index), destination, types)
            if kind in types and discover in types and types.index(kind) > types.index(discover):
                message = f"{destination} is smaller than a {discover}, at which clients discover"
                hint = f"name a {discover}, or a larger location"
                subject.warn("extra-advertise-upcast", FILE, (*path, index), message, hint)


def _location(subject: ServiceSubject, path: KeyPath, text: str, types: Sequence[str]) -> str:
    """Check ``type:location`` and return the type."""
    kind, colon, place = text.partition(":")
    if not (kind and colon and place):
        message = f"{show(text)} is not of the form type:location"
        subject.error("extra-advertise", FILE, path, message, "as in region:uswest1")
        return ""
    if types and kind not in types:
        message = f"{show(kind)} is not a location type"
        subject.error("location-type", FILE, path, message, did_you_mean(kind, types))
    return kind


def _port(subject: ServiceSubject, name: str, namespace: Mapping[str, Any]) -> None:
    port = namespace.get("proxy_port")
    first, last = subject.settings.proxy_port_range
    if port is not None and not first <= port <= last:
        message = f"{port} is not from {first} to {last}"
        subject.error(
            "proxy-port-range", FILE, (name, "proxy_port"), message, "the inventory sets it: paasta_proxy_port_range"
        )


def _team(subject: ServiceSubject, name: str, monitoring: Mapping[str, Any]) -> None:
    teams = subject.settings.monitoring_teams
    team = monitoring.get("team")
    if teams and team is not None and team not in teams:
        message = f"{show(team)} is not a team of the inventory"
        subject.warn("unknown-team", FILE, (name, "monitoring", "team"), message, did_you_mean(team, teams))


def proxies(subject: TreeSubject) -> None:
    for identifier, namespace in subject.namespaces.items():
        for key in _PROXY_KEYS:
            target = namespace.get(key)
            if target is not None and target not in subject.namespaces:
                file, name = _place(identifier)
                message = f"{show(target)} is in no smartstack.yaml"
                hint = did_you_mean(target, subject.namespaces)
                subject.error("unknown-proxy", file, (name, key), message, hint)


def proxy_ports(subject: TreeSubject) -> None:
    first: dict[int, str] = {}
    for identifier, namespace in subject.namespaces.items():
        port = namespace.get("proxy_port")
        if port is None:
            continue
        other = first.setdefault(port, identifier)
        if other != identifier:
            file, name = _place(identifier)
            there, its_name = _place(other)
            line = subject.line(there, (its_name, "proxy_port"))
            message = f"{port} is already the proxy_port of {other} ({there}:{line})"
            subject.error("duplicate-proxy-port", file, (name, "proxy_port"), message, "choose another port")


def _place(identifier: str) -> tuple[str, str]:
    """The file of a namespace and its name there. Services have no dots in their names, namespaces may."""
    service, _dot, name = identifier.partition(".")
    return f"{service}/{FILE}", name


SERVICE = (namespaces,)
TREE = (proxies, proxy_ports)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the certificates of a cluster should be: plain data, as a role lists it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Certificate authorities, as files of the directory without their suffix; the layout is kubeadm's.
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")

#: What all hosts of the control plane share and nobody else has.
SHARED = (*(f"{name}.key" for name in AUTHORITIES), "sa.key", "sa.pub", "encryption.yaml")

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "authority": {"type": "str", "choices": list(AUTHORITIES), "default": "ca"},
    "common_name": {"type": "str", "required": True},
    "organizations": {"type": "list", "elements": "str", "default": []},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "ip_addresses": {"type": "list", "elements": "str", "default": []},
    "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "required": True},
}

# RFC 5280, appendix A.1: ub-common-name, ub-organization-name.
_LONGEST = 64

_NAME = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?/)?[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class Entry:
    """One certificate: ``<name>.crt`` and ``<name>.key`` below the directory, signed by an authority."""

    name: str
    authority: str
    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    usages: tuple[str, ...]


def read(items: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The entries of arguments with :data:`OPTIONS`. Raises ValueError with everything that is wrong."""
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    for item in items:
        name = item["name"]
        if not _NAME.fullmatch(name) or name in AUTHORITIES:
            problems.append(f"{name!r} cannot be the name of a certificate")
        if name in entries:
            problems.append(f"{name} is there twice")
        for address in item["ip_addresses"]:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                problems.append(f"{name}: {address!r} is no IP address")
        problems += [f"{name}: {problem}" for problem in _bad_names(item)]
        if not item["usages"]:
            problems.append(f"{name} needs usages: server, client or both")
        entries[name] = Entry(
            name=name,
            authority=item["authority"],
            common_name=item["common_name"],
            organizations=tuple(item["organizations"]),
            # In the order of the list, each once: two names of a host are often the same.
            dns_names=tuple(dict.fromkeys(item["dns_names"])),
            ip_addresses=tuple(dict.fromkeys(str(ipaddress.ip_address(one)) for one in _valid(item["ip_addresses"]))),
            usages=tuple(sorted(set(item["usages"]))),
        )
    if problems:
        raise ValueError("certificates: " + "; ".join(problems))
    return list(entries.values())


def _bad_names(item: Mapping[str, Any]) -> list[str]:
    """What X.509 cannot hold: it has its limits of length, and names of hosts in ASCII only."""
    names = {"common_name": [item["common_name"]], "organizations": item["organizations"]}
    bad = [
        f"{option} {one!r} has {len(one)} characters; 1 to {_LONGEST} are possible"
        for option, values in names.items()
        for one in values
        if not 0 < len(one) <= _LONGEST
    ]
    return bad + [f"{one!r} is no DNS name" for one in item["dns_names"] if not one or not one.isascii()]


def _valid(addresses: Sequence[str]) -> list[str]:
    found = []
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        found.append(address)
    return found

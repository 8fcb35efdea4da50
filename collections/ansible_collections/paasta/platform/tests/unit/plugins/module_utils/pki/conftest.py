# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts of a cluster as directories, which share nothing but what Ansible carries."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.pki.states import ARGUMENTS, run

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def entry(name: str, **more: Any) -> dict[str, Any]:
    base = {"name": name, "authority": "ca", "common_name": name, "organizations": [], "dns_names": []}
    return base | {"ip_addresses": [], "usages": ["client"]} | more


SERVER = entry("apiserver", dns_names=["kubernetes", "localhost"], ip_addresses=["127.0.0.1"], usages=["server"])
KUBELET = entry("kubelet", common_name="system:node:one", organizations=["system:nodes"])
PEER = entry("etcd/peer", authority="etcd/ca", dns_names=["one"], usages=["server", "client"])


@dataclass
class Cluster:
    """Hosts in directories, and everything that went between them."""

    root: Path
    hosts: dict[str, tuple[bool, list[dict[str, Any]]]] = field(default_factory=dict)
    carried: list[str] = field(default_factory=list)

    def directory(self, host: str) -> Path:
        return self.root / host

    def call(self, host: str, now: datetime.datetime = NOW, check_mode: bool = False, **args: Any) -> dict[str, Any]:
        holds, certificates = self.hosts[host]
        defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
        given = {"directory": str(self.directory(host)), "certificates": certificates, "holds_authorities": holds}
        result = run(defaults | given | args, check_mode, True, now)
        self.carried.append(json.dumps([args, result]))
        return result

    def asked(self, now: datetime.datetime = NOW, **args: Any) -> dict[str, dict[str, Any]]:
        return {host: self.call(host, now, state="requested", **args) for host in self.hosts}

    def issue(self, asked: dict[str, dict[str, Any]], now: datetime.datetime = NOW, **more: Any) -> dict[str, Any]:
        """As the role does it, for those who were asked."""
        holders = [host for host, (holds, _certificates) in self.hosts.items() if holds]
        holder = next((host for host in holders if asked.get(host, {}).get("complete")), holders[0])
        hosts = [
            {"host": host, "certificates": self.hosts[host][1]}
            | {key: result[key] for key in ("requests", "authorities", "public_key")}
            for host, result in asked.items()
        ]
        return self.call(
            holder, now, **({"state": "issued", "hosts": hosts, "create_authorities": {*holders} <= {*asked}} | more)
        )

    def converge(self, now: datetime.datetime = NOW) -> dict[str, list[str]]:
        """All three steps; the names of what was renewed, by host."""
        asked = self.asked(now)
        if not any(result["due"] for result in asked.values()):
            return {}
        issued = self.issue(asked, now)
        assert not issued.get("failed"), issued
        renewed = {}
        for host, result in asked.items():
            if result["due"]:
                done = self.call(host, now, state="installed", issued=issued["hosts"][host])
                assert not done.get("failed"), done
                renewed[host] = done["renewed"]
        return renewed


def snapshot(root: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(
        tmp_path, {"one": (True, [SERVER, KUBELET, PEER]), "two": (True, [SERVER]), "node": (False, [KUBELET])}
    )

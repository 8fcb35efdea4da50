# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""From one version of Kubernetes to the next, host by host, while services answer.

The cluster has to be one of an older minor version, and only then is it upgraded to the default one:
``molecule converge -s kubernetes -- -e kubernetes_version=1.33.13``. What is refused is tested with any cluster.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from cluster import NODES, Cluster
from driver import ROOT, WEB, Platform

pytestmark = pytest.mark.life

DEFAULT = str(yaml.safe_load((ROOT / "roles/kubernetes/defaults/main.yml").read_text())["kubernetes_version"])
MIRROR = Path("~/.cache/paasta/kubernetes/mirror").expanduser()
MINE, PERSON = "node2", "node4"
NOTE = '{"metadata": {"annotations": {"paasta.platform/cordoned-by": "paasta"}}, "spec": {"unschedulable": true}}'


def versions(cluster: Cluster) -> dict[str, str]:
    nodes = cluster.get("nodes")["items"]
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"].lstrip("v") for node in nodes}


def cordoned(cluster: Cluster) -> set[str]:
    nodes = cluster.get("nodes")["items"]
    return {node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")}


def moved(version: str, minors: int) -> str:
    major, minor, _patch = version.split(".")
    return f"{major}.{int(minor) + minors}.0"


@pytest.mark.parametrize(
    ("minors", "reason"), [(-1, "does not go back to an older version"), (2, "by one minor version at a time")]
)
def test_other_ways_than_the_next_version_are_refused(platform: Platform, minors: int, reason: str) -> None:
    have = next(iter(versions(Cluster()).values()))
    wanted = moved(have, minors)
    output = " ".join(platform.fails("kubernetes_upgrade", kubernetes_version=wanted).split())
    assert f"has Kubernetes {have}, and kubernetes_version is {wanted}" in output
    assert reason in output
    assert "Nothing was touched" in output


def test_bootstrap_does_not_change_the_minor_version(platform: Platform) -> None:
    wanted = moved(next(iter(versions(Cluster()).values())), 1)
    output = " ".join(platform.fails("bootstrap", kubernetes_version=wanted).split())
    assert f"and kubernetes_version is {wanted}" in output
    assert "playbooks/kubernetes_upgrade.yml" in output


def test_a_cluster_is_upgraded_and_nobody_notices(platform: Platform) -> None:
    cluster = Cluster()
    before = set(versions(cluster).values())
    if before == {DEFAULT}:
        pytest.skip(f"the cluster has {DEFAULT} already: converge it with kubernetes_version of the minor before that")
    if not list(MIRROR.glob(f"v{DEFAULT}-*")):
        pytest.skip(f"there is no {MIRROR}/v{DEFAULT}-<architecture>: run scripts/kubernetes-programs")
    # One that a person took out of service, and one that a run which was killed did.
    cluster.kubectl("cordon", PERSON)
    cluster.kubectl("patch", "node", MINE, "--type=merge", f"--patch={NOTE}")
    try:
        with platform.traffic(WEB) as seen:
            output = platform.play("kubernetes_upgrade", kubernetes_version=DEFAULT).output
        assert seen.failures == []
        assert versions(cluster) == dict.fromkeys(NODES, DEFAULT)
        assert cordoned(cluster) == {PERSON}
        assert len(re.findall(r"\(\d of 4\), node: from", output)) == len(NODES)
    finally:
        cluster.kubectl("uncordon", PERSON)
    assert platform.play("kubernetes_upgrade", kubernetes_version=DEFAULT).changed == 0
    assert platform.play("bootstrap", kubernetes_version=DEFAULT).changed == 0

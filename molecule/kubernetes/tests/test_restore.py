# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster goes back to a snapshot, and services answer all the while."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import Cluster
from driver import WEB, Platform, wait_for

pytestmark = pytest.mark.life


def note(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def notes(cluster: Cluster) -> set[str]:
    names = {item["metadata"]["name"] for item in cluster.get("configmaps", "--namespace=default")["items"]}
    return names & {"before", "after"}


def test_another_cluster_s_name_is_refused(platform: Platform, tmp_path: Path) -> None:
    snapshot = tmp_path / "empty.db"
    snapshot.touch()
    output = platform.fails("etcd_restore", snapshot=str(snapshot), confirm="production")
    assert "Nothing was touched" in output


def test_the_cluster_is_as_it_was_at_the_snapshot(platform: Platform, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.apply(note("before"))
    platform.play("etcd_snapshot", fetch=str(tmp_path))
    (snapshot,) = tmp_path.glob("*.db")
    assert snapshot.stat().st_mode & 0o777 == 0o600
    cluster.kubectl("delete", "configmap", "before", "--namespace=default")
    cluster.apply(note("after"))
    with platform.traffic(WEB) as seen:
        platform.play("etcd_restore", snapshot=str(snapshot), confirm="local")
    assert seen.failures == []
    assert notes(cluster) == {"before"}
    cluster.kubectl("delete", "configmap", "before", "--namespace=default")
    wait_for("all nodes are ready", lambda: cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready"))
    # What was deployed is in the snapshot.
    assert platform.play("deploy").changed == 0

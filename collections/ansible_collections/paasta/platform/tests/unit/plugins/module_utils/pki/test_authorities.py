# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Authorities: one set for a cluster, made once, never lost by mistake."""

from __future__ import annotations

import datetime
from pathlib import Path

from ansible_collections.paasta.platform.plugins.module_utils.pki.entries import AUTHORITIES, SHARED
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.pki.conftest import (
    KUBELET,
    NOW,
    SERVER,
    Cluster,
)


def test_a_new_host_of_the_control_plane_gets_what_the_others_share(cluster: Cluster) -> None:
    cluster.converge()
    cluster.hosts = {"new": (True, [SERVER]), **cluster.hosts}
    assert cluster.converge() == {"new": ["apiserver"]}
    assert (cluster.directory("new") / "ca.key").read_text() == (cluster.directory("one") / "ca.key").read_text()


def test_authorities_of_another_cluster_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.converge()
    other = Cluster(tmp_path / "other", {"one": (True, [SERVER]), "stray": (False, [KUBELET])})
    other.converge()
    other.directory("stray").rename(cluster.directory("stray"))
    cluster.hosts["stray"] = (False, [KUBELET | {"common_name": "new"}])
    assert cluster.issue(cluster.asked())["msg"].startswith("stray: trust authorities of another cluster")


def test_authorities_are_not_made_where_there_were_some(cluster: Cluster) -> None:
    cluster.converge()
    for host in ("one", "two"):
        for name in (*SHARED, *(f"{one}.crt" for one in AUTHORITIES)):
            (cluster.directory(host) / name).unlink()
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message.startswith("node: trust authorities whose keys no host of group kube_control_plane has")
    (cluster.directory("one") / "ca.crt").write_text((cluster.directory("node") / "ca.crt").read_text())
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message.startswith("This host has only a part of what the control plane shares: ca.crt, but not ca.key, ")
    for name in SHARED:
        (cluster.directory("one") / name).write_text("x")
    (cluster.directory("one") / "ca.crt").unlink()
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message.startswith("node: trust authorities whose keys no host")


def test_an_authority_that_is_lost_and_known_elsewhere_is_not_made_anew(cluster: Cluster) -> None:
    cluster.hosts.pop("two")
    cluster.converge()
    (cluster.directory("one") / "ca.crt").unlink()
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message == f"This host has no ca.crt: copy it to {cluster.directory('one')} from one that has it (node)"


def test_a_part_of_the_run_makes_no_authorities(cluster: Cluster) -> None:
    asked = cluster.asked()
    del asked["two"]
    assert "not every host of group kube_control_plane was asked" in cluster.issue(asked)["msg"]
    assert not (cluster.directory("one") / "ca.key").exists()


def test_authorities_whose_making_was_killed_are_finished(cluster: Cluster) -> None:
    cluster.issue(cluster.asked())
    names = (*SHARED, "ca.crt")
    before = [(cluster.directory("one") / name).read_text() for name in names]
    for name in ("front-proxy-ca.crt", "etcd/ca.crt"):
        (cluster.directory("one") / name).unlink()
    assert set(cluster.converge()) == {"one", "two", "node"}
    assert [(cluster.directory("one") / name).read_text() for name in names] == before
    assert cluster.converge() == {}


def test_what_was_kept_of_a_backup_is_used(cluster: Cluster) -> None:
    directory = cluster.directory("one")
    directory.mkdir()
    (directory / "encryption.yaml").write_text("the old key")
    cluster.converge()
    assert (cluster.directory("two") / "encryption.yaml").read_text() == "the old key"


def test_two_holders_of_different_authorities(cluster: Cluster, tmp_path: Path) -> None:
    cluster.hosts = {"one": (True, [SERVER])}
    cluster.converge()
    other = Cluster(tmp_path / "other", {"two": (True, [SERVER])})
    other.converge()
    other.directory("two").rename(cluster.directory("two"))
    cluster.hosts["two"] = (True, [SERVER, KUBELET])
    assert cluster.issue(cluster.asked())["msg"].startswith("two: trust authorities of another cluster. If they shall")


def test_authorities_that_are_of_no_use(cluster: Cluster) -> None:
    cluster.converge()
    directory = cluster.directory("one")
    (directory / "ca.key").write_text((directory / "etcd/ca.key").read_text())
    (directory / "front-proxy-ca.key").write_text("nonsense")
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message == (
        f"{directory}/ca.key is not the key of ca.crt: put back the right one; "
        f"{directory}/front-proxy-ca.key is not the key of front-proxy-ca.crt: put back the right one"
    )
    (cluster.directory("node") / "ca.crt").write_bytes(b"\xff\xfe nonsense")
    message = cluster.call("node", state="requested")["msg"]
    assert message.startswith(f"{cluster.directory('node')}/ca.crt is no certificate")


def test_certificates_end_with_their_authority(cluster: Cluster) -> None:
    cluster.converge()
    late = NOW + datetime.timedelta(days=3600)
    assert cluster.converge(late)["node"] == ["kubelet"]
    (listed,) = [one for one in cluster.call("node", late, state="listed")["certificates"] if "kubelet" in one["file"]]
    assert listed["days"] == 50
    # A new one would not live longer, so that there is nothing to do but to warn.
    assert cluster.converge(late) == {}
    (warning,) = cluster.call("node", late, state="requested")["warnings"]
    assert warning.startswith(f"The authority {cluster.directory('node')}/ca.crt ends on 2035-12-30")
    assert cluster.call("node", NOW, state="requested")["warnings"] == []
    ended = NOW + datetime.timedelta(days=3700)
    assert cluster.converge(ended) == {}
    cluster.hosts["node"] = (False, [KUBELET | {"common_name": "other"}])
    assert "ca.crt has ended: replace it by hand" in cluster.issue(cluster.asked(ended), ended)["msg"]

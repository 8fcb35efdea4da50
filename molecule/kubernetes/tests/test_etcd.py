# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The members of etcd, how they are protected, and their snapshots."""

from __future__ import annotations

import json
from typing import Any

from cluster import CONTROL_PLANE, ETCD, FIRST, Cluster, hosts
from driver import wait_for

testinfra_hosts = hosts(FIRST)
PKI = "/etc/kubernetes/pki/etcd"


def etcdctl(host: Any, words: str) -> str:
    return str(host.check_output(f"etcdctl {ETCD} {words}"))


def test_every_host_of_the_group_is_a_voting_member(host: Any) -> None:
    members = json.loads(etcdctl(host, "member list --write-out json"))["members"]
    assert {member["name"] for member in members} == set(CONTROL_PLANE)
    assert not any(member.get("isLearner") for member in members)
    urls = [url for member in members for url in (*member["peerURLs"], *member["clientURLs"])]
    assert all(url.startswith("https://") for url in urls)
    etcdctl(host, "endpoint health --cluster")


def test_it_starts_with_the_host_and_always_again(host: Any) -> None:
    service = host.service("etcd")
    assert service.is_running
    assert service.is_enabled
    host.check_output("systemctl kill --signal=KILL etcd.service")
    wait_for(
        "etcd runs again",
        lambda: host.run(f"etcdctl {ETCD} endpoint health").rc == 0,
    )


def test_nobody_without_a_certificate_is_answered(host: Any) -> None:
    assert host.run(f"curl -sS --cacert {PKI}/ca.crt https://127.0.0.1:2379/health").rc != 0
    assert host.run("curl -sS http://127.0.0.1:2379/health").rc != 0


def test_metrics_are_on_the_loopback_interface_only(host: Any) -> None:
    assert "etcd_server_has_leader 1" in host.check_output("curl -sSf http://127.0.0.1:2381/metrics")
    listening = host.check_output("ss -Hltn sport = :2381").split()
    assert listening[3] == "127.0.0.1:2381"
    assert len(listening) == 5


def test_a_member_that_lost_its_data_cannot_found_a_cluster_of_its_own(host: Any) -> None:
    settings = host.file("/etc/etcd/etcd.env").content_string
    assert 'ETCD_INITIAL_CLUSTER_STATE="existing"' in settings
    assert not host.file("/run/etcd-first-start.env").exists


def test_a_snapshot_is_taken_by_the_timer_s_service(host: Any) -> None:
    assert host.service("etcd-snapshot.timer").is_running
    assert host.service("etcd-snapshot.timer").is_enabled
    host.check_output("systemctl start etcd-snapshot.service")
    newest = host.check_output("ls -t /var/backups/etcd/etcd-*.db | head -1")
    assert host.file(newest).mode == 0o600
    assert json.loads(host.check_output(f"etcdutl snapshot status {newest} --write-out json"))["totalKey"] > 0


def test_old_snapshots_go_but_for_the_newest(host: Any) -> None:
    host.check_output(
        "cd /var/backups/etcd &&"
        " for n in 01 02 03 04 05 06 07 08 09; do touch -d '30 days ago' etcd-200001${n}T000000Z.db; done"
    )
    newest = host.check_output("etcd-snapshot 2>/dev/null")
    kept = host.check_output("ls /var/backups/etcd").split()
    assert newest.rpartition("/")[2] in kept
    old = [name for name in kept if name.startswith("etcd-2000")]
    young = [name for name in kept if not name.startswith("etcd-2000")]
    assert len(old) == max(8 - len(young), 0)
    assert "etcd-20000101T000000Z.db" not in old
    host.check_output("rm -f /var/backups/etcd/etcd-2000*.db")


def test_secrets_are_encrypted_at_rest(host: Any) -> None:
    cluster = Cluster(host)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "at-rest", "namespace": "default"},
            "stringData": {"word": "correct-horse-battery"},
        }
    )
    stored = etcdctl(host, "get /registry/secrets/default/at-rest --print-value-only | tr -cd '[:print:]'")
    cluster.kubectl("delete", "secret", "at-rest", "--namespace=default")
    assert stored.startswith("k8s:enc:")
    assert "correct-horse-battery" not in stored

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong gives one clear error, and what runs goes on running."""

from __future__ import annotations

import socket

import pytest
from cluster import GATEWAY, NODES
from driver import QUOTES, WEB, Platform, docker, wait_for

NOWHERE = "0" * 40


def test_every_mistake_in_soa_configs_is_told_at_once_and_nothing_is_touched(restored: Platform) -> None:
    restored.change("soa-configs/web/kubernetes-local.yaml", "cpus:", "cpu:")
    restored.change("soa-configs/quotes/kubernetes-local.yaml", "bounce_method: crossover", "bounce_method: crosover")
    with restored.traffic() as seen:
        output = restored.fails("deploy")
    assert "web/kubernetes-local.yaml:2:3: main.cpu: unknown key" in output
    assert "did you mean cpus?" in output
    assert "did you mean crossover?" in output
    assert seen.failures == []


def test_a_missing_image_leaves_the_running_version_alone(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("web.main")}
    restored.play("mark", service="web", deploy_group="local.main", sha=NOWHERE)
    output = restored.fails("deploy", service="web")
    assert f"services-web:paasta-{NOWHERE}" in output
    assert "playbooks/build.yml" in output
    assert {container["Id"] for _node, container in restored.containers("web.main")} == before


def test_a_busy_proxy_port_is_refused_before_anything_changes(restored: Platform) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((GATEWAY, 20009))
        holder.listen()
        restored.change("soa-configs/web/smartstack.yaml", f"proxy_port: {WEB}", "proxy_port: 20009")
        output = restored.fails("deploy")
    assert f"web.main: {GATEWAY}:20009: Address already in use" in output
    assert restored.ask(WEB)["service"] == "web"


#: Listens on every port that replicas get, on all addresses, until it is killed.
HOLD_PORTS = """
import socket, time
held = []
for port in range(31000, 32000):
    holder = socket.socket()
    try:
        holder.bind(("0.0.0.0", port))
    except OSError:
        continue
    holder.listen()
    held.append(holder)
time.sleep(600)
"""


def test_busy_replica_ports_are_an_error_and_what_runs_is_left_alone(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("web.main")}
    restored.change("soa-configs/web/service.yaml", "LOG_LEVEL: info", "LOG_LEVEL: debug")
    start = ["sh", "-c", 'python3 -c "$0" >/dev/null 2>&1 & echo $!', HOLD_PORTS]
    pids = {node: restored.node(node, *start).strip() for node in NODES}
    try:
        listening = ("sh", "-c", "ss -Hltn | wc -l")
        wait_for("ports in use", lambda: all(int(restored.node(node, *listening)) > 900 for node in NODES))
        output = restored.fails("deploy", service="web")
    finally:
        for node, pid in pids.items():
            restored.node(node, "kill", pid)
    assert "no free port in 5 attempts" in output
    assert {container["Id"] for _node, container in restored.containers("web.main")} == before
    restored.play("deploy", service="web")


@pytest.mark.parametrize(("directory", "what"), [("/var/lib/envoy/eds", "node2"), ("/var/lib/docker/tmp", "pull")])
def test_a_full_disk_is_named_and_what_runs_serves_on(restored: Platform, directory: str, what: str) -> None:
    imports = "from __future__ import annotations"
    restored.change("services/quotes/server.py", imports, f"{imports}\n\n# Too big for a disk: {directory}.")
    restored.release("quotes")
    for node in NODES:
        restored.node(node, "mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "tmpfs", directory)
        restored.node(node, "sh", "-c", f"head -c 8192 /dev/zero > {directory}/.filler || true")
    try:
        with restored.traffic() as seen:
            output = restored.fails("deploy", service="quotes")
    finally:
        for node in NODES:
            restored.node(node, "umount", directory)
    assert "no space left on device" in output.lower()
    assert what in output
    assert seen.failures == []
    restored.play("deploy", service="quotes")


def test_a_lost_node_s_replicas_move_and_come_to_rest_when_it_is_back(restored: Platform) -> None:
    docker("kill", restored.container("node3"))
    try:
        output = restored.fails("deploy")
        assert "node3 did not answer" in output
        assert len(restored.containers("quotes.main")) == 2
        assert len(restored.containers("web.main")) == 2
        assert len(restored.containers("clock.main")) == 1
        with restored.traffic(QUOTES) as seen:
            for _request in range(20):
                assert restored.ask(WEB)["quotes"]["service"] == "quotes"
        assert seen.failures == []
    finally:
        docker("start", restored.container("node3"))
    restored.wait_well("node3")
    restored.play("deploy")
    assert len(restored.containers("quotes.main")) == 2
    assert len(restored.containers("clock.main")) == 1


def test_too_many_lost_nodes_are_a_broken_network_and_nothing_is_touched(platform: Platform) -> None:
    before = {container["Id"] for _node, container in platform.containers("web.main")}
    docker("pause", platform.container("node2"), platform.container("node3"))
    try:
        output = platform.fails("deploy")
    finally:
        docker("unpause", platform.container("node2"), platform.container("node3"))
    assert "2 of 3 hosts do not answer" in output
    assert {container["Id"] for _node, container in platform.containers("web.main")} == before

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What runs is what soa-configs say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster import GATEWAY
from driver import QUOTES, SCENARIO, WEB, Platform, wait_for


def test_every_replica_takes_its_share(platform: Platform) -> None:
    answers = [platform.ask(QUOTES) for _request in range(30)]
    assert {(answer["service"], answer["instance"]) for answer in answers} == {("quotes", "main"), ("quotes", "canary")}
    assert len({(answer["instance"], answer["host"]) for answer in answers}) == 3


def test_the_gateway_s_proxies_are_on_this_machine_s_loopback_only(platform: Platform) -> None:
    listening = platform.node("gateway", "ss", "-Hltn").splitlines()
    ports = {line.split()[3] for line in listening if line.split()[3].endswith((f":{WEB}", f":{QUOTES}"))}
    # The gateway shares this machine's network, where another cluster may be up on another loopback address.
    assert {f"{GATEWAY}:{WEB}", f"{GATEWAY}:{QUOTES}"} <= ports
    assert not [address for address in ports if address.startswith(("0.0.0.0", "*", "[::]"))]


def test_one_service_reaches_another_through_the_mesh(platform: Platform) -> None:
    answer = platform.ask(WEB)
    assert answer["service"] == "web"
    assert answer["quotes"]["service"] == "quotes"


def test_all_replicas_have_the_secret_of_the_examples(platform: Platform) -> None:
    """Made on this machine by the lookup that the inventory names; no password is asked for."""
    found = [container["Config"] for _node, container in platform.containers("web.main")]
    values = {variable for config in found for variable in config["Env"] if variable.startswith("SIGNING_KEY=")}
    assert len(found) == 2
    assert len(values) == 1
    assert len(values.pop()) == len("SIGNING_KEY=") + 40
    assert all("SECRET(signing_key) " in config["Labels"]["paasta_secrets"] for config in found)


def test_limits_are_set_and_in_force(platform: Platform) -> None:
    node, container = platform.containers("web.main")[0]
    limits = container["HostConfig"]
    assert limits["Memory"] == 64 * 1024 * 1024
    assert limits["CpuQuota"] == 50000
    assert "NET_RAW" in {name.removeprefix("CAP_") for name in limits["CapDrop"]}
    inside = platform.node(
        node, "docker", "exec", container["Id"], "sh", "-c",
        "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
    )  # fmt: skip
    assert int(inside) == 64 * 1024 * 1024


def test_containers_say_what_they_are(platform: Platform) -> None:
    for id in ("web.main", "quotes.canary", "clock.main", "reports.hourly"):
        for node, container in platform.containers(id):
            labels = container["Config"]["Labels"]
            assert f"{labels['paasta_service']}.{labels['paasta_instance']}" == id
            assert labels["paasta_config_sha"].startswith("config")
            environment = dict(variable.split("=", 1) for variable in container["Config"]["Env"])
            assert environment["PAASTA_HOST"] == node
            assert environment["PAASTA_GIT_SHA"] == labels["paasta_git_sha"][:8]


def test_a_stopped_instance_does_not_run_until_it_is_started(restored: Platform) -> None:
    assert restored.containers("reports.nightly") == []
    restored.play("start", service="reports", instance="nightly")
    restored.play("deploy", instance="reports.nightly")
    assert len(restored.containers("reports.nightly")) == 1
    restored.play("stop", service="reports", instance="nightly")
    restored.play("deploy", instance="reports.nightly")
    assert restored.containers("reports.nightly") == []


def test_a_second_deploy_changes_nothing_and_the_plan_says_so(platform: Platform) -> None:
    before = {container["Id"] for _node, container in platform.containers("web.main")}
    assert platform.play("plan").changed == 0
    assert platform.play("deploy").changed == 0
    assert {container["Id"] for _node, container in platform.containers("web.main")} == before


def test_a_killed_process_comes_back_by_itself(platform: Platform) -> None:
    node, container = platform.containers("clock.main")[0]
    killed = container["State"]["Pid"]
    platform.node(node, "kill", "-9", str(killed))

    def back() -> bool:
        _node, now = platform.containers("clock.main")[0]
        return bool(now["Id"] == container["Id"] and now["State"]["Running"] and now["State"]["Pid"] != killed)

    wait_for("the container runs again", back)


def test_a_removed_container_is_put_back_by_the_next_deploy(platform: Platform) -> None:
    node, container = platform.containers("clock.main")[0]
    platform.node(node, "docker", "rm", "-f", container["Id"])
    plan = platform.play("plan", service="clock")
    assert plan.changed == 1
    platform.play("deploy", service="clock")
    assert len(platform.containers("clock.main")) == 1


def test_limits_changed_by_hand_are_found_and_put_right(platform: Platform) -> None:
    node, container = platform.containers("clock.main")[0]
    platform.node(node, "docker", "update", "--memory", "48m", "--memory-swap", "96m", container["Id"])
    assert "+Memory: 67108864" in platform.play("plan", service="clock").output
    platform.play("deploy", service="clock")
    assert platform.containers("clock.main")[0][1]["HostConfig"]["Memory"] == 64 * 1024 * 1024


def test_a_scale_up_moves_nothing_and_a_scale_down_restarts_nothing(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("web.main")}
    restored.change("soa-configs/web/kubernetes-local.yaml", "instances: 2", "instances: 4")
    restored.play("deploy", service="web")
    grown = {container["Id"] for _node, container in restored.containers("web.main")}
    assert before < grown
    assert len(grown) == 4
    restored.change("soa-configs/web/kubernetes-local.yaml", "instances: 4", "instances: 1")
    restored.play("deploy", service="web")
    assert {container["Id"] for _node, container in restored.containers("web.main")} < grown


def test_what_is_no_longer_declared_is_removed(restored: Platform) -> None:
    (restored.soa / "clock" / "kubernetes-local.yaml").write_text("{}\n")
    restored.play("deploy")
    assert restored.containers("clock.main") == []


def test_too_much_is_not_removed(restored: Platform) -> None:
    for service in ("clock", "quotes", "web"):
        (restored.soa / service / "kubernetes-local.yaml").write_text("{}\n")
    output = restored.fails("deploy")
    assert "4 of 5 running instances are not in the plan, more than prune_guard 0.5" in output
    assert len(restored.containers("quotes.main")) == 2


def test_the_table_of_what_runs(platform: Platform) -> None:
    lines = platform.play("status").output.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if ".main" in line or "reports." in line}
    assert rows["web.main"][1:3] == ["docker", "2/2"]
    assert rows["web.main"][-1] == "http://127.0.0.77:20002/"
    assert rows["reports.nightly"][2] == "stopped"


def test_render_needs_no_cluster_and_gives_the_same_file_twice(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the inventory's variables, without its hosts, and with a Docker Engine that is not there."""
    (tmp_path / "hosts.yml").write_text("all: {hosts: {}}\n")
    (tmp_path / "group_vars").symlink_to(SCENARIO / "inventory" / "group_vars")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    texts = []
    for name in ("one.json", "two.json"):
        variables = {"soa_dir": str(platform.soa), "cluster": "local", "out": str(tmp_path / name)}
        platform.play("render", inventory=tmp_path / "hosts.yml", **variables)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    plan = json.loads(texts[0])
    web = plan["docker"]["instances"]["web.main"]
    assert web["replicas"] == 2
    assert web["container"]["Image"].startswith("node1:5000/services-web:paasta-")
    assert plan["mesh"]["namespaces"]["web.main"]["proxy_port"] == WEB

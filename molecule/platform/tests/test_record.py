# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is marked, taken back, restarted and stopped is what runs."""

from __future__ import annotations

from driver import Platform

TOP = "from __future__ import annotations\n"


def versions(platform: Platform, id: str) -> set[str]:
    return {container["Config"]["Labels"]["paasta_git_sha"] for _node, container in platform.containers(id)}


def test_a_restart_replaces_replicas_of_the_same_version(restored: Platform) -> None:
    ((_node, before),) = restored.containers("clock.main")
    restored.play("restart", service="clock", instance="main")
    restored.play("deploy", service="clock")
    ((_node, after),) = restored.containers("clock.main")
    assert after["Id"] != before["Id"]
    assert after["Config"]["Labels"]["paasta_git_sha"] == before["Config"]["Labels"]["paasta_git_sha"]


def test_a_version_is_taken_back_and_a_stop_survives_a_deploy(restored: Platform) -> None:
    (old,) = versions(restored, "clock.main")
    restored.change("services/clock/worker.py", TOP, f"{TOP}\n# A new version.\n")
    new = restored.release("clock")
    restored.play("stop", service="clock", instance="main")
    restored.play("deploy", service="clock")
    assert restored.containers("clock.main") == []
    restored.play("start", service="clock", instance="main")
    restored.play("deploy", service="clock")
    assert versions(restored, "clock.main") == {new}

    said = restored.play("rollback", service="clock", deploy_group="local.main").output
    assert new[:8] in said
    assert old[:8] in said
    restored.play("deploy", service="clock")
    assert versions(restored, "clock.main") == {old}


def test_what_is_misspelt_is_found_before_anything_runs(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("web.main")}
    restored.change("soa-configs/web/kubernetes-local.yaml", "cpus:", "cpu:")
    for playbook in ("validate", "plan", "deploy"):
        said = restored.fails(playbook)
        assert "web/kubernetes-local.yaml" in said
        assert "did you mean cpus?" in said
    restored.play("plan", service="quotes")
    assert {container["Id"] for _node, container in restored.containers("web.main")} == before

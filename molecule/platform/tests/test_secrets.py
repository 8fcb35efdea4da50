# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets are in the containers that use them and nowhere else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import NODES, Platform, Run, docker, eventually
from traces import command_lines, forms, on_controller, on_nodes

CLOCK = "soa-configs/clock/kubernetes-local.yaml"
ENV = '    TICK_SECONDS: "2"\n'
IN_ENV = ENV + "    TOKEN: SECRET(token)\n"
IN_FILE = "  secret_volumes:\n  - {container_path: /secrets, secret_name: key, default_mode: '0444'}\n"
DIRECTORY = "/run/paasta/secrets/local"


def canary() -> str:
    return f"canary{secrets.token_hex(16)}"


class Clock:
    """The service clock with two secrets: ``token`` in its environment, ``key`` in a file."""

    def __init__(self, platform: Platform, scratch: Path) -> None:
        self.platform = platform
        self.scratch = scratch
        self.password = self.new_password("password")
        self.token, self.key = canary(), canary()

    def new_password(self, name: str) -> Path:
        path = self.scratch / name
        path.write_text(secrets.token_hex(16))
        path.chmod(0o600)
        return path

    def play(self, playbook: str, *flags: str, **options: Any) -> Run:
        return self.platform.play(
            playbook, service="clock", flags=["--vault-password-file", str(self.password), *flags], **options
        )

    def write(self, name: str, value: str, *flags: str, environment: dict[str, str] | None = None) -> Run:
        return self.play(
            "secret", *flags, secret=name, environment={**(environment or {}), "PAASTA_SECRET_VALUE": value}
        )

    def use(self) -> None:
        self.platform.change(CLOCK, ENV, IN_ENV)
        self.platform.change(CLOCK, "  deploy_group: local.main\n", f"  deploy_group: local.main\n{IN_FILE}")

    def container(self) -> tuple[str, str]:
        """(node, id) of the one container."""
        ((node, container),) = self.platform.containers("clock.main")
        return node, str(container["Id"])

    def has(self) -> tuple[str, str]:
        """The values that the service itself sees."""
        node, container = self.container()
        inside = 'printf %s "$TOKEN"; printf " "; cat /secrets/key'
        token, key = self.platform.node(node, "docker", "exec", container, "sh", "-c", inside).split(" ")
        return token, key

    def directories(self) -> list[str]:
        """The directories of secret files on all nodes, as ``node:name``."""
        script = f"ls -A {DIRECTORY} 2>/dev/null || true"
        return [f"{node}:{name}" for node in NODES for name in self.platform.node(node, "sh", "-c", script).split()]


@pytest.fixture
def clock(restored: Platform, tmp_path: Path) -> Iterator[Clock]:
    """The service clock, without its secrets again after the test: then nothing of them is left on any node."""
    made = Clock(restored, tmp_path)
    settings = restored.soa / "clock" / "kubernetes-local.yaml"
    before = settings.read_text()
    yield made
    settings.write_text(before)
    restored.play("deploy", service="clock")
    assert made.directories() == []


@pytest.fixture
def running(clock: Clock) -> Clock:
    """The same, deployed with its secrets."""
    clock.write("token", clock.token)
    clock.write("key", clock.key)
    clock.use()
    clock.play("deploy")
    return clock


def test_a_secret_is_in_its_container_and_nowhere_else(clock: Clock) -> None:
    since = time.time() - 1
    log, facts, control = clock.scratch / "ansible.log", clock.scratch / "facts", clock.scratch / "control"
    control.write_text(f"found: {since}")
    loud = {
        "ANSIBLE_LOG_PATH": str(log),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(facts),
        # Whatever is sent to a host stays there, and is searched.
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
    }
    flags = ("-vvvv", "--diff")
    with command_lines() as seen:
        outputs = [clock.write(name, value, *flags, environment=loud).output
                   for name, value in (("token", clock.token), ("key", clock.key))]  # fmt: skip
        clock.use()
        outputs += [clock.play(verb, *flags, environment=loud).output for verb in ("plan", "deploy", "status")]
    assert clock.has() == (clock.token, clock.key)

    printed = "\n".join(outputs)
    assert "env.TOKEN: SECRET(token) " in printed
    assert "/secrets/key: SECRET(key) 0444 " in printed
    assert "Bring the instances to the plan" in log.read_text()
    started = "\n".join(seen)
    assert "def write_secrets" in started, "the program that runs on nodes was not seen, so nothing of them would be"
    for value in (clock.token, clock.key):
        for form in forms(value):
            assert form not in printed
            assert form not in started

    found = on_controller([clock.token, clock.key, str(since)], since)
    assert found == {clock.token: set(), clock.key: set(), str(since): {str(control)}}
    node, container = clock.container()
    # Docker Engine keeps the environment of a container: docs/secrets.md says so. It keeps no secret files.
    engine_s = f"{node}:/var/lib/docker/containers/{container}/config.v2.json"
    assert on_nodes([clock.token, clock.key], since) == {clock.token: {engine_s}, clock.key: set()}


def test_secret_files_are_in_memory_and_of_nobody_else(running: Clock) -> None:
    node, container = running.container()
    (place,) = running.directories()
    directory = f"{DIRECTORY}/{place.partition(':')[2]}"
    facts = running.platform.node(node, "sh", "-c", f"stat -f -c %T {directory}; stat -c %a /run/paasta/secrets")
    assert facts.split() == ["tmpfs", "700"]
    writing = "touch /secrets/key 2>&1 || true"
    answer = running.platform.node(node, "docker", "exec", "-u", "0", container, "sh", "-c", writing)
    assert "Read-only file system" in answer


def test_a_changed_secret_restarts_what_uses_it_and_nothing_else_does(running: Clock) -> None:
    _node, before = running.container()
    assert running.play("deploy").changed == 0
    assert running.container()[1] == before
    new = canary()
    running.write("key", new)
    plan = running.platform.play("plan", service="clock")
    assert plan.changed == 1
    assert plan.output.count("/secrets/key: SECRET(key) 0444 ") == 2
    assert running.container()[1] == before
    running.play("deploy")
    assert running.has() == (running.token, new)
    assert running.container()[1] != before
    assert len(running.directories()) == 1


def test_a_container_restarts_with_its_secrets(running: Clock) -> None:
    node, container = running.container()
    running.platform.node(node, "docker", "restart", container)
    assert running.has() == (running.token, running.key)


def test_secrets_that_cannot_be_decrypted_are_all_named_and_nothing_is_touched(running: Clock) -> None:
    before, directories = running.container(), running.directories()
    good, running.password = running.password, running.new_password("other")
    for name in ("token", "key"):
        running.write(name, canary())
    running.password = good
    flags = ["--vault-password-file", str(good)]
    for output in (
        running.platform.fails("deploy", service="clock", flags=flags),
        running.platform.fails("deploy", service="clock"),
    ):
        assert "clock/secrets/key.json (local)" in output
        assert "clock/secrets/token.json (local)" in output
        assert "No container was touched" in output
    assert "--vault-password-file" in output
    assert (running.container(), running.directories()) == (before, directories)
    assert running.has() == (running.token, running.key)


def test_the_last_words_of_a_container_do_not_give_its_secrets_away(running: Clock) -> None:
    change = "  bounce_method: upthendown\n  cmd: 'echo token $TOKEN; cat /secrets/key; exit 1'\n"
    running.platform.change(CLOCK, "  bounce_method: downthenup\n", change)
    flags = ["--vault-password-file", str(running.password), "-vvvv"]
    output = running.platform.fails("deploy", service="clock", flags=flags)
    assert "    | token ********" in output
    assert running.token not in output
    assert running.key not in output
    assert running.has() == (running.token, running.key)
    assert len(running.directories()) == 1


def test_a_host_that_lost_its_memory_starts_nothing_without_secrets_and_the_next_deploy_repairs_it(
    running: Clock,
) -> None:
    node, before = running.container()
    docker("restart", f"paasta-molecule-{node}")
    eventually(lambda: running.platform.node(node, "docker", "info", "--format", "{{.ServerVersion}}").strip())
    eventually(lambda: "LIVE" in running.platform.node(node, "curl", "-s", "http://127.0.0.1:9901/ready"))
    running_now = running.platform.node(node, "docker", "inspect", "-f", "{{.State.Running}}", before)
    assert running_now.strip() == "false"
    assert running.directories() == []
    assert "does not exist" in running.platform.play("status", service="clock").output
    running.play("deploy")
    assert running.has() == (running.token, running.key)


def test_files_that_somebody_removed_are_noticed(running: Clock) -> None:
    node, before = running.container()
    running.platform.node(node, "sh", "-c", f"rm -r {DIRECTORY}/*")
    assert "its secret files are gone" in running.platform.play("status", service="clock").output
    assert running.platform.play("plan", service="clock").changed == 1
    running.play("deploy")
    assert running.container()[1] != before
    assert running.has() == (running.token, running.key)


def test_what_a_killed_run_left_behind_is_removed(running: Clock) -> None:
    left = f"{DIRECTORY}/clock.main.git00000000.config00000000.0.00000000"
    running.platform.node("node2", "sh", "-c", f"mkdir -p {left}/0 && echo x > {left}/0/key")
    assert len(running.directories()) == 2
    assert running.play("deploy").changed == 0
    assert len(running.directories()) == 1

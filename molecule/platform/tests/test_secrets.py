# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets are in the containers that use them and nowhere else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import NODES
from driver import Platform, Run, docker
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
        self.directory = platform.soa / "clock"
        self.password = self.new_password("password")
        self.token, self.key = canary(), canary()

    def new_password(self, name: str) -> Path:
        path = self.scratch / name
        path.write_text(secrets.token_hex(16))
        path.chmod(0o600)
        return path

    def play(self, playbook: str, *flags: str, **options: Any) -> Run:
        """Run a playbook for this service, with the vault password."""
        vault = ("--vault-password-file", str(self.password))
        return self.platform.play(playbook, service="clock", flags=[*vault, *flags], **options)

    def write(self, name: str, value: str, *flags: str, environment: Mapping[str, str] | None = None) -> Run:
        given = {**(environment or {}), "PAASTA_SECRET_VALUE": value}
        return self.play("secret", *flags, secret=name, environment=given)

    def container(self) -> tuple[str, str]:
        """(node, id) of the one container."""
        ((node, container),) = self.platform.containers("clock.main")
        return node, str(container["Id"])

    def inside(self, script: str) -> str:
        """What a shell in the container prints, as the service's own user."""
        node, container = self.container()
        return self.platform.node(node, "docker", "exec", container, "sh", "-c", script)

    def has(self) -> tuple[str, str]:
        """The values that the service itself sees."""
        token, key = self.inside('printf %s "$TOKEN"; printf " "; cat /secrets/key').split(" ")
        return token, key

    def directories(self) -> list[str]:
        """The directories of secret files on all nodes, as ``node:name``."""
        script = f"ls -A {DIRECTORY} 2>/dev/null || true"
        return [f"{node}:{name}" for node in NODES for name in self.platform.node(node, "sh", "-c", script).split()]

    @contextmanager
    def files_put_back(self) -> Iterator[None]:
        """Its soa-configs, secrets included, are afterwards what they were."""
        kept = {path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}
        try:
            yield
        finally:
            for path in [path for path in self.directory.rglob("*") if path.is_file() and path not in kept]:
                path.unlink()
            for path, content in kept.items():
                path.write_bytes(content)


@pytest.fixture(scope="module")
def clock(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    """Deployed with its secrets; without them again after the tests, and then nothing of them is left on any node."""
    made = Clock(platform, tmp_path_factory.mktemp("secrets"))
    with made.files_put_back():
        made.write("token", made.token)
        made.write("key", made.key)
        platform.change(CLOCK, ENV, IN_ENV)
        platform.change(CLOCK, "  deploy_group: local.main\n", f"  deploy_group: local.main\n{IN_FILE}")
        made.play("deploy")
        yield made
    platform.play("deploy", service="clock")
    assert made.directories() == []


def test_a_secret_is_in_its_container_and_nowhere_else(clock: Clock) -> None:
    """From the playbook that stores it to the deploy that replaces the value before it."""
    before = [clock.token, clock.key]
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
    assert clock.has() == (clock.token, clock.key)
    clock.token, clock.key = canary(), canary()
    with command_lines() as seen:
        outputs = [clock.write(name, value, *flags, environment=loud).output
                   for name, value in (("token", clock.token), ("key", clock.key))]  # fmt: skip
        outputs += [clock.play(verb, *flags, environment=loud).output for verb in ("plan", "deploy", "status")]
    assert clock.has() == (clock.token, clock.key)

    printed = "\n".join(outputs)
    assert "env.TOKEN: SECRET(token) " in printed
    assert "/secrets/key: SECRET(key) 0444 " in printed
    assert "Bring the instances to the plan" in log.read_text()
    started = "\n".join(seen)
    assert "def write_secrets" in started, "the program that runs on nodes was not seen, so nothing of them would be"
    for value in (clock.token, clock.key, *before):
        for form in forms(value):
            assert form not in printed
            assert form not in started

    values = [clock.token, clock.key, *before]
    nowhere: dict[str, set[str]] = {value: set() for value in values}
    assert on_controller([*values, str(since)], since) == nowhere | {str(since): {str(control)}}
    node, container = clock.container()
    # The Engine and its containerd keep the environment of a container on disk: docs/secrets.md says so.
    engine_s = {
        f"{node}:/var/lib/docker/containers/{container}/config.v2.json",
        f"{node}:/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db",
    }
    found = on_nodes([clock.token, clock.key], since)
    assert found == {clock.token: engine_s, clock.key: set()}


def test_secret_files_are_in_memory_and_of_nobody_else(clock: Clock) -> None:
    node, _container = clock.container()
    (place,) = clock.directories()
    directory = f"{DIRECTORY}/{place.partition(':')[2]}"
    facts = clock.platform.node(node, "sh", "-c", f"stat -f -c %T {directory}; stat -c %a /run/paasta/secrets")
    assert facts.split() == ["tmpfs", "700"]
    mounted = next(line.split() for line in clock.inside("cat /proc/mounts").splitlines() if " /secrets " in line)
    assert mounted[2] == "tmpfs"
    assert "ro" in mounted[3].split(",")


def test_a_changed_secret_restarts_what_uses_it_and_nothing_else_does(clock: Clock) -> None:
    _node, before = clock.container()
    assert clock.play("deploy").changed == 0
    assert clock.container()[1] == before
    clock.key = canary()
    clock.write("key", clock.key)
    # Neither what would be done nor what runs needs the password.
    plan = clock.platform.play("plan", service="clock")
    assert plan.changed == 1
    assert plan.output.count("/secrets/key: SECRET(key) 0444 ") == 2
    assert clock.container()[1] == before
    clock.play("deploy")
    assert clock.has() == (clock.token, clock.key)
    assert clock.container()[1] != before
    assert len(clock.directories()) == 1


def test_a_container_restarts_with_its_secrets(clock: Clock) -> None:
    node, container = clock.container()
    clock.platform.node(node, "docker", "restart", container)
    assert clock.has() == (clock.token, clock.key)


def test_secrets_that_cannot_be_decrypted_are_all_named_and_nothing_is_touched(clock: Clock) -> None:
    before, directories = clock.container(), clock.directories()
    right = clock.password
    flags = ["--vault-password-file", str(right)]
    with clock.files_put_back():
        clock.password = clock.new_password("other")
        for name in ("token", "key"):
            clock.write(name, canary())
        clock.password = right
        wrong = clock.platform.fails("deploy", service="clock", flags=flags)
        none = clock.platform.fails("deploy", service="clock")
    for output in (wrong, none):
        assert "clock/secrets/key.json (local)" in output
        assert "clock/secrets/token.json (local)" in output
        assert "No container was touched" in output
    assert "--vault-password-file" in none
    assert (clock.container(), clock.directories()) == (before, directories)
    assert clock.has() == (clock.token, clock.key)


def test_the_last_words_of_a_container_do_not_give_its_secrets_away(clock: Clock) -> None:
    fails = "  bounce_method: upthendown\n  cmd: 'echo token $TOKEN; cat /secrets/key; exit 1'\n"
    flags = ["--vault-password-file", str(clock.password), "-vvvv"]
    with clock.files_put_back():
        clock.platform.change(CLOCK, "  bounce_method: downthenup\n", fails)
        output = clock.platform.fails("deploy", service="clock", flags=flags)
    assert "    | token ********" in output
    assert clock.token not in output
    assert clock.key not in output
    assert clock.has() == (clock.token, clock.key)
    assert len(clock.directories()) == 1


def test_files_that_somebody_removed_are_noticed(clock: Clock) -> None:
    node, before = clock.container()
    clock.platform.node(node, "sh", "-c", f"rm -r {DIRECTORY}/*")
    assert "its secret files are gone" in clock.platform.play("status", service="clock").output
    assert clock.platform.play("plan", service="clock").changed == 1
    clock.play("deploy")
    assert clock.container()[1] != before
    assert clock.has() == (clock.token, clock.key)


def test_what_a_killed_run_left_behind_is_removed(clock: Clock) -> None:
    left = f"{DIRECTORY}/clock.main.git00000000.config00000000.0.00000000"
    clock.platform.node("node2", "sh", "-c", f"mkdir -p {left}/0 && echo x > {left}/0/key")
    assert len(clock.directories()) == 2
    assert clock.play("deploy").changed == 0
    assert len(clock.directories()) == 1


def test_after_a_reboot_nothing_starts_without_its_secrets_and_the_next_deploy_repairs_it(clock: Clock) -> None:
    node, before = clock.container()
    docker("restart", clock.platform.container(node))
    clock.platform.wait_well(node)
    runs = clock.platform.node(node, "docker", "inspect", "-f", "{{.State.Running}}", before)
    assert runs.strip() == "false"
    assert clock.directories() == []
    assert f"{DIRECTORY}/" in clock.platform.play("status", service="clock").output
    clock.play("deploy")
    assert clock.has() == (clock.token, clock.key)

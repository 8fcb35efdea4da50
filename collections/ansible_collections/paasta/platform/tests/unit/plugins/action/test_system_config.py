# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""playbooks/import_etc_paasta.yml from end to end, as a person runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings, parse

ROOT = Path(__file__).parents[8]
FIXTURES = Path(__file__).parent / "fixtures"
pytestmark = pytest.mark.skipif(not (ROOT / "playbooks").is_dir(), reason="the collection without its repository")


def ansible_playbook(*options: str) -> tuple[int, str]:
    """Exit status and output of a run."""
    program = Path(sys.executable).parent / "ansible-playbook"
    done = subprocess.run(
        [str(program), "-i", "localhost,", "playbooks/import_etc_paasta.yml", *options],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def play(fixture: str, inventory: Path, *options: str) -> str:
    """The output of a run that must succeed."""
    status, output = ansible_playbook("-e", f"into={inventory}", "-e", f"etc_paasta={FIXTURES / fixture}", *options)
    assert status == 0, output
    return output


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    assert found is not None
    return int(found[1])


def settings(inventory: Path) -> Settings:
    """The settings as Ansible itself reads the file, and this project the variables."""
    return parse(dict(DataLoader().load_from_file(str(inventory / "group_vars/all/paasta.yml"))))


def test_minimal(tmp_path: Path) -> None:
    checked = play("etc_paasta_minimal", tmp_path, "--check", "--diff")
    assert changed(checked) == 1
    assert "+paasta_cluster: test-cluster" in checked
    assert list(tmp_path.iterdir()) == []

    first = play("etc_paasta_minimal", tmp_path)
    assert changed(first) == 1
    text = (tmp_path / "group_vars/all/paasta.yml").read_text()
    assert changed(play("etc_paasta_minimal", tmp_path, "--diff")) == 0
    assert (tmp_path / "group_vars/all/paasta.yml").read_text() == text

    found = settings(tmp_path)
    assert found.cluster == "test-cluster"
    assert found.docker_registry == "registry.example.org:5000"
    assert found.zookeeper == "zk://zookeeper.example.org:2181"
    assert found.secret_environments == {"test-cluster": "test"}
    assert found.volumes[0].mode == "RO"
    assert "unknown: []" in first
    assert "api_endpoints (api_endpoints.json:2): there is no API server" in first


def test_kubernetes(tmp_path: Path) -> None:
    output = play("etc_paasta_kubernetes", tmp_path)
    found = settings(tmp_path)
    assert found.clusters == ("kind-one", "kind-two")
    assert found.pool_limits["kind-one"]["default"] == {"max_cpus": 8, "recommended_pool": "large"}
    assert found.pool_limits["kind-two"]["default"] == {"max_cpus": 4}
    assert found.custom_resource_types["flink"]["plural"] == "flinks"
    assert found.pod_defaults == {"priorityClassName": "{{ not a template }}"}
    assert found.hacheck_sidecar_volumes[0].container_path == "/spool"
    assert "unknown: []" in output
    assert "0 lets no node be drained" in output
    assert "set paasta_vault_url if it was" in output


def test_secrets_are_nowhere(tmp_path: Path) -> None:
    output = play("etc_paasta_mesos", tmp_path, "-vvvv", "--diff")
    output += play("etc_paasta_mesos", tmp_path, "-vvvv", "--diff", "--check")
    text = (tmp_path / "group_vars/all/paasta.yml").read_text()
    assert "CANARY" not in output + text
    for name in ("slack.token", "marathon_servers.password", "paasta_native.secret", "zookeeper looks like a secret"):
        assert name in output
    for name in ("our_own_token", "docker_regsitry", "did you mean docker_registry?", "sensu_port"):
        assert name in output
        assert name in text
    assert settings(tmp_path).marathon_servers == ({"user": "m", "url": ("http://m1:8080", "http://m2:8080")},)


def test_arguments_are_checked() -> None:
    status, output = ansible_playbook()
    assert status != 0
    assert "missing required arguments: into" in output


def test_errors_fail_the_play(tmp_path: Path) -> None:
    status, output = ansible_playbook("-e", f"into={tmp_path}", "-e", f"etc_paasta={tmp_path / 'nowhere'}")
    assert status != 0
    assert "Nothing was written." in output

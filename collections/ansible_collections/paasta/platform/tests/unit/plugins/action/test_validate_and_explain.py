# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The playbooks from end to end, as users start them, with the inventory and the examples of the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[8]
EXAMPLE_CONFIGS = REPOSITORY / "examples" / "soa-configs"


def play(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", f"playbooks/{name}.yml", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The examples with a misspelt deploy group."""
    root = tmp_path / "soa"
    shutil.copytree(EXAMPLE_CONFIGS, root)
    file = root / "web" / "kubernetes-local.yaml"
    lines = [line for line in file.read_text().splitlines() if "deploy_group" not in line]
    file.write_text("\n".join(lines).replace("main:", "main:\n  deploy_group: local.mian") + "\n")
    return root


def test_validate_the_examples(tmp_path: Path) -> None:
    sarif = tmp_path / "new" / "report.sarif"
    done = play("validate", "-e", f"sarif={sarif}", "-e", "strict=true")
    assert done.returncode == 0, done.stdout
    assert "0 errors, 0 warnings in" in done.stdout
    assert json.loads(sarif.read_text())["runs"][0]["results"] == []
    again = play("validate", "-e", f"sarif={sarif}")
    assert "changed=0" in again.stdout


def test_validate_fails_and_still_reports(broken: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = play("validate", "-e", f"soa_dir={broken}", "-e", f"json={report}")
    assert done.returncode == 2
    # Said once, as text; not again as data.
    assert done.stdout.count("did you mean local.main?") == 1
    (error,) = json.loads(report.read_text())["errors"]
    assert (error["file"], error["rule"]) == ("web/kubernetes-local.yaml", "unknown-deploy-group")
    assert error["line"] > 0


def test_validate_checks_its_arguments() -> None:
    done = play("validate", "-e", "strict=perhaps")
    assert done.returncode == 2
    assert "strict" in done.stdout


def test_the_module_does_the_same_where_no_action_plugin_can(broken: Path, tmp_path: Path) -> None:
    """``async`` makes the task run the module, in a process of its own."""
    (tmp_path / "play.yml").write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n"
        f"    - paasta.platform.validate: {{soa_dir: {broken}}}\n      async: 60\n      poll: 1\n"
        "      register: found\n      failed_when: found.report.counts.errors != 1\n"
        f"    - paasta.platform.explain: {{soa_dir: {EXAMPLE_CONFIGS}, cluster: local,"
        " instance: web.main, key: cpus}\n"
        "      async: 60\n      poll: 1\n      register: found\n"
        "      failed_when: found.rows[0].file != 'web/kubernetes-local.yaml'\n"
    )
    done = play("../" + os.path.relpath(tmp_path / "play", REPOSITORY / "playbooks" / ".."))
    assert done.returncode == 0, done.stdout


def test_explain() -> None:
    done = play("explain", "-e", "instance=web.main", "-e", "key=env")
    assert done.returncode == 0, done.stdout
    assert "env.LOG_LEVEL" in done.stdout
    assert "web/service.yaml:" in done.stdout
    wrong = play("explain", "-e", "instance=web.mian")
    assert wrong.returncode == 2
    assert "did you mean web.main?" in wrong.stdout.replace("\n", " ").replace("    ", " ").replace("  ", " ")

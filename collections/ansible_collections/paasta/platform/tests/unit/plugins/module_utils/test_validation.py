# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The module's work and the command, over real directories."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils import validate_cli, validation
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings

REPOSITORY = Path(__file__).parents[8]
GOOD: dict[str, str] = {
    "web/service.yaml": "description: a\nexternal_link: b\n",
    "web/monitoring.yaml": "team: words\n",
    "web/deploy.yaml": "pipeline: [{step: prod.main}]\n",
    "web/smartstack.yaml": "main: {proxy_port: 20001}\n",
    "web/kubernetes-prod.yaml": "main: {deploy_group: prod.main}\n",
    "api/smartstack.yaml": "main: {proxy_port: 20002}\n",
}
WRONG = {"web/kubernetes-prod.yaml": "main: {deploy_group: prod.mian}\n"}
ODD = {"web/service.yaml": "description: a\n"}
SAID = (
    'web/kubernetes-prod.yaml\n  1:8: error: main.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
    "did you mean prod.main? [unknown-deploy-group]\n\n1 error, 0 warnings in"
)
Tree = Callable[..., str]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def write(**options: dict[str, str]) -> str:
        for name, text in {**GOOD, **options.get("files", {})}.items():
            path = tmp_path / "soa" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / "soa")

    return write


def run(soa_dir: str, check_mode: bool = False, **args: Any) -> dict[str, Any]:
    defaults = {"services": [], "clusters": [], "settings": {}, "reports": {}, "fail_on_warnings": False}
    return validation.run({"soa_dir": soa_dir, **defaults, **args}, check_mode)


def command(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return validate_cli.main(list(arguments), out), out.getvalue()


def test_a_good_tree(tree: Tree) -> None:
    result = run(tree())
    assert not result.get("failed")
    assert not result["changed"]
    assert result["report"]["counts"] == {"errors": 0, "warnings": 0, "files": 6, "services": 2, "instances": 1}


def test_errors_fail_with_all_of_them(tree: Tree) -> None:
    result = run(tree(files=WRONG))
    assert result["failed"]
    assert result["msg"] == result["text"]
    assert result["msg"].startswith(SAID)
    assert [error["rule"] for error in result["report"]["errors"]] == ["unknown-deploy-group"]


def test_warnings_fail_only_when_asked_to(tree: Tree) -> None:
    root = tree(files=ODD)
    assert not run(root).get("failed")
    assert run(root, fail_on_warnings=True)["failed"]


def test_services_and_clusters_narrow(tree: Tree) -> None:
    root = tree(files=WRONG)
    assert not run(root, services=["api"]).get("failed")
    assert run(root, services=["web"])["failed"]
    assert run(root, clusters=["prod"])["failed"]
    assert run(root, services=["wbe"])["report"]["errors"][0]["hint"] == "did you mean web?"


def test_wrong_settings_are_told_instead(tree: Tree) -> None:
    result = run(tree(), settings={"paasta_proxy_port_rnage": [1, 2]})
    assert result["failed"]
    assert "did you mean paasta_proxy_port_range?" in result["msg"]


def test_reports_are_written_once(tree: Tree, tmp_path: Path) -> None:
    root = tree(files=WRONG)
    wanted = {name: str(tmp_path / "new" / f"report.{name}") for name in validation.FILE_FORMATS}
    assert run(root, check_mode=True, reports=wanted)["changed"]
    assert not (tmp_path / "new").exists()
    result = run(root, reports=wanted)
    assert result["failed"]
    assert result["changed"]
    assert json.loads(Path(wanted["json"]).read_text()) == result["report"]
    assert Path(wanted["text"]).read_text() == result["text"]
    assert not run(root, reports=wanted)["changed"]


def test_a_report_that_cannot_be_written(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tree(), reports={"json": str(tmp_path / "file" / "report.json")})
    assert result["failed"]
    assert "the report cannot be written" in result["msg"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    outcome = validation.look(str(tmp_path / "nothing"), Settings())
    assert outcome.broken
    assert outcome.errors[0].rule == "soa-dir"


# the command


@pytest.mark.parametrize(
    ("files", "options", "status"),
    [
        ({}, [], 0),
        (WRONG, [], 1),
        (ODD, [], 0),
        (ODD, ["--strict"], 1),
        (WRONG, ["--service", "api"], 0),
        (WRONG, ["--service", "api", "--service", "web"], 1),
        (WRONG, ["--cluster", "dev"], 0),
    ],
)
def test_exit_status(tree: Tree, files: dict[str, str], options: list[str], status: int) -> None:
    assert command(tree(files=files), *options)[0] == status


def test_formats(tree: Tree) -> None:
    root = tree(files=WRONG)
    assert command(root)[1].startswith(SAID)
    assert json.loads(command(root, "--format", "json")[1])["counts"]["errors"] == 1
    assert json.loads(command(root, "--format", "sarif")[1])["version"] == "2.1.0"
    assert command(root, "--format", "junit")[1].startswith("<?xml")


def test_a_report_in_a_file_and_words_for_people(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.sarif"
    status, out = command(tree(files=WRONG), "-f", "sarif", "-o", str(target))
    assert (status, out) == (1, "")
    assert json.loads(target.read_text())["version"] == "2.1.0"
    assert capsys.readouterr().err.startswith(SAID)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        (["web/kubernetes-prod.yaml"], 1),
        (["api/deploy.yaml"], 0),
        (["api/deploy.yaml", "web/monitoring.yaml"], 1),
        (["api/smartstack.yaml"], 1),  # anything may register there
        (["_shared/secrets/a.json"], 1),
        (["location_types.json"], 1),
        (["gone/kubernetes-prod.yaml"], 1),  # somebody may have called it
        (["tron/prod/MASTER.yaml"], 1),
        (["api/secrets/a.json"], 0),
        (["README.md", "docs/a.txt", ".github/workflows/a.yaml"], 0),
    ],
)
def test_files_as_pre_commit_passes_them(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, changed: list[str], status: int
) -> None:
    root = tree(files={**WRONG, "tron/prod/MASTER.yaml": "{}\n"})
    assert command("--soa-dir", root, *(os.path.join(root, name) for name in changed))[0] == status
    monkeypatch.chdir(root)
    assert command(*changed)[0] == status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{root}/nothing"], None),
        (["--settings", "{root}/nothing.yaml", "{root}"], "nothing.yaml: No such file"),
        (["--settings", "{root}/web/broken.yaml", "{root}"], "is not valid YAML"),
        (["--settings", "{root}/web/settings.yaml", "{root}"], "paasta_proxy_port_range"),
        (["--soa-dir", "{root}", "/etc/hostname"], "is not in"),
        (["{root}/web", "{root}/api"], "is a directory"),
        (["{root}", "--output", "{root}/web/service.yaml/x"], "service.yaml"),
    ],
)
def test_what_cannot_be_checked(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str | None
) -> None:
    root = tree(files={"web/broken.yaml": "a: [\n", "web/settings.yaml": "paasta_proxy_port_range: 3\n"})
    status, out = command(*(argument.format(root=root) for argument in arguments))
    assert status == 2
    if says is None:
        assert "is not a readable soa-configs directory" in out or "is not in" in capsys.readouterr().err
    else:
        assert says in capsys.readouterr().err


def test_settings_of_an_inventory(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree()
    for number, variables in enumerate(
        (
            {"other": 1, "paasta_soa_dir": "{{ playbook_dir }}", "paasta_service_sources": {"a": "{{ b }}"}},
            {"paasta_proxy_port_range": [19000, 20000], "paasta_proxy_port_rnage": [1, 2]},
        )
    ):
        (tmp_path / f"{number}.yml").write_text(yaml.safe_dump(variables))
    assert command(root, "--settings", str(tmp_path / "0.yml"))[0] == 0
    status, out = command(root, "--settings", str(tmp_path / "0.yml"), "--settings", str(tmp_path / "1.yml"))
    assert status == 1
    assert out.count("proxy-port-range") == 2
    assert "did you mean paasta_proxy_port_range?" in capsys.readouterr().err


# as users start it


@pytest.mark.parametrize(
    "program",
    [
        [str(REPOSITORY / "scripts/validate")],
        [sys.executable, "-m", "ansible_collections.paasta.platform.plugins.module_utils.validate_cli"],
    ],
)
def test_as_a_program(tree: Tree, program: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "collections")}
    done = subprocess.run([*program, tree(files=WRONG)], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(SAID)


def test_the_hook_starts_the_script() -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    assert os.access(REPOSITORY / hook["entry"], os.X_OK)
    assert hook["language"] == "script"
    assert hook["require_serial"]  # pre-commit splits long lists of files over processes otherwise

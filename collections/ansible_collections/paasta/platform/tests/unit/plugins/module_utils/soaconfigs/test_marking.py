# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import marking

Soa = Callable[..., str]
SHA = "0123456789abcdef0123456789abcdef01234567"
NEW = SHA[::-1]


def mark(group: str | None = "prod.main", sha: str = NEW, service: str = "web") -> dict[str, Any]:
    return {"service": service, "deploy_group": group, "git_sha": sha, "image_version": None}


def control(instance: str = "main", cluster: str = "prod", **values: Any) -> dict[str, Any]:
    empty = {"desired_state": None, "force_bounce": None, "only_if_absent": False}
    return {"service": "web", "instance": instance, "cluster": cluster, **empty, **values}


def run(root: str, *, marks: Any = (), controls: Any = (), check: bool = False, diff: bool = False) -> dict[str, Any]:
    return marking.run({"soa_dir": root, "marks": list(marks), "controls": list(controls)}, check, diff)


def record(root: str) -> Any:
    return json.loads((Path(root) / "web" / "deployments.json").read_text())["v2"]


def test_mark(soa: Soa) -> None:
    root = soa({"web/kubernetes-dev.yaml": "_t: {}\nmain: {deploy_group: prod.main}\nx: {deploy_group: prod.canary}\n"})
    result = run(root, marks=[mark()], diff=True)
    assert (result["changed"], result["services"]) == (True, ["web"])
    assert result["marks"][0]["previous_git_sha"] == SHA
    assert result["diff"][0]["before_header"] == "web/deployments.json"
    assert f'-{NEW}"' in result["diff"][0]["after"]
    assert record(root)["deployments"]["prod.main"]["git_sha"] == NEW
    assert sorted(record(root)["controls"]) == ["web:dev.main", "web:prod.main"]
    assert run(root, marks=[mark()], diff=True)["changed"] is False
    assert sorted(os.listdir(Path(root) / "web")) == sorted({*os.listdir(Path(root) / "web")})
    assert not [name for name in os.listdir(Path(root) / "web") if name.startswith(".")]


def test_check_mode_tells_and_changes_nothing(soa: Soa) -> None:
    root = soa({"web/deployments.json": None})
    result = run(root, marks=[mark()], check=True, diff=True)
    assert result["changed"] is True
    assert result["diff"][0]["before"] == ""
    assert not (Path(root) / "web" / "deployments.json").exists()


def test_controls(soa: Soa) -> None:
    root = soa()
    assert run(root, controls=[control(desired_state="stop", only_if_absent=True)])["changed"] is False
    assert run(root, controls=[control(desired_state="stop")])["changed"] is True
    assert run(root, controls=[control(force_bounce="7")])["changed"] is True
    assert record(root)["controls"]["web:prod.main"] == {"desired_state": "stop", "force_bounce": "7"}
    run(root, marks=[mark()])
    assert record(root)["controls"]["web:prod.main"]["desired_state"] == "stop"


def test_an_instance_can_be_stopped_before_its_first_mark(soa: Soa) -> None:
    root = soa({"web/deployments.json": None})
    run(root, marks=[mark()], controls=[control(desired_state="stop", only_if_absent=True)])
    assert record(root)["controls"]["web:prod.main"]["desired_state"] == "stop"


def test_a_mark_without_deploy_group_is_for_all_that_instances_use(soa: Soa) -> None:
    root = soa({"web/kubernetes-dev.yaml": "a: {deploy_group: prod.main}\nb: {deploy_group: prod.canary}\n"})
    result = run(root, marks=[mark(None)])
    assert {entry["deploy_group"] for entry in result["marks"]} >= {"prod.main", "prod.canary"}
    assert record(root)["deployments"]["prod.canary"]["git_sha"] == NEW


def test_everything_unknown_is_refused_at_once_before_writing(soa: Soa) -> None:
    root = soa()
    before = (Path(root) / "web" / "deployments.json").read_bytes()
    marks = [mark(), mark("prod.mian"), mark(service="wbe"), mark(sha="abc")]
    controls = [control("mian"), control("_t"), control(cluster="prdo")]
    result = run(root, marks=marks, controls=controls)
    assert result["failed"] is True
    assert result["msg"].splitlines() == [
        "Nothing was written.",
        'controls[0].instance: "mian" is not an instance of web in cluster prod; did you mean main?',
        'controls[1].instance: "_t" is not an instance of web in cluster prod; names that begin with _ are templates',
        'controls[2].cluster: web has no instances in cluster "prdo"; did you mean prod?',
        'marks[1].deploy_group: "prod.mian" is not a deploy group of web; did you mean prod.main?',
        'marks[2].service: "wbe" is not a service; did you mean web?',
        'marks[3].git_sha: "abc" is not a git sha; it must have 40 digits of 0-9 and a-f',
    ]
    assert (Path(root) / "web" / "deployments.json").read_bytes() == before


def test_a_broken_record_is_not_overwritten(soa: Soa) -> None:
    result = run(soa({"web/deployments.json": "{"}), marks=[mark()])
    assert result["failed"] is True
    assert "web/deployments.json:1:2: is not valid JSON" in result["msg"]


def test_a_record_keeps_its_mode_and_its_link(soa: Soa, tmp_path: Path) -> None:
    root = soa()
    path, target = Path(root) / "web" / "deployments.json", tmp_path / "kept.json"
    path.rename(target)
    target.chmod(0o600)
    path.symlink_to(target)
    run(root, marks=[mark()])
    assert path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert NEW in target.read_text()


def test_a_full_disk_changes_no_file(soa: Soa, monkeypatch: pytest.MonkeyPatch) -> None:
    root = soa({"api/kubernetes-prod.yaml": "main: {deploy_group: prod.main}\n"})
    before = (Path(root) / "web" / "deployments.json").read_bytes()
    stage = marking._stage

    def fill(target: str, text: str) -> str:
        if "/web/" in target:
            raise OSError(28, "No space left on device", target)
        return stage(target, text)

    monkeypatch.setattr(marking, "_stage", fill)
    result = run(root, marks=[mark(service="api"), mark()])
    assert result["failed"] is True
    assert result["msg"].endswith("web/deployments.json: cannot be written: No space left on device")
    assert os.listdir(Path(root) / "api") == ["kubernetes-prod.yaml"]
    assert (Path(root) / "web" / "deployments.json").read_bytes() == before

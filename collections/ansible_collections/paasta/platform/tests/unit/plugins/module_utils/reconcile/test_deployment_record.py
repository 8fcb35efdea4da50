# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

"""The record kept as files; what is refused and what is reported is the same for all records."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import deployment_record
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import atomic

Soa = Callable[..., str]
SHA = "0123456789abcdef0123456789abcdef01234567"
NEW = SHA[::-1]


def mark(group: str | None = "prod.main", sha: str = NEW, service: str = "web") -> dict[str, Any]:
    return {"service": service, "deploy_group": group, "git_sha": sha, "image_version": None}


def rollback(group: str = "prod.main", sha: str | None = None, version: str | None = None) -> dict[str, Any]:
    return {"service": "web", "deploy_group": group, "git_sha": sha, "image_version": version}


def control(instance: str = "main", cluster: str = "prod", **values: Any) -> dict[str, Any]:
    empty = {"desired_state": None, "force_bounce": None, "only_if_absent": False}
    return {"service": "web", "instance": [instance], "cluster": cluster, **empty, **values}


def run(
    root: str, *, marks: Any = (), rollbacks: Any = (), controls: Any = (), check: bool = False, diff: bool = False
) -> dict[str, Any]:
    lists = {"marks": list(marks), "rollbacks": list(rollbacks), "controls": list(controls)}
    return deployment_record.run({"soa_dir": root, "record": "files", "by": "maria@here", **lists}, check, diff)


@pytest.fixture
def soa(soa: Soa) -> Soa:
    """The tree of conftest in which web's group prod.main is marked with SHA, by PaaSTA, which keeps no history."""
    version = {"docker_image": f"services-web:paasta-{SHA}", "git_sha": SHA, "image_version": None}
    controls = {"web:prod.main": {"desired_state": "start", "force_bounce": None}}
    text = json.dumps({"v2": {"deployments": {"prod.main": version}, "controls": controls}})
    return lambda changes=None: soa({"web/deployments.json": text, **(changes or {})})


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
    root = soa()
    before = (Path(root) / "web" / "deployments.json").read_bytes()
    stage = atomic._stage

    def fill(target: str, text: str) -> str:
        if "/web/" in target:
            raise OSError(28, "No space left on device", target)
        return stage(target, text)

    monkeypatch.setattr(atomic, "_stage", fill)
    result = run(root, marks=[mark(service="api"), mark()])
    assert result["failed"] is True
    assert result["msg"].endswith("web/deployments.json: cannot be written: No space left on device")
    assert os.listdir(Path(root) / "api") == ["kubernetes-prod.yaml"]
    assert (Path(root) / "web" / "deployments.json").read_bytes() == before


def test_rollback(soa: Soa) -> None:
    root = soa()
    run(root, marks=[mark()])
    result = run(root, rollbacks=[rollback()], diff=True)
    assert result["changed"] is True
    row = result["rollbacks"][0]
    assert (row["from_git_sha"], row["git_sha"], row["docker_image"]) == (NEW, SHA, f"services-web:paasta-{SHA}")
    assert record(root)["deployments"]["prod.main"]["git_sha"] == SHA
    # The version that was bad is not gone back to, and there is no other.
    again = run(root, rollbacks=[rollback()])
    assert again["msg"] == (
        "Nothing was written.\nrollbacks[0]: no earlier version of web prod.main is known that was not rolled back "
        "itself (known: 01234567, 76543210); name one with git_sha (-e sha=)"
    )
    assert run(root, rollbacks=[rollback(sha=NEW)])["changed"] is True
    assert run(root, rollbacks=[rollback(sha=NEW)])["changed"] is False
    assert record(root)["deployments"]["prod.main"]["git_sha"] == NEW


def test_rollback_to_another_image_of_the_same_commit(soa: Soa) -> None:
    root = soa()
    for version in ("1", "2"):
        run(root, marks=[{**mark(), "image_version": version}])
    assert run(root, rollbacks=[rollback()])["rollbacks"][0]["image_version"] == "1"
    assert run(root, rollbacks=[rollback(sha=SHA)])["rollbacks"][0]["from_image_version"] == "1"
    # What the commit was last marked with.
    assert run(root, rollbacks=[rollback(sha=NEW)])["rollbacks"][0]["image_version"] == "1"


def test_nothing_to_roll_back(soa: Soa) -> None:
    result = run(soa(), rollbacks=[rollback("prod.canary"), rollback("prod.main")])
    assert result["msg"].splitlines()[1:] == [
        "rollbacks[0]: web prod.canary: no version is marked, so there is none to roll back",
        "rollbacks[1]: no earlier version of web prod.main is known that was not rolled back itself (known: 01234567); "
        "name one with git_sha (-e sha=)",
    ]


def test_who_marked_what_is_remembered(soa: Soa) -> None:
    root = soa()
    run(root, marks=[mark()])
    newest, before = json.loads((Path(root) / "web" / "deployments.json").read_text())["history"]["prod.main"]
    assert (newest["git_sha"], newest["by"], len(newest["time"])) == (NEW, "maria@here", len("20260102T030405"))
    assert (before["git_sha"], before["by"], before["time"]) == (SHA, "", "")


def test_several_instances_in_one_control(soa: Soa) -> None:
    root = soa()
    run(root, controls=[{**control(desired_state="stop"), "instance": ["main", "canary"]}])
    states = {key: value["desired_state"] for key, value in record(root)["controls"].items()}
    assert states == {"web:prod.main": "stop", "web:prod.canary": "stop"}


def test_version_1_follows_where_it_exists(soa: Soa) -> None:
    old = {"docker_image": f"services-web:paasta-{SHA}", "desired_state": "stop", "force_bounce": None}
    root = soa({"web/deployments.json": json.dumps({"v1": {"web:paasta-prod.main": old}})})
    run(root, marks=[mark("prod.canary")])
    document = json.loads((Path(root) / "web" / "deployments.json").read_text())
    assert document["v2"]["deployments"]["prod.main"]["git_sha"] == SHA
    assert document["v2"]["controls"]["web:prod.main"]["desired_state"] == "stop"
    assert document["v1"]["web:paasta-prod.main"] == old
    assert document["v1"]["web:paasta-prod.canary"]["docker_image"] == f"services-web:paasta-{NEW}"


def test_marks_of_many_processes_are_all_there(soa: Soa, at_once: Any) -> None:
    groups = [f"g{number}" for number in range(12)]
    text = "".join(f"i{number}: {{deploy_group: {group}}}\n" for number, group in enumerate(groups))
    root = soa({"web/kubernetes-prod.yaml": text})
    empty = {"soa_dir": root, "record": "files", "by": None, "rollbacks": [], "controls": []}
    results = at_once([{**empty, "marks": [mark(group)]} for group in groups])
    assert all(result["changed"] for result in results)
    assert record(root)["deployments"].keys() == {"prod.main", *groups}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The record kept as commits of the soa-configs repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import deployment_record, soa_commits
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.conftest import GROUPS, git

pytestmark = pytest.mark.usefixtures("git_identity")
SHA, NEW = "0123456789abcdef0123456789abcdef01234567", "76543210fedcba9876543210fedcba9876543210"
FILE = "web/deployments.json"


class Clone:
    """A checkout of the soa-configs repository."""

    def __init__(self, root: Path, directory: str = ".") -> None:
        self.root, self.soa = root, root / directory

    def git(self, *arguments: str) -> str:
        return git(*arguments, cwd=self.root).rstrip("\n")

    def arguments(self, **lists: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"soa_dir": str(self.soa), "record": "soa_configs_git", "by": "maria@deploy1"}
        empty: dict[str, Any] = {"marks": [], "rollbacks": [], "controls": [], "remote": None, "branch": None}
        return {**given, **empty, "git_timeout": 20, **lists}

    def run(self, check: bool = False, **lists: Any) -> dict[str, Any]:
        return deployment_record.run(self.arguments(**lists), check, True)

    def marked(self, group: str = "prod.main") -> Any:
        return json.loads((self.soa / FILE).read_text())["v2"]["deployments"][group]["git_sha"]


@pytest.fixture
def upstream(tmp_path: Path, git_identity: None) -> Path:
    """A bare repository with the soa-configs of service web at its root."""
    bare, first = tmp_path / "soa.git", tmp_path / "first"
    git("init", "--quiet", "--bare", bare, cwd=tmp_path)
    (first / "web").mkdir(parents=True)
    (first / "web" / "kubernetes-prod.yaml").write_text(GROUPS)
    (first / "README").write_text("ours\n")
    git("init", "--quiet", cwd=first)
    git("add", ".", cwd=first)
    git("commit", "--quiet", "-m", "first", cwd=first)
    git("push", "--quiet", bare, "HEAD:refs/heads/main", cwd=first)
    return bare


@pytest.fixture
def clone(upstream: Path, tmp_path: Path) -> Callable[[str], Clone]:
    def make(name: str = "soa") -> Clone:
        git("clone", "--quiet", upstream, name, cwd=tmp_path)
        return Clone(tmp_path / name)

    return make


Make = Callable[[str], Clone]


def mark(sha: str, group: str | None = "prod.main") -> dict[str, Any]:
    return {"service": "web", "deploy_group": group, "git_sha": sha, "image_version": None}


def stop(*instances: str) -> dict[str, Any]:
    asked = {"desired_state": "stop", "force_bounce": None, "only_if_absent": False}
    return {"service": "web", "cluster": "prod", "instance": list(instances), **asked}


def test_a_mark_is_a_commit_that_says_who_and_what(clone: Make, upstream: Path) -> None:
    soa = clone("soa")
    assert soa.run(marks=[mark(SHA)])["changed"] is True
    assert soa.marked() == SHA
    assert soa.git("status", "--porcelain", "--branch") == "## main...origin/main"
    assert git("log", "-1", "--format=%an %B", "main", cwd=upstream).strip() == (
        "Tess Ter Mark web prod.main at 01234567\n\nMarked-by: maria@deploy1"
    )
    assert git("show", "--name-status", "--format=", "main", cwd=upstream) == f"A\t{FILE}\n"
    again = soa.run(marks=[mark(SHA)])
    assert (again["changed"], again["diff"]) == (False, [])
    soa.run(marks=[mark(NEW)])
    assert soa.git("log", "-1", "--format=%s") == "Mark web prod.main at 76543210 (was 01234567)"
    assert git("rev-list", "--count", "main", cwd=upstream) == "3\n"


def test_several_changes_are_one_commit(clone: Make) -> None:
    soa = clone("soa")
    soa.run(marks=[mark(SHA, None)], controls=[stop("main", "canary")])
    assert soa.git("log", "-1", "--format=%B").splitlines() == [
        "Deployments of web", "", "Mark web prod.canary at 01234567", "Mark web prod.main at 01234567",
        "Stop web.canary in prod", "Stop web.main in prod", "", "Marked-by: maria@deploy1",
    ]  # fmt: skip
    soa.run(marks=[mark(NEW)])
    soa.run(rollbacks=[{"service": "web", "deploy_group": "prod.main", "git_sha": None, "image_version": None}])
    assert soa.git("log", "-1", "--format=%s") == "Roll web prod.main back to 01234567 (from 76543210)"
    assert soa.marked() == SHA


def test_files_are_read_as_they_are_committed(clone: Make) -> None:
    soa = clone("soa")
    contents = {"a": b"", "b": b"one\r\ntwo\r\n", "c d": "\u00fc missing\n".encode(), "e": b"\xff\n\n"}
    for name, content in contents.items():
        (soa.root / name).write_bytes(content)
    soa.git("-c", "core.autocrlf=false", "add", ".")
    soa.git("commit", "--quiet", "-m", "files")
    checkout = soa_commits.find(str(soa.root), None, None, 20)
    assert soa_commits.read(checkout, "HEAD", ["a", "absent", "b", "c d", "also absent", "e"]) == contents


def test_other_changes_stay_as_they_are(clone: Make) -> None:
    soa = clone("soa")
    (soa.root / "README").write_text("mine\n")
    (soa.root / "staged").write_text("mine\n")
    (soa.root / "new").write_text("mine\n")
    soa.git("add", "staged")
    before = soa.git("status", "--porcelain")
    soa.run(marks=[mark(SHA)])
    assert soa.git("status", "--porcelain") == before
    assert soa.git("show", "--name-only", "--format=", "HEAD") == FILE


def test_somebody_elses_marks_are_kept(clone: Make) -> None:
    mine, theirs = clone("mine"), clone("theirs")
    theirs.run(marks=[mark(NEW, "prod.canary")])
    mine.run(marks=[mark(SHA)])  # its checkout was behind
    assert (mine.marked(), mine.marked("prod.canary")) == (SHA, NEW)
    theirs.git("pull", "--quiet")
    assert (theirs.marked(), theirs.marked("prod.canary")) == (SHA, NEW)


def test_a_push_that_is_overtaken_is_made_again(clone: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = clone("mine"), clone("theirs")
    commit = soa_commits.commit

    def slow(*arguments: Any) -> str:
        made = commit(*arguments)
        if arguments[0].directory == str(mine.soa) and not (theirs.soa / FILE).exists():
            theirs.run(marks=[mark(NEW, "prod.canary")])
        return made

    monkeypatch.setattr(soa_commits, "commit", slow)
    assert mine.run(marks=[mark(SHA)])["changed"] is True
    assert (mine.marked(), mine.marked("prod.canary")) == (SHA, NEW)
    assert mine.git("log", "--format=%s", "-2").splitlines() == [
        "Mark web prod.main at 01234567", "Mark web prod.canary at 76543210"
    ]  # fmt: skip


def test_always_overtaken(clone: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    soa = clone("soa")
    monkeypatch.setattr(deployment_record.time, "sleep", lambda seconds: None)

    def overtaken(*_arguments: Any) -> None:
        raise soa_commits.Overtaken

    monkeypatch.setattr(soa_commits, "publish", overtaken)
    assert (
        soa.run(marks=[mark(SHA)])["msg"] == "Nothing was written.\norigin/main moved 5 times meanwhile; run it again"
    )
    assert not (soa.soa / FILE).exists()


def test_a_checkout_that_changes_in_the_middle(clone: Make, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soa = clone("soa")
    commit = soa_commits.commit

    def edited(*arguments: Any) -> str:
        (soa.soa / FILE).write_text("mine\n")
        return commit(*arguments)

    monkeypatch.setattr(soa_commits, "commit", edited)
    message = soa.run(marks=[mark(SHA)])["msg"]
    pushed = git("rev-parse", "--short=8", "main", cwd=upstream).strip()
    assert message.startswith(f"The change was pushed to origin/main as {pushed}, but is not in the checkout: ")
    assert FILE in message
    assert (soa.soa / FILE).read_text() == "mine\n"


def test_many_at_once_lose_nothing(clone: Make, upstream: Path, at_once: Any) -> None:
    clones = [clone("one"), clone("two"), clone("three")]
    # The last two share a checkout.
    runs = [(clones[0], "prod.main"), (clones[1], "prod.canary"), (clones[2], "dev.a"), (clones[2], "dev.b")]
    text = "a: {deploy_group: dev.a}\nb: {deploy_group: dev.b}\n"
    (clones[0].soa / "web" / "kubernetes-dev.yaml").write_text(text)
    clones[0].git("add", ".")
    clones[0].git("commit", "--quiet", "-m", "more")
    clones[0].git("push", "--quiet")
    results = at_once([soa.arguments(marks=[mark(SHA, group)]) for soa, group in runs])
    assert [result.get("msg") for result in results] == [None] * 4
    record = json.loads(git("show", f"main:{FILE}", cwd=upstream))
    assert record["v2"]["deployments"].keys() == {"prod.main", "prod.canary", "dev.a", "dev.b"}


def test_check_mode_commits_nothing(clone: Make, upstream: Path) -> None:
    soa = clone("soa")
    clone("theirs").run(marks=[mark(NEW, "prod.canary")])
    result = soa.run(check=True, marks=[mark(SHA)])
    assert result["changed"] is True
    # Compared with what the remote has, not with the checkout, which is behind.
    assert NEW in result["diff"][0]["before"]
    assert soa.git("log", "--format=%s") == "first"
    assert not (soa.soa / FILE).exists()
    assert git("rev-list", "--count", "main", cwd=upstream) == "2\n"


def test_a_directory_inside_of_a_repository(clone: Make, upstream: Path) -> None:
    soa = clone("soa")
    (soa.root / "configs" / "web").mkdir(parents=True)
    (soa.root / "configs" / "web" / "kubernetes-prod.yaml").write_text(GROUPS)
    soa.git("add", ".")
    soa.git("commit", "--quiet", "-m", "deeper")
    soa.git("push", "--quiet")
    deeper = Clone(soa.root, "configs")
    deeper.run(marks=[mark(SHA)])
    assert deeper.marked() == SHA
    assert git("show", "--name-only", "--format=", "main", cwd=upstream) == f"configs/{FILE}\n"
    deeper.run(marks=[mark(NEW)])
    assert deeper.marked() == NEW


def test_our_file_is_changed_and_not_committed(clone: Make) -> None:
    soa = clone("soa")
    (soa.soa / FILE).write_text("{}")
    assert soa.run(marks=[mark(SHA)])["msg"] == (
        f"Nothing was written.\n{FILE} has changes that are not committed; commit and push them, or git restore it"
    )
    assert (soa.soa / FILE).read_text() == "{}"


def test_commits_that_are_not_pushed_are_not_ours_to_push(clone: Make) -> None:
    soa = clone("soa")
    soa.git("commit", "--quiet", "--allow-empty", "-m", "mine")
    assert soa.run(marks=[mark(SHA)])["msg"] == (
        f"Nothing was written.\n{soa.root} has commits that are not in origin/main (1); push them, or drop them"
    )


def test_a_file_that_git_ignores(clone: Make) -> None:
    soa = clone("soa")
    (soa.root / ".gitignore").write_text("deployments.json\n")
    assert "web/deployments.json: .gitignore keeps it out" in soa.run(marks=[mark(SHA)])["msg"]


def test_a_repository_without_a_remote_is_only_committed_to(clone: Make) -> None:
    soa = clone("soa")
    soa.git("remote", "remove", "origin")
    assert soa.run(marks=[mark(SHA)])["changed"] is True
    assert soa.git("log", "-1", "--format=%s") == "Mark web prod.main at 01234567"
    assert soa.git("status", "--porcelain") == ""


def test_no_branch_is_checked_out(clone: Make, upstream: Path) -> None:
    soa = clone("soa")
    soa.git("checkout", "--quiet", "--detach")
    assert "no branch is checked out; set paasta_soa_configs_branch" in soa.run(marks=[mark(SHA)])["msg"]
    assert soa.run(marks=[mark(SHA)], branch="main")["changed"] is True
    assert soa.marked() == SHA
    assert SHA in git("show", f"main:{FILE}", cwd=upstream)


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (["branch --unset-upstream"], "branch main has no upstream; set paasta_soa_configs_branch"),
        (["remote set-url origin /nowhere"], "'/nowhere' does not appear to be a git repository"),
        (["remote rename origin other", "branch --unset-upstream"], "has no remote origin (it has: other)"),
    ],
)
def test_nowhere_to_push_to(clone: Make, commands: list[str], message: str) -> None:
    soa = clone("soa")
    for command in commands:
        soa.git(*command.split())
    assert message in soa.run(marks=[mark(SHA)])["msg"]
    assert not (soa.soa / FILE).exists()


def test_no_checkout_at_all(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    result = Clone(tmp_path).run(marks=[mark(SHA)])
    assert result["msg"].startswith(f"Nothing was written.\n{tmp_path} is not a git checkout with a commit in it (")


def test_who_commits_where_git_was_not_told(clone: Make, tmp_path: Path) -> None:
    soa = clone("soa")
    (tmp_path / "gitconfig").write_text("[user]\n  useConfigOnly = true\n")
    soa.run(marks=[mark(SHA)])
    assert soa.git("log", "-1", "--format=%an %ae") == "maria@deploy1 maria@deploy1"

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import git_refs
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.git import GitError, git, redact
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import Tag

Make = Callable[[str], Any]
TIME = datetime(2026, 1, 2, 3, 4, 5)

pytestmark = pytest.mark.usefixtures("git_identity")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_refs.time, "sleep", lambda seconds: None)


def deploy(group: str, sha: str, time: datetime = TIME) -> Tag:
    return Tag(time, "", sha, "deploy", group)


def test_tags_are_listed_and_added_to_an_old_commit_too(repository: Make) -> None:
    web = repository("web")
    web.tag("v1", web.shas[0])
    first, last = deploy("prod.main", web.shas[0]), deploy("prod.canary", web.shas[2])
    git_refs.add_tags(web.url, [first, last])
    assert sorted(git_refs.list_tags(web.url)) == sorted([first, last])
    git_refs.add_tags(web.url, [first, last])  # what is there already is no error
    assert len(web.tags()) == 3


def test_an_annotated_tag_counts_as_its_commit(repository: Make) -> None:
    web = repository("web")
    name = "paasta-g-20260102T030405-deploy"
    subprocess.run(["git", "tag", "-a", "-m", "by hand", name, web.shas[1]], cwd=web.path, check=True)
    assert git_refs.list_tags(web.url) == [deploy("g", web.shas[1])]


def test_over_the_network(repository: Make, daemon: str) -> None:
    web = repository("web")
    tag = deploy("prod.main", web.shas[0])
    git_refs.add_tags(f"{daemon}/web.git", [tag, deploy("prod.canary", web.shas[1])])
    assert tag in git_refs.list_tags(f"{daemon}/web.git")


def test_over_ssh(repository: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What git sees of ssh is a program that runs the command it is given on the other machine; here, on this one.
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\nfor command; do :; done\neval "$command"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    web = repository("web")
    url = f"git@git.example.org:{web.path}"
    git_refs.add_tags(url, [deploy("g", web.shas[0])])
    assert git_refs.list_tags(url) == [deploy("g", web.shas[0])]
    assert "git@git.example.org git-upload-pack" in (tmp_path / "log").read_text()


def test_only_the_commit_is_fetched(repository: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    web, fetched = repository("web"), []

    def look(*arguments: str, **options: Any) -> str:
        if arguments[0] == "push":
            fetched.append(git("count-objects", "-v", cwd=options["cwd"]))
        return git(*arguments, **options)

    monkeypatch.setattr(git_refs, "git", look)
    git_refs.add_tags(web.url, [deploy("g", web.shas[2])])
    # Its parents and its tree stay where they are.
    counts = dict(re.findall(r"(count|in-pack): (\d+)", fetched[0]))
    assert int(counts["count"]) + int(counts["in-pack"]) == 1


def test_a_name_that_is_taken_takes_all_of_them_along(repository: Make) -> None:
    web = repository("web")
    git_refs.add_tags(web.url, [deploy("g", web.shas[0])])
    with pytest.raises(git_refs.Taken, match="already exists"):
        git_refs.add_tags(web.url, [deploy("other", web.shas[1]), deploy("g", web.shas[1])])
    assert web.tags() == {"paasta-g-20260102T030405-deploy": web.shas[0]}


def test_a_commit_that_is_not_there(repository: Make) -> None:
    web = repository("web")
    with pytest.raises(GitError, match="has no commit 1{40}; push it there first"):
        git_refs.add_tags(web.url, [deploy("g", "1" * 40)])
    assert web.tags() == {}


def test_a_repository_that_is_not_there_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def count(*arguments: str, **options: Any) -> str:
        asked.append(arguments)
        return git(*arguments, **options)

    monkeypatch.setattr(git_refs, "git", count)
    with pytest.raises(GitError, match="'/nowhere/web.git' does not appear to be a git repository"):
        git_refs.list_tags("/nowhere/web.git")
    assert len(asked) == 1


def test_what_may_pass_is_tried_again(repository: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    web, attempts = repository("web"), []

    def flaky(*arguments: str, **options: Any) -> str:
        attempts.append(arguments)
        if len(attempts) < 3:
            raise GitError("Connection reset by peer", temporary=True)
        return git(*arguments, **options)

    monkeypatch.setattr(git_refs, "git", flaky)
    assert git_refs.list_tags(web.url) == []
    assert len(attempts) == 3


def test_a_port_where_nobody_listens_is_given_up_after_three_attempts() -> None:
    with pytest.raises(GitError, match=r"Connection refused.*\(3 attempts\)"):
        git_refs.list_tags("git://127.0.0.1:1/web.git")


def test_a_server_that_hangs_ends_with_the_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nsleep 60\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setattr(git_refs, "ATTEMPTS", 1)
    start = time.monotonic()
    with pytest.raises(GitError, match="no answer within 0.5 s"):
        git_refs.list_tags("ssh://git.example.org/web", timeout=0.5)
    assert time.monotonic() - start < 10
    # ssh is gone too, not only git.
    pid = int((tmp_path / "pid").read_text())
    for _attempt in range(1000):
        if not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            break
        time.sleep(0.01)
    else:
        pytest.fail("ssh still runs")


@pytest.mark.parametrize(
    ("own", "template", "expected"),
    [
        ("/srv/git/web.git", None, "/srv/git/web.git"),
        (None, "git@git.example.org:services/{service}", "git@git.example.org:services/web"),
        ("https://git.example.org/web", "git@git.example.org:{service}", "https://git.example.org/web"),
        (
            None,
            "ssh://git@git.example.org:2222/services/{service}.git",
            "ssh://git@git.example.org:2222/services/web.git",
        ),
        (None, "file:///srv/{service}", "file:///srv/web"),
    ],
)
def test_the_repository_of_a_service(own: str | None, template: str | None, expected: str) -> None:
    assert git_refs.url_of("web", own, template) == expected


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x", "-oProxyCommand=x", "ext::sh -c id", "fd::17", "ssh://-oProxyCommand=id/x",
        "-x:y", "relative/path", "https://a b", "git@host:a\nb", "ftp://x/y", "host",
    ],
)  # fmt: skip
def test_what_git_is_not_given(url: str) -> None:
    with pytest.raises(ValueError, match="web: git_url .* is not the address of a repository"):
        git_refs.url_of("web", url, None)


def test_no_repository() -> None:
    with pytest.raises(ValueError, match="web has no repository; set git_url in web/service.yaml, or paasta_git_url"):
        git_refs.url_of("web", None, None)


def test_a_directory_that_is_not_there_is_not_a_git_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GitError, match="/nowhere cannot be entered: No such file"):
        git("status", cwd="/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitError, match="install git"):
        git("status")


def test_git_itself_refuses_programs_as_transport() -> None:
    with pytest.raises(GitError, match="transport 'ext' not allowed"):
        git("ls-remote", "--", "ext::sh -c 'exit 7'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://maria:secret@h/x", "https://***@h/x"),
        ("x https://token@h/x y", "x https://***@h/x y"),
        ("ssh://git:pw@h/x", "ssh://git:***@h/x"),
        ("ssh://git@h/x git@h:x", "ssh://git@h/x git@h:x"),
    ],
)
def test_passwords_are_not_shown(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_each_is_asked_once_and_all_failures_are_kept() -> None:
    asked = []

    def work(item: str) -> str:
        asked.append(item)
        if item == "bad":
            raise GitError("no")
        return item.upper()

    results, failed = git_refs.for_each(["a", "bad", "a", "b"], work, 4, "done")
    assert (results, list(failed)) == ({"a": "A", "b": "B"}, ["bad"])
    assert sorted(asked) == ["a", "b", "bad"]
    assert git_refs.for_each([], work, 4, "done") == ({}, {})

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The record kept as tags in the services' repositories, and deployments.json made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import (
    deployment_record,
    deployments_from_git,
    git_refs,
)

Make = Callable[[str], Any]
Soa = Callable[..., str]
pytestmark = pytest.mark.usefixtures("git_identity")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """The time of every mark, and no waiting."""

    def set_to(time: datetime) -> None:
        monkeypatch.setattr(deployment_record, "_now", lambda: time)

    monkeypatch.setattr(git_refs.time, "sleep", lambda seconds: None)
    set_to(datetime(2026, 1, 2, 3, 4, 5))
    return set_to


class Platform:
    """Services web and api, each with a repository."""

    def __init__(self, root: str, web: Any, api: Any) -> None:
        self.root, self.web, self.api = root, web, api
        self.template = f"file://{web.path.parent}/{{service}}.git"

    def arguments(self, **lists: Any) -> dict[str, Any]:
        given = {"soa_dir": self.root, "record": "tags", "git_url": self.template, "git_timeout": 20, "by": None}
        empty: dict[str, Any] = {"marks": [], "rollbacks": [], "controls": [], "git_concurrency": 4}
        return {**given, **empty, **lists}

    def run(self, check: bool = False, **lists: Any) -> dict[str, Any]:
        return deployment_record.run(self.arguments(**lists), check, True)

    def generate(self, services: tuple[str, ...] = (), check: bool = False) -> dict[str, Any]:
        args = {"soa_dir": self.root, "git_url": self.template, "git_timeout": 20, "git_concurrency": 4}
        return deployments_from_git.run({**args, "services": list(services)}, check, True)

    def record(self, service: str = "web") -> Any:
        return json.loads((Path(self.root) / service / "deployments.json").read_text())

    def state(self, instance: str) -> str:
        return self.record()["v2"]["controls"][f"web:prod.{instance}"]["desired_state"]


@pytest.fixture
def platform(soa: Soa, repository: Make) -> Platform:
    return Platform(soa(), repository("web"), repository("api"))


def mark(sha: str, group: str | None = "prod.main", service: str = "web", version: str | None = None) -> dict[str, Any]:
    return {"service": service, "deploy_group": group, "git_sha": sha, "image_version": version}


def control(state: str | None, *instances: str, bounce: str | None = None, once: bool = False) -> dict[str, Any]:
    asked = {"desired_state": state, "force_bounce": bounce, "only_if_absent": once}
    return {"service": "web", "cluster": "prod", "instance": list(instances or ["main"]), **asked}


def test_mark(platform: Platform) -> None:
    sha = platform.web.shas[0]
    result = platform.run(marks=[mark(sha)])
    assert result["tags"] == {"web": ["refs/tags/paasta-prod.main-20260102T030405-deploy"]}
    assert platform.web.tags() == {"paasta-prod.main-20260102T030405-deploy": sha}
    assert platform.record()["v2"]["deployments"]["prod.main"]["git_sha"] == sha
    assert platform.record()["v1"]["web:paasta-prod.main"]["desired_state"] == "start"
    again = platform.run(marks=[mark(sha)])
    assert (again["changed"], again["tags"], again["diff"]) == (False, {}, [])
    assert platform.generate()["changed"] is False


def test_check_mode_pushes_and_writes_nothing(platform: Platform) -> None:
    result = platform.run(check=True, marks=[mark(platform.web.shas[0])])
    assert result["changed"] is True
    assert result["tags"]["web"] == ["refs/tags/paasta-prod.main-20260102T030405-deploy"]
    assert platform.web.shas[0] in result["diff"][0]["after"]
    assert platform.web.tags() == {}
    assert not (Path(platform.root) / "web" / "deployments.json").exists()


def test_a_clock_that_is_behind_still_makes_the_newest_tag(platform: Platform, clock: Any) -> None:
    platform.run(marks=[mark(platform.web.shas[0])])
    clock(datetime(2025, 12, 31))
    platform.run(marks=[mark(platform.web.shas[1])])
    assert "paasta-prod.main-20260102T030406-deploy" in platform.web.tags()
    assert platform.record()["v2"]["deployments"]["prod.main"]["git_sha"] == platform.web.shas[1]


def test_a_stop_survives_a_deploy(platform: Platform, clock: Any) -> None:
    first, second, _third = platform.web.shas
    platform.run(marks=[mark(first, None)])
    platform.run(controls=[control("stop", "main", "canary")])
    clock(datetime(2026, 1, 3))
    platform.run(marks=[mark(second, None)])
    assert (platform.state("main"), platform.state("canary")) == ("stop", "stop")
    assert platform.run(controls=[control("start")])["tags"]["web"] == [
        "refs/tags/paasta-prod.main-20260103T000000-start"
    ]
    assert (platform.state("main"), platform.state("canary")) == ("start", "stop")
    assert platform.run(controls=[control("start")])["changed"] is False
    # The tag points at what is deployed, as PaaSTA's do.
    assert platform.web.tags()["paasta-prod.main-20260103T000000-start"] == second


def test_restart_is_a_time_and_keeps_the_state(platform: Platform) -> None:
    platform.run(marks=[mark(platform.web.shas[0])])
    result = platform.run(controls=[control(None, bounce="20260105T000000")])
    assert result["tags"]["web"] == ["refs/tags/paasta-prod.main-20260105T000000-start"]
    assert platform.record()["v2"]["controls"]["web:prod.main"]["force_bounce"] == "20260105T000000"
    assert platform.run(controls=[control(None, bounce="20260105T000000")])["changed"] is False
    platform.run(controls=[control("stop")])
    platform.run(controls=[control(None, bounce="20260106T000000")])
    assert platform.state("main") == "stop"
    assert platform.run(controls=[control(None, bounce="now")])["msg"] == (
        "Nothing was written.\ncontrols[0]: force_bounce now is not a time (YYYYmmddTHHMMSS), which tags need"
    )


def test_controls_of_what_nobody_marked(platform: Platform) -> None:
    result = platform.run(controls=[control("stop"), control("start", "canary")])
    assert result["msg"].splitlines() == [
        "Nothing was written.",
        "controls[0]: web prod.main is not marked, and the tag of prod.main needs a commit; "
        "mark a version first (playbooks/mark.yml)",
    ]
    # In one run with the mark it can be done, and once.
    platform.run(marks=[mark(platform.web.shas[0])], controls=[control("stop", once=True)])
    assert platform.state("main") == "stop"
    platform.run(controls=[control("start")])
    assert platform.run(controls=[control("stop", once=True)])["changed"] is False


def test_rollback_and_its_marker(platform: Platform, clock: Any) -> None:
    first, second, third = platform.web.shas
    for day, sha in enumerate((first, second, third), 2):
        clock(datetime(2026, 1, day))
        platform.run(marks=[mark(sha)])
    clock(datetime(2026, 1, 9))
    row = platform.run(rollbacks=[mark_of_rollback()])["rollbacks"][0]
    assert (row["from_git_sha"], row["git_sha"]) == (third, second)
    assert platform.web.tags()["paasta-prod.main-20260109T000000-rollback"] == third
    assert platform.record()["v2"]["deployments"]["prod.main"]["git_sha"] == second
    assert platform.run(rollbacks=[mark_of_rollback()])["rollbacks"][0]["git_sha"] == first
    assert "(known: " in platform.run(rollbacks=[mark_of_rollback()])["msg"]
    # Named, any version will do.
    assert platform.run(rollbacks=[mark_of_rollback(third)])["rollbacks"][0]["git_sha"] == third


def mark_of_rollback(sha: str | None = None) -> dict[str, Any]:
    return {"service": "web", "deploy_group": "prod.main", "git_sha": sha, "image_version": None}


def test_one_repository_is_all_or_nothing(platform: Platform) -> None:
    marks = [mark("1" * 40, "prod.main"), mark(sorted(platform.web.shas)[-1], "prod.canary")]
    result = platform.run(marks=[*marks, mark(platform.api.shas[0], service="api")])
    assert result["failed"] is True
    assert result["msg"].startswith("Tagged: api. Not tagged, and their records are as they were:\nweb: file://")
    assert f"has no commit {'1' * 40} or {sorted(platform.web.shas)[-1]}; push it there first" in result["msg"]
    assert (result["changed"], result["services"], list(result["tags"])) == (True, ["api"], ["api"])
    assert platform.record("api")["v2"]["deployments"]["prod.main"]["git_sha"] == platform.api.shas[0]
    assert platform.web.tags() == {}
    assert len(platform.api.tags()) == 1


def test_a_name_that_somebody_takes_meanwhile(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    add = git_refs.add_tags

    def slow(url: str, tags: Any, timeout: float) -> None:
        if not platform.web.tags():
            platform.web.tag("paasta-prod.main-20260102T030405-deploy", platform.web.shas[2])
        add(url, tags, timeout)

    monkeypatch.setattr(git_refs, "add_tags", slow)
    assert platform.run(marks=[mark(platform.web.shas[0])])["changed"] is True
    assert platform.web.tags() == {
        "paasta-prod.main-20260102T030405-deploy": platform.web.shas[2],
        "paasta-prod.main-20260102T030406-deploy": platform.web.shas[0],
    }
    assert platform.record()["v2"]["deployments"]["prod.main"]["git_sha"] == platform.web.shas[0]


def test_what_is_pushed_already_is_not_planned_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    # A rollback goes back one version; done again, it would go back another.
    for day, number in enumerate(range(3), 2):
        clock(datetime(2026, 1, day))
        platform.run(marks=[mark(platform.web.shas[number]), mark(platform.api.shas[number], service="api")])
    clock(datetime(2026, 1, 9))
    add, refused = git_refs.add_tags, []

    def taken_once(url: str, tags: Any, timeout: float) -> None:
        if url == platform.web.url and not refused:
            refused.append(url)
            raise git_refs.Taken("already exists")
        add(url, tags, timeout)

    monkeypatch.setattr(git_refs, "add_tags", taken_once)
    result = platform.run(rollbacks=[mark_of_rollback(), {**mark_of_rollback(), "service": "api"}])
    assert refused
    assert {row["service"]: row["git_sha"] for row in result["rollbacks"]} == {
        "web": platform.web.shas[1], "api": platform.api.shas[1]
    }  # fmt: skip
    assert sorted(result["tags"]) == ["api", "web"]


def test_a_failure_after_others_were_tagged(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    add, listed = git_refs.add_tags, git_refs.list_tags

    def taken(url: str, tags: Any, timeout: float) -> None:
        if url == platform.web.url:
            monkeypatch.setattr(git_refs, "list_tags", lambda url, timeout: listed("/nowhere", timeout))
            raise git_refs.Taken("already exists")
        add(url, tags, timeout)

    monkeypatch.setattr(git_refs, "add_tags", taken)
    result = platform.run(marks=[mark(platform.web.shas[0]), mark(platform.api.shas[0], service="api")])
    assert result["msg"].startswith("Tagged: api. Not tagged, and their records are as they were:\nweb: ")
    assert "'/nowhere' does not appear to be a git repository" in result["msg"]
    assert (result["services"], [row["service"] for row in result["marks"]]) == (["api"], ["api"])
    assert platform.record("api")["v2"]["deployments"]["prod.main"]["git_sha"] == platform.api.shas[0]


def test_names_that_are_always_taken(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_url: str, _tags: Any, _timeout: float) -> None:
        raise git_refs.Taken("already exists")

    monkeypatch.setattr(git_refs, "add_tags", taken)
    result = platform.run(marks=[mark(platform.web.shas[0])])
    assert result["msg"].startswith("Tagged: none. Not tagged")
    assert result["changed"] is False


def test_many_at_once_are_all_there(platform: Platform, at_once: Any) -> None:
    shas = platform.web.shas
    marks = [mark(shas[0]), mark(shas[1]), mark(shas[0], "prod.canary"), mark(shas[2])]
    # Each in a checkout of its own, so that only the repository is between them.
    roots = []
    for number, _mark in enumerate(marks):
        root = Path(platform.root).parent / f"soa{number}"
        (root / "web").mkdir(parents=True)
        (root / "web" / "kubernetes-prod.yaml").write_text(
            (Path(platform.root) / "web/kubernetes-prod.yaml").read_text()
        )
        roots.append(str(root))
    results = at_once(
        [{**platform.arguments(marks=[one]), "soa_dir": root} for one, root in zip(marks, roots, strict=True)]
    )
    assert [result.get("msg") for result in results] == [None] * 4
    assert sorted(platform.web.tags().values()).count(shas[0]) == 2
    assert len(platform.web.tags()) == 4


def test_what_was_marked_in_another_way_becomes_tags(platform: Platform) -> None:
    first, second, _third = platform.web.shas
    files = platform.arguments(record="files", marks=[mark(first, None)], controls=[control("stop", "canary")])
    deployment_record.run(files, False, False)
    refused = platform.generate()
    assert "web: file://" in refused["msg"]
    assert "has no deploy tag of prod.canary, prod.main, which deployments.json has marked" in refused["msg"]
    platform.run(marks=[mark(second)])
    assert platform.state("canary") == "stop"
    deployed = {group: entry["git_sha"] for group, entry in platform.record()["v2"]["deployments"].items()}
    assert deployed == {"prod.main": second, "prod.canary": first}
    # Of prod.main the earlier version is history.
    assert platform.run(rollbacks=[mark_of_rollback()])["rollbacks"][0]["git_sha"] == first
    assert platform.generate()["changed"] is False


def test_records_of_all_services(platform: Platform) -> None:
    web, api = platform.web, platform.api
    web.tag("paasta-prod.main-20260102T030405-deploy", web.shas[0])
    web.tag("paasta-prod.main-20251231T235959-deploy", web.shas[2])
    api.tag("paasta-prodXmain-20270101T000000-deploy", api.shas[1])
    checked = platform.generate(check=True)
    assert checked["services"] == ["api", "web"]
    assert not (Path(platform.root) / "web" / "deployments.json").exists()
    result = platform.generate()
    assert (result["changed"], result["listed"], result["services"]) == (True, 2, ["api", "web"])
    assert platform.record()["v2"]["deployments"]["prod.main"]["git_sha"] == web.shas[0]
    assert platform.record("api") == {"v1": {}, "v2": {"deployments": {}, "controls": {}}}
    before = (Path(platform.root) / "web" / "deployments.json").stat()
    assert platform.generate()["changed"] is False
    assert (Path(platform.root) / "web" / "deployments.json").stat() == before
    web.tag("paasta-prod.canary-20260102T030405-deploy", web.shas[1])
    assert platform.generate(("api",))["changed"] is False
    assert platform.generate(("web",))["services"] == ["web"]


def test_all_that_cannot_be_reached_is_named_and_the_rest_is_written(platform: Platform, soa: Soa) -> None:
    soa({
        "gone/kubernetes-prod.yaml": "main: {}\n",
        "lost/kubernetes-prod.yaml": "main: {}\n",
        "lost/service.yaml": "git_url: git://user:pw@127.0.0.1:1/lost\n",
        "idle/service.yaml": "description: has no instances, so it needs no repository\n",
    })  # fmt: skip
    platform.web.tag("paasta-prod.main-20260102T030405-deploy", platform.web.shas[0])
    result = platform.generate()
    assert (result["failed"], result["changed"], result["services"]) == (True, True, ["web"])
    lines = result["msg"].splitlines()
    assert lines[0] == "The records of 2 of 4 services are as they were:"
    assert re.match(r"gone: file://.*/gone.git: .*does not appear to be a git repository", lines[1])
    assert lines[2].startswith("lost: git://user:***@127.0.0.1:1/lost: ")
    assert len(lines) == 3
    asked = platform.run(marks=[mark("1" * 40, "prod.main", "gone"), mark("1" * 40, "prod.main", "lost")])
    assert len(asked["msg"].splitlines()) == 3


def test_no_repository_is_known(platform: Platform) -> None:
    platform.template = ""
    result = platform.generate()
    assert result["msg"].splitlines() == [
        "Nothing was written.",
        "api has no repository; set git_url in api/service.yaml, or paasta_git_url",
        "web has no repository; set git_url in web/service.yaml, or paasta_git_url",
    ]


def test_services_that_share_a_repository(platform: Platform, soa: Soa) -> None:
    url = f"git_url: {platform.web.url}\n"
    soa({"web/service.yaml": url, "api/service.yaml": url})
    result = platform.run(marks=[mark(platform.web.shas[0]), mark(platform.web.shas[0], service="api")])
    assert result["changed"] is True
    assert len(platform.web.tags()) == 1
    assert platform.record("api")["v2"]["deployments"]["prod.main"]["docker_image"].startswith("services-api:")
    assert platform.generate()["listed"] == 1
    assert platform.generate()["changed"] is False


@pytest.mark.parametrize("group", ["a..b", "with space", "a~b", "a/b"])
def test_a_group_that_can_be_no_tag(platform: Platform, soa: Soa, group: str) -> None:
    soa({"web/kubernetes-prod.yaml": f"main: {{deploy_group: '{group}'}}\n"})
    result = platform.run(marks=[mark(platform.web.shas[0], group)])
    assert "cannot be a git tag" in result["msg"]
    assert platform.web.tags() == {}


def test_a_name_that_is_not_a_service(platform: Platform) -> None:
    assert platform.generate(("wbe",))["msg"] == (
        'Nothing was written.\nservices: "wbe" is not a service; did you mean web?'
    )

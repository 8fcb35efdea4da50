# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import deployments, git_tags
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import Tag, Tags
from hypothesis import given
from hypothesis import strategies as st

A, B, C = (letter * 40 for letter in "abc")
T1, T2, T3 = (datetime(2026, 1, day, 3, 4, 5) for day in (1, 2, 3))

# Group names that look like parts of the grammar are the interesting ones.
PIECES = st.sampled_from(
    ["prod", "main", "a.b", "_", "-", ".", "20200101T000000", "deploy", "start", "stop", "rollback", "paasta", "7", "X"]
)
NAMES = st.lists(PIECES, min_size=1, max_size=5).flatmap(
    lambda pieces: st.sampled_from(["-", ".", "_", ""]).map(lambda joint: joint.join(pieces))
)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda time: time.replace(microsecond=0))
TAGS = st.builds(
    Tag, TIMES, st.just(""), st.sampled_from([A, B]), st.sampled_from(["rollback", "start", "stop"]), NAMES
)
DEPLOYS = st.builds(Tag, TIMES, st.just("") | NAMES, st.sampled_from([A, B]), st.just("deploy"), NAMES)


@given(TAGS | DEPLOYS)
def test_what_is_written_is_what_is_read(tag: Tag) -> None:
    assert git_tags.parse(tag.ref, tag.sha) == tag


@given(st.text("past-+.^{}0123456789T/refsdploy", max_size=80) | st.text(max_size=40))
def test_no_ref_raises_and_what_is_read_is_written_the_same(text: str) -> None:
    for ref in (text, git_tags.PREFIX + text, f"{git_tags.PREFIX}{text}-20260102T030405-deploy"):
        tag = git_tags.parse(ref, A)
        assert tag is None or tag.ref == ref


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paasta-prod.main-20260102T030405-deploy", ("prod.main", "", "deploy")),
        ("paasta-prod.main+20251231T000000-20260102T030405-deploy", ("prod.main", "20251231T000000", "deploy")),
        ("paasta-a-20200101T000000-deploy-20260102T030405-deploy", ("a-20200101T000000-deploy", "", "deploy")),
        ("paasta-prod.job.action-20260102T030405-stop", ("prod.job.action", "", "stop")),
        ("paasta-prod.main-20260102T030405-rollback", ("prod.main", "", "rollback")),
    ],
)
def test_names(name: str, expected: tuple[str, str, str]) -> None:
    tag = git_tags.parse(f"refs/tags/{name}", A)
    assert tag is not None
    assert (tag.subject, tag.image_version, tag.kind, tag.time, tag.sha) == (*expected, T2, A)


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/paasta-prod.main-20260102T030405-deploy",
        "refs/tags/prod.main-20260102T030405-deploy",
        "refs/tags/paasta--20260102T030405-deploy2",
        "refs/tags/paasta-prod.main-20260102T030405-Deploy",
        "refs/tags/paasta-prod.main-20261302T030405-deploy",  # month 13
        "refs/tags/paasta-prod.main-20260230T030405-deploy",  # 30 February
        "refs/tags/paasta-prod.main-20260102T030460-deploy",
        "refs/tags/paasta-prod.main-\u0662\u0660\u0662\u06660102T030405-deploy",  # digits, and not ours
        "refs/tags/paasta-prod.main-2026-01-02-deploy",
        "refs/tags/paasta-prod main-20260102T030405-deploy",
        "refs/tags/paasta-prod.main+1+2-20260102T030405-deploy",
        "refs/tags/paasta-prod.main+1-20260102T030405-stop",
        "refs/tags/paasta-prod.main-20260102T030405-deploy\n",
        "refs/tags/paasta-prod.main-20260102T030405-deploy^{}",
    ],
)
def test_what_is_no_tag_of_ours(ref: str) -> None:
    assert git_tags.parse(ref, A) is None


def test_a_listing_with_annotated_tags_and_everything_else() -> None:
    name = "refs/tags/paasta-g-20260102T030405-deploy"
    lines = [
        f"{A}\tHEAD", f"{A}\trefs/heads/master", f"{B}\t{name}", f"{C}\t{name}^{{}}",
        f"{A}\trefs/tags/v1.0", "warning: something", f"{A}\trefs/tags/paasta-h-20260102T030405-deploy", "",
    ]  # fmt: skip
    found = {tag.subject: tag.sha for tag in git_tags.read_listing("\n".join(lines))}
    assert found == {"g": C, "h": A}


def tags(*found: Tag) -> Tags:
    return git_tags.collect(found)


def deploy(group: str, time: datetime, sha: str, version: str = "") -> Tag:
    return Tag(time, version, sha, "deploy", group)


def test_the_document_is_that_of_the_reference() -> None:
    # reference 4.4: both sections, of instances whose group is marked; one group is unmarked, one is used by nobody.
    found = tags(
        deploy("prod.main", T1, A),
        deploy("prod.main", T2, B, "20260101T000000"),
        deploy("nobody", T1, A),
        Tag(T2, "", A, "stop", "prod.canary"),
        Tag(T1, "", B, "start", "prod.main"),
    )
    instances = {
        ("prod", "main"): "prod.main",
        ("prod", "canary"): "prod.main",
        ("prod", "job.action"): "prod.main",
        ("dev", "main"): "dev.everything",
    }
    image = f"services-web:paasta-{B}-20260101T000000"
    start, stop = {"desired_state": "start"}, {"desired_state": "stop"}
    none, bounced, stopped = (
        {"force_bounce": None},
        {"force_bounce": "20260101T030405"},
        {"force_bounce": "20260102T030405"},
    )
    document = git_tags.document("web", found, instances)
    assert document == {
        "v1": {
            "web:paasta-prod.main": {"docker_image": image, **start, **bounced},
            "web:paasta-prod.canary": {"docker_image": image, **stop, **stopped},
            "web:paasta-prod.job.action": {"docker_image": image, **start, **none},
        },
        "v2": {
            "deployments": {
                "prod.main": {"docker_image": image, "git_sha": B, "image_version": "20260101T000000"},
            },
            "controls": {
                "web:prod.main": {**start, **bounced},
                "web:prod.canary": {**stop, **stopped},
                "web:prod.job.action": {**start, **none},
            },
        },
    }
    record, errors = deployments.read("d", deployments.dump(document).encode())
    assert errors == []
    assert record.versions["prod.main"].git_sha == B


def test_a_stop_survives_a_deploy_until_it_is_lifted() -> None:
    stopped = [deploy("g", T1, A), Tag(T2, "", A, "stop", "prod.main"), deploy("g", T3, B)]
    assert git_tags.control(tags(*stopped), "prod", "main").desired_state == "stop"
    lifted = [*stopped, Tag(datetime(2026, 1, 4), "", B, "start", "prod.main")]
    assert git_tags.control(tags(*lifted), "prod", "main").desired_state == "start"


def test_names_are_not_patterns() -> None:
    found = tags(deploy("aXb", T2, B), deploy("a.b", T1, A), Tag(T2, "", A, "stop", "prodXmain"))
    document = git_tags.document("web", found, {("prod", "main"): "a.b"})
    assert document["v2"]["deployments"]["a.b"]["git_sha"] == A
    assert document["v2"]["controls"]["web:prod.main"]["desired_state"] == "start"


@given(st.permutations([deploy("g", T1, C), deploy("g", T2, A), deploy("g", T2, B), deploy("g", T2, A, "1")]))
def test_of_one_second_every_machine_finds_the_same_one_newest(found: list[Any]) -> None:
    assert git_tags.collect(found).deploys["g"][-1] == deploy("g", T2, A, "1")


def test_history_and_rollback_tags() -> None:
    found = tags(
        deploy("g", T1, A), deploy("g", T2, B), Tag(T3, "", B, "rollback", "g"),
        deploy("g", datetime(2026, 1, 4), A), deploy("g", datetime(2026, 1, 5), B),
    )  # fmt: skip
    marks = git_tags.history("web", found, "g")
    # The tag speaks of the mark before it, not of the one after it.
    assert [(mark.version.git_sha, mark.rolled_back) for mark in marks] == [
        (B, False), (A, False), (B, True), (A, False)
    ]  # fmt: skip
    assert git_tags.history("web", found, "other") == []


@given(st.lists(TIMES.filter(lambda time: time.year < 9999), max_size=5), TIMES)
def test_a_new_time_is_the_newest(older: list[datetime], now: datetime) -> None:
    time = git_tags.next_time(now, [deploy("g", before, A) for before in older])
    assert time >= now
    assert all(time > before for before in older)

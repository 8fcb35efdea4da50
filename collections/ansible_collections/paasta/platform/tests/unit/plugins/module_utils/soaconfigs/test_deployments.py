# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import deployments
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Version
from hypothesis import given
from hypothesis import strategies as st

SHA = "0123456789abcdef0123456789abcdef01234567"
NAMES = st.sampled_from(["main", "canary", "worker"])
MARKS = st.tuples(
    st.just("web"),
    st.sampled_from(["prod.main", "prod.canary"]),
    st.sampled_from([SHA, SHA[::-1]]),
    st.none() | st.just("20260101T000000"),
    st.lists(st.tuples(st.sampled_from(["prod", "dev"]), NAMES), max_size=3),
)
CONTROLS = st.tuples(
    st.just("web"), st.just("prod"), NAMES, st.sampled_from([None, "start", "stop"]), st.sampled_from([None, "1", "2"])
)


def test_a_mark_is_what_paasta_reads() -> None:
    document = deployments.mark({}, "web", "prod.main", SHA, None, [("prod", "main")])
    record, errors = deployments.read("web/deployments.json", deployments.dump(document).encode())
    assert errors == []
    assert record.versions == {"prod.main": Version(SHA, f"services-web:paasta-{SHA}", None)}
    assert record.controls == {"web:prod.main": deployments.Control("start", None)}


def test_the_image_version_is_part_of_the_image() -> None:
    document = deployments.mark({}, "web", "g", SHA, "20260101T000000", [])
    assert document["v2"]["deployments"]["g"]["docker_image"] == f"services-web:paasta-{SHA}-20260101T000000"


@given(MARKS)
def test_marking_twice_is_marking_once(mark: tuple[Any, ...]) -> None:
    once = deployments.mark({}, *mark)
    assert deployments.mark(once, *mark) == once
    assert deployments.dump(json.loads(deployments.dump(once))) == deployments.dump(once)


@given(CONTROLS, CONTROLS, MARKS)
def test_a_mark_keeps_what_was_asked_of_instances(a: Any, b: Any, mark: tuple[Any, ...]) -> None:
    before = deployments.control(deployments.control({}, *a), *b)
    after = deployments.mark(before, *mark)
    assert after["v2"]["controls"].items() >= before["v2"]["controls"].items()
    assert deployments.control(after, *b) == after


def test_a_change_in_words() -> None:
    before = deployments.mark({}, "web", "prod.main", SHA, None, [("prod", "main"), ("prod", "job.action")])
    assert deployments.describe("web", {}, before) == ["Mark web prod.main at 01234567"]
    after = deployments.mark(before, "web", "prod.main", SHA, "2", [("prod", "new")])
    after = deployments.mark(after, "web", "prod.batch", SHA[::-1], None, [])
    after = deployments.control(after, "web", "prod", "job.action", "stop", "7")
    after = deployments.control(after, "web", "prod", "main", None, "7")
    assert deployments.describe("web", before, after) == [
        "Mark web prod.batch at 76543210",
        "Mark web prod.main at 01234567 2 (was 01234567)",
        "Stop web.job.action in prod",
        "Restart web.main in prod",
    ]
    assert deployments.describe("web", after, before, {"prod.main"}) == [
        "Roll web prod.main back to 01234567 (from 01234567 2)",
        "Start web.job.action in prod",
        "Restart web.main in prod",
    ]
    assert deployments.describe("web", after, after) == []


def test_what_is_not_ours_is_kept() -> None:
    document = {"v1": {"x": 1}, "v2": {"deployments": {}, "controls": {}, "other": 2}}
    after = deployments.mark(document, "web", "g", SHA, None, [])
    assert after["v1"] == {"x": 1}
    assert after["v2"]["other"] == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "d:1:2: is not valid JSON: Expecting property name enclosed in double quotes"),
        ("[]", "d:1:1: an empty list is not a mapping"),
        ("{}", "d: has no v2 section; mark a version, or generate it again (playbooks/deployments.yml)"),
        ('{"v2": {"deployments": 3}}', "d:1:9: v2.deployments: 3 is not a mapping"),
        ('{"v2": {"deployments": {\n  "prod.main": {}}}}',
         "d:2:3: v2.deployments.prod.main: an empty mapping has no docker_image and git_sha"),
        ('{"v2": {\n\t"controls": {"web:prod.main": {"desired_state": "stopped"}}}}',
         "d:2:15: v2.controls.web:prod.main: a mapping has no desired_state of start or stop"),
        ('{"v1": {"web:paasta-prod.main": {"docker_image": "web:latest"}}}',
         "d:1:9: v1.web:paasta-prod.main: a mapping has no docker_image of the form services-<service>:paasta-<sha>"),
    ],
)  # fmt: skip
def test_errors(text: str, expected: str) -> None:
    _record, errors = deployments.read("d", text.encode())
    assert [str(error) for error in errors] == [expected]


def test_a_record_of_version_1_only_is_read_by_instance() -> None:
    image = f"services-web:paasta-{SHA}"
    v1 = {
        "web:paasta-prod.main": {"docker_image": image, "desired_state": "stop", "force_bounce": "7"},
        "web:paasta-prod.batch": {"docker_image": f"{image}-20260101T000000"},
    }
    record, errors = deployments.read("d", json.dumps({"v1": v1}).encode())
    assert errors == []
    main = Version(SHA, image, None)
    assert record.version("any.group", "web:prod.main") == main
    assert record.version("prod.main", "web:other.thing") == main
    assert record.version("any.group", "web:prod.other") is None
    assert record.version("any.group", "web:prod.batch") == Version(SHA, f"{image}-20260101T000000", "20260101T000000")
    assert record.controls["web:prod.main"] == deployments.Control("stop", "7")
    assert record.controls["web:prod.batch"] == deployments.Control()

    carried_on = deployments.with_v2({"v1": v1}, record, "web", {("prod", "main"): "live", ("prod", "new"): "other"})
    assert carried_on["v2"]["deployments"] == {"live": deployments.version_entry(main)}
    assert carried_on["v2"]["controls"] == {"web:prod.main": {"desired_state": "stop", "force_bounce": "7"}}


A, B, C = (Version(letter * 40, f"services-web:paasta-{letter * 40}") for letter in "abc")


def marks(*versions: Version, bad: tuple[int, ...] = ()) -> list[deployments.Mark]:
    return [deployments.Mark(version, rolled_back=index in bad) for index, version in enumerate(versions)]


@pytest.mark.parametrize(
    ("history", "present", "good"),
    [
        ([], A, None),
        (marks(A), A, None),
        (marks(B, A), B, A),
        (marks(A, B, A, bad=(1,)), A, None),  # B was rolled back to A
        (marks(C, A, B, A, bad=(2,)), C, A),
        (marks(A, B, C, bad=(1,)), A, C),
        (marks(C, B, A, B, bad=(1, 3)), C, A),  # rolled back the second time it was marked
        (marks(C, B, A, B, bad=(3,)), C, B),  # marked again since, so it is trusted again
        (marks(B, B, A), B, A),
    ],
)
def test_the_last_good_version(history: list[deployments.Mark], present: Version, good: Version | None) -> None:
    assert deployments.last_good(history, present) == good


def test_history_is_of_versions_newest_first_and_ends() -> None:
    document: dict[str, Any] = {}
    for number in range(30):
        for _twice in range(2):
            document = deployments.mark(document, "web", "g", f"{number:040x}", None, [], f"t{number}", "maria")
    found = deployments.history(document, "g")
    assert [mark.time for mark in found] == [f"t{number}" for number in reversed(range(10, 30))]
    assert found[0].by == "maria"


def test_history_of_a_record_without_one_begins_with_what_was_marked() -> None:
    document = deployments.mark({}, "web", "g", SHA, None, [])
    del document["history"]
    document = deployments.mark(document, "web", "g", SHA[::-1], None, [], "t")
    assert [(mark.version.git_sha, mark.time) for mark in deployments.history(document, "g")] == [
        (SHA[::-1], "t"), (SHA, "")
    ]  # fmt: skip
    present = deployments.present(document, "g")
    assert deployments.last_good(deployments.history(document, "g"), present) == Version(
        SHA, f"services-web:paasta-{SHA}"
    )


@pytest.mark.parametrize("junk", [3, [], {"g": 3}, {"g": [3, {}, {"git_sha": 1}]}])
def test_a_history_that_is_not_ours_is_none(junk: Any) -> None:
    document = {**deployments.mark({}, "web", "g", SHA, None, []), "history": junk}
    assert deployments.history(document, "g") == []
    assert deployments.mark(document, "web", "g", SHA[::-1], None, [])["v2"]["deployments"]["g"]["git_sha"] == SHA[::-1]


@given(st.binary(max_size=50) | st.text('{}[]":,v2x ', max_size=40).map(str.encode))
def test_no_input_raises(data: bytes) -> None:
    deployments.read("d", data)

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


def test_only_if_absent_leaves_what_is_there() -> None:
    stopped = deployments.control({}, "web", "prod", "main", "stop", only_if_absent=True)
    assert stopped["v2"]["controls"] == {"web:prod.main": {"desired_state": "stop", "force_bounce": None}}
    assert deployments.control(stopped, "web", "prod", "main", "start", only_if_absent=True) == stopped


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
        ("{}", "d: has no v2 section; generate it again with a current version"),
        ('{"v2": {"deployments": 3}}', "d: v2.deployments: 3 is not a mapping"),
        ('{"v2": {"deployments": {"g": {}}}}',
         "d: v2.deployments.g: an empty mapping has no docker_image and git_sha, both strings"),
        ('{"v2": {"controls": {"web:prod.main": {"desired_state": "stopped"}}}}',
         "d: v2.controls.web:prod.main: a mapping has no desired_state of start or stop"),
    ],
)  # fmt: skip
def test_errors(text: str, expected: str) -> None:
    _record, errors = deployments.read("d", text.encode())
    assert [str(error) for error in errors] == [expected]


@given(st.binary(max_size=50) | st.text('{}[]":,v2x ', max_size=40).map(str.encode))
def test_no_input_raises(data: bytes) -> None:
    deployments.read("d", data)

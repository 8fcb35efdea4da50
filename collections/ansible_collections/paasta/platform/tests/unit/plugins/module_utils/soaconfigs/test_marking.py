# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The same requests, carried out on files and on tags, come to the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import deployments, git_tags, marking
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.deploy_groups import Groups
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import Tag
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.marking import FileRecord, Request
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.tag_record import TagRecord
from hypothesis import given, settings
from hypothesis import strategies as st

KNOWN = {"web": Groups({("prod", "main"): "one", ("prod", "canary"): "two"})}
SHAS = [letter * 40 for letter in "abcd"]
GROUP = st.sampled_from(["one", "two"])
MARK = st.builds(
    lambda group, sha, version: ("marks", {"deploy_group": group, "git_sha": sha, "image_version": version}),
    GROUP,
    st.sampled_from(SHAS),
    st.sampled_from([None, None, "1"]),
)
ROLLBACK = st.builds(
    lambda group, sha: ("rollbacks", {"deploy_group": group, "git_sha": sha, "image_version": None}),
    GROUP,
    st.sampled_from([None, None, *SHAS]),
)
CONTROL = st.builds(
    lambda instance, state, once: (
        "controls",
        {"cluster": "prod", "instance": instance, "desired_state": state, "force_bounce": None, "only_if_absent": once},
    ),
    st.sampled_from(["main", "canary"]),
    st.sampled_from(["start", "stop"]),
    st.just(False),
)
# Several in one second, or with time between them.
STEPS = st.lists(st.tuples(MARK | ROLLBACK | CONTROL, st.sampled_from([0, 0, 1, 3600])), max_size=25)


def request(kind: str, entry: dict[str, Any]) -> Request:
    lists: dict[str, Any] = {"marks": [], "rollbacks": [], "controls": []}
    return Request(**{**lists, kind: [(f"{kind}[0]", {"service": "web", **entry})]})


def attempt(asked: Request, record: marking.Record) -> tuple[Any, str]:
    try:
        outcome = marking.carry_out(asked, KNOWN, record)
        return (outcome.marks, outcome.rollbacks), ""
    except InvalidConfigs as error:
        return None, str(error.errors[0])


@settings(max_examples=600)
@given(STEPS)
def test_files_and_tags_say_the_same(steps: list[tuple[tuple[str, dict[str, Any]], int]]) -> None:
    now = datetime(2026, 1, 1)
    first = [("marks", {"deploy_group": group, "git_sha": SHAS[0], "image_version": None}) for group in ("one", "two")]
    document: dict[str, Any] = {}
    tags: list[Tag] = []
    for (kind, entry), seconds in [*((mark, 1) for mark in first), *steps]:
        now += timedelta(seconds=seconds)
        files, tagged = FileRecord({"web": document}, KNOWN, now, "me"), TagRecord({"web": tags}, KNOWN, now)
        assert attempt(request(kind, entry), files) == attempt(request(kind, entry), tagged)
        document, tags = files.after["web"], [*tags, *tagged.new["web"]]

        made = git_tags.document("web", git_tags.collect(tags), KNOWN["web"].instances)
        assert made["v2"]["deployments"] == document["v2"]["deployments"]
        states = [{key: c["desired_state"] for key, c in d["v2"]["controls"].items()} for d in (made, document)]
        assert states[0] == states[1]
        assert len({tag.ref for tag in tags}) == len(tags)


@given(st.permutations(["main", "canary"]), st.lists(MARK, max_size=5))
def test_marks_never_touch_what_is_stopped(stopped: list[str], marks: list[tuple[str, dict[str, Any]]]) -> None:
    now = datetime(2026, 1, 1)
    record = TagRecord({"web": []}, KNOWN, now)
    for group in ("one", "two"):
        record.mark("web", group, SHAS[0], None)
    record.control("web", "prod", stopped[0], "stop", None, False)
    for kind, entry in marks:
        marking.carry_out(request(kind, entry), KNOWN, record)
    controls = git_tags.document("web", record.tags("web"), KNOWN["web"].instances)["v2"]["controls"]
    states = {key.rpartition(".")[2]: control["desired_state"] for key, control in controls.items()}
    assert states == {stopped[0]: "stop", stopped[1]: "start"}


def test_the_history_of_files_is_that_of_tags_as_long_as_it_goes() -> None:
    document: dict[str, Any] = {}
    record = TagRecord({"web": []}, KNOWN, datetime(2026, 1, 1))
    for number in range(deployments.HISTORY_LENGTH + 5):
        document = deployments.mark(document, "web", "one", f"{number:040x}", None, [])
        record.mark("web", "one", f"{number:040x}", None)
    of_files = [mark.version for mark in deployments.history(document, "one")]
    of_tags = [mark.version for mark in record.history("web", "one")]
    assert len(of_files) == deployments.HISTORY_LENGTH
    assert of_tags[: len(of_files)] == of_files
    assert len(of_tags) == deployments.HISTORY_LENGTH + 5

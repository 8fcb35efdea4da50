# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints of several sources in one file: nobody's are lost, whoever writes, in whatever order, and at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh import endpoint_files
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    DRAINING,
    HEALTHY,
    Endpoint,
    EndpointFiles,
    Source,
    as_file,
    assignment,
    merged,
)
from hypothesis import given
from hypothesis import strategies as st

WEB = "web.main"

ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    port=st.integers(31000, 31003),
    weight=st.integers(1, 100),
    state=st.sampled_from([HEALTHY, DRAINING]),
)
SOURCES = st.builds(
    Source,
    endpoints=st.lists(ENDPOINTS, max_size=8).map(tuple),
    instances=st.dictionaries(st.sampled_from(["web.main", "web.canary"]), st.integers(0, 5)),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "eds").mkdir()
    return tmp_path


@pytest.fixture
def files(directory: Path) -> EndpointFiles:
    found = EndpointFiles(str(directory))
    found.declare([WEB])
    return found


def seen(directory: Path, namespace: str = WEB) -> dict[str, tuple[int, str]]:
    """What Envoy would read: ``address:port`` → weight, state."""
    document = json.loads((directory / "eds" / f"{namespace}.json").read_text())
    found = {}
    for one in document["resources"][0]["endpoints"][0]["lb_endpoints"]:
        address = one["endpoint"]["address"]["socket_address"]
        found[f"{address['address']}:{address['port_value']}"] = (one["load_balancing_weight"], one["health_status"])
    return found


def source(*ports: int, state: str = HEALTHY, **instances: int) -> str:
    return Source(tuple(Endpoint("10.0.0.1", port, 10, state) for port in ports), instances).text()


@given(st.lists(SOURCES, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_sources_does_not_matter(sources: list[Source], random: Any) -> None:
    shuffled = list(sources)
    random.shuffle(shuffled)
    assert merged(shuffled) == merged(sources)


@given(st.lists(SOURCES, max_size=4))
def test_every_endpoint_of_every_source_is_there_once_and_none_is_made_up(sources: list[Source]) -> None:
    found = [(endpoint.address, endpoint.port) for endpoint in merged(sources)]
    assert sorted(found) == sorted({(one.address, one.port) for each in sources for one in each.endpoints})


@given(st.lists(SOURCES, max_size=4))
def test_what_one_source_calls_healthy_is_healthy(sources: list[Source]) -> None:
    healthy = {one.key for each in sources for one in each.endpoints if one.state == HEALTHY}
    assert {one.key for one in merged(sources) if one.state == HEALTHY} == healthy


@given(SOURCES)
def test_a_source_is_read_as_it_was_written(given_source: Source) -> None:
    assert Source.parse(given_source.text()).text() == given_source.text()


@given(SOURCES, st.randoms(use_true_random=False))
def test_equal_sources_are_equal_files(given_source: Source, random: Any) -> None:
    endpoints = list(given_source.endpoints)
    random.shuffle(endpoints)
    assert Source(tuple(endpoints), given_source.instances).text() == given_source.text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"endpoints": [1], "instances": {}}', '{"endpoints": [{"a": 1}]}'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Error|Expecting|has no"):
        Source.parse(text)


def test_each_source_has_its_own_and_envoy_has_all(files: EndpointFiles, directory: Path) -> None:
    assert files.write("docker", {WEB: source(31000)}) == [WEB]
    assert files.write("kubernetes", {WEB: source(8888)}) == [WEB]
    assert seen(directory) == {"10.0.0.1:31000": (10, HEALTHY), "10.0.0.1:8888": (10, HEALTHY)}
    assert files.write("docker", {WEB: source()}) == [WEB]
    assert seen(directory) == {"10.0.0.1:8888": (10, HEALTHY)}


def test_what_is_as_it_should_be_is_not_touched(files: EndpointFiles, directory: Path) -> None:
    files.write("docker", {WEB: source(31000)})
    before = (directory / "eds" / "web.main.json").stat()
    assert files.write("docker", {WEB: source(31000)}) == []
    after = (directory / "eds" / "web.main.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_envoys_file_is_put_right_when_only_the_source_was_written(files: EndpointFiles, directory: Path) -> None:
    (directory / "sources" / "docker").mkdir(parents=True)
    (directory / "sources" / "docker" / "web.main.json").write_text(source(31000))
    assert files.stale("docker", {WEB: source(31000)}) == [WEB]
    assert files.write("docker", {WEB: source(31000)}) == [WEB]
    assert seen(directory) == {"10.0.0.1:31000": (10, HEALTHY)}
    assert files.stale("docker", {WEB: source(31000)}) == []


def test_a_namespace_that_is_not_declared_gets_no_file_until_it_is(files: EndpointFiles, directory: Path) -> None:
    files.write("kubernetes", {"api.main": source(8888)})
    assert not (directory / "eds" / "api.main.json").exists()
    files.declare([WEB, "api.main"])
    assert seen(directory, "api.main") == {"10.0.0.1:8888": (10, HEALTHY)}
    assert files.obsolete([WEB]) == ["api.main"]
    files.withdraw(["api.main"])
    assert files.obsolete([WEB]) == []
    assert files.namespaces("kubernetes") == ["api.main"]


def test_a_source_that_has_no_more_of_a_namespace_takes_its_own_with_it(files: EndpointFiles, directory: Path) -> None:
    files.write("docker", {WEB: source(31000)})
    files.write("kubernetes", {WEB: source(8888)})
    assert files.write("docker", {"api.main": source()}, whole=True) == ["api.main", WEB]
    assert seen(directory) == {"10.0.0.1:8888": (10, HEALTHY)}
    assert files.namespaces("docker") == ["api.main"]


def test_the_others_of_a_source_are_told_with_what_they_stand_for(files: EndpointFiles) -> None:
    files.write("docker", {WEB: source(31000, web=1)})
    assert files.others("docker", [WEB]) == {WEB: {"endpoints": [], "instances": {}}}
    files.write(
        "kubernetes", {WEB: Source((Endpoint("10.0.0.2", 80), Endpoint("10.0.0.3", 80, 1, DRAINING)), {WEB: 1}).text()}
    )
    assert files.others("docker", [WEB]) == {WEB: {"endpoints": ["10.0.0.2:80"], "instances": {WEB: 1}}}


def test_a_file_that_cannot_be_read_stops_nobody_else_and_loses_nothing(files: EndpointFiles, directory: Path) -> None:
    files.declare(["api.main"])
    files.write("docker", {"api.main": source(31001), WEB: source(31000)})
    (directory / "sources" / "docker" / "api.main.json").write_text("no endpoints")
    with pytest.raises(OSError, match="sources/docker/api.main.json is no list of endpoints"):
        files.write("kubernetes", {"api.main": source(8888), WEB: source(8888)})
    assert set(seen(directory)) == {"10.0.0.1:31000", "10.0.0.1:8888"}
    assert set(seen(directory, "api.main")) == {"10.0.0.1:31001"}
    files.write("docker", {"api.main": source(31001)})
    assert set(seen(directory, "api.main")) == {"10.0.0.1:31001", "10.0.0.1:8888"}


def test_without_envoy_there_is_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EndpointFiles(str(tmp_path / "nowhere")).write("docker", {WEB: source()})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(
    files: EndpointFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("docker", {WEB: source(31000)})

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device", target)

    monkeypatch.setattr(endpoint_files.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write("docker", {WEB: source(31001)})
    monkeypatch.undo()
    assert set(seen(directory)) == {"10.0.0.1:31000"}
    assert [path.name for path in (directory / "eds").iterdir()] == ["web.main.json"]
    assert [path.name for path in (directory / "sources" / "docker").iterdir()] == ["web.main.json"]


WRITER = """
import sys
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import Endpoint, EndpointFiles, Source
directory, name, address = sys.argv[1:]
for number in range(101):
    endpoints = tuple(Endpoint(address, port) for port in range(31000, 31001 + number % 3))
    EndpointFiles(directory).write(name, {"web.main": Source(endpoints).text()})
"""


def test_writers_at_the_same_time_lose_nothing_of_each_other(files: EndpointFiles, directory: Path) -> None:
    """Readers meanwhile see whole files only."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    torn: list[Exception] = []
    done = threading.Event()
    reader = threading.Thread(target=_read_until, args=(done, lambda: seen(directory), torn))
    reader.start()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(directory), name, f"10.0.0.{host}"], env=environment)
        for host, name in enumerate(("docker", "kubernetes", "other"), start=1)
    ]
    codes = [writer.wait() for writer in writers]
    done.set()
    reader.join()
    assert codes == [0, 0, 0]
    assert torn == []
    # 100 % 3 == 1: two endpoints each.
    assert sorted(seen(directory)) == [f"10.0.0.{host}:{port}" for host in (1, 2, 3) for port in (31000, 31001)]


def _read_until(done: threading.Event, read: Callable[[], Any], torn: list[Exception]) -> None:
    while not done.is_set():
        try:
            read()
        except (ValueError, LookupError, OSError) as error:
            torn.append(error)


def test_endpoints_are_sorted_so_that_equal_members_are_an_equal_file() -> None:
    one, two = Endpoint("10.0.0.1", 31000), Endpoint("10.0.0.2", 31000, 5, DRAINING)
    text = as_file(assignment(WEB, [two, one]))
    assert text == as_file(assignment(WEB, [one, two]))
    assert '"health_status": "DRAINING"' in text


def test_the_version_changes_with_the_content() -> None:
    empty, full = assignment(WEB, []), assignment(WEB, [Endpoint("10.0.0.1", 31000)])
    assert empty["version_info"] != full["version_info"]
    assert empty == assignment(WEB, [])

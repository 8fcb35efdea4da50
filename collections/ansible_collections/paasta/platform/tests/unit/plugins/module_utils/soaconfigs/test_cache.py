# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A result that is found is what reading again gives, whatever changed; and a cache that is not right is none."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import cache, reader, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.reader import Reading
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings

Soa = Callable[..., str]


class Counted:
    """How often the tree was really read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        read = reader.Reader.read

        def counting(self_: reader.Reader) -> Reading:
            self.reads += 1
            return read(self_)

        monkeypatch.setattr(reader.Reader, "read", counting)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.fixture
def where(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache that is not inside of the tree."""
    return str(tmp_path_factory.mktemp("caches") / "c")


def same(one: Reading, other: Reading) -> bool:
    return (one.configs, one.errors, one.warnings) == (other.configs, other.errors, other.warnings)


def test_nothing_changed_is_not_read_again(soa: Soa, where: str, counted: Counted) -> None:
    root = soa({"web/kubernetes-prod.yaml": "main: {deploy_group: prod.main, cpsu: 1}\n"})
    first = tree.validate(root, cache=where)
    again = tree.validate(root, cache=where)
    assert counted.reads == 1
    assert same(first, again)
    assert [error.rule for error in again.errors] == ["unknown-key"]


def test_sources_are_found_in_a_result_from_the_cache(soa: Soa, where: str) -> None:
    root = soa({"web/service.yaml": "description: x\nexternal_link: x\nmem: 64\n"})
    fresh, kept = (tree.load(root, "prod", cache=where).instances[0] for _time in range(2))
    assert dict(kept.sources) == dict(fresh.sources)
    assert str(kept.sources["mem",]) == "web/service.yaml:3"
    assert str(kept.sources["deploy_group",]) == "web/kubernetes-prod.yaml:2"
    assert str(kept.sources["cpus",]) == "default"
    assert kept == fresh
    assert hash(kept) == hash(fresh)
    with pytest.raises(TypeError, match="read-only"):
        kept.keys["mem"] = 1  # type: ignore[index]


CHANGES: dict[str, Callable[[Path], Any]] = {
    "a value": lambda root: (root / "web/kubernetes-prod.yaml").write_text("main: {deploy_group: prod.canary}\n"),
    "a value of the same length": lambda root: (root / "web/monitoring.yaml").write_text("team: wards\n"),
    "a new file": lambda root: (root / "web/dependencies.yaml").write_text("main: [{smartstack: no.where}]\n"),
    "a file of another service": lambda root: (
        (root / "api").mkdir(), (root / "api/smartstack.yaml").write_text("x: 1\n")
    ),
    "a file less": lambda root: (root / "web/monitoring.yaml").unlink(),
    "a file that is only named": lambda root: (root / "web/kubernetes-prod.in").write_text(""),
    "an empty directory": lambda root: (root / "api").mkdir(),
    "a secret": lambda root: ((root / "web/secrets").mkdir(), (root / "web/secrets/x.json").write_text("{}")),
    "a shared secret": lambda root: (
        (root / "_shared/secrets").mkdir(parents=True), (root / "_shared/secrets/x.json").write_text("{}")
    ),
    "the record": lambda root: (root / "web/deployments.json").write_text('{"v2": {}}'),
    "tuned": lambda root: (
        (root / "web/autotuned_defaults").mkdir(),
        (root / "web/autotuned_defaults/kubernetes-prod.yaml").write_text("main: {mem: 77}\n"),
    ),
    "location types": lambda root: (root / "location_types.json").write_text('["habitat"]'),
    "a master": lambda root: (
        (root / "tron/prod").mkdir(parents=True), (root / "tron/prod/MASTER.yaml").write_text("nodes: 3\n")
    ),
    "names that swap their content": lambda root: (
        os.rename(root / "web/monitoring.yaml", root / "x"),
        os.rename(root / "web/service.yaml", root / "web/monitoring.yaml"),
        os.rename(root / "x", root / "web/service.yaml"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_seen(
    soa: Soa, tmp_path: Path, where: str, counted: Counted, change: Callable[[Path], Any]
) -> None:
    root = soa()
    tree.validate(root, cache=where)
    times = {path: os.stat(path) for path in tmp_path.rglob("*") if path.is_file()}
    change(tmp_path)
    for path, status in times.items():
        if path.exists():
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = tree.validate(root, cache=where)
    assert counted.reads == 2
    assert same(found, tree.validate(root))


def test_what_is_asked_for_is_part_of_the_key(soa: Soa, where: str, counted: Counted) -> None:
    root = soa()
    tree.validate(root, cache=where)
    tree.validate(root, Settings(monitoring_teams=("others",)), cache=where)
    tree.validate(root, services=["web"], cache=where)
    tree.validate(root, clusters=["prod"], cache=where)
    tree.load(root, "prod", cache=where)
    tree.load(root, "prod", instance_types=("adhoc",), cache=where)
    assert counted.reads == 6


def test_other_time_zones_give_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.zoneinfo, "TZPATH", (str(tmp_path),))
    before = cache.key("x")
    assert cache.key("x") == before
    (tmp_path / "tzdata.zi").write_text("# version 2026z")
    assert cache.key("x") != before


def test_other_code_gives_another_key(soa: Soa, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.key("x")
    monkeypatch.setattr(cache, "code_digest", lambda: "0" * 64)
    assert cache.key("x") != before
    monkeypatch.setattr(cache, "code_digest", lambda: "")
    assert cache.key("x") == ""
    tree.validate(soa(), cache=where)
    assert not os.path.exists(where)


def entry(where: str) -> Path:
    (path,) = Path(where).iterdir()
    return path


@pytest.mark.parametrize(
    "spoil", [lambda data: b"", lambda data: data[:-1], lambda data: b"x" + data, lambda data: data + b"."]
)
def test_a_spoilt_entry_is_read_again(soa: Soa, where: str, counted: Counted, spoil: Callable[[bytes], bytes]) -> None:
    root = soa()
    first = tree.validate(root, cache=where)
    entry(where).write_bytes(spoil(entry(where).read_bytes()))
    assert same(tree.validate(root, cache=where), first)
    assert counted.reads == 2
    tree.validate(root, cache=where)
    assert counted.reads == 2


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_of_others_is_not_used(
    soa: Soa, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    root = soa()
    monkeypatch.chdir(tmp_path)
    tree.validate(root, cache=where)
    payload = pickle.dumps(Evil())
    entry(where).write_bytes(cache._digest(payload) + payload)
    os.chmod(where, mode)
    tree.validate(root, cache=where)
    assert not (tmp_path / "evil").exists()
    os.chmod(where, 0o700)
    os.chmod(entry(where), 0o666)
    tree.validate(root, cache=where)
    assert not (tmp_path / "evil").exists()


def test_a_cache_that_cannot_be_written_is_none(soa: Soa, where: str) -> None:
    root = soa()
    assert tree.validate(root, cache=f"{root}/web/service.yaml/c").errors == ()
    os.mkdir(where)
    os.symlink(where, f"{where}-link")
    os.chmod(where, 0o777)
    assert tree.validate(root, cache=f"{where}-link").errors == ()
    assert os.listdir(where) == []


def test_old_results_go(where: str) -> None:
    for number in range(cache.KEPT + 5):
        cache.put(where, f"{number:064x}", number)
        os.utime(f"{where}/{number:064x}", (number, number))
    cache.put(where, "f" * 64, "last")
    names = os.listdir(where)
    assert len(names) == cache.KEPT
    assert cache.get(where, "f" * 64) == "last"
    assert f"{0:064x}" not in names

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Programs on a host: what is installed, what is noticed, and that half of something is nothing."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils import programs, programs_fetch


class Host:
    """A host whose root is a directory, and the site it downloads from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "site"
        self.bin = root / "bin"
        self.site.mkdir()
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                outer.requests.append(self.path)

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=str(self.site))
        )
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def url(self, file: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{file}"

    def file(self, name: str, content: bytes, **more: str) -> dict[str, Any]:
        """A program that is published as it is."""
        (self.site / name).write_bytes(content)
        return self.program(name, url=self.url(name), checksum=f"sha256:{hashlib.sha256(content).hexdigest()}", **more)

    def archive(self, file: str, members: dict[str, bytes]) -> list[dict[str, Any]]:
        """Programs that are published together."""
        with tarfile.open(self.site / file, "w:gz") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(f"release/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        checksum = f"sha512:{hashlib.sha512((self.site / file).read_bytes()).hexdigest()}"
        return [self.program(name, url=self.url(file), checksum=checksum, member=f"release/{name}") for name in members]

    def staged(self, name: str, content: bytes) -> dict[str, Any]:
        """A program of a directory that was brought to the host."""
        path = self.root / f"staged-{name}"
        path.write_bytes(content)
        return self.program(name, sha256=hashlib.sha256(content).hexdigest(), staged=str(path))

    def program(self, name: str, **fields: str) -> dict[str, Any]:
        empty = dict.fromkeys(programs.ARGUMENTS["programs"]["options"], "")
        return {**empty, "name": name, "path": str(self.bin / name), "version": "1.0", **fields}

    def run(self, *wanted: dict[str, Any], source: str = "url", check: bool = False) -> dict[str, Any]:
        args = {"programs": wanted, "source": source, "manifest": str(self.root / "state/programs.json"), "timeout": 5}
        return programs.run(args, check, True)

    def installed(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.bin.iterdir()} if self.bin.exists() else {}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(programs_fetch.time, "sleep", lambda _seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    host = Host(tmp_path)
    yield host
    host.close()


def test_files_and_archives_are_installed_and_an_archive_is_downloaded_once(host: Host) -> None:
    wanted = [host.file("kubelet", b"kubelet"), *host.archive("etcd.tar.gz", {"etcd": b"server", "etcdctl": b"client"})]
    result = host.run(*wanted)
    assert result["changed_programs"] == ["kubelet", "etcd", "etcdctl"]
    assert host.installed() == {"kubelet": b"kubelet", "etcd": b"server", "etcdctl": b"client"}
    assert {path.stat().st_mode & 0o7777 for path in host.bin.iterdir()} == {0o755}
    assert sorted(host.requests) == ["/etcd.tar.gz", "/kubelet"]
    assert result["programs"]["etcd"]["sha256"] == hashlib.sha256(b"server").hexdigest()
    assert [path.name for path in (host.root / "state").iterdir()] == ["programs.json"]


def test_a_second_run_reads_no_program(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [host.file("kubelet", b"kubelet"), *host.archive("etcd.tgz", {"etcd": b"server"})]
    first = host.run(*wanted)
    monkeypatch.setattr(programs, "digest_of", lambda *_args: pytest.fail("a program was read"))
    host.requests.clear()
    second = host.run(*wanted)
    assert (second["changed"], second["changed_programs"], second["diff"], host.requests) == (False, [], [], [])
    assert second["programs"]["etcd"]["sha256"] == first["programs"]["etcd"]["sha256"]


def test_another_version_replaces_only_what_differs(host: Host) -> None:
    kubelet = host.file("kubelet", b"old")
    host.run(kubelet, host.file("proxy", b"proxy"))
    result = host.run(host.file("kubelet", b"new", version="2.0"), host.file("proxy", b"proxy"))
    assert result["changed_programs"] == ["kubelet"]
    assert host.installed() == {"kubelet": b"new", "proxy": b"proxy"}
    (difference,) = result["diff"]
    assert (difference["before"], difference["after"].split()[0]) == (f"1.0 {kubelet['checksum']}\n", "2.0")


@pytest.mark.parametrize("kind", ["file", "archive"])
def test_a_program_that_was_changed_by_hand_is_replaced(host: Host, kind: str) -> None:
    wanted = host.file("etcd", b"right") if kind == "file" else host.archive("e.tgz", {"etcd": b"right"})[0]
    host.run(wanted)
    before = (host.bin / "etcd").stat()
    (host.bin / "etcd").write_bytes(b"wrong")  # of the same size
    os.utime(host.bin / "etcd", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert host.run(wanted, check=True)["changed_programs"] == ["etcd"]
    assert host.installed() == {"etcd": b"wrong"}
    assert host.run(wanted)["changed"] is True
    assert host.installed() == {"etcd": b"right"}


def test_a_program_that_was_only_touched_is_read_once_and_left(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [host.file("kubelet", b"kubelet"), *host.archive("e.tgz", {"etcd": b"etcd"})]
    host.run(*wanted)
    host.requests.clear()
    for name in ("kubelet", "etcd"):
        os.utime(host.bin / name, ns=(1, 1))
    result = host.run(*wanted)
    assert (result["changed"], host.requests) == (False, [])
    monkeypatch.setattr(programs, "digest_of", lambda *_args: pytest.fail("a program was read"))
    host.run(*wanted)


def test_a_lost_manifest_costs_a_look_at_the_programs(host: Host) -> None:
    wanted = host.file("kubelet", b"kubelet")
    host.run(wanted)
    (host.root / "state/programs.json").write_text("{")
    host.requests.clear()
    assert (host.run(wanted)["changed"], host.requests) == (False, [])
    assert str(host.bin / "kubelet") in json.loads((host.root / "state/programs.json").read_text())


def test_mode_and_symbolic_links_count_as_changes(host: Host) -> None:
    wanted = host.file("kubelet", b"kubelet")
    host.run(wanted)
    host.requests.clear()
    (host.bin / "kubelet").chmod(0o777)
    assert host.run(wanted)["changed_programs"] == ["kubelet"]
    assert ((host.bin / "kubelet").stat().st_mode & 0o7777, host.requests) == (0o755, [])
    (host.bin / "kubelet").rename(host.bin / "elsewhere")
    (host.bin / "kubelet").symlink_to("elsewhere")
    assert host.run(wanted)["changed"] is True
    assert not (host.bin / "kubelet").is_symlink()


def test_one_wrong_digest_and_nothing_is_installed(host: Host) -> None:
    good, bad = host.file("good", b"good"), host.file("bad", b"bad") | {"checksum": f"sha256:{'0' * 64}"}
    result = host.run(good, bad)
    found = hashlib.sha256(b"bad").hexdigest()
    assert f"bad: {host.url('bad')} has the sha256 {found}, expected {'0' * 64}" in result["msg"]
    assert "correct the checksum" in result["msg"]
    assert (host.installed(), result["failed"]) == ({}, True)
    assert list((host.root / "state").iterdir()) == []


def test_all_troubles_are_told_at_once_and_leave_what_was_there(host: Host) -> None:
    host.run(host.file("kubelet", b"old"))
    missing = host.program("missing", url=host.url("missing"), checksum=f"sha256:{'0' * 64}")
    away = host.program("away", url="http://127.0.0.1:1/away", checksum=f"sha256:{'0' * 64}")
    result = host.run(host.file("kubelet", b"new"), missing, away)
    assert f"missing: {host.url('missing')} answers 404" in result["msg"]
    assert "away: http://127.0.0.1:1/away cannot be downloaded" in result["msg"]
    assert host.installed() == {"kubelet": b"old"}


def test_an_archive_without_the_member_installs_none_of_the_others(host: Host) -> None:
    etcd, other = host.archive("e.tgz", {"etcd": b"etcd", "etcdctl": b"ctl"})
    result = host.run(etcd, other | {"member": "release/etcdutl"})
    assert "has no release/etcdutl, only release/etcd, release/etcdctl" in result["msg"]
    assert host.installed() == {}


def test_what_is_no_archive_is_said_to_be_none(host: Host) -> None:
    broken = host.file("e.tgz", b"<html>") | {"member": "release/etcd"}
    assert "no archive that can be read" in host.run(broken)["msg"]
    assert host.installed() == {}


def test_check_mode_touches_nothing(host: Host) -> None:
    result = host.run(host.file("kubelet", b"kubelet"), check=True)
    assert (result["changed_programs"], result["programs"]["kubelet"]["sha256"]) == (["kubelet"], "")
    assert (host.requests, host.installed(), (host.root / "state").exists()) == ([], {}, False)


def test_of_a_directory_the_host_names_what_it_lacks_and_takes_it_when_it_is_there(host: Host) -> None:
    kubelet, proxy = host.staged("kubelet", b"kubelet"), host.staged("proxy", b"proxy")
    first = host.run(kubelet | {"staged": ""}, proxy | {"staged": ""}, source="directory")
    assert (first["lacking"], host.installed()) == (["kubelet", "proxy"], {})
    assert host.run(kubelet, proxy, source="directory")["changed_programs"] == ["kubelet", "proxy"]
    again = host.run(kubelet | {"staged": ""}, proxy | {"staged": ""}, source="directory")
    assert (again["changed"], again["lacking"]) == (False, [])


def test_what_was_damaged_on_its_way_is_not_installed(host: Host) -> None:
    kubelet, proxy = host.staged("kubelet", b"kubelet"), host.staged("proxy", b"proxy")
    Path(proxy["staged"]).write_bytes(b"prox")
    assert "proxy: what arrived has the sha256" in host.run(kubelet, proxy, source="directory")["msg"]
    assert host.installed() == {}


def test_the_same_program_from_another_source_is_no_change(host: Host) -> None:
    host.run(host.file("kubelet", b"kubelet"))
    assert host.run(host.staged("kubelet", b"kubelet") | {"staged": ""}, source="directory")["changed"] is False
    assert host.run(*host.archive("e.tgz", {"etcd": b"etcd"}))["changed"] is True
    assert host.run(host.staged("etcd", b"etcd") | {"staged": ""}, source="directory")["changed"] is False


def test_programs_of_other_sets_stay_in_the_manifest(host: Host) -> None:
    host.run(host.file("kubelet", b"kubelet"))
    host.run(host.file("coredns", b"coredns"))
    host.requests.clear()
    host.run(host.file("kubelet", b"kubelet"), host.file("coredns", b"coredns"))
    assert host.requests == []
    names = [Path(path).name for path in json.loads((host.root / "state/programs.json").read_text())]
    assert names == ["coredns", "kubelet"]


def test_every_mistake_in_the_arguments_is_named(host: Host) -> None:
    result = host.run(
        host.program("a", path="bin/a", checksum="sha256:12", url="http://x/a"),
        host.program("b", url="http://x/b"),
        host.program("c", checksum=f"sha256:{'0' * 64}", path=str(host.bin / "b")),
    )
    assert result["msg"].splitlines() == [
        "a: path bin/a is not absolute",
        "a: checksum sha256:12 is not sha256: with 64 or sha512: with 128 digits",
        "b: needs checksum, as sha256:… or sha512:…, of http://x/b",
        f"c: path {host.bin / 'b'} is that of b too",
        "c: needs url, an address to download it from",
    ]


def test_a_directory_in_the_way_is_named(host: Host) -> None:
    (host.bin / "kubelet").mkdir(parents=True)
    assert "is a directory; nothing was installed" in host.run(host.file("kubelet", b"x"), host.file("a", b"a"))["msg"]
    assert not (host.bin / "a").exists()

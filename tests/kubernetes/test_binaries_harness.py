# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs come from: the first place that has them, and nothing that is not what it should be."""

from __future__ import annotations

import dataclasses
import hashlib
import tarfile
from pathlib import Path

import binaries
import pytest

NAMES = (*binaries.PROGRAMS, "etcd")


@pytest.fixture(autouse=True)
def _nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No assets, an empty cache, an empty PATH, and releases that nobody can reach."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("GOPROXY", "off")
    for name in ("KUBERNETES", "ETCD"):
        archive = dataclasses.replace(getattr(binaries, name), url=f"file://{tmp_path}/missing")
        monkeypatch.setattr(binaries, name, archive)


def fill(directory: Path, names: tuple[str, ...]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(f"this is {name}")
        (directory / name).chmod(0o755)


def release(directory: Path, inside: str, names: tuple[str, ...]) -> tuple[str, str]:
    """An archive as upstream's: its URL and its sha256."""
    fill(directory / inside, names)
    path = directory / "release.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(directory / inside, inside)
    return f"file://{path}", hashlib.sha256(path.read_bytes()).hexdigest()


def offer(monkeypatch: pytest.MonkeyPatch, name: str, url: str, digest: str) -> None:
    checksums = {binaries.architecture(): digest}
    archive = dataclasses.replace(getattr(binaries, name), url=url, algorithm="sha256", checksums=checksums)
    monkeypatch.setattr(binaries, name, archive)


def test_assets_come_before_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fill(tmp_path / "assets", NAMES)
    fill(binaries.cache_directory(), NAMES)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert {path.parent for path in binaries.programs().values()} == {tmp_path / "assets"}


def test_assets_without_controllers_give_only_etcd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "assets", ("etcd", "kube-apiserver", "kubectl"))
    fill(binaries.cache_directory(), NAMES)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    found = binaries.programs()
    assert found["etcd"].parent == tmp_path / "assets"
    assert found["kube-apiserver"].parent == binaries.cache_directory()
    assert "it has no kube-controller-manager, kube-scheduler" in capsys.readouterr().err


def test_releases_fill_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, "KUBERNETES", *release(tmp_path / "k", binaries.KUBERNETES.directory, binaries.PROGRAMS))
    inside = binaries.ETCD.directory.format(architecture=binaries.architecture())
    offer(monkeypatch, "ETCD", *release(tmp_path / "e", inside, ("etcd",)))
    found = binaries.programs()
    assert {name: path.read_text() for name, path in found.items()} == {name: f"this is {name}" for name in NAMES}
    assert {path.parent for path in found.values()} == {binaries.cache_directory()}

    offer(monkeypatch, "KUBERNETES", f"file://{tmp_path}/missing", "")
    assert binaries.programs() == found


def test_a_release_that_is_not_what_it_should_be_stops_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url, digest = release(tmp_path / "k", binaries.KUBERNETES.directory, binaries.PROGRAMS)
    offer(monkeypatch, "KUBERNETES", url, "0" * 64)
    with pytest.raises(binaries.NoPrograms, match=f"has the sha256 {digest}, expected 0000"):
        binaries.programs()
    assert not list(binaries.cache_directory().glob("kube*"))


def test_every_place_is_named_when_none_has_them() -> None:
    with pytest.raises(binaries.NoPrograms) as raised:
        binaries.programs()
    for place in ("no place gives kube-apiserver", "the official release: ", "its Go modules: ", "GOPROXY=off"):
        assert place in str(raised.value)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs come from: the first place that has them, and nothing that is not what it should be."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tarfile
from pathlib import Path

import binaries  # noqa: F401, the way to scripts/
import pytest
import yaml
from kubernetes_programs import obtain, sources
from kubernetes_programs.sources import CONTROL_PLANE, NODE, Family

NAMES = (*CONTROL_PLANE, "etcd")
FAMILIES = ("ETCD", "COREDNS", "METRICS_SERVER")
ROLE = Path(__file__).resolve().parents[2] / "roles/kubernetes"


@pytest.fixture(autouse=True)
def _nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No assets, an empty cache, an empty PATH, and releases that nobody can reach."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("GOPROXY", "off")
    for name in FAMILIES:
        replace(monkeypatch, name, url=f"file://{tmp_path}/missing")
    replace_kubernetes(monkeypatch, sources.kubernetes(), url=f"file://{tmp_path}/missing")


def replace(monkeypatch: pytest.MonkeyPatch, name: str, **archive: object) -> None:
    family: Family = getattr(sources, name)
    changed = dataclasses.replace(family, archive=dataclasses.replace(family.archive, **archive))
    monkeypatch.setattr(sources, name, changed)


def replace_kubernetes(monkeypatch: pytest.MonkeyPatch, family: Family, **archive: object) -> None:
    changed = dataclasses.replace(family, archive=dataclasses.replace(family.archive, **archive))
    monkeypatch.setattr(sources, "kubernetes", lambda _version=sources.VERSION: changed)


def fill(directory: Path, names: tuple[str, ...]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(f"this is {name}")
        (directory / name).chmod(0o755)


def release(directory: Path, inside: str, names: tuple[str, ...]) -> dict[str, object]:
    """An archive as upstream's: what an Archive says of it."""
    fill(directory / inside, names)
    path = directory / "release.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(directory / inside, inside)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"url": f"file://{path}", "algorithm": "sha256", "checksums": {sources.architecture(): digest}}


def fill_caches() -> None:
    for family in (sources.kubernetes(), *(getattr(sources, name) for name in FAMILIES)):
        fill(family.cache, tuple(family.packages))


def test_assets_come_before_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fill(tmp_path / "assets", NAMES)
    fill(sources.kubernetes().cache, NAMES)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert {path.parent for path in obtain.control_plane().values()} == {tmp_path / "assets"}


def test_assets_without_controllers_give_only_etcd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "assets", ("etcd", "kube-apiserver", "kubectl"))
    fill(sources.kubernetes().cache, NAMES)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    found = obtain.control_plane()
    assert found["etcd"].parent == tmp_path / "assets"
    assert found["kube-apiserver"].parent == sources.kubernetes().cache
    assert "it has no kube-controller-manager, kube-scheduler" in capsys.readouterr().err


def test_releases_fill_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    family = sources.kubernetes()
    replace_kubernetes(monkeypatch, family, **release(tmp_path / "k", family.archive.directory, CONTROL_PLANE))
    inside = sources.ETCD.archive.directory.format(architecture=sources.architecture())
    replace(monkeypatch, "ETCD", **release(tmp_path / "e", inside, ("etcd",)))
    found = obtain.control_plane()
    assert {name: path.read_text() for name, path in found.items()} == {name: f"this is {name}" for name in NAMES}

    replace_kubernetes(monkeypatch, family, url=f"file://{tmp_path}/missing")
    assert obtain.control_plane() == found


def test_the_control_plane_does_not_pay_for_nodes() -> None:
    fill(sources.kubernetes().cache, NAMES)
    assert set(obtain.control_plane()) == set(NAMES)
    with pytest.raises(sources.NoPrograms, match=r"no place gives kubelet, kube-proxy:"):
        obtain.cluster()


def test_a_cluster_has_etcd_of_the_pinned_version(tmp_path: Path) -> None:
    fill_caches()
    (sources.kubernetes().cache / "etcd").write_text("Debian's")
    found = obtain.cluster()
    assert set(found) == {*NAMES, *NODE, "etcdctl", "etcdutl", "coredns", "metrics-server"}
    assert found["etcd"].parent == sources.ETCD.cache


def test_a_release_that_is_not_what_it_should_be_stops_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    family = sources.kubernetes()
    archive = release(tmp_path / "k", family.archive.directory, CONTROL_PLANE)
    (digest,) = archive["checksums"].values()
    wrong = {"checksums": {sources.architecture(): "0" * 64}}
    replace_kubernetes(monkeypatch, family, **archive | wrong)
    with pytest.raises(sources.NoPrograms, match=f"has the sha256 {digest}, expected 0000"):
        obtain.control_plane()
    assert not list(sources.cache_root().glob("**/kube*"))


def test_a_release_without_a_known_digest_is_not_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_caches()
    (sources.COREDNS.cache / "coredns").unlink()
    archive = release(tmp_path / "c", "there", ("coredns",))
    replace(monkeypatch, "COREDNS", **archive | {"directory": "there", "checksums": {}})
    with pytest.raises(sources.NoPrograms, match="no place gives coredns"):
        obtain.cluster()
    assert "the digest of file://" in capsys.readouterr().err


def test_every_place_is_named_when_none_has_them() -> None:
    with pytest.raises(sources.NoPrograms) as raised:
        obtain.control_plane()
    for place in ("no place gives kube-apiserver", "the official release: ", "its Go modules: ", "GOPROXY=off"):
        assert place in str(raised.value)


def test_a_version_that_cannot_be_had_is_refused_with_those_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(sources.NoPrograms, match=rf"v1\.2\.3 is not among .*{sources.VERSION}"):
        sources.kubernetes("v1.2.3")


def test_a_mirror_has_links_and_digests_and_follows_changes(tmp_path: Path) -> None:
    fill(tmp_path / "cache", ("kubelet", "etcd"))
    programs = {name: tmp_path / "cache" / name for name in ("kubelet", "etcd")}
    mirror = tmp_path / "mirror"
    obtain.lay_out(programs, mirror)
    assert (mirror / "kubelet").readlink() == tmp_path / "cache/kubelet"
    sums = (mirror / "SHA256SUMS").read_text()
    digest = hashlib.sha256(b"this is kubelet").hexdigest()
    assert (sums.count("\n"), f"{digest}  kubelet\n" in sums) == (2, True)

    os.utime(mirror / "SHA256SUMS", ns=(2**62, 2**62))
    before = (mirror / "SHA256SUMS").stat().st_ino
    obtain.lay_out(programs, mirror)
    assert (mirror / "SHA256SUMS").stat().st_ino == before
    obtain.lay_out({"etcd": programs["etcd"]}, mirror)
    assert sorted(path.name for path in mirror.iterdir()) == ["SHA256SUMS", "etcd"]


def test_the_role_and_the_script_speak_of_the_same_versions_and_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    known = yaml.safe_load((ROLE / "vars/main/programs.yml").read_text())["__kubernetes_known_checksums"]
    families = {"": sources.kubernetes(), "etcd_": sources.ETCD, "coredns_": sources.COREDNS}
    for prefix, family in {**families, "metrics_server_": sources.METRICS_SERVER}.items():
        assert f"v{defaults[f'kubernetes_{prefix}version']}" == family.version
        for architecture, digest in family.archive.checksums.items():
            address = family.archive.url.format(architecture=architecture).removeprefix("https://")
            assert known[address] == f"{family.archive.algorithm}:{digest}"

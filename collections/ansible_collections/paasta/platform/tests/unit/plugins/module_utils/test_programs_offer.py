# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils import programs_offer
from ansible_collections.paasta.platform.plugins.module_utils.programs_fetch import Refused
from ansible_collections.paasta.platform.plugins.module_utils.programs_offer import offer


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in ("kubelet", "etcd"):
        (mirror / name).write_bytes(name.encode())
    return mirror


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache/digests.json")


def test_a_digest_is_computed_once(mirror: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {"kubelet": sha256(b"kubelet"), "etcd": sha256(b"etcd")}
    assert offer(str(mirror), ["kubelet", "etcd"], cache) == expected
    monkeypatch.setattr(programs_offer, "digest_of", lambda *_args: pytest.fail("a program was read"))
    assert offer(str(mirror), ["kubelet", "etcd"], cache) == expected


def test_a_file_that_changed_is_read_again(mirror: Path, cache: str) -> None:
    offer(str(mirror), ["kubelet"], cache)
    before = (mirror / "kubelet").stat()
    (mirror / "kubelet").write_bytes(b"KUBELET")
    os.utime(mirror / "kubelet", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert offer(str(mirror), ["kubelet"], cache) == {"kubelet": sha256(b"KUBELET")}


def test_a_damaged_cache_is_no_cache(mirror: Path, cache: str) -> None:
    Path(cache).parent.mkdir()
    Path(cache).write_text("[")
    assert offer(str(mirror), ["etcd"], cache) == {"etcd": sha256(b"etcd")}


def test_sums_must_have_every_program_and_match(mirror: Path, cache: str) -> None:
    (mirror / "SHA256SUMS").write_text(f"{sha256(b'kubelet')}  kubelet\n{sha256(b'etcd')} *./etcd\n")
    assert offer(str(mirror), ["kubelet", "etcd"], cache)["etcd"] == sha256(b"etcd")
    (mirror / "SHA256SUMS").write_text(f"{'0' * 64}  kubelet\n")
    with pytest.raises(Refused) as refused:
        offer(str(mirror), ["kubelet", "etcd"], cache)
    assert f"{mirror}/kubelet has the sha256 {sha256(b'kubelet')}, SHA256SUMS beside it says 0000" in str(refused.value)
    assert "has no line for etcd" in str(refused.value)


def test_what_the_directory_lacks_is_named_with_the_way_out(mirror: Path, cache: str) -> None:
    with pytest.raises(Refused, match=r"has no kube-proxy, coredns\. .*scripts/kubernetes-programs"):
        offer(str(mirror), ["kubelet", "kube-proxy", "coredns"], cache)
    with pytest.raises(Refused, match=r"nowhere \(on the controller\) is no directory"):
        offer("nowhere", ["kubelet"], cache)

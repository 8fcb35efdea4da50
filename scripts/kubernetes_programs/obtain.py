# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs of a Kubernetes cluster come from, and a directory with all of them for role kubernetes.

The programs of a family are taken together, for their versions belong together, from the first of
  1. for those of Kubernetes itself, the directory KUBEBUILDER_ASSETS, the ecosystem's variable, if it has all of them;
  2. the cache, ${XDG_CACHE_HOME:-~/.cache}/paasta/kubernetes/[<family>-]<version>-<architecture>;
  3. the official release, if its digest is known (sources.py);
  4. a build of the published Go modules.
What is fetched or built goes into the cache. Only Python's standard library is needed.

The tests of the control plane want any etcd: the first of KUBEBUILDER_ASSETS, the cache, PATH, Debian's package
(unpacked, not installed), and its official release.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from . import sources
from .building import build
from .fetching import Unavailable, alone, download, say, unpack_debian_package
from .sources import Family, NoPrograms, cache_root

SUMS = "SHA256SUMS"


def control_plane() -> dict[str, Path]:
    """What the tests start: name -> path of CONTROL_PLANE and of an etcd, fetched or built if missing.

    Raises NoPrograms.
    """
    return _family(sources.kubernetes(), sources.CONTROL_PLANE) | _any_etcd()


def cluster(version: str = sources.VERSION) -> dict[str, Path]:
    """What a cluster of machines needs: name -> path, fetched or built if missing. Raises NoPrograms."""
    found = _family(sources.kubernetes(version), (*sources.CONTROL_PLANE, *sources.NODE))
    for family in (sources.ETCD, sources.COREDNS, sources.METRICS_SERVER):
        found |= _family(family, tuple(family.packages))
    return found


def default_mirror(version: str = sources.VERSION) -> Path:
    """Where role kubernetes looks (kubernetes_directory) if it is told only to use a directory."""
    return cache_root() / "mirror" / f"{version}-{sources.architecture()}"


def lay_out(programs: Mapping[str, Path], directory: Path) -> None:
    """Make the directory have exactly these programs, as links, and their digests in SHA256SUMS."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {name: path.resolve() for name, path in programs.items()}
    for link in directory.iterdir():
        if link.is_symlink() and link.name not in wanted:
            link.unlink()
    fresh = False
    for name, path in wanted.items():
        link = directory / name
        if not link.is_symlink() or link.readlink() != path:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
            fresh = True
    sums = directory / SUMS
    if fresh or not sums.exists() or any(path.stat().st_mtime > sums.stat().st_mtime for path in wanted.values()):
        lines = [f"{_sha256(path)}  {name}\n" for name, path in sorted(wanted.items())]
        (directory / f".{SUMS}").write_text("".join(lines))
        os.replace(directory / f".{SUMS}", sums)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _assets(names: Iterable[str]) -> dict[str, Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _present(Path(assets), names) if assets else {}


def _present(directory: Path, names: Iterable[str]) -> dict[str, Path]:
    return {name: directory / name for name in names if os.access(directory / name, os.X_OK)}


def _first(what: str, places: list[tuple[str, Callable[[], object]]]) -> None:
    reasons = []
    for place, get in places:
        try:
            get()
            return
        except Unavailable as reason:
            say(f"{what} not from {place}: {reason}")
            reasons.append(f"{place}: {reason}")
    raise NoPrograms(f"no place gives {what}:\n  " + "\n  ".join(reasons))


def _family(family: Family, names: tuple[str, ...]) -> dict[str, Path]:
    # The assets have no version: they are for who asks for none.
    own = family.name == "kubernetes" and family.version == sources.VERSION
    assets = _assets(names) if own else {}
    if len(assets) == len(names):
        return assets
    if assets:
        lacking = ", ".join(name for name in names if name not in assets)
        say(f"KUBEBUILDER_ASSETS is not used, for programs of one version are needed and it has no {lacking}")
    cache = family.cache
    if len(_present(cache, names)) < len(names):
        with alone(cache):
            missing = [name for name in names if name not in _present(cache, names)]
            if missing:
                _first(
                    ", ".join(missing),
                    [
                        ("the official release", lambda: download(family, missing, cache)),
                        ("its Go modules", lambda: build(family, missing, cache)),
                    ],
                )
    return _present(cache, names)


def _any_etcd() -> dict[str, Path]:
    name = ("etcd",)
    cache = sources.kubernetes().cache
    installed = shutil.which("etcd")
    found = (
        _assets(name)
        or _present(sources.ETCD.cache, name)
        or _present(cache, name)
        or ({"etcd": Path(installed)} if installed else {})
    )
    if found:
        return found
    with alone(cache):
        if not _present(cache, name):
            _first(
                "etcd",
                [
                    ("Debian's package", lambda: unpack_debian_package("etcd-server", "usr/bin/etcd", cache)),
                    ("the official release", lambda: download(sources.ETCD, name, cache)),
                ],
            )
    return _present(cache, name)

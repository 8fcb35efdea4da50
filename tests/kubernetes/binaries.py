#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs of a Kubernetes control plane come from.

    python tests/kubernetes/binaries.py     # gets what is missing, prints where each program is

The four programs of Kubernetes are taken together, for their versions belong together, from the first of
  1. the directory KUBEBUILDER_ASSETS, the ecosystem's variable, if it has all of them;
  2. the cache, ${XDG_CACHE_HOME:-~/.cache}/paasta/kubernetes/<version>-<architecture>;
  3. the official release;
  4. a build of the published Go modules: programs/go.mod pins them, programs/go.sum has their checksums.
etcd comes from the first of KUBEBUILDER_ASSETS, the cache, PATH, Debian's package (unpacked, not installed), and its
official release. What is fetched or built goes into the cache. Only Python's standard library is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Not the newest minor: 1.34's kubelet is the last that runs on cgroup v1 hosts without being told to, and with the
# containerd 1.6 of Debian 12. Both are what the node containers have. Change programs/go.mod and ARCHIVES with it.
VERSION = "v1.34.4"
# A kubelet is one more word here; programs/go.mod has its modules already.
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
MODULES = Path(__file__).resolve().parent / "programs"


@dataclass(frozen=True)
class Archive:
    url: str
    algorithm: str
    checksums: dict[str, str]  # architecture -> digest
    directory: str  # of the programs in the archive


# The checksums are those of the CHANGELOG-1.34.md of Kubernetes and the SHA256SUMS of etcd's release.
KUBERNETES = Archive(
    f"https://dl.k8s.io/{VERSION}/kubernetes-server-linux-{{architecture}}.tar.gz",
    "sha512",
    {
        "amd64": "65c75e81e3ea488f6d42b493cad64d7577ddfa1e5372037a1c841ac069039997"
        "d359b5b2f2d44e7665bf04c48ed0065cf9d4c9801b1e63bb6a1b099ef00d4863",
        "arm64": "a1fad7060ed67b5634f32f3256a295179dd887dab5c82b8550c2eb62c69df34c"
        "fbb311c8f93e7608d558eba32b9e2ddc23976db39e512fd747cc6bf9b4c1765f",
    },
    "kubernetes/server/bin",
)
ETCD = Archive(
    "https://github.com/etcd-io/etcd/releases/download/v3.6.5/etcd-v3.6.5-linux-{architecture}.tar.gz",
    "sha256",
    {
        "amd64": "66bad39ed920f6fc15fd74adcb8bfd38ba9a6412f8c7852d09eb11670e88cac3",
        "arm64": "7010161787077b07de29b15b76825ceacbbcedcb77fe2e6832f509be102cab6b",
    },
    "etcd-v3.6.5-linux-{architecture}",
)

# For a build where there is no Go, or one too old to get a newer one by itself: the Go that upstream's release is built
# with, from the module proxy, where Go's own releases are modules. As from the checksum database sum.golang.org.
GO = Archive(
    "/golang.org/toolchain/@v/v0.0.1-go1.24.13.linux-{architecture}.zip",
    "sha256",
    {"amd64": "d2b048367a3d1a748b87f756fa06df12ce3b419e1d5f2a3612acb8950d615f9f"},
    "golang.org/toolchain@v0.0.1-go1.24.13.linux-{architecture}",
)
OLDEST_GO = (1, 21)

# Seconds without an answer until a place counts as unreachable, so that a closed network costs little.
PATIENCE = 5.0


class Unavailable(Exception):
    """A place cannot give what is asked of it; the text says why. The next one is asked."""


class NoPrograms(Exception):
    """No place has them, or one has something else than it should."""


def say(text: str) -> None:
    print(f"kubernetes: {text}", file=sys.stderr, flush=True)


def architecture() -> str:
    machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in names:
        raise NoPrograms(f"Kubernetes has no server for the architecture {machine}; there is {', '.join(names)}")
    return names[machine]


def cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "paasta", "kubernetes", f"{VERSION}-{architecture()}")


def programs() -> dict[str, Path]:
    """Name -> path of each of PROGRAMS and of etcd; what is missing is fetched or built. Raises NoPrograms."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache):
        return _kubernetes(cache) | _etcd(cache)


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Of two runs that miss the same program, one gets it and the other waits for it."""
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that fills {cache}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _assets(names: tuple[str, ...]) -> dict[str, Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _present(Path(assets), names) if assets else {}


def _present(directory: Path, names: tuple[str, ...]) -> dict[str, Path]:
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


def _kubernetes(cache: Path) -> dict[str, Path]:
    assets = _assets(PROGRAMS)
    if len(assets) == len(PROGRAMS):
        return assets
    if assets:
        lacking = ", ".join(name for name in PROGRAMS if name not in assets)
        say(f"KUBEBUILDER_ASSETS is not used, for programs of one version are needed and it has no {lacking}")
    missing = tuple(name for name in PROGRAMS if name not in _present(cache, PROGRAMS))
    if missing:
        _first(
            ", ".join(missing),
            [
                ("the official release", lambda: _download(KUBERNETES, missing, cache)),
                ("its Go modules", lambda: _build(missing, cache)),
            ],
        )
    return _present(cache, PROGRAMS)


def _etcd(cache: Path) -> dict[str, Path]:
    name = ("etcd",)
    installed = shutil.which("etcd")
    found = _assets(name) or _present(cache, name) or ({"etcd": Path(installed)} if installed else {})
    if not found:
        _first(
            "etcd",
            [
                ("Debian's package", lambda: _unpack_debian_package("etcd-server", "usr/bin/etcd", cache)),
                ("the official release", lambda: _download(ETCD, name, cache)),
            ],
        )
    return found or _present(cache, name)


def _download(archive: Archive, names: tuple[str, ...], cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        path = Path(scratch, "archive")
        _fetch_checked(archive, "", path)
        directory = archive.directory.format(architecture=architecture())
        with tarfile.open(path) as tar:
            for name in names:
                tar.extract(tar.getmember(f"{directory}/{name}"), scratch, filter="data")
                _keep(Path(scratch, directory, name), cache)


def _fetch_checked(archive: Archive, base: str, path: Path) -> None:
    url = base + archive.url.format(architecture=architecture())
    wanted = archive.checksums[architecture()]
    try:
        digest = _fetch(url, path, archive.algorithm)
    except OSError as error:
        raise Unavailable(f"{url}: {error}") from error
    if digest != wanted:
        raise NoPrograms(f"{url} has the {archive.algorithm} {digest}, expected {wanted}")


def _fetch(url: str, path: Path, algorithm: str) -> str:
    """Write what the URL gives to the file; its digest."""
    digest = hashlib.new(algorithm)
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        say(f"downloading {url}" + (f", {size >> 20} MiB" if size else ""))
        told, done = time.monotonic(), 0
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            done += len(block)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"{done >> 20} of {size >> 20} MiB" if size else f"{done >> 20} MiB")
    return digest.hexdigest()


def _build(names: tuple[str, ...], cache: Path) -> None:
    go = _go(cache)
    version = "k8s.io/component-base/version"
    major, minor, _patch = VERSION.removeprefix("v").split(".")
    stamps = {
        f"{version}.gitVersion": VERSION,
        f"{version}.gitMajor": major,
        f"{version}.gitMinor": minor,
        f"{version}.gitTreeState": "archive",
        "k8s.io/client-go/pkg/version.gitVersion": VERSION,
    }
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())])
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", f"{scratch}/"]
        say(f"building {', '.join(names)} {VERSION}; it takes 5 to 15 minutes on 2 cores, and only this once")
        _run_and_tell(
            [*command, *(f"k8s.io/kubernetes/cmd/{name}" for name in names)],
            os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        )
        for name in names:
            _keep(Path(scratch, name), cache)


def _go(cache: Path) -> str:
    """The go program of this machine; where there is none that will do, one in the cache."""
    installed = shutil.which("go")
    if installed:
        said = subprocess.run([installed, "env", "GOVERSION"], check=False, capture_output=True, text=True).stdout
        version = re.match(r"go(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return installed
    if architecture() not in GO.checksums:
        raise Unavailable(f"there is no Go {'.'.join(map(str, OLDEST_GO))} or newer to build with")
    directory = cache / "go"
    if not directory.exists():
        proxies = re.split(r"[,|]", os.environ.get("GOPROXY") or "https://proxy.golang.org")
        proxy = next((proxy.rstrip("/") for proxy in proxies if proxy.startswith("http")), None)
        if proxy is None:
            raise Unavailable(f"there is no Go to build with, and GOPROXY={os.environ['GOPROXY']} has no URL")
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            path = Path(scratch, "archive")
            _fetch_checked(GO, proxy, path)
            with zipfile.ZipFile(path) as archive:
                archive.extractall(scratch)
            unpacked = Path(scratch, GO.directory.format(architecture=architecture()))
            # A module's zip knows no modes.
            for program in (*unpacked.glob("bin/*"), *unpacked.glob("pkg/tool/*/*")):
                program.chmod(0o755)
            unpacked.rename(directory)
    return str(directory / "bin/go")


def _run_and_tell(command: list[str], environment: dict[str, str]) -> None:
    """Run the build and say every half minute that it is still at it."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, cwd=MODULES, env=environment, stdout=output, stderr=output) as process:
            while True:
                try:
                    status = process.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    say(f"still building, {time.monotonic() - started:.0f} s")
        output.seek(0)
        if status:
            raise Unavailable(f"`go build` ended with status {status}: {output.read()[-2000:].strip()}")
    say(f"built in {time.monotonic() - started:.0f} s")


def _unpack_debian_package(package: str, program: str, cache: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Unavailable("this is no Debian or Ubuntu")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        # Lists of our own if those of the system are missing: for the system's, `apt-get update` wants to be root.
        own = [f"-oDir::State::Lists={scratch}/lists", f"-oDir::Cache={scratch}/cache"]
        download = ["download", package]
        attempts = [[download], [[*own, "update"], [*own, *download]]]
        errors = [_apt(attempt, scratch) for attempt in attempts[:1]]
        if errors[-1]:
            errors.append(_apt(attempts[1], scratch))
        if errors[-1]:
            raise Unavailable(errors[-1])
        (file,) = Path(scratch).glob("*.deb")
        say(f"unpacking {file.name}")
        subprocess.run(["dpkg", "-x", file, scratch], check=True)
        _keep(Path(scratch, program), cache)


def _apt(commands: list[list[str]], directory: str) -> str:
    """What went wrong, or nothing."""
    for command in commands:
        result = subprocess.run(
            ["apt-get", "-qq", *command], cwd=directory, check=False, capture_output=True, text=True, timeout=300
        )
        if result.returncode:
            return (result.stderr or result.stdout).strip() or f"apt-get ended with status {result.returncode}"
    return ""


def _keep(program: Path, cache: Path) -> None:
    program.chmod(0o755)
    os.replace(program, cache / program.name)


def main() -> int:
    try:
        found = programs()
    except NoPrograms as error:
        say(str(error))
        return 1
    for name, path in found.items():
        print(f"{name:24} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

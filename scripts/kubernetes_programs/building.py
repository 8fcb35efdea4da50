# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Programs built from their published Go modules, with the digests of go.sum."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .fetching import Unavailable, alone, fetch_checked, keep, say
from .sources import GO, OLDEST_GO, Family, architecture, cache_root


def build(family: Family, names: Iterable[str], cache: Path) -> None:
    names = list(names)
    go = _go(cache_root())
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in family.stamps.items())])
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", f"{scratch}/"]
        say(f"building {', '.join(names)} {family.version} from Go modules; it takes minutes, and only this once")
        _run_and_tell(
            [*command, *(family.packages[name] for name in names)],
            family.modules,
            os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        )
        for name in names:
            keep(Path(scratch, _output(family.packages[name])), cache, name)


def _output(package: str) -> str:
    """What Go calls the program of a package: its last part that is no major version."""
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


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
        with alone(cache):
            if not directory.exists():
                _fetch_go(directory)
    return str(directory / "bin/go")


def _fetch_go(directory: Path) -> None:
    proxies = re.split(r"[,|]", os.environ.get("GOPROXY") or "https://proxy.golang.org")
    proxy = next((proxy.rstrip("/") for proxy in proxies if proxy.startswith("http")), None)
    if proxy is None:
        raise Unavailable(f"there is no Go to build with, and GOPROXY={os.environ['GOPROXY']} has no URL")
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        path = Path(scratch, "archive")
        fetch_checked(GO, proxy, path)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch)
        unpacked = Path(scratch, GO.directory.format(architecture=architecture()))
        # A module's zip knows no modes.
        for program in (*unpacked.glob("bin/*"), *unpacked.glob("pkg/tool/*/*")):
            program.chmod(0o755)
        unpacked.rename(directory)


def _run_and_tell(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    """Run the build and say every half minute that it is still at it."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output) as process:
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

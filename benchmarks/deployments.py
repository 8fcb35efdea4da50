#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to make deployments.json of the tags of many services' repositories, and to tag them all.

The repositories are on this machine, reached as files and through a git daemon. Beside it, what PaaSTA does: one
`git ls-remote` after the other, four at a time (`paasta list | xargs -P4`), without making anything of the tags.
Prints one line for each, and last a line of JSON: times in seconds.

    .venv/bin/python benchmarks/deployments.py [--services 200] [--tags 100]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.paasta.platform.plugins.module_utils.reconcile import (  # noqa: E402
    deployment_record,
    deployments_from_git,
)

IDENTITY = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
GROUPS = 4


def git(*arguments: str, cwd: Path, stdin: str | None = None) -> str:
    environment = {**os.environ, **IDENTITY}
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, input=stdin, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_repositories(root: Path, services: int, tags: int) -> None:
    """``s0.git``, ``s1.git``, …, each with the same tags."""
    first = root / "s0.git"
    git("init", "--quiet", "--bare", "--template=", str(first), cwd=root)
    git("config", "uploadpack.allowFilter", "true", cwd=first)
    tree = git("hash-object", "-t", "tree", "-w", "--stdin", cwd=first, stdin="")
    sha = git("commit-tree", tree, "-m", "bench", cwd=first)
    start = time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0))
    lines = [f"create refs/heads/main {sha}"]
    for number in range(tags):
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(start + 3600 * number))
        lines.append(f"create refs/tags/paasta-prod.g{number % GROUPS}-{stamp}-deploy {sha}")
    git("update-ref", "--stdin", cwd=first, stdin="\n".join([*lines, ""]))
    git("pack-refs", "--all", cwd=first)
    for number in range(1, services):
        shutil.copytree(first, root / f"s{number}.git")


def make_soa_configs(root: Path, services: int) -> None:
    for number in range(services):
        (root / f"s{number}").mkdir(parents=True)
        text = "".join(f"i{group}: {{deploy_group: prod.g{group}}}\n" for group in range(GROUPS))
        (root / f"s{number}" / "kubernetes-prod.yaml").write_text(text)


def timed(what: str, work: Any) -> float:
    start = time.monotonic()
    result = work()
    seconds = time.monotonic() - start
    if result and result.get("failed"):
        raise SystemExit(f"{what}: {result['msg']}")
    print(f"{what}: {seconds:.2f} s", flush=True)
    return round(seconds, 2)


def measure(name: str, soa: Path, url: str, services: int) -> dict[str, float]:
    args: dict[str, Any] = {"soa_dir": str(soa), "git_url": url, "git_timeout": 60, "git_concurrency": 16}
    for path in soa.glob("*/deployments.json"):
        path.unlink()
    urls = "\n".join(url.replace("{service}", f"s{number}") for number in range(services))
    xargs = ["xargs", "-n1", "-P4", "git", "ls-remote", "--tags"]
    generate = {**args, "services": []}
    stops = [
        {
            "service": f"s{number}",
            "cluster": "prod",
            "instance": ["i0"],
            "desired_state": "stop",
            "only_if_absent": False,
        }
        for number in range(services)
    ]
    # The second measurement finds them stopped by the first, and asks for another time.
    request = {"marks": [], "rollbacks": [], "controls": [{**stop, "force_bounce": STAMPS[name]} for stop in stops]}
    everything = {**args, **request, "record": "tags", "by": None}
    return {
        f"{name}_ls_remote": timed(
            f"{name}: git ls-remote alone",
            lambda: subprocess.run(xargs, input=urls, text=True, stdout=subprocess.DEVNULL, check=True) and None,
        ),
        f"{name}_first": timed(f"{name}: all records", lambda: deployments_from_git.run(generate, False, False)),
        f"{name}_again": timed(f"{name}: again", lambda: deployments_from_git.run(generate, False, False)),
        f"{name}_tag_all": timed(
            f"{name}: a tag in every repository", lambda: deployment_record.run(everything, False, False)
        ),
    }


STAMPS = {"file": "20300101T000000", "daemon": "20300102T000000"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--tags", type=int, default=100, help="of each service")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paasta-bench-") as scratch:
        repositories, soa = Path(scratch) / "git", Path(scratch) / "soa"
        repositories.mkdir()
        make_repositories(repositories, options.services, options.tags)
        make_soa_configs(soa, options.services)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        command = ["git", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr", "--max-connections=0"]
        command += ["--listen=127.0.0.1", f"--port={port}", f"--base-path={repositories}", str(repositories)]
        times = measure("file", soa, f"file://{repositories}/{{service}}.git", options.services)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
            try:
                time.sleep(1)
                times |= measure("daemon", soa, f"git://127.0.0.1:{port}/{{service}}.git", options.services)
            finally:
                daemon.terminate()
    print(json.dumps({"services": options.services, "tags": options.tags, **times}))


if __name__ == "__main__":
    main()

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Real git repositories, and a soa-configs tree of services that have one each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import deployment_record

GROUPS = "main: {deploy_group: prod.main}\ncanary: {deploy_group: prod.canary}\n"
Soa = Callable[..., str]


def git(*arguments: str | Path, cwd: Path) -> str:
    return subprocess.run(["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True, text=True).stdout


@dataclass
class Repository:
    """A bare repository with commits in it, oldest first."""

    path: Path
    shas: list[str]

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def tags(self) -> dict[str, str]:
        """Name of each tag, and the commit it names."""
        lines = git("ls-remote", "--tags", "--refs", self.path, cwd=self.path).splitlines()
        return {name.removeprefix("refs/tags/"): sha for sha, name in (line.split("\t") for line in lines)}

    def tag(self, name: str, sha: str) -> None:
        git("tag", name, sha, cwd=self.path)


@pytest.fixture
def git_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine's user, and none of a hook that runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n  name = Tess Ter\n  email = tess@example.org\n[init]\n  defaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path, git_identity: None) -> Callable[[str], Repository]:
    """``repository(name)`` makes one with three commits."""

    def make(name: str = "web") -> Repository:
        bare = tmp_path / "git" / f"{name}.git"
        git("init", "--quiet", "--bare", bare, cwd=tmp_path)
        # What every hosting service does.
        git("config", "uploadpack.allowFilter", "true", cwd=bare)
        tree = git("hash-object", "-t", "tree", "-w", "/dev/null", cwd=bare).strip()
        shas: list[str] = []
        for number in range(3):
            parent = ["-p", shas[-1]] if shas else []
            shas.append(git("commit-tree", tree, *parent, "-m", f"{name} {number}", cwd=bare).strip())
        git("update-ref", "refs/heads/main", shas[-1], cwd=bare)
        return Repository(bare, shas)

    return make


@pytest.fixture
def soa(tmp_path: Path) -> Soa:
    """``soa({path: text or None})`` writes services web and api with changes, and returns the directory."""

    def write(changes: dict[str, str | None] | None = None) -> str:
        base: dict[str, str | None] = {"web/kubernetes-prod.yaml": GROUPS, "api/kubernetes-prod.yaml": GROUPS}
        for name, text in {**base, **(changes or {})}.items():
            path = tmp_path / "soa" / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return str(tmp_path / "soa")

    return write


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[str]:
    """The URL of a git daemon on the loopback that serves, and takes pushes to, the repositories of ``repository``."""
    root = tmp_path / "git"
    root.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = ["git", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr", "--listen=127.0.0.1"]
    with subprocess.Popen([*command, f"--port={port}", f"--base-path={root}", str(root)]) as process:
        for _attempt in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"git://127.0.0.1:{port}"
        process.terminate()


PROGRAM = """
import json, sys
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.deployment_record import run
args = json.load(sys.stdin)
print(json.dumps(run(args, False, False)))
"""


@pytest.fixture
def at_once() -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Runs of the deployments module's work at the same time, each in a process of its own: their results."""

    def run(arguments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        collections = Path(deployment_record.__file__).parents[6]
        environment = {**os.environ, "PYTHONPATH": str(collections)}
        command = [sys.executable, "-c", PROGRAM]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [subprocess.Popen(command, text=True, env=environment, **pipes) for _args in arguments]
        with ThreadPoolExecutor(len(processes)) as pool:
            texts = [json.dumps(args) for args in arguments]
            outputs = pool.map(lambda process, text: process.communicate(text)[0], processes, texts)
            return [json.loads(output.splitlines()[-1]) for output in outputs]

    return run

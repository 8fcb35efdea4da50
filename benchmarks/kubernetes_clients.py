# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a user would apply the same manifests with, and how processes are measured. For ``benchmarks/kubernetes.py``."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "kubernetes"))

from binaries import programs

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
MIB = 1 << 20

K8S = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    manifests: "{{ lookup('ansible.builtin.file', file) | from_json }}"
  tasks:
    - kubernetes.core.k8s:
        definition: "{{ manifests }}"
        apply: true
        server_side_apply: {field_manager: bench}
      when: not loop | bool
    - kubernetes.core.k8s:
        definition: "{{ item }}"
        apply: true
        server_side_apply: {field_manager: bench}
      loop: "{{ manifests }}"
      loop_control: {label: "{{ item.metadata.name }}"}
      when: loop | bool
"""


# As a person has it: what Python has compiled once it keeps.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Done:
    """A process that has ended: wall time, CPU time of it and its children, and their memory at the same time."""

    seconds: float
    cpu: float
    peak_mib: float
    output: str
    marked: float = 0.0


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None, mark: str = "") -> Done:
    """Run a program to its end; its failure ends the benchmark.

    :param mark: what the line says whose time is ``Done.marked``.
    """
    start, marked = time.monotonic(), 0.0
    lines = []
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env={**_ENVIRONMENT, "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        with Memory(process.pid) as memory:
            for line in process.stdout or ():
                lines.append(line)
                if mark and mark in line:
                    marked = time.monotonic() - start
            # Like wait(), and says how much the largest of all its processes took.
            _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    text = "".join(lines)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{text[-4000:]}")
    peak = max(memory.peak, usage.ru_maxrss * 1024) / MIB
    return Done(seconds, usage.ru_utime + usage.ru_stime, peak, text, marked)


class Memory:
    """Looks once a second at what a process and all below it take; pages that they share count once (PSS)."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self.peak = max(self.peak, sum(map(_pss, _tree(self._pid))))


def _tree(pid: int) -> Iterable[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def bare(scratch: Path, kubeconfig: str, requests: list[dict[str, Any]]) -> float:
    """Seconds that ``kubernetes_bare.py`` needs to send them; its start is not counted."""
    (scratch / "access.json").write_text(json.dumps(access(kubeconfig, scratch)))
    (scratch / "requests.json").write_text(json.dumps(requests))
    program = ROOT / "benchmarks" / "kubernetes_bare.py"
    done = run([BIN / "python", program, scratch / "access.json", scratch / "requests.json"])
    return float(json.loads(done.output)["seconds"])


def access(kubeconfig: str, scratch: Path) -> dict[str, str]:
    """What ``kubernetes_bare.py`` needs of a kubeconfig with one cluster and one user."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    found = {"host": cluster["server"]}
    for name, source, key in (
        ("ca", cluster, "certificate-authority"),
        ("certificate", user, "client-certificate"),
        ("key", user, "client-key"),
    ):
        if f"{key}-data" in source:
            (scratch / name).write_bytes(base64.b64decode(source[f"{key}-data"]))
            found[name] = str(scratch / name)
        elif key in source:
            found[name] = str(Path(kubeconfig).parent / source[key])
    return found | ({"token": user["token"]} if "token" in user else {})


def kubectl(scratch: Path, kubeconfig: str, manifests: list[dict[str, Any]]) -> Done:
    """One ``kubectl apply`` of one file."""
    file = scratch / "list.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    command: list[str | Path] = [
        programs()["kubectl"],
        "apply",
        "--server-side",
        "--kubeconfig",
        kubeconfig,
        "--cache-dir",
        scratch / "kubectl",
    ]
    return run([*command, "-f", file])


def k8s(scratch: Path, kubeconfig: str, manifests: list[dict[str, Any]], loop: bool) -> Done:
    """One play with ``kubernetes.core.k8s``, given all manifests at once or one after the other."""
    playbook, file = scratch / "k8s.yml", scratch / "k8s.json"
    playbook.write_text(K8S)
    file.write_text(json.dumps(manifests))
    variables = json.dumps({"file": str(file), "loop": loop})
    environment = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(kubernetes_core()),
        "K8S_AUTH_KUBECONFIG": kubeconfig,
        # Where it keeps what it has learnt of the server: of one of its own, as in the first run on a machine.
        "TMPDIR": str(scratch),
    }
    return run([BIN / "ansible-playbook", "-i", "localhost,", playbook, "-e", variables], environment)


def kubernetes_core() -> Path:
    """A directory of collections with kubernetes.core, taken out of the ``ansible`` wheel as ``scripts/setup`` does."""
    listed = ROOT / "scripts" / "collections.txt"
    version = next(line.split()[0] for line in listed.read_text().splitlines() if line.startswith("ansible=="))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paasta" / "collections"
    target = cache / f"{version.replace('==', '-')}-benchmarks"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            download: list[str | Path] = [
                BIN / "python",
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ]
            run([*download, "--only-binary", ":all:", "--dest", work, "-r", listed])
            wheel = next(Path(work).glob("ansible-*.whl"))
            extract: list[str | Path] = [BIN / "python", ROOT / "scripts" / "extract_collections.py", wheel]
            run([*extract, Path(work) / "out", "kubernetes.core"])
            (Path(work) / "out").rename(target)
    return target

#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How long a platform takes to be made of machines, and how long it takes to find that nothing is to be done.

    .venv/bin/python benchmarks/bootstrap.py [--inventory molecule/kubernetes/inventory] [--slowest 10] [--keep]

Makes the node containers of the inventory anew, in a cluster of their own (not timed), and runs
`playbooks/bootstrap.yml` on them twice. The first run installs everything, with the caches that this machine has; the
second has to change nothing. Of each run it prints the wall time, the number of tasks, and the slowest tasks: from a
task's banner to the next one's, so with everything that Ansible does around it.

The last line is a JSON object: `second_over_first` is the second run's time divided by the first's, `tasks` how many
tasks the second run has.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CLUSTER, ADDRESS = "benchmark", "127.0.0.80"


@dataclass(frozen=True)
class Run:
    """A run of a playbook: its seconds, each task with its seconds, and how many of them changed a host."""

    seconds: float
    tasks: list[tuple[str, float]]
    changed: int

    def show(self, title: str, slowest: int) -> None:
        print(f"\n{title}: {self.seconds:.1f} s, {len(self.tasks)} tasks, {self.changed} changes")
        for name, seconds in sorted(self.tasks, key=lambda task: -task[1])[:slowest]:
            print(f"  {seconds:6.1f} s  {name}")
        sys.stdout.flush()


def copied(inventory: Path, scratch: Path) -> Path:
    """The inventory with machines of this benchmark's own."""
    copy = scratch / "inventory"
    shutil.copytree(inventory, copy)
    (source,) = copy.glob("*.node_containers.yml")
    cluster = re.findall(r"(?m)^cluster: (.+)$", source.read_text())[0]
    for path in copy.rglob("*.yml"):
        text = re.sub(
            rf"(?m)^(cluster|paasta_node_containers): {re.escape(cluster)}$", rf"\1: {CLUSTER}", path.read_text()
        )
        text = re.sub(r"(?m)^(host_network_address|paasta_gateway_address): 127\..+$", rf"\1: {ADDRESS}", text)
        path.write_text(text)
    return copy


def play(playbook: str, inventory: Path, *arguments: str) -> Run:
    """Run a playbook; its failure ends the benchmark."""
    command = [str(BIN / "ansible-playbook"), "-i", str(inventory), f"playbooks/{playbook}.yml", *arguments]
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # Tasks that are skipped take their time as well.
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    started = time.monotonic()
    banners: list[tuple[str, float]] = []
    lines = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if found := re.match(r"(?:TASK|RUNNING HANDLER) \[(.+)\] \*+$|(PLAY) ", line):
                banners.append((found[1] or "", time.monotonic() - started))
    seconds = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}\n{''.join(lines)[-6000:]}")
    ends = [at for _name, at in banners[1:]] + [seconds]
    tasks = [(name, end - at) for (name, at), end in zip(banners, ends, strict=True) if name]
    return Run(seconds, tasks, sum(int(count) for count in re.findall(r"changed=(\d+)", "".join(lines))))


@contextmanager
def machines(inventory: Path, keep: bool) -> Iterator[None]:
    """New node containers, removed at the end unless they are to be looked at."""
    play("down", inventory, "-e", "keep_caches=true")
    play("nodes", inventory)
    try:
        yield
    finally:
        if not keep:
            play("down", inventory, "-e", "keep_caches=true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", type=Path, default=ROOT / "molecule" / "kubernetes" / "inventory")
    parser.add_argument("--slowest", type=int, default=10, help="how many tasks to list")
    parser.add_argument("--keep", action="store_true", help="leave the machines as they are at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paasta-bench-") as scratch:
        inventory = copied(options.inventory, Path(scratch))
        with machines(inventory, options.keep):
            first = play("bootstrap", inventory)
            first.show("first run", options.slowest)
            second = play("bootstrap", inventory)
            second.show("second run", options.slowest)
    if second.changed:
        sys.exit("the second run changed something: nothing was measured")
    print(json.dumps({"second_over_first": round(second.seconds / first.seconds, 3), "tasks": len(second.tasks)}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How long a deploy takes, beside what a user would write instead: a loop over community.docker.docker_container.

Both bring the same containers to the same Docker Engine, this machine's own; once from nothing and once when nothing
is to be done. Prints one line for each, and last a line of JSON: times in seconds and how many times faster we are.

    .venv/bin/python benchmarks/deploy.py [--instances 30]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHA = "0" * 40
IMAGE = f"paasta/base:bench-{SHA[:8]}"

PLAYBOOK = """
- hosts: localhost
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  connection: local
  gather_facts: false
  tasks:
    - paasta.platform.plan:
        soa_dir: "{{ soa }}"
        cluster: bench
        registry: bench.invalid
        engines: {kubernetes: docker}
      register: read
      when: ours | bool
    - paasta.platform.docker_instances:
        cluster: bench
        instances: "{{ read.plan.docker.instances }}"
        hosts: [{name: here, url: "unix:///var/run/docker.sock", address: 127.0.0.1}]
        first_port: 21000
        last_port: 22999
        prune_guard: 1
      when: ours | bool
    - community.docker.docker_container:
        name: "bench-loop-{{ item }}"
        image: "{{ image }}"
        command: [sleep, "86400"]
        env: {PAASTA_INSTANCE: "i{{ item }}"}
        memory: 64M
        cpus: 0.5
        restart_policy: unless-stopped
        published_ports: ["{{ 23000 + (item | int) }}:8888"]
        pull: never
      loop: "{{ range(count | int) | list }}"
      when: not ours | bool
"""


def write_soa(directory: Path, count: int) -> None:
    """A service with ``count`` instances, each one container that sleeps."""
    service = directory / "bench"
    service.mkdir(parents=True)
    (service / "service.yaml").write_text("description: benchmark\nexternal_link: https://example.org\n")
    (service / "monitoring.yaml").write_text("team: benchmark\n")
    keys = "{cpus: 0.1, cpu_burst_add: 0.4, mem: 64, deploy_group: g, cmd: exec sleep 86400}"
    text = "".join(f"i{number}: {keys}\n" for number in range(count))
    (service / "kubernetes-bench.yaml").write_text(text)
    record = {"docker_image": f"services-bench:paasta-{SHA}", "git_sha": SHA, "image_version": None}
    controls = {f"bench:bench.i{n}": {"desired_state": "start", "force_bounce": None} for n in range(count)}
    (service / "deployments.json").write_text(json.dumps({"v2": {"deployments": {"g": record}, "controls": controls}}))


def play(playbook: Path, soa: Path, count: int, ours: bool) -> float:
    """Seconds that the playbook takes in all, Ansible's own start included."""
    variables = json.dumps({"soa": str(soa), "count": count, "image": IMAGE, "ours": ours})
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "localhost,", str(playbook), "-e", variables]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.monotonic() - started


def clean() -> None:
    """Remove what the benchmark has made."""
    for what in ("label=paasta_cluster=bench", "name=bench-loop-"):
        found = subprocess.run(["docker", "ps", "-aq", "--filter", what], capture_output=True, text=True, check=True)
        if found.stdout.split():
            subprocess.run(["docker", "rm", "-fv", *found.stdout.split()], capture_output=True, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=30)
    count = parser.parse_args().instances
    names = [IMAGE, f"bench.invalid/services-bench:paasta-{SHA}"]
    for name in names:
        subprocess.run(["docker", "tag", "paasta/base:bookworm", name], check=True)
    clean()
    times: dict[str, float] = {}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            soa, playbook = Path(scratch) / "soa", Path(scratch) / "bench.yml"
            write_soa(soa, count)
            playbook.write_text(PLAYBOOK)
            for ours, who in ((True, "docker_instances"), (False, "docker_container in a loop")):
                for what in ("first", "second"):
                    seconds = play(playbook, soa, count, ours)
                    times[f"{'ours' if ours else 'loop'}_{what}_s"] = round(seconds, 1)
                    print(f"{who}: {what} run of {count} instances: {seconds:.1f} s", flush=True)
    finally:
        clean()
        subprocess.run(["docker", "rmi", *names], capture_output=True, check=False)
    for what in ("first", "second"):
        times[f"{what}_ratio"] = round(times[f"loop_{what}_s"] / times[f"ours_{what}_s"], 1)
    print(json.dumps(times))


if __name__ == "__main__":
    main()

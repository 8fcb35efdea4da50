#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to bring a thousand instances to Kubernetes, beside what else would apply the same manifests.

    .venv/bin/python benchmarks/kubernetes.py [--instances 1000] [--rounds 2] [--no-controllers] [--skip-loop] [--quick]

Writes soa-configs of services with ten instances each, every one a Deployment with a HorizontalPodAutoscaler and a
PodDisruptionBudget, and measures on a real API server of this machine:

bare      a program that has the manifests ready in memory and does nothing but send them as server-side applies, over
          16 connections that stay open (kubernetes_bare.py); neither its start nor its encoding is counted
ours      `ansible-playbook playbooks/deploy.yml`, from its start to its end: soa-configs are read (no cache yet),
          rendered, compared with what is there, applied. It does not wait for pods, for there are none
no-op     the same once more
kubectl   `kubectl apply --server-side -f` of one file with all manifests
list      `kubernetes.core.k8s` with one list of all manifests
loop      `kubernetes.core.k8s` in a loop. All of them would take an hour or more, so the time of 30 is multiplied

Each has a control plane of its own, new and empty, with the scheduler and the controllers at work, as in a cluster:
they take up what is applied while more of it is, on the same cores. `--no-controllers` leaves etcd and the API server
alone; everything is quicker then, and what a program needs to start counts for more. Before the no-op run the
controllers have come to rest. An object of every kind is applied before, so that nobody pays for the API server's
first time. Afterwards the objects are counted: everything is there, or nothing was measured. The best of the rounds
counts, for whatever else a machine does only adds to a time.

The last line is a JSON object. `over_bare_client` is our time from the start of ansible-playbook to the last apply,
divided by the bare client's; `over_kubectl` our whole time divided by kubectl's (below 1, we are faster);
`loop_over_ours` the loop's divided by ours; `noop_over_first` our second run's divided by our first; `peak_mib` the
most memory that our processes had together, in either run.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = sys.path.pop(0)
# At the end: this file is called like the package that others import.
sys.path += [str(ROOT / "collections"), HERE]

import kubernetes_clients as clients  # noqa: E402
import kubernetes_server as server  # noqa: E402
import kubernetes_soaconfigs as soaconfigs  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils import plan as planning  # noqa: E402
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import kinds  # noqa: E402

Manifest = dict[str, Any]
SAMPLE = 30

# What the playbook reports once all of it is written (reconcile/kubernetes/deploy.py).
WRITTEN = "- cluster bench: compared "


@dataclass(frozen=True)
class Work:
    """What all of them have to do: the same manifests, namespaces first."""

    scratch: Path
    manifests: list[Manifest]
    controllers: bool

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return Counter((manifest["apiVersion"], manifest["kind"]) for manifest in self.manifests)


def prepare(scratch: Path, instances: int, controllers: bool) -> Work:
    """Write soa-configs, and render them as the playbook does."""
    soa = scratch / "soa-configs"
    soaconfigs.write_soa_configs(soa, instances)
    args = {name: option.get("default") for name, option in planning.ARGUMENTS.items()}
    settings = soaconfigs.settings()
    args |= {"soa_dir": str(soa), "cluster": soaconfigs.CLUSTER, "registry": soaconfigs.REGISTRY, "settings": settings}
    result = planning.run(args)
    if result.get("failed"):
        sys.exit(result["msg"])
    rendered = json.loads(result["plan"]["kubernetes"])
    manifests = list(rendered["shared"].values())
    manifests += [manifest for entry in rendered["instances"].values() for manifest in entry["objects"]]
    manifests.sort(key=lambda manifest: manifest["kind"] != "Namespace")
    return Work(scratch, manifests, controllers)


@contextmanager
def cluster(work: Work) -> Iterator[server.Server]:
    """A control plane of its own, which is warm."""
    with server.started(work.scratch, work.controllers) as found:
        clients.bare(found.directory, found.kubeconfig, requests(warm_up(work.manifests)))
        yield found


def warm_up(manifests: list[Manifest]) -> list[Manifest]:
    """One manifest of each kind, in a namespace of their own."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        if manifest["kind"] not in found:
            copied = found[manifest["kind"]] = copy.deepcopy(manifest)
            copied["metadata"]["name"] = "warm-up"
            if "namespace" in copied["metadata"]:
                copied["metadata"]["namespace"] = "warm-up"
    return list(found.values())


def requests(manifests: list[Manifest]) -> list[dict[str, Any]]:
    return [{"path": kinds.path(manifest), "manifest": manifest} for manifest in manifests]


def check(found: server.Server, work: Work) -> None:
    """Ends the benchmark if anything is missing."""
    for (api_version, kind), wanted in work.counts.items():
        # Besides those of the warm-up and of Kubernetes itself.
        there = found.count(kinds.collection(kinds.find(kind, api_version)))
        if there < wanted + 1:
            sys.exit(f"{there} objects of kind {kind} are there instead of {wanted} and more: nothing was measured")


class Report:
    """What was measured: the best time of each, since whatever else a machine does only adds to it."""

    def __init__(self, objects: int) -> None:
        self._objects = objects
        self.seconds: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}
        # Our time to the last apply.
        self.applied = 0.0

    def add(self, name: str, seconds: float, done: clients.Done | None = None, note: str = "") -> None:
        self.seconds[name] = min(self.seconds.get(name, seconds), seconds)
        line = f"{name:8} {seconds:8.1f} s {self._objects / seconds:6.0f} objects/s"
        if done:
            self.peak_mib[name] = max(self.peak_mib.get(name, 0), done.peak_mib)
            line += f" {done.cpu:6.1f} s of CPU {done.peak_mib:5.0f} MiB"
        print(f"{line}  {note}".rstrip(), flush=True)


def measure(work: Work, rounds: int, loop: bool, quick: bool) -> Report:
    report = Report(len(work.manifests))
    for _round in range(rounds):
        with cluster(work) as found:
            report.add("bare", clients.bare(found.directory, found.kubeconfig, requests(work.manifests)))
            check(found, work)
        with cluster(work) as found:
            first, again = deploy(work, found)
            report.add("ours", first.seconds, first, note=f"{first.marked:.1f} s to the last apply")
            report.applied = min(report.applied or first.marked, first.marked)
            report.add("no-op", again.seconds, again)
        if quick:
            continue
        with cluster(work) as found:
            done = clients.kubectl(found.directory, found.kubeconfig, work.manifests)
            check(found, work)
            report.add("kubectl", done.seconds, done)
    if quick:
        return report
    with cluster(work) as found:
        done = clients.k8s(found.directory, found.kubeconfig, work.manifests, loop=False)
        check(found, work)
        report.add("list", done.seconds, done)
    if loop:
        with cluster(work) as found:
            each = seconds_of_one(work, found)
            report.add(
                "loop", each * len(work.manifests), note=f"{each:.2f} s an object, of {SAMPLE} that were measured"
            )
    return report


def deploy(work: Work, found: server.Server) -> tuple[clients.Done, clients.Done]:
    """The playbook, twice. The second has to find nothing to change."""
    inventory = found.directory / "inventory"
    soaconfigs.write_inventory(inventory, work.scratch / "soa-configs", found.kubeconfig)
    environment = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "XDG_CACHE_HOME": str(found.directory / "cache"),
    }
    command: list[str | Path] = [
        clients.BIN / "ansible-playbook",
        "-i",
        inventory,
        "playbooks/deploy.yml",
        "-e",
        "wait=false",
    ]
    first = clients.run(command, environment, mark=WRITTEN)
    if not first.marked:
        sys.exit(f"it does not say when it has written all:\n{first.output[-4000:]}")
    check(found, work)
    found.rest()
    again = clients.run(command, environment)
    if "changed=0" not in again.output:
        sys.exit(f"the second run changed something:\n{again.output[-4000:]}")
    return first, again


def seconds_of_one(work: Work, found: server.Server) -> float:
    """What one more object adds to a play that has kubernetes.core.k8s in a loop."""
    namespaces = [manifest for manifest in work.manifests if manifest["kind"] == "Namespace"]
    others = [manifest for manifest in work.manifests if manifest["kind"] != "Namespace"]
    clients.bare(found.directory, found.kubeconfig, requests(namespaces))
    step = max(len(others) // (SAMPLE + 2), 1)
    first, *sample = others[::step][: SAMPLE + 1]
    # The first finds out what the server has, which those after it are spared.
    clients.k8s(found.directory, found.kubeconfig, [first], loop=True)
    alone = clients.k8s(found.directory, found.kubeconfig, [first], loop=True)
    with_all = clients.k8s(found.directory, found.kubeconfig, [first, *sample], loop=True)
    return (with_all.seconds - alone.seconds) / len(sample)


def summary(report: Report) -> dict[str, float | None]:
    seconds, ours = report.seconds, report.seconds["ours"]
    return {
        "over_bare_client": round(report.applied / seconds["bare"], 2),
        "over_kubectl": round(ours / seconds["kubectl"], 2) if "kubectl" in seconds else None,
        "loop_over_ours": round(seconds["loop"] / ours, 1) if "loop" in seconds else None,
        "noop_over_first": round(seconds["no-op"] / ours, 3),
        "peak_mib": round(max(report.peak_mib["ours"], report.peak_mib["no-op"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2, help="of all but list and loop; the best counts")
    parser.add_argument("--no-controllers", action="store_true", help="only etcd and the API server run")
    parser.add_argument("--skip-loop", action="store_true", help="without kubernetes.core.k8s in a loop")
    parser.add_argument("--quick", action="store_true", help="only the bare client and the playbook")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paasta-bench-") as scratch:
        work = prepare(Path(scratch), options.instances, not options.no_controllers)
        kinds_of = ", ".join(f"{count} {kind}" for (_version, kind), count in sorted(work.counts.items()))
        print(f"{options.instances} instances, {len(work.manifests)} objects: {kinds_of}", flush=True)
        print(json.dumps(summary(measure(work, options.rounds, not options.skip_loop, options.quick))))


if __name__ == "__main__":
    main()

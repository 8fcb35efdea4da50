#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How long a large soa-configs tree takes to load, merge and validate, beside what libyaml alone takes to parse it.

    .venv/bin/python benchmarks/soaconfigs.py [--services 1000] [--rounds 5] [--keep DIRECTORY]

Generates the same tree every time, and measures CPU time (user and system) in processes of their own, one core each:

parse   every file read, and parsed by libyaml into values as PyYAML does it (``yaml.load`` with ``CSafeLoader``): what
        any program pays before it has looked at a single value
nodes   the same as far as PyYAML's nodes only (``yaml.compose``), which is no use to anybody, but the least there is
cold    ``tree.validate``: all files of all clusters read, merged, checked and made into typed instances; no cache
warm    the same once more with a cache that holds the result and nothing having changed; instances are taken from the
        cache when somebody asks for them, which is measured, too

The best of the rounds counts: whatever else a machine does only adds to the time of a process. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHA = "0123456789abcdef0123456789abcdef01234567"
WORDS = ("user", "order", "search", "photo", "review", "billing", "ads", "mail", "geo", "feed", "rank", "auth")
CLUSTERS = ("norcal-prod", "nova-prod", "norcal-stage")


def generate(root: Path, services: int) -> dict[str, int]:
    """Write a tree like those that teams have; returns how many files and instances there are."""
    choice = random.Random(2026)
    files: dict[str, str] = {"location_types.json": json.dumps(["ecosystem", "superregion", "region", "habitat"])}
    instances = 0
    for number in range(services):
        name = f"{WORDS[number % len(WORDS)]}_{choice.choice(WORDS)}_{number}"
        groups: list[str] = []
        for text in _instance_files(choice, name, number):
            files[f"{name}/{text[0]}"] = text[1]
            instances += text[2]
            groups += text[3]
        files.update(_service_files(name, number, groups))
        if number % 10 == 3:
            files[f"{name}/secrets/token.json"] = _secret(number)
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return {"files": len(files), "instances": instances, "bytes": sum(map(len, files.values()))}


def _service_files(name: str, number: int, groups: list[str]) -> dict[str, str]:
    steps = "".join(f"  - step: {group}\n    trigger_next_step_manually: true\n" for group in dict.fromkeys(groups))
    record = {
        "v1": {},
        "v2": {
            "deployments": {
                group: {"docker_image": f"services-{name}:paasta-{SHA}", "git_sha": SHA, "image_version": None}
                for group in dict.fromkeys(groups)
            },
            "controls": {
                f"{name}:{cluster}.main": {"desired_state": "start", "force_bounce": None} for cluster in CLUSTERS
            },
        },
    }
    return {
        f"{name}/service.yaml": f"""---
description: |
  The service {name}, which does what its name says,
  and answers to whoever calls it.
external_link: https://example.com/docs/{name}
git_url: git@git.example.com:services/{name}
cost_owner: team-{number % 40}
""",
        f"{name}/monitoring.yaml": f"""---
team: team-{number % 40}
page: {"true" if number % 3 else "false"}
runbook: https://example.com/runbooks/{name}
tip: look at the dashboard first
notification_email: team-{number % 40}@example.com
alert_after: 10m
""",
        **(
            {}
            if number % 10 >= 8
            else {
                f"{name}/smartstack.yaml": f"""---
main:
  proxy_port: {19000 + number}
  mode: http
  healthcheck_uri: /status
  timeout_connect_ms: 500
  timeout_server_ms: 3000
  advertise: [region]
  discover: region
"""
            }
        ),
        f"{name}/deploy.yaml": f"""---
pipeline:
  - step: itest
  - step: security-check
  - step: push-to-registry
{steps}slack_channels: ["#team-{number % 40}"]
""",
        f"{name}/deployments.json": json.dumps(record, indent=4, sort_keys=True),
    }


def _instance_files(choice: random.Random, name: str, number: int) -> list[tuple[str, str, int, list[str]]]:
    """File name, text, how many instances (or jobs), and their deploy groups."""
    found = []
    if number % 10 < 8:
        cluster = CLUSTERS[number % len(CLUSTERS)]
        found.append((f"kubernetes-{cluster}.yaml", *_kubernetes(choice, name, cluster)))
    else:
        cluster = "norcal-prod"
        text = f"""---
nightly:
  node: paasta
  schedule: "cron 0 {number % 24} * * *"
  time_zone: America/Los_Angeles
  deploy_group: {cluster}.everything
  monitoring: {{team: team-{number % 40}, page: false}}
  actions:
    extract:
      command: python -m {name}.batch.extract --date {{shortdate-1}}
      executor: paasta
      cpus: 0.5
      mem: 1024
    load:
      command: python -m {name}.batch.load --date {{shortdate-1}}
      requires: [extract]
      retries: 2
"""
        found.append((f"tron-{cluster}.yaml", text, 1, [f"{cluster}.everything"]))
    return found


def _kubernetes(choice: random.Random, name: str, cluster: str) -> tuple[str, int, list[str]]:
    secret = "\n    TOKEN: SECRET(token)" if name.endswith("3") else ""
    text = f"""---
# Everything that the instances have in common.
_defaults: &defaults
  cpus: {choice.choice((0.25, 0.5, 1, 2))}
  mem: {choice.choice((512, 1024, 2048, 4000))}
  disk: 512
  healthcheck_mode: http
  healthcheck_uri: /status?deep=1
  healthcheck_grace_period_seconds: 90
  registrations: [{name}.main]
  env: &environment
    LOG_LEVEL: info
    WORKERS: "{choice.randint(2, 16)}"
    DATABASE_URL: mysql://{name}.db.example.com:3306/{name}{secret}

main:
  <<: *defaults
  deploy_group: {cluster}.everything
  min_instances: {choice.randint(2, 5)}
  max_instances: {choice.randint(6, 40)}
  autoscaling:
    metrics_providers:
      - type: uwsgi
        setpoint: 0.6
  bounce_margin_factor: 0.8
  extra_volumes:
    - {{containerPath: /nail/etc/topology, hostPath: /nail/etc/topology, mode: RO}}
    - {{containerPath: /nail/bulkdata/{name}, hostPath: /nail/bulkdata/{name}, mode: RO}}
canary:
  <<: *defaults
  deploy_group: {cluster}.canary
  instances: 1
  monitoring: {{page: false, alert_after: 30m}}
"""
    groups = [f"{cluster}.canary", f"{cluster}.everything"]
    return text, 2, groups


def _secret(number: int) -> str:
    entry = {"ciphertext": f"vault:v1:{'QUJD' * 12}{number:04d}", "signature": "0" * 64}
    return json.dumps({"environments": dict.fromkeys(CLUSTERS, entry)}, indent=4)


# What is measured, each in a process of its own.


def _paths(root: str) -> list[str]:
    return sorted(str(path) for path in Path(root).rglob("*") if path.is_file())


def measure(what: str, root: str) -> dict[str, float]:
    """CPU seconds of one piece of work, imports not counted, and the peak memory of the process in MiB."""
    import yaml

    result: dict[str, float] = {}
    if what in ("parse", "nodes"):
        function = yaml.compose if what == "nodes" else yaml.load
        paths = _paths(root)
        start = time.process_time()
        for path in paths:
            with open(path, "rb") as stream:
                function(stream.read(), Loader=yaml.CSafeLoader)
        result["cpu_s"] = time.process_time() - start
    else:
        sys.path.insert(0, str(ROOT / "collections"))
        from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import tree

        cache = os.path.join(root, "..", "cache") if what == "warm" else None
        start = time.process_time()
        reading = tree.validate(root, cache=cache)
        result["cpu_s"] = time.process_time() - start
        sum(len(config.instances) for config in reading.configs.values())
        result["with_instances_s"] = time.process_time() - start
        result |= {"errors": len(reading.errors), "warnings": len(reading.warnings), "instances": reading.instances}
        result |= {"services": reading.services, "files": reading.files}
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def _measured(what: str, root: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, "--keep", root]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", help="where the tree is written, and stays")
    parser.add_argument("--measure", choices=["parse", "nodes", "cold", "warm"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.keep)))
        return
    with tempfile.TemporaryDirectory(prefix="soaconfigs-") as temporary:
        root = Path(arguments.keep or f"{temporary}/soa-configs")
        size = generate(root, arguments.services)
        report(str(root), size, arguments.services, arguments.rounds)


def report(root: str, size: dict[str, int], services: int, rounds: int) -> None:
    print(f"{services} services, {size['files']} files, {size['instances']} instances, {size['bytes'] / 1e6:.1f} MB")
    best: dict[str, float] = {}
    peak = 0.0
    everything = float("inf")
    _measured("warm", root)  # fills the cache
    for number in range(rounds):
        for what in ("parse", "nodes", "cold", "warm"):
            found = _measured(what, root)
            best[what] = min(best.get(what, found["cpu_s"]), found["cpu_s"])
            if what == "warm":
                everything = min(everything, found["with_instances_s"])
            if what in ("cold", "warm"):
                peak = max(peak, found["peak_mib"])
                if found["errors"] or found["instances"] == 0:
                    sys.exit(f"the generated tree has {found['errors']:.0f} errors, so nothing was measured")
        print(
            f"round {number + 1} of {rounds}: " + ", ".join(f"{what} {best[what]:.3f} s" for what in best), flush=True
        )
    print(f"cold / nodes: {best['cold'] / best['nodes']:.2f}")
    print(f"warm with all instances / cold: {everything / best['cold']:.2f}")
    print(
        json.dumps(
            {
                "cold_over_parse": round(best["cold"] / best["parse"], 3),
                "warm_over_cold": round(best["warm"] / best["cold"], 3),
                "peak_mib": round(peak, 1),
            }
        )
    )


if __name__ == "__main__":
    main()

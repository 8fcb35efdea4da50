# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The soa-configs and the inventory that ``benchmarks/kubernetes.py`` deploys: the same every time."""

from __future__ import annotations

import json
from pathlib import Path

CLUSTER = "bench"
REGISTRY = "registry.example.com:5000"
SHA = "0123456789abcdef0123456789abcdef01234567"
INSTANCES_OF_A_SERVICE = 10

# What teams set: an instance in the mesh with probes and limits, which scales on its CPU.
TEMPLATE = """---
_defaults: &defaults
  cpus: 0.5  # override-cpu-setting (BENCH-1): the same for all
  mem: 1024
  disk: 512
  min_instances: 2
  max_instances: 10
  autoscaling:
    metrics_providers:
      - type: cpu
        setpoint: 0.7
  healthcheck_mode: http
  healthcheck_uri: /status?deep=1
  healthcheck_grace_period_seconds: 90
  bounce_margin_factor: 0.9
  deploy_group: {cluster}.everything
  registrations: [{service}.main]
  env:
    LOG_LEVEL: info
    WORKERS: "8"
    DATABASE_URL: mysql://{service}.db.example.com:3306/{service}
  extra_volumes:
    - {{containerPath: /nail/etc/topology, hostPath: /nail/etc/topology, mode: RO}}
"""
INSTANCE = """
i{number}:
  <<: *defaults
  cmd: exec python -m {service} --shard {number}
  monitoring: {{page: false}}
"""


def write_soa_configs(root: Path, instances: int) -> None:
    """Services of ten instances each; the last has what is left."""
    for number in range(-(-instances // INSTANCES_OF_A_SERVICE)):
        count = min(INSTANCES_OF_A_SERVICE, instances - number * INSTANCES_OF_A_SERVICE)
        _write_service(root / f"service_{number}", count, 20000 + number)


def _write_service(directory: Path, count: int, port: int) -> None:
    directory.mkdir(parents=True)
    name = directory.name
    text = TEMPLATE.format(cluster=CLUSTER, service=name)
    text += "".join(INSTANCE.format(number=number, service=name) for number in range(count))
    record = {"docker_image": f"services-{name}:paasta-{SHA}", "git_sha": SHA, "image_version": None}
    controls = {f"{name}:{CLUSTER}.i{n}": {"desired_state": "start", "force_bounce": None} for n in range(count)}
    deployments = {"v2": {"deployments": {f"{CLUSTER}.everything": record}, "controls": controls}}
    files = {
        f"kubernetes-{CLUSTER}.yaml": text,
        "service.yaml": "description: benchmark\nexternal_link: https://example.com\ngit_url: git@example.com:x\n",
        "monitoring.yaml": "team: benchmark\n",
        "smartstack.yaml": f"main: {{proxy_port: {port}, mode: http, healthcheck_uri: /status}}\n",
        "deploy.yaml": f"pipeline: [{{step: {CLUSTER}.everything}}]\n",
        "deployments.json": json.dumps(deployments),
    }
    for file, content in files.items():
        (directory / file).write_text(content)


def write_inventory(directory: Path, soa: Path, kubeconfig: str) -> None:
    """One platform that is nothing but a Kubernetes cluster: no hosts."""
    (directory / "group_vars").mkdir(parents=True)
    (directory / "hosts.yml").write_text("all: {}\n")
    variables = {**settings(), "paasta_soa_dir": str(soa), "paasta_kubeconfig": kubeconfig}
    (directory / "group_vars" / "all.yml").write_text(json.dumps(variables, indent=2) + "\n")


def settings() -> dict[str, object]:
    """The inventory's variables that have an effect on what is rendered."""
    return {"paasta_cluster": CLUSTER, "paasta_docker_registry": REGISTRY}

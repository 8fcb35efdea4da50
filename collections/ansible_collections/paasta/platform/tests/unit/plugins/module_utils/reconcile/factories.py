# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Containers and plans for the tests of this room, in the shapes of Docker Engine's API and of the plan."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.decision import Wanted
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.replicas import Replica, read

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LONG_AGO = "2026-01-01T11:00:00.123456789Z"

CONTAINER: dict[str, Any] = {
    "Image": "node1:5000/services-web:paasta-" + "a" * 40,
    "Env": ["FOO=bar", "PAASTA_GIT_SHA=aaaaaaaa"],
    "Entrypoint": None,
    "Cmd": None,
    "Labels": {"paasta_registrations": "web.main", "paasta_weight": "10"},
    "Healthcheck": {"Test": ["NONE"]},
    "HostConfig": {
        "Memory": 64 * 1024 * 1024,
        "MemorySwap": 128 * 1024 * 1024,
        "CpuShares": 102,
        "CpuPeriod": 100000,
        "CpuQuota": 50000,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "Binds": [],
    },
}


def wanted(**changes: Any) -> Wanted:
    """The plan of ``web.main``: three replicas of version a…a, crossover, fully margined."""
    plan = {
        "git_sha": "a" * 40,
        "image_version": None,
        "config_sha": "config11111111",
        "replicas": 3,
        "pool": "default",
        "container_port": 8888,
        "registrations": ["web.main"],
        "bounce_method": "crossover",
        "bounce_margin_factor": 1.0,
        "drain_seconds": 30,
        "container": CONTAINER,
        "secrets": {"env": {}, "files": []},
    }
    return Wanted.parse("web.main", plan | changes)


def inspect(
    name: str = "web.main.0", *, sha: str = "a", config: str = "config11111111", **state: Any
) -> dict[str, Any]:
    """What Docker Engine's inspect says of a running container without a health check."""
    host_config = copy.deepcopy(CONTAINER["HostConfig"])
    host_config["PortBindings"] = {"8888/tcp": [{"HostIp": "", "HostPort": "31000"}]}
    labels = {
        "paasta_cluster": "local",
        "paasta_service": "web",
        "paasta_instance": "main",
        "paasta_git_sha": sha * 40,
        "paasta_image_version": "",
        "paasta_config_sha": config,
        "paasta_registrations": "web.main",
        "paasta_weight": "10",
    }
    return {
        "Id": f"id-{name}",
        "Name": f"/{name}",
        "RestartCount": state.pop("RestartCount", 0),
        "State": {"Status": "running", "Running": True, "StartedAt": LONG_AGO, "ExitCode": 0, "Error": ""} | state,
        "Config": {
            "Env": ["PATH=/bin", "FOO=bar", f"PAASTA_GIT_SHA={sha * 8}"],
            "Cmd": ["python3"],
            "Entrypoint": None,
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": labels,
        },
        "HostConfig": host_config,
    }


def replica(name: str, host: str = "node1", **changes: Any) -> Replica:
    """A replica of ``web.main`` on a host; ``changes`` as for :func:`inspect`."""
    return read(inspect(name, **changes), host, "172.18.0.2", NOW)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import probes
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import MESH

TIMES = {"periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 30}


@pytest.mark.parametrize(
    ("keys", "smartstack", "handler"),
    [
        ("healthcheck_mode: http", "", {"httpGet": {"path": "/status", "port": 8888}}),
        (
            "healthcheck_mode: http, healthcheck_uri: /up, container_port: 80",
            "",
            {"httpGet": {"path": "/up", "port": 80}},
        ),
        ("healthcheck_mode: https", "", {"httpGet": {"path": "/status", "port": 8888, "scheme": "HTTPS"}}),
        ("healthcheck_mode: tcp", "", {"tcpSocket": {"port": 8888}}),
        (
            "healthcheck_mode: cmd, healthcheck_cmd: test -f /up",
            "",
            {"exec": {"command": ["/bin/sh", "-c", "test -f /up"]}},
        ),
        ("", MESH, {"httpGet": {"path": "/status", "port": 8888}}),
        ("", "main: {proxy_port: 20001, mode: http2}", {"tcpSocket": {"port": 8888}}),
    ],
)
def test_how_it_is_checked(web: Web, keys: str, smartstack: str, handler: dict[str, Any]) -> None:
    instance, _facts = web(keys, smartstack=smartstack)
    assert probes.readiness(instance) == handler | TIMES
    assert probes.liveness(instance) == handler | TIMES | {"initialDelaySeconds": 60}


def test_without_a_mode_and_a_mesh_a_replica_is_healthy_while_it_runs(web: Web) -> None:
    instance, _facts = web()
    assert probes.liveness(instance) is None
    assert probes.readiness(instance) is None


def test_times_are_whole_seconds_and_never_less_than_asked(web: Web) -> None:
    keys = (
        "healthcheck_mode: tcp, healthcheck_grace_period_seconds: 0.5, healthcheck_interval_seconds: 0.2, "
        "healthcheck_timeout_seconds: 1.5, healthcheck_max_consecutive_failures: 3"
    )
    assert probes.liveness(web(keys)[0]) == {
        "tcpSocket": {"port": 8888},
        "initialDelaySeconds": 1,
        "periodSeconds": 1,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }


def test_no_grace_is_no_delay(web: Web) -> None:
    probe = probes.liveness(web("healthcheck_mode: tcp, healthcheck_grace_period_seconds: 0")[0])
    assert probe is not None
    assert "initialDelaySeconds" not in probe

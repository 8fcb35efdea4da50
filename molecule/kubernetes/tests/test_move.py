# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The examples move from Docker to pods and back by the inventory and a deploy, and nobody who uses them notices."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import Cluster
from driver import QUOTES, WEB, Platform

pytestmark = pytest.mark.life

ON_DOCKER = {"paasta_engines": {"kubernetes": "docker"}}
ON_KUBERNETES = {"paasta_engines": {"kubernetes": "kubernetes"}}


@pytest.fixture
def moved_back(platform: Platform) -> Any:
    """Whatever a test leaves behind, the next finds the examples where the inventory has them."""
    yield
    platform.play("deploy")


def pods(service: str) -> list[str]:
    """Names of the pods of a service that are there, also of those that stop."""
    names = Cluster().kubectl("get", "pods", "-n", f"paastasvc-{service}", "-o", "name", "--ignore-not-found")
    return names.split()


@pytest.mark.usefixtures("moved_back")
def test_no_request_is_lost_on_the_way_from_docker_to_kubernetes_and_back(platform: Platform) -> None:
    platform.play("deploy", **ON_DOCKER)
    assert platform.containers("quotes.main")
    for engines in (ON_KUBERNETES, ON_DOCKER):
        # Through the gateway, and, of web, from there to quotes through the proxy of the machine that it runs on.
        with platform.traffic(QUOTES) as quotes, platform.traffic(WEB) as web:
            run = platform.play("deploy", **engines)
        assert (quotes.failures, web.failures) == ([], [])
        assert min(len(quotes.answers), len(web.answers)) > 100
        assert run.output.count("\nquotes.main ") == 1, run.output
        here, there = platform.containers("quotes.main"), pods("quotes")
        if engines is ON_KUBERNETES:
            assert not here
            assert there
        else:
            assert here
            # Those that are left have their time for open requests, and get no new ones.
            Cluster().kubectl("wait", "--for=delete", "pod", "--all", "-n", "paastasvc-quotes", "--timeout=120s")
        assert platform.play("deploy", **engines).changed == 0


@pytest.mark.usefixtures("moved_back")
def test_what_the_other_engine_cannot_run_stays_where_it_is(platform: Platform) -> None:
    """No image, no pod: the containers serve on."""
    platform.play("deploy", **ON_DOCKER)
    before = {container["Id"] for _node, container in platform.containers("quotes.main")}
    with platform.traffic(QUOTES) as seen:
        output = platform.fails(
            "deploy", **ON_KUBERNETES, paasta_docker_registry="registry.invalid:5000", paasta_deploy_timeout=60
        )
    assert "did not reach the plan" in output
    assert seen.failures == []
    assert {container["Id"] for _node, container in platform.containers("quotes.main")} == before


def test_a_pod_that_is_deleted_loses_no_request(platform: Platform) -> None:
    platform.play("deploy")
    with platform.traffic(QUOTES) as seen:
        Cluster().kubectl("delete", pods("quotes")[0], "-n", "paastasvc-quotes", "--timeout=180s")
    assert seen.failures == []
    assert len(seen.answers) > 100

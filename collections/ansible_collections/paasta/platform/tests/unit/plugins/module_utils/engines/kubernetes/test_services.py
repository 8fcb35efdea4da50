# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import services
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

VOLUME = "persistent_volumes: [{container_path: /data, size: 1}]"
MAIN = {"name": "main", "port": 8888, "protocol": "TCP"}
SELECTOR = {"paasta.yelp.com/service": "web", "paasta.yelp.com/instance": "main"}


@pytest.mark.parametrize(
    ("keys", "wanted", "expected"),
    [
        ("", False, None),
        ("", True, {"ports": [MAIN], "selector": SELECTOR}),
        (VOLUME, False, {"ports": [MAIN], "selector": SELECTOR, "clusterIP": "None"}),
        (VOLUME, True, {"ports": [MAIN], "selector": SELECTOR, "clusterIP": "None"}),
        ("prometheus_port: 8888", True, {"ports": [MAIN], "selector": SELECTOR}),
        (
            "container_port: 80, prometheus_port: 9090",
            True,
            {
                "ports": [{**MAIN, "port": 80}, {"name": "prometheus", "port": 9090, "protocol": "TCP"}],
                "selector": SELECTOR,
            },
        ),
    ],
)
def test_services(web: Web, keys: str, wanted: bool, expected: dict[str, Any] | None) -> None:
    found = services.service(*web(keys, settings={"kubernetes_service_objects": wanted}))
    assert (found and found["spec"]) == expected


def test_a_name_that_no_service_can_have(web: Web) -> None:
    settings = {"kubernetes_service_objects": True}
    assert services.problems(*web("", service="4web", settings=settings)) == [
        "4web/kubernetes-prod.yaml:1: 4web.main: a Kubernetes Service cannot be called 4web-main: its name "
        "must begin with a letter; rename the service"
    ]
    assert services.problems(*web("", service="5web")) == []

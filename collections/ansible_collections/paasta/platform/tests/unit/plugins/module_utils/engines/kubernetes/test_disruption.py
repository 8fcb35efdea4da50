# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import disruption
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web


@pytest.mark.parametrize(
    ("keys", "settings", "expected"),
    [
        ("", {}, 1),
        ("", {"pdb_max_unavailable": "10%"}, "10%"),
        ("", {"pdb_max_unavailable": 0}, 0),
        ("bounce_margin_factor: 1", {}, 1),
        ("bounce_margin_factor: 0.95", {}, "5%"),
        ("bounce_margin_factor: 0.9", {"pdb_max_unavailable": 3}, "10%"),
        ("bounce_margin_factor: 0.8", {}, "20%"),
        ("bounce_margin_factor: 0.999", {}, "1%"),
        ("bounce_margin_factor: 0", {}, "100%"),
    ],
)
def test_a_drain_always_gets_on(web: Web, keys: str, settings: dict[str, Any], expected: Any) -> None:
    spec = disruption.budget(*web(keys, settings=settings))["spec"]
    assert spec["maxUnavailable"] == expected
    assert spec["selector"] == {"matchLabels": {"paasta.yelp.com/service": "web", "paasta.yelp.com/instance": "main"}}


@pytest.mark.parametrize(
    ("keys", "settings", "expected"),
    [
        ("", {}, "IfHealthyBudget"),
        ("", {"unhealthy_pod_eviction_policy": "AlwaysAllow"}, "AlwaysAllow"),
        ("unhealthy_pod_eviction_policy: AlwaysAllow", {}, "AlwaysAllow"),
        (
            "unhealthy_pod_eviction_policy: IfHealthyBudget",
            {"unhealthy_pod_eviction_policy": "AlwaysAllow"},
            "IfHealthyBudget",
        ),
    ],
)
def test_unhealthy_pods(web: Web, keys: str, settings: dict[str, Any], expected: str) -> None:
    assert disruption.budget(*web(keys, settings=settings))["spec"]["unhealthyPodEvictionPolicy"] == expected

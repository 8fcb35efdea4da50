# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever documents hold, checks answer with problems, every one of a known rule, and never with an exception."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys, settings, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.rules import RULES
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

INVENTORY = settings.parse(
    {
        "paasta_clusters": ["prod"],
        "paasta_location_types": ["region", "habitat"],
        "paasta_monitoring_teams": ["words"],
        "paasta_allowed_pools": {"prod": ["default"]},
        "paasta_pool_limits": {"prod": {"default": {"max_cpus": 4}}},
        "paasta_supported_storage_classes": ["ebs"],
    }
)
# Words that mean something somewhere take a value past its shape and into the checks.
WORDS = (
    "prod.main",
    "web.main",
    "web",
    "cpu",
    "RO",
    "/a",
    "/a/b",
    "region:x",
    "SECRET(x)",
    "cron * * * * *",
    "1.2.3.0/8",
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 70000) | st.floats(0, 2) | st.sampled_from(WORDS) | st.text(max_size=5)
)


def documents() -> dict[str, list[str]]:
    """Files, and the keys that mean something in each of them."""
    instance = [key.name for key in keys.INSTANCE["kubernetes"].keys]
    inside = sorted({path.rpartition(".")[2] for path, _key in keys.walk(keys.INSTANCE["kubernetes"])})
    return {
        "web/kubernetes-prod.yaml": instance + inside,
        "web/marathon-prod.yaml": [key.name for key in keys.INSTANCE["marathon"].keys],
        "web/adhoc-prod.yaml": [key.name for key in keys.INSTANCE["adhoc"].keys],
        "web/flink-prod.yaml": ["jobs", "monitoring", "team", "deploy_group"],
        "web/tron-prod.yaml": sorted({path.rpartition(".")[2] for path, _key in keys.walk(keys.JOB)}),
        "web/service.yaml": [key.name for key in keys.SERVICE.keys],
        "web/smartstack.yaml": [key.name for key in keys.NAMESPACE.keys],
        "web/deploy.yaml": ["pipeline", "step", "parallel", "production_deploy_group"],
        "web/monitoring.yaml": [key.name for key in keys.MONITORING.keys],
        "web/dependencies.yaml": ["main", "smartstack", "cidr", "port", "well-known"],
        "web/authorization.yaml": ["authorization", "rules", "identity_groups", "services", "enabled"],
        "web/rollback-prod.yaml": ["conditions", "prometheus", "query", "upper_bound", "lower_bound"],
        "web/autotuned_defaults/kubernetes-prod.yaml": ["main", "cpus", "mem"],
        "location_types.json": ["region"],
    }


def values(names: list[str]) -> st.SearchStrategy[Any]:
    key = st.sampled_from([*names, "main", "_t"])
    return st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key, inner, max_size=4), max_leaves=12
    )


@pytest.mark.parametrize(("file", "names"), documents().items())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(data=st.data())
def test_any_document(file: str, names: list[str], data: st.DataObject) -> None:
    entry = st.dictionaries(st.sampled_from(names), values(names), max_size=5)
    content = data.draw(st.dictionaries(st.sampled_from(["main", "a-b"]), entry, max_size=2) | values(names) | entry)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, text in {
            "web/smartstack.yaml": "main: {proxy_port: 20001}",
            "web/deploy.yaml": "pipeline: [{step: prod.main}]",
            file: json.dumps(content),
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = tree.validate(directory, INVENTORY)
    for problem in (*found.errors, *found.warnings):
        assert problem.rule in RULES, problem

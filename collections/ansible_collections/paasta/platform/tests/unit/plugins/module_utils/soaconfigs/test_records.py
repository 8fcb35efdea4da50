# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Custom resources, rollbacks, dependencies and access as typed models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys, records
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.deployments import Control
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model_records import (
    Condition,
    CustomResource,
    Dependency,
    Rollback,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs import values
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.documents_of_one_key import keys_of


def resource(instance_type: str, config: dict[str, Any], custom: Any = keys.CUSTOM_TYPES) -> CustomResource:
    return records.custom_resource(
        "web",
        "main",
        "prod",
        custom[instance_type],
        config,
        deploy_group="prod.main",
        version=None,
        control=Control("stop"),
        team="words",
        sources={},
    )


def test_a_custom_resource_is_its_mapping_verbatim() -> None:
    config = {"replicas": 3, "anything": [{"a": 1}], "env": {"A": "x"}}
    found = resource("kafkacluster", config)
    assert found.spec == {"replicas": 3, "anything": ({"a": 1},), "env": {"A": "x"}}
    assert (found.id, found.instance_type, found.deploy_group) == ("web.main", "kafkacluster", "prod.main")
    assert (found.desired_state, found.team) == ("stop", "words")
    assert (found.pool, found.registrations) == ("default", ("web.main",))


@pytest.mark.parametrize(
    ("config", "pool"),
    [
        ({}, "flink-spot"),
        ({"spot": True}, "flink-spot"),
        ({"spot": False}, "flink"),
        ({"spot": False, "pool": "p"}, "p"),
    ],
)
def test_pools_of_flink(config: dict[str, Any], pool: str) -> None:
    assert resource("flink", config).pool == pool


def test_registrations() -> None:
    assert resource("cassandracluster", {}).registrations == ("cassandra_main.main",)
    assert resource("cassandracluster", {"registrations": ["a.b"]}).registrations == ("a.b",)
    custom = keys.custom_types({"mydb": {"pool": "db", "registration": "{service}-{instance}.db{"}}, frozenset())
    assert resource("mydb", {"registrations": []}, custom).registrations == ("web-main.db{",)
    assert resource("mydb", {}, custom).pool == "db"


def test_rollback() -> None:
    assert records.rollback({}) == Rollback((), True, 0, None, None)
    config = {
        "conditions": {
            "splunk": [{"query": "a", "query_type": "results", "upper_bound": 10, "dry_run": True}],
            "prometheus": [{"query": "b", "lower_bound": 0.5, "upper_bound": None}],
        },
        "enable_slo_rollback": False,
        "allowed_failing_queries": 1,
        "rollback_window_s": 600,
        "check_interval_s": 30,
    }
    assert records.rollback(config) == Rollback(
        (
            Condition("prometheus", "b", None, False, 0.5, None),
            Condition("splunk", "a", "results", True, None, 10),
        ),
        False,
        1,
        600,
        30,
    )


def test_dependencies() -> None:
    config = {
        "main": [
            {"well-known": "internet"},
            {"smartstack": "mysql_read.main"},
            {"cidr": "10.0.0.0/8", "port": 443},
            {"cidr": "10.0.0.0/8", "port": "1024:65535"},
        ],
        "none": [],
    }
    assert records.dependencies(config) == {
        "main": (
            Dependency("well-known", "internet", None),
            Dependency("smartstack", "mysql_read.main", None),
            Dependency("cidr", "10.0.0.0/8", (443, 443)),
            Dependency("cidr", "10.0.0.0/8", (1024, 65535)),
        ),
        "none": (),
    }


def test_authorization() -> None:
    rules = [{"identity_groups": {"services": ["b", "a"]}}, {"identity_groups": {"services": ["a"]}}, {"methods": []}]
    found = records.authorization({"authorization": {"rules": rules}})
    assert found.rules == (("b", "a"), ("a",), ())
    assert found.services == ("a", "b")
    assert records.authorization({}).services == ()
    assert records.authenticating({"services": ["b", "a", "b"]}) == ("a", "b")


@pytest.mark.parametrize(
    ("kind", "build"),
    [
        ("rollback", records.rollback),
        ("dependencies", records.dependencies),
        ("authorization", records.authorization),
        ("authenticating", records.authenticating),
        *(
            (name, lambda config, name=name: resource(name, config["main"]))
            for name in ("flink", "cassandracluster", "kafkacluster")
        ),
    ],
)
def test_every_value_that_the_table_accepts_can_be_built(kind: str, build: Callable[[Any], Any]) -> None:
    for item in keys_of(kind, keys.DOCUMENTS[kind].shape):
        found = values.find(kind, item.path)
        assert found is not None
        for value in found.good:
            build(item.around(value))

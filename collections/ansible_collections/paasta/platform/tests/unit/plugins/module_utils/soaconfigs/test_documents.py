# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of documents: which file is which, templates, types of custom resources, and what restarts containers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import dotted

KNOWN = frozenset({"kubernetes", "eks", "adhoc", "marathon", "tron"})


def problems(kind: str, value: Any, kinds: Any = keys.DOCUMENTS) -> list[str]:
    found: list[str] = []
    kinds[kind].check(value, lambda path, message, hint: found.append(f"{dotted(path)}: {message}; {hint}"))
    return found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("web/service.yaml", {"service": {"service": "web"}}),
        ("web/kubernetes-prod-1.yaml", {"kubernetes": {"service": "web", "cluster": "prod-1"}}),
        ("web/flinkeks-prod.yaml", {"flinkeks": {"service": "web", "cluster": "prod"}}),
        ("web/tron-prod.yaml", {"tron": {"service": "web", "cluster": "prod"}}),
        ("tron/prod/MASTER.yaml", {"tron-master": {"cluster": "prod"}}),
        ("web/rollback-prod.yaml", {"rollback": {"service": "web", "cluster": "prod"}}),
        ("authenticating.yaml", {"authenticating": {}}),
        ("web/authenticating.yaml", {}),
        (
            "web/autotuned_defaults/cassandracluster-prod.yaml",
            {"autotuned-cassandracluster": {"service": "web", "cluster": "prod"}},
        ),
        ("web/secrets/token.json", {"secret": {"service": "web", "name": "token"}}),
        ("_shared/secrets/token.json", {"secret": {"service": "_shared", "name": "token"}}),
        ("web/deployments.json", {"deployments": {"service": "web"}}),
        ("web/kubernetes-.yaml", {}),
        ("web/chronos-prod.yaml", {}),
        ("web/docs/service.yaml", {}),
        ("service.yaml", {}),
    ],
)
def test_a_path_has_one_kind(path: str, expected: dict[str, dict[str, str]]) -> None:
    assert {kind.name: kind.match(path) for kind in keys.DOCUMENTS.values() if kind.match(path) is not None} == expected


def test_kinds_whose_top_level_keys_are_instances() -> None:
    instances = {name for name, kind in keys.DOCUMENTS.items() if kind.instances}
    tuned = {f"autotuned-{name}" for name in keys.AUTOTUNED}
    assert instances == {*keys.INSTANCE, *keys.CUSTOM_TYPES, *tuned}


def test_every_instance_type_has_a_document() -> None:
    assert set(keys.DOCUMENTS) >= keys.ALL_INSTANCE_TYPES
    assert not keys.ALL_INSTANCE_TYPES & set(keys.RETIRED_TYPES)
    assert keys.INSTANCE_TYPES <= keys.ALL_INSTANCE_TYPES
    assert keys.LONG_RUNNING_TYPES <= keys.ALL_INSTANCE_TYPES


@pytest.mark.parametrize("kind", [name for name, kind in keys.DOCUMENTS.items() if kind.templates])
def test_templates_are_any_mapping(kind: str) -> None:
    assert problems(kind, {"_t": {"no such key": [1]}}) == problems(kind, {})
    assert "_t: 3 is not a mapping to values; " in problems(kind, {"_t": 3})


@pytest.mark.parametrize("kind", ["authenticating", "secret", "autotuned-kubernetes"])
def test_documents_without_templates(kind: str) -> None:
    assert any(problem.startswith("_t: ") for problem in problems(kind, {"_t": {}})) == (kind != "authenticating")


def test_names_of_instances() -> None:
    assert problems("kubernetes", {"Main": {}, "a": {}, "a_b-1": {}, "a-": {}}) == [
        'Main: "Main" is not an instance\'s name: use a-z, 0-9 and inner - and _; ',
        'a-: "a-" is not an instance\'s name: use a-z, 0-9 and inner - and _; ',
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"environments": {"prod": {"ciphertext": "hunter2"}}},
        {"environments": {"prod": {"ciphertext": ["hunter2"]}}},
        {"environments": {"prod": {"plaintext": "hunter2"}}},
        {"environments": {"prod": "hunter2"}},
        {"environments": "hunter2"},
        {"environments": {"prod": {"ciphertext": "vault:v1:x", "signature": {"hunter2": "hunter2"}}}},
        {"plaintext": "hunter2", "environments": {}},
        "hunter2",
    ],
)
def test_messages_never_show_a_secret(document: Any) -> None:
    found = problems("secret", document)
    assert found
    assert "hunter2" not in "".join(found)


def test_of_several_forms_the_one_that_fits_furthest_explains() -> None:
    assert problems("kubernetes", {"main": {"node_selectors": {"size": [{"operator": "Inn"}]}}}) == [
        'main.node_selectors.size[0].operator: "Inn" is not one of In, NotIn, Exists, DoesNotExist, Gt, Lt; '
        "did you mean In?"
    ]


def test_what_is_missing_of_several_is_named() -> None:
    condition = {"query": "up", "upper_bound": None}
    assert problems("rollback", {"conditions": {"prometheus": [condition]}}) == [
        "conditions.prometheus[0]: needs at least one of upper_bound, lower_bound; "
    ]


def test_types_of_the_platform() -> None:
    custom = keys.custom_types({"mydb": {"pool": "db", "group": "example.org"}, "other": None}, KNOWN)
    assert set(custom) == {*keys.CUSTOM_TYPES, "mydb", "other"}
    assert (custom["mydb"].pool, custom["mydb"].registration) == ("db", "{service}.{instance}")
    kinds = keys.documents(custom)
    assert kinds["mydb"].match("web/mydb-prod.yaml") == {"service": "web", "cluster": "prod"}
    assert problems("mydb", {"main": {"size": 3, "pool": 1}}, kinds) == [
        "main.pool: 1 is not a string; put it in quotes"
    ]


def test_a_type_of_paasta_keeps_its_keys() -> None:
    custom = keys.custom_types({"flink": {"pool": "streams"}}, KNOWN)
    assert custom["flink"].pool == "streams"
    assert custom["flink"].struct is keys.CUSTOM_TYPES["flink"].struct


def test_types_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="paasta_custom_resource_types") as caught:
        keys.custom_types({"My-db": {}, "kubernetes": {}, "mydb": {"pool": 3}}, KNOWN)
    for part in ("'My-db' is not a type's name", "kubernetes is a type of instances", "mydb.pool: 3 is not a string"):
        assert part in str(caught.value)


# By hand: what may change without a new container.
SETTLED = {
    *("branch", "role", "monitoring", "dependencies_reference", "autotune_limits", "nerve_ns"),
    *("instances", "min_instances", "max_instances", "autoscaling", "sfn_autoscaling", "replication_threshold"),
    *("drain_method", "drain_method_params", "bounce_method", "bounce_margin_factor", "bounce_overprovision_factor"),
    *("bounce_health_params", "bounce_start_deadline", "bounce_priority", "unhealthy_pod_eviction_policy"),
    *("should_ping_for_unhealthy_pods", "monitoring_blacklist", "backoff_factor", "max_launch_delay_seconds"),
}


@pytest.mark.parametrize("instance_type", ["kubernetes", "eks"])
def test_keys_that_restart_nothing(instance_type: str) -> None:
    assert {key.name for key in keys.INSTANCE[instance_type].keys if not key.restarts} == SETTLED


def test_marathon_relaunches_an_app_whose_backoff_changes() -> None:
    settled = {key.name for key in keys.INSTANCE["marathon"].keys if not key.restarts}
    restarting = {"backoff_factor", "max_launch_delay_seconds"}
    assert settled == SETTLED - restarting | {"backoff_seconds", "previous_marathon_shards"}


def test_nothing_but_instances_restarts() -> None:
    for struct in (keys.NAMESPACE, keys.MONITORING, keys.DEPLOY, keys.STEP, keys.JOB, keys.ACTION, keys.ROLLBACK):
        assert not any(key.restarts for key in struct.keys)


def test_a_key_of_another_type_says_where_it_belongs() -> None:
    assert problems("kubernetes", {"main": {"marathon_shard": 1}}) == [
        "main.marathon_shard: is not a key of kubernetes instances; it belongs to marathon; "
    ]
    assert problems("marathon", {"main": {"lifecycle": {}, "bounce_method": "down"}}) == [
        "main.lifecycle: is not a key of marathon instances; it belongs to eks, kubernetes; "
    ]


def test_defaults_fill_what_is_not_set() -> None:
    full = keys.filled(keys.JOB, {"run_limit": 3})
    assert (full["run_limit"], full["queueing"], full["expected_runtime"]) == (3, True, "24h")
    assert "max_runtime" not in full

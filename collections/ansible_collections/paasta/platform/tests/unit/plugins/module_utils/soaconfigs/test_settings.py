# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting with good and bad values; text that becomes what it should be; all errors at once."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import arguments, deployment_record, images
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys_settings, settings
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_settings import SETTINGS
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Volume
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import (
    InvalidSettings,
    Settings,
    parse,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import UNSET
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[9]

_BOOL = (True, 3)
_TEXT = ("x", 3)
_STRINGS = (["a", "b"], [1])
_MAP = ({"a": "b"}, {"a": 1})
_OPEN = ({"a": [{"b": 1}]}, [1])
_PORT = (3000, 65536)

# Setting → a good value and a bad one.
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "cluster": ("norcal-prod", "Norcal"),
    "clusters": (["a", "b"], ["A"]),
    "soa_dir": _TEXT,
    "docker_registry": ("registry:5000", 5000),
    "engines": ({"kubernetes": "docker"}, {"kubernetes": None}),
    "location_types": _STRINGS,
    "gateway_address": _TEXT,
    "node_containers": _TEXT,
    "service_sources": _MAP,
    "registry_push": _TEXT,
    "build_target": ("itest", "cook"),
    "build_allow_dirty": _BOOL,
    "build_force": _BOOL,
    "build_concurrency": (1, 0),
    "build_timeout": (1, 0),
    "deployments_record": ("tags", "git"),
    "git_url": ("git@git.example.org:services/{service}", "git@git.example.org:services"),
    "git_timeout": (0.5, 0),
    "git_concurrency": (1, 0),
    "soa_configs_remote": _TEXT,
    "soa_configs_branch": _TEXT,
    "deploy_timeout": (1, 1.5),
    "lost_guard": (0, 1.1),
    "lock_timeout": (0, -1),
    "first_controls": (
        [{"service": "web", "instance": "main", "cluster": "local", "desired_state": "stop"}],
        [{"service": "web"}],
    ),
    "enable_automated_redeploys_default": _BOOL,
    "should_ping_for_unhealthy_pods": _BOOL,
    "enable_alertmanager_rollback": _BOOL,
    "alertmanager_url": _TEXT,
    "alertmanager_poll_interval_s": (30, 29),
    "enable_crashloop_auto_rollback": _BOOL,
    "min_restarts_for_crashloop_rollback": (0, -1),
    "crashloop_rollback_percentage_threshold": (0.5, 50),
    "volumes": (["/a:/b:ro", {"hostPath": "/a", "containerPath": "/b", "mode": "RW"}], ["/a:/b:x"]),
    "mesh_address": _TEXT,
    "first_port": (1024, 0),
    "last_port": (40000, 65536),
    "log_max_size": ("5g", "5 gigabytes"),
    "log_max_file": (1, 0),
    "health_check_program": _TEXT,
    "enforce_disk_quota": _BOOL,
    "uses_bulkdata_default": _BOOL,
    "allowed_pools": ({"a": ["default"]}, {"a": "default"}),
    "pool_limits": ({"a": {"b": {"max_cpus": 2.5, "recommended_pool": "c"}}}, {"a": {"b": {"max_cpus": 0}}}),
    "deploy_blacklist": ([["region", "a"]], [["region", "a", "b"]]),
    "deploy_whitelist": (["region", ["a", "b"]], ["region", "a"]),
    "auto_config_instance_types_enabled": ({"eks": True}, {"eks": "maybe"}),
    "auto_config_instance_type_aliases": _MAP,
    "secret_environments": _MAP,
    "vault_url": _TEXT,
    "vault_mount": _TEXT,
    "vault_namespace": _TEXT,
    "vault_ca": _TEXT,
    "vault_token": _TEXT,
    "vault_token_file": _TEXT,
    "vault_login": ({"path": "approle/login", "data": {"role_id": "x"}}, {"path": "approle/login"}),
    "secret_lookup": ({"name": "community.hashi_vault.vault_kv2_get", "options": {"url": 1}}, {"options": {}}),
    "proxy_port_range": ([19000, 21000], [21000, 19000]),
    "monitoring_teams": _STRINGS,
    "skip_unique_instance_name_validation": _STRINGS,
    "skip_cpu_override_validation": _STRINGS,
    "skip_cpu_burst_validation": _STRINGS,
    "kubeconfig": _TEXT,
    "kube_context": _TEXT,
    "kubernetes_concurrency": (1, 0),
    "kubernetes_rate_limit": (0.5, -1),
    "kubernetes_lock_namespace": ("locks", "paasta.locks"),
    "kubernetes_rollback": _BOOL,
    "kubernetes_label_prefix": ("paas.example.org", "paas.example.org/"),
    "kubernetes_node_label_prefix": ("example.org", "Example"),
    "kubernetes_pod_security": ("paasta", "baseline"),
    "kubernetes_namespace_limits": ({"cpu": 0.5, "memory": "2Gi"}, {"cpu": "2 cores"}),
    "kubernetes_namespace_role_bindings": (
        [{"name": "readers", "cluster_role": "view", "subjects": [{"kind": "Group", "name": "people"}]}],
        [{"name": "readers", "cluster_role": "view", "subjects": []}],
    ),
    "kubernetes_service_objects": _BOOL,
    "kubernetes_pool_tolerations": ({"gpu": [{"key": "gpu", "operator": "Exists"}]}, {"gpu": [{"taint": "gpu"}]}),
    "kubernetes_adapter_config": ({"namespace": "custom-metrics", "name": "adapter-config"}, {"name": "adapter"}),
    "use_raw_ksm_queries": (False, 3),
    "pdb_max_unavailable": ("10%", "101%"),
    "unhealthy_pod_eviction_policy": ("AlwaysAllow", "Always"),
    "default_bounce_overprovision_factor": (0.5, 0),
    "pod_defaults": _OPEN,
    "sidecar_requirements_config": ({"hacheck": {"requests": {"cpu": 1}}}, {"hacheck": 1}),
    "topology_spread_constraints": (
        [{"topology_key": "zone", "when_unsatisfiable": "DoNotSchedule", "max_skew": 1}],
        [{"topology_key": "zone", "skew": 1}],
    ),
    "pool_node_affinities": ({"default": {"zone": ["a"]}}, {"default": {"zone": "a"}}),
    "supported_storage_classes": _STRINGS,
    "custom_resource_types": (
        {"flink": {"group": "example.org", "version": "v1", "kind": "Flink", "plural": "flinks", "pool": "x"}},
        {"Flink": {}},
    ),
    "custom_resource_owners": _MAP,
    "service_auth_token_settings": ({"audience": "x", "expiration_seconds": 3600}, {"expiration": 1}),
    "always_authenticating_services": _STRINGS,
    "enable_cost_owner_label": _BOOL,
    "private_docker_registries": _STRINGS,
    "use_hacheck_sidecar": _BOOL,
    "hacheck_sidecar_image_url": _TEXT,
    "hacheck_sidecar_volumes": (["/a:/b"], ["a:b"]),
    "hacheck_match_initial_delay": _BOOL,
    "enable_nerve_readiness_check": _BOOL,
    "enable_envoy_readiness_check": _BOOL,
    "nerve_readiness_check_script": _STRINGS,
    "envoy_readiness_check_script": _STRINGS,
    "envoy_nerve_readiness_check_script": _STRINGS,
    "readiness_check_prefix_template": _STRINGS,
    "zookeeper": ("zk://a:2181,b:2181/paasta", "a:2181"),
    "service_discovery_providers": ({"envoy": {}}, {"envoy": True}),
    "synapse_host": _TEXT,
    "synapse_port": _PORT,
    "synapse_haproxy_url_format": _TEXT,
    "register_k8s_pods": _BOOL,
    "nerve_register_k8s_terminating": _BOOL,
    "kubernetes_add_registration_labels": _BOOL,
    "register_marathon_services": _BOOL,
    "marathon_servers": ([{"user": "u", "url": ["http://m:8080"]}], [{"url": ["http://m"], "password": "x"}]),
    "marathon_passwords": _STRINGS,
    "mesos_attributes": ([{"region": "a"}], [{"region": 1}]),
    "auto_hostname_unique_size": (-1, -2),
    "dockercfg_location": _TEXT,
    "tron": ({"cluster_name": "a", "url": "http://tron"}, {"address": "x"}),
    "tron_k8s_cluster_overrides": _MAP,
    "tron_default_pool_override": _TEXT,
    "enable_tron_tsc": _BOOL,
    "remote_run_duration_limit": (600, 0),
    "sensu_host": _TEXT,
    "sensu_port": _PORT,
    "slack_token": _TEXT,
    "dashboard_links": ({"a": {"b": "http://c"}}, {"a": "http://c"}),
    "host_url": _TEXT,
    "address": _TEXT,
    "pool": _TEXT,
    "node_count": (3, -1),
    "node_kind": _TEXT,
    "node_number": (0, -1),
    "node_state": _TEXT,
}


def errors(variables: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        parse(variables)
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting(name: str) -> None:
    good, bad = EXAMPLES[name]
    row = SETTINGS[name]
    result = parse({row.variable: good})
    if settings.is_field(row):
        assert getattr(result, name) != getattr(Settings(), name) or good == row.default
    assert errors({row.variable: bad})[0].startswith(row.variable)


def test_examples_and_table_have_the_same_names() -> None:
    assert set(EXAMPLES) == set(SETTINGS)


def test_class_and_table_have_the_same_fields_in_the_same_order() -> None:
    assert [field.name for field in fields(Settings)] == [n for n, row in SETTINGS.items() if settings.is_field(row)]


def test_nothing_set_gives_the_defaults_of_the_table() -> None:
    assert parse({}) == Settings()
    for field in fields(Settings):
        default = SETTINGS[field.name].default
        value = getattr(Settings(), field.name)
        assert value == (None if default is UNSET else settings.freeze(default))


def test_defaults_are_good_values() -> None:
    rows = [row for row in SETTINGS.values() if row.default is not UNSET and not row.required]
    assert len(rows) > 50
    parse({row.variable: row.default for row in rows})


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (arguments.ARGUMENTS, {"lost_guard": "", "lock_timeout": "", "first_port": "", "last_port": "",
                               "deploy_timeout": "timeout"}),
        (deployment_record.ARGUMENT_SPEC, {"git_timeout": "", "git_concurrency": "", "deployments_record": "record"}),
        (images.ARGUMENT_SPEC, {"build_target": "target", "build_allow_dirty": "allow_dirty", "build_force": "force",
                                "build_concurrency": "concurrency", "build_timeout": "timeout"}),
    ],
)  # fmt: skip
def test_defaults_are_those_of_the_modules(spec: dict[str, Any], names: dict[str, str]) -> None:
    for name, option in names.items():
        assert SETTINGS[name].default == spec[option or name]["default"], name


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("build_timeout", "700", 700),
        ("lost_guard", "0.25", 0.25),
        ("lost_guard", "1", 1),
        ("build_force", "yes", True),
        ("build_force", "False", False),
        ("clusters", "a, b", ("a", "b")),
        ("clusters", '["a"]', ("a",)),
        ("clusters", "", ()),
        ("engines", '{"kubernetes": "docker"}', {"kubernetes": "docker"}),
        ("proxy_port_range", "20000,20010", (20000, 20010)),
        ("pdb_max_unavailable", "2", 2),
        ("pdb_max_unavailable", "20%", "20%"),
        ("gateway_address", "10", "10"),
        ("auto_config_instance_types_enabled", {"eks": "yes"}, {"eks": True}),
        ("pool_limits", {"a": {"b": {"max_cpus": "4"}}}, {"a": {"b": {"max_cpus": 4}}}),
    ],
)
def test_text_becomes_what_the_setting_wants(variable: str, text: Any, value: Any) -> None:
    result = getattr(parse({f"paasta_{variable}": text}), variable)
    assert result == value
    assert type(result) is type(settings.freeze(value))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"paasta_build_timeout": "soon"}, 'paasta_build_timeout: "soon" is not an integer of at least 1'),
        ({"paasta_build_timeout": True}, "paasta_build_timeout: true is not an integer of at least 1"),
        ({"paasta_build_force": "perhaps"}, 'paasta_build_force: "perhaps" is not true or false'),
        ({"paasta_lost_guard": "nan"}, "paasta_lost_guard: NaN is not a number from 0 to 1"),
        ({"paasta_engines": "docker"}, 'paasta_engines: "docker" is not a mapping to strings'),
        ({"paasta_clustr": "x"}, "paasta_clustr: is not a setting; did you mean paasta_cluster?"),
        ({"cluster": "x"}, "cluster: is not a setting; did you mean paasta_cluster?"),
        ({"paasta_first_port": 40000}, "paasta_first_port: 40000 is above paasta_last_port 31999"),
        ({"paasta_docker_registry": 5000}, "paasta_docker_registry: 5000 is not a string; put it in quotes"),
        (
            {"paasta_pool_limits": {"a": {"b": {"max_cpu": 3}}}},
            "paasta_pool_limits.a.b.max_cpu: unknown key (value 3); did you mean max_cpus?",
        ),
        ({"paasta_deploy_blacklist": [["a"]]}, "paasta_deploy_blacklist[0]: a list is not a list of strings"),
        (
            {"paasta_deploy_blacklist": [["a", "b"], ["a", "b", "c"]]},
            "paasta_deploy_blacklist[1]: is not a pair of type and value, as in [region, uswest1]",
        ),
        (
            {"paasta_custom_resource_types": {7: {}}},
            'paasta_custom_resource_types.7: "7" is not the name of a type (a-z, 0-9 and _)',
        ),
        ({"paasta_proxy_port_range": [1, 2, 3]}, "paasta_proxy_port_range: [1, 2, 3] is not a first and a last port"),
    ],
)
def test_messages(variables: dict[str, Any], message: str) -> None:
    assert errors(variables) == [message]


def test_all_errors_at_once() -> None:
    found = errors({"paasta_lost_guard": 2, "paasta_cluster": 3, "paasta_nonsense": 1, "paasta_first_port": 0})
    assert [text.partition(":")[0] for text in found] == [
        "paasta_cluster",
        "paasta_first_port",
        "paasta_lost_guard",
        "paasta_nonsense",
    ]


def test_the_text_says_how_many() -> None:
    with pytest.raises(
        InvalidSettings, match=r"(?s)^2 errors in the inventory:\npaasta_cluster: .*\npaasta_lost_guard: "
    ):
        parse({"paasta_lost_guard": 2, "paasta_cluster": 3})


def test_null_is_not_set() -> None:
    assert parse({"paasta_build_timeout": None, "paasta_engines": None}) == Settings()


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "yes", "[1]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*settings.VARIABLES, "paasta_x"]), ANYTHING, max_size=4))
def test_any_value_is_a_setting_or_an_error(variables: dict[str, Any]) -> None:
    try:
        found = settings.checked(variables)
    except InvalidSettings:
        return
    assert settings.checked(found) == found
    assert parse(found) == parse(variables)


def test_volumes_of_both_notations() -> None:
    found = parse({"paasta_volumes": ["/a:/b:ro", "/c:/d", {"hostPath": "/e", "containerPath": "/f", "mode": "RO"}]})
    assert found.volumes == (Volume("/b", "/a", "RO"), Volume("/d", "/c", "RW"), Volume("/f", "/e", "RO"))
    assert [settings.bind(volume) for volume in found.volumes] == ["/a:/b:ro", "/c:/d:rw", "/e:/f:ro"]


def test_secrets_are_checked_and_nowhere_else() -> None:
    found = parse({"paasta_vault_token": "CANARY", "paasta_slack_token": "CANARY"})
    assert found == Settings()
    assert "CANARY" not in repr(found)
    text = "\n".join(errors({"paasta_vault_token": ["CANARY"], "paasta_marathon_passwords": [{"CANARY": "CANARY"}]}))
    assert text.count("\n") == 1
    assert "CANARY" not in text


def test_settings_cannot_be_changed() -> None:
    found = parse({"paasta_engines": {"a": "b"}})
    with pytest.raises(FrozenInstanceError):
        found.cluster = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.engines["a"] = "c"  # type: ignore[index]
    assert hash(found) == hash(parse({"paasta_engines": {"a": "b"}}))


def test_unknown_names_that_are_worth_a_warning() -> None:
    names = ["paasta_cluster", "paasta_plan", "mine", "paasta_clusterz", "paasta_team_page"]
    assert settings.unknown(names) == [
        "paasta_clusterz: is not a setting; did you mean paasta_cluster?",
        "paasta_team_page: is not a setting; docs/settings-reference.md has them all",
    ]


def test_rows_are_consistent() -> None:
    listed = [row.name for _text, rows in keys_settings.GROUPS.values() for row in rows]
    assert len(listed) == len(set(listed))
    keys = [key for row in SETTINGS.values() for key in row.paasta]
    assert len(keys) == len(set(keys))
    for row in SETTINGS.values():
        assert row.doc
        assert not (row.secret and row.default is not UNSET)


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the collection without its repository")
def test_reference_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("settings_reference", ROOT / "tests/tools/settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert (ROOT / "docs/settings-reference.md").read_text(encoding="utf-8") == generator.markdown(), "run make docs"


@pytest.mark.skipif(not (ROOT / "playbooks").is_dir(), reason="the collection without its repository")
def test_every_variable_of_playbooks_and_inventories_is_in_the_table() -> None:
    known = {*settings.VARIABLES, *keys_settings.PLAYBOOK_VARIABLES}
    found: dict[str, Path] = {}
    for folder in ("playbooks", "inventories"):
        for path in (ROOT / folder).rglob("*.yml"):
            for name in re.findall(r"(?<![\w./-])paasta_[a-z0-9_]+", path.read_text(encoding="utf-8")):
                found.setdefault(name, path)
    assert len(found) > 20
    assert {name: str(path) for name, path in found.items() if name not in known} == {}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Equal meaning, equal sha; every key that changes the container changes it; nothing else does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import config_sha as sha
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import freeze, thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import UNSET
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_instance import (
    INSTANCE,
    MARATHON,
)
from hypothesis import given
from hypothesis import strategies as st

Soa = Callable[..., str]
PLATFORM = {"engine": "docker", "volumes": ["/etc/localtime:/etc/localtime:ro"]}
GROUP = "deploy_group: prod.main\n"


def loaded(soa: Soa, text: str, changes: dict[str, str | None] | None = None) -> Instance:
    config = tree.load(soa({"web/kubernetes-prod.yaml": text, **(changes or {})}), "prod")
    (instance,) = (*config.instances, *config.undeployed)
    return instance


def of(soa: Soa, body: dict[str, Any], changes: dict[str, str | None] | None = None) -> str:
    text = yaml.safe_dump({"main": {"deploy_group": "prod.main", **body}})
    return sha.config_sha(loaded(soa, text, changes), PLATFORM)


@pytest.mark.parametrize(
    "same",
    [
        {"cpus": 1},  # the default
        {"cpus": 1.0, "mem": 4096.0, "env": {}, "args": [], "cap_add": []},
        {"registrations": ["web.main"]},
        {"registrations": []},
        {"nerve_ns": "main"},
        {"branch": "prod.other"},  # deploy_group wins
        {"healthcheck_mode": "http", "healthcheck_uri": "/status"},  # as the namespace has it
        {"healthcheck_interval_seconds": 10.0},
        {"monitoring": {"team": "words", "page": True}},
        {"instances": 7, "bounce_method": "brutal", "drain_method": "noop", "replication_threshold": 90},
        {"min_instances": 1, "max_instances": 9, "autoscaling": {"metrics_providers": [{"type": "cpu"}]}},
        {"deploy_group": "{cluster}.main"},
        {"projected_sa_volumes": [], "node_selectors": {}, "constraints": []},
    ],
)
def test_equal_meaning_gives_an_equal_sha(soa: Soa, same: dict[str, Any]) -> None:
    assert of(soa, same) == of(soa, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"cap_add": ["KILL", "CHOWN"]}, {"cap_add": ["CHOWN", "KILL"]}),
        ({"env": {"A": "1", "B": "2"}}, {"env": {"B": "2", "A": "1"}}),
        ({"mem": 64}, {"mem": 64.0}),
        (
            {"projected_sa_volumes": [{"container_path": "/t", "audience": "a"}]},
            {"projected_sa_volumes": [{"container_path": "/t", "audience": "a", "expiration_seconds": 3600}]},
        ),
        (
            {"extra_volumes": [{"containerPath": p, "hostPath": p, "mode": "RO"} for p in ("/a", "/b")]},
            {"extra_volumes": [{"containerPath": p, "hostPath": p, "mode": "RO"} for p in ("/b", "/a")]},
        ),
        (
            {"extra_volumes": [{"containerPath": "/a", "hostPath": "/a"}]},
            {"extra_volumes": [{"containerPath": "/a", "hostPath": "/a", "mode": "RO"}]},
        ),
    ],
)
def test_order_and_spelling_mean_nothing(soa: Soa, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert of(soa, one) == of(soa, other) != of(soa, {})


def test_service_wide_and_templates_give_the_same_as_the_instance_itself(soa: Soa) -> None:
    itself = of(soa, {"mem": 64, "env": {"A": "1"}})
    general = {"web/service.yaml": "description: x\nexternal_link: x\nmem: 64\nenv: {A: '1'}\n"}
    assert of(soa, {}, general) == itself
    text = "_d: &d {mem: 64, env: {A: '1'}}\nmain: {<<: *d, deploy_group: prod.main}\n"
    general["web/service.yaml"] = "description: x\nexternal_link: x\n"
    assert sha.config_sha(loaded(soa, text, general), PLATFORM) == itself


@pytest.mark.parametrize(
    "changes",
    [
        {"web/smartstack.yaml": "main: {proxy_port: 20001, healthcheck_uri: /health}\n"},
        {"web/smartstack.yaml": "main: {proxy_port: 20001, mode: tcp}\n"},
        {"web/monitoring.yaml": "team: others\n"},
    ],
)
def test_other_files_have_their_say(soa: Soa, changes: dict[str, str | None]) -> None:
    before = of(soa, {})
    assert of(soa, {}, changes) != before


@pytest.mark.parametrize(
    "change",
    [
        {"deploy_group": "prod.canary"},
        {"force_bounce": "20260101T000000"},
        {"registrations": ("web.main", "web.other")},
        {"team": None},
        {"secrets": (SecretUse("web", "token", "ab"),)},
        {"name": "other"},
        {"cluster": "other"},
    ],
)
def test_what_is_worked_out_changes_it(soa: Soa, change: dict[str, Any]) -> None:
    instance = loaded(soa, f"main: {{{GROUP.strip()}}}\n")
    assert sha.config_sha(replace(instance, **change), PLATFORM) != sha.config_sha(instance, PLATFORM)


def test_a_rotated_secret_changes_it(soa: Soa) -> None:
    instance = loaded(soa, f"main: {{{GROUP.strip()}}}\n")
    one, other = (replace(instance, secrets=(SecretUse("web", "token", digest),)) for digest in ("ab", "cd"))
    assert sha.config_sha(one, PLATFORM) != sha.config_sha(other, PLATFORM)


def test_the_platform_changes_it_and_its_version_does_not(soa: Soa) -> None:
    instance = loaded(soa, f"main: {{{GROUP.strip()}}}\n")
    assert sha.config_sha(instance, {}) != sha.config_sha(instance, PLATFORM)
    assert instance.version is not None
    assert sha.config_sha(replace(instance, version=None), PLATFORM) == sha.config_sha(instance, PLATFORM)


# Keys whose own values are judged part by part.
WITH_PARTS: dict[str, Any] = {
    "lifecycle": {"pre_stop_drain_seconds": 5},
    "topology_spread_constraints": [{"topology_key": "zone"}],
    "security": {"outbound_firewall": "block"},
}
ROWS = [(kind, key) for kind in sorted(keys.INSTANCE) for key in keys.INSTANCE[kind].keys]


@pytest.mark.parametrize(("kind", "key"), ROWS, ids=[f"{kind}-{key.name}" for kind, key in ROWS])
def test_every_key_counts_as_the_table_says(kind: str, key: keys.Key) -> None:
    values = (MARATHON if kind == "marathon" else {}).get(key.name) or INSTANCE[key.name]
    good = [*values.good, *([WITH_PARTS[key.name]] if key.name in WITH_PARTS else [])]
    forms = {json.dumps(sha.written(kind, freeze({key.name: value})), sort_keys=True) for value in good}
    derived = key.name in sha._DERIVED
    if derived or key.legacy or not key.restarts:
        assert forms == {"{}"}
    elif key.name != "iam_role_provider":  # it has one value only
        assert forms != {"{}"}, "no good value of the key changes the sha"
        if key.default is not UNSET:
            assert sha.written(kind, freeze({key.name: key.default})) == {}


def test_derived_and_unordered_keys_exist() -> None:
    known = {key.name for struct in keys.INSTANCE.values() for key in struct.keys}
    assert known >= sha._DERIVED
    assert known >= sha.UNORDERED


BODIES = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([value for value in INSTANCE[name].good if value is not None])
        for name in (
            "cpus",
            "mem",
            "env",
            "cmd",
            "cap_add",
            "extra_volumes",
            "node_selectors",
            "secret_volumes",
            "pool",
        )
    },
)


@given(BODIES, st.randoms())
def test_the_order_in_which_things_are_written_means_nothing(body: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(item)) for name, item in value.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert sha.written("kubernetes", freeze(shuffled(body))) == sha.written("kubernetes", freeze(body))
    assert sha.written("kubernetes", thaw(freeze(body))) == sha.written("kubernetes", freeze(body))


def test_a_change_of_defaults_is_a_change_of_meaning() -> None:
    """Raise config_sha.VERSION and put the new digest here, or every platform misses a bounce that it needs."""
    defaults = {
        kind: {
            key.name: sha.canonical(key.default, key.shape)
            for key in struct.keys
            if key.restarts and not key.legacy and key.default is not UNSET
        }
        for kind, struct in keys.INSTANCE.items()
    }
    text = json.dumps([sha.VERSION, defaults], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "7273fa9fc8a4c4f9"


def test_shas_stay_as_they_are(soa: Soa) -> None:
    """Shas of releases: when one of these changes, upgrading bounces everything."""
    body = {"cpus": 0.5, "env": {"A": "x"}, "cmd": ["run", "it"], "extra_volumes": [], "cap_add": ["KILL"]}
    assert [of(soa, {}), of(soa, body)] == ["configf693fb27", "configd9a4b023"]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Objects against every supported Kubernetes, and what its schemas do not say: names, paths and references."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import (
    secrets,
    shared,
)
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.render import render
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import freeze, thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse, Volume
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes import openapi
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a"},
    "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"maxUnavailable": "10%"}}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (SERVICE, ""),
        (BUDGET, ""),
        (BINDING, ""),
        ({**SERVICE, "specs": {}}, "Additional properties are not allowed ('specs' was unexpected)"),
        ({**SERVICE, "spec": {"ports": [{"port": "80"}]}}, "spec/ports/0/port: '80' is not of type 'integer'"),
        ({**BUDGET, "spec": {"maxUnavailable": 0.1}}, "0.1 is not valid under any of the given schemas"),
        ({**BINDING, "roleRef": {"kind": "ClusterRole"}}, "'name' is a required property"),
    ],
)
def test_the_quick_check_says_what_the_package_says(manifest: dict[str, Any], message: str) -> None:
    found = openapi.errors(manifest)
    assert bool(found) == bool(message)
    for version in openapi.VERSIONS:
        if not message:
            openapi.kubernetes_validate.validate(manifest, version, strict=True)
            continue
        assert any(message in line and version in line for line in found), found
        with pytest.raises(openapi.kubernetes_validate.ValidationError):
            openapi.kubernetes_validate.validate(manifest, version, strict=True)


PLATFORM: dict[str, Any] = {
    "volumes": ["/etc/localtime:/etc/localtime:ro"],
    "kubernetes_namespace_role_bindings": [
        {"name": "r", "cluster_role": "view", "subjects": [{"kind": "ServiceAccount", "name": "s"}]}
    ],
    "kubernetes_adapter_config": {"namespace": "custom-metrics", "name": "adapter-config"},
    "kubernetes_pool_tolerations": {"default": [{"operator": "Exists", "tolerationSeconds": 5}]},
    "kubernetes_service_objects": True,
    "pool_node_affinities": {"default": {"zone": ["a"]}},
    "deploy_blacklist": [["region", "b"]],
    "topology_spread_constraints": [{"topology_key": "zone"}],
}
CIPHERTEXT = "1" * 64
NAMES = ["token", "tls_key"]


def test_what_instances_share_is_valid_too(web: Web) -> None:
    keys = "iam_role: 'arn:aws:iam::1:role/x', max_instances: 2, autoscaling: {metrics_providers: [{type: uwsgi}]}"
    instance, facts = web(keys, settings=PLATFORM)
    found = shared.objects([instance], facts, everything=[instance])
    assert [manifest["kind"] for manifest in found.values()] == [
        "Namespace",
        "LimitRange",
        "RoleBinding",
        "ServiceAccount",
        "ConfigMap",
    ]
    assert list(found)[:4] == shared.needs(instance, facts)
    openapi.check(found.values())
    entry = {"object": "a", "key": "token", "service": "web", "name": "token", "digest": CIPHERTEXT}
    openapi.check([secrets.manifest(entry, "paastasvc-web", b"x", "prod", "paasta.yelp.com")])


PATHS = st.sampled_from(["/a", "/a/b", "/A", "/a_b", "/a--b", "/var/lib/x.y", "/" + "long/" * 20, "/sp ace", "/ü"])
CLAIMS = st.sampled_from(["/a", "/b_c", "/D", "/" + "long/" * 20])
MODES = st.sampled_from(["RO", "RW"])


def listed(**fields: Any) -> Any:
    """Up to 3 items; a path, where there is one, comes once."""
    unique = (lambda item: item["container_path"]) if "container_path" in fields else json.dumps
    return st.lists(st.fixed_dictionaries(fields), max_size=3, unique_by=unique)


# Keys and values that are valid in soa-configs, by themselves and together.
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "persistent_volumes": listed(
            container_path=CLAIMS.map(lambda path: f"/pv{path}"), size=st.integers(1, 5000), mode=MODES
        ),
        "secret_volumes": listed(
            container_path=PATHS.map(lambda path: "/s" + path.replace("/", "_")),
            secret_name=st.sampled_from(NAMES),
            default_mode=st.sampled_from(["0400", "644"]),
        ),
        "projected_sa_volumes": listed(
            container_path=PATHS.map(lambda path: f"/t{path}"),
            audience=st.sampled_from(["a", "https://b.c/d", "x" * 70]),
            expiration_seconds=st.integers(600, 9000),
        ),
        "boto_keys": st.lists(st.sampled_from(["a", "b_c", "D"]), unique=True),
        "crypto_keys": st.fixed_dictionaries({"encrypt": st.just(["b", "a"]), "decrypt": st.just(["a.b"])}),
        "datastore_credentials": st.just({"mysql": ["rw", "ro"]}),
        "uses_bulkdata": st.booleans(),
        "deploy_blacklist": st.lists(st.sampled_from([["region", "a"], ["habitat", "b"], ["x/y", "c"]]), unique_by=str),
        "node_selectors": st.dictionaries(
            st.sampled_from(["pool", "region", "zone", "cpu"]),
            st.sampled_from(["one", ["one", "two"], [{"operator": "Exists"}], [{"operator": "Lt", "value": 4}]]),
        ),
        "node_selectors_preferred": listed(
            weight=st.integers(1, 100), preferences=st.just({"aa": "x", "bb": ["y"], "cc": [{"operator": "Exists"}]})
        ),
        "anti_affinity": st.sampled_from([{}, {"service": "db"}, [{"instance": "other"}, {}]]),
        "anti_affinity_preferred": st.just([{"service": "db", "weight": 3}]),
        "topology_spread_constraints": listed(
            topology_key=st.sampled_from(["zone", "habitat"]), max_skew=st.just(2)
        ).filter(lambda items: len({item["topology_key"] for item in items}) == len(items)),
        "max_instances": st.integers(1, 10),
        "autoscaling": st.fixed_dictionaries(
            {
                "metrics_providers": st.lists(
                    st.sampled_from(["cpu", "memory", "uwsgi", "uwsgi-v2", "gunicorn", "active-requests"]), unique=True
                ).map(lambda kinds: [{"type": kind, "setpoint": 0.37} for kind in kinds])
            }
        ),
        "bounce_margin_factor": st.floats(0, 1),
        "unhealthy_pod_eviction_policy": st.sampled_from(["IfHealthyBudget", "AlwaysAllow"]),
        "namespace": st.just("tools"),
        "iam_role": st.just("arn:aws:iam::1:role/a_B"),
    },
)
HOSTS = st.lists(
    st.builds(Volume, PATHS.map(lambda path: f"/h{path}"), PATHS, MODES),
    max_size=4,
    unique_by=lambda v: v.container_path,
)
# Lists of which the order means nothing, but to claims, which cannot be changed.
UNORDERED = ("secret_volumes", "projected_sa_volumes", "boto_keys", "deploy_blacklist", "topology_spread_constraints")


def of(instance: Instance, keys: dict[str, Any], hosts: list[Volume]) -> Instance:
    return replace(
        instance,
        keys=freeze(keys),
        env=freeze({"TOKEN": "SECRET(token)"}),
        extra_volumes=tuple(hosts),
        secrets=tuple(SecretUse("web", name, CIPHERTEXT) for name in NAMES),
    )


def shuffled(keys: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = thaw(freeze(keys))
    for name in UNORDERED:
        random.Random(name).shuffle(changed.get(name, []))
    return dict(reversed(changed.items()))


@given(keys=KEYS, hosts=HOSTS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_instance_mounts_selects_and_scales_on(
    loaded: Any, keys: dict[str, Any], hosts: list[Volume]
) -> None:
    blank, facts = loaded
    instance = of(blank, keys, hosts)
    entry = render(instance, facts)
    found = shared.objects([instance], facts, everything=[instance])
    openapi.check([*entry["objects"], *found.values()])
    assert set(entry["needs"]) <= set(found)
    main = next(manifest for manifest in entry["objects"] if manifest["kind"] in ("Deployment", "StatefulSet"))
    holds_together(main["spec"])
    other = render(of(blank, shuffled(keys), hosts[::-1]), facts)
    assert json.dumps(other["objects"]) == json.dumps(entry["objects"])


@pytest.fixture
def loaded(web: Web) -> tuple[Instance, Facts]:
    return web("", settings=PLATFORM)


def holds_together(spec: dict[str, Any]) -> None:
    """Volumes have names, no two the same; every mount has its volume, and its path for itself."""
    pod = spec["template"]["spec"]
    names = [volume["name"] for volume in pod["volumes"]]
    names += [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names), names
    mounts = pod["containers"][0]["volumeMounts"]
    assert {mount["name"] for mount in mounts} == set(names)
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)

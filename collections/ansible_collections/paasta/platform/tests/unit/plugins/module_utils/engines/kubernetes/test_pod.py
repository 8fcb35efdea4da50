# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The pod template: labels, annotations, and the spec around the containers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import pod
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import (
    MESH,
    REGISTRY,
    SHA,
)
from hypothesis import given
from hypothesis import strategies as st

HACHECK = {"hacheck_sidecar_image_url": "hacheck:1"}


def template(web: Web, keys: str = "", **options: Any) -> dict[str, Any]:
    instance, facts = web(keys, **options)
    assert instance.version is not None
    labels = pod.version_labels(instance, instance.version, facts, "configabcdef01")
    return pod.template(instance, instance.version, facts, labels)


def spec(web: Web, keys: str = "", **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = template(web, keys, **options)["spec"]
    return found


PLAIN = {
    "paasta.yelp.com/managed": "true",
    "paasta.yelp.com/cluster": "prod",
    "paasta.yelp.com/service": "web",
    "paasta.yelp.com/instance": "main",
    "paasta.yelp.com/git_sha": SHA,
    "paasta.yelp.com/config_sha": "configabcdef01",
    "paasta.yelp.com/autoscaled": "false",
    "paasta.yelp.com/pool": "default",
    "paasta.yelp.com/deploy_group": "g",
    "yelp.com/pool": "default",
    "yelp.com/owner": "frontend",
    "yelp.com/paasta_service": "web",
    "yelp.com/paasta_instance": "main",
    "yelp.com/paasta_git_sha": SHA,
    "yelp.com/paasta_config_sha": "configabcdef01",
}
REGISTRATION_LABELS = {"kubernetes_add_registration_labels": True}


@pytest.mark.parametrize(
    ("keys", "options", "changed"),
    [
        ("", {}, {}),
        ("", {"image_version": "v1"}, {"paasta.yelp.com/image_version": "v1"}),
        ("", {"smartstack": MESH}, {"paasta.yelp.com/weight": "10"}),
        ("weight: 3", {"smartstack": MESH}, {"paasta.yelp.com/weight": "3"}),
        ("weight: 3", {}, {}),
        ("pool: big", {}, {"paasta.yelp.com/pool": "big", "yelp.com/pool": "big"}),
        ("max_instances: 3", {}, {"paasta.yelp.com/autoscaled": "true"}),
        ("max_instances: 3", {"state": "stop"}, {"paasta.yelp.com/autoscaled": "true"}),
        ("prometheus_shard: a b", {}, {"paasta.yelp.com/prometheus_shard": "a-b"}),
        ("is_istio_sidecar_injection_enabled: true", {}, {"sidecar.istio.io/inject": "true"}),
        ("enable_aws_lb_readiness_gate: true", {}, {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}),
        ("cost_owner: money", {}, {}),
        ("cost_owner: money", {"settings": {"enable_cost_owner_label": True}}, {"yelp.com/cost_owner": "money"}),
        (
            "",
            {"service_yaml": "cost_owner: all\n", "settings": {"enable_cost_owner_label": True}},
            {"yelp.com/cost_owner": "all"},
        ),
        ("monitoring: {team: back end}", {}, {"yelp.com/owner": "back-end"}),
        (
            f"registrations: [web.main, web.{'x' * 51}]",
            {
                "smartstack": f"main: {{proxy_port: null}}\n{'x' * 51}: {{proxy_port: null}}",
                "settings": REGISTRATION_LABELS,
            },
            {
                "registrations.paasta.yelp.com/web.main": "true",
                f"registrations.paasta.yelp.com/web.{'x' * 51}": "true",
            },
        ),
        (
            "max_instances: 3, autoscaling: {metrics_providers: [{type: gunicorn}]}",
            {},
            {"paasta.yelp.com/autoscaled": "true", "paasta.yelp.com/scrape_gunicorn_prometheus": "true"},
        ),
    ],
)
def test_labels(web: Web, keys: str, options: dict[str, Any], changed: dict[str, str]) -> None:
    assert template(web, keys, **options)["metadata"]["labels"] == PLAIN | changed


NOT_ROUTABLE = {"paasta.yelp.com/routable_ip": "false", "iam.amazonaws.com/role": ""}
ROUTABLE = {**NOT_ROUTABLE, "paasta.yelp.com/routable_ip": "true"}


@pytest.mark.parametrize(
    ("keys", "options", "expected"),
    [
        ("", {}, NOT_ROUTABLE),
        ("routable_ip: true", {}, ROUTABLE),
        ("", {"smartstack": MESH}, {**ROUTABLE, "smartstack_registrations": '["web.main"]'}),
        (
            "prometheus_port: 9000, prometheus_path: /m",
            {},
            {**ROUTABLE, "paasta.yelp.com/prometheus_port": "9000", "paasta.yelp.com/prometheus_path": "/m"},
        ),
        ("autoscaling: {metrics_providers: [{type: uwsgi}]}", {}, NOT_ROUTABLE),
        (
            "max_instances: 2, autoscaling: {metrics_providers: [{type: uwsgi}]}",
            {},
            {**ROUTABLE, "autoscaling": "uwsgi"},
        ),
        ("max_instances: 2", {}, NOT_ROUTABLE),
        ("", {"bounce": "2026"}, {**NOT_ROUTABLE, "paasta.yelp.com/force_bounce": "2026"}),
    ],
)
def test_annotations(web: Web, keys: str, options: dict[str, Any], expected: dict[str, str]) -> None:
    assert template(web, keys, **options)["metadata"]["annotations"] == expected


def test_rotating_a_secret_changes_the_template(web: Web, tmp_path: Any) -> None:
    secrets = tmp_path / "web" / "secrets"
    secrets.mkdir(parents=True)

    def digest(ciphertext: str) -> str:
        entry = {"ciphertext": f"vault:v1:{ciphertext}", "signature": "s"}
        (secrets / "token.json").write_text(json.dumps({"environments": {"prod": entry}}))
        found = template(web, "env: {T: SECRET(token)}")
        assert "aaaa" not in json.dumps(found)
        text: str = found["metadata"]["annotations"]["paasta.yelp.com/secrets-digest"]
        return text

    assert digest("aaaa") == digest("aaaa")
    assert digest("aaaa") != digest("bbbb")


def test_the_least_that_a_pod_has(web: Web) -> None:
    found = spec(web)
    assert [container["name"] for container in found.pop("containers")] == ["main"]
    assert found == {
        "shareProcessNamespace": True,
        "nodeSelector": {"yelp.com/pool": "default"},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }


def test_the_namespaces_of_the_mesh_are_those_of_the_directory_that_was_read(web: Web) -> None:
    """PaaSTA reads them from /nail/etc/services whatever directory it was given, and loses all of this."""
    found = spec(web, smartstack=MESH, settings=HACHECK)
    assert [container["name"] for container in found["containers"]] == ["main", "hacheck"]
    assert found["terminationGracePeriodSeconds"] == 337
    assert found["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/status"


def test_credentials_of_private_registries(web: Web) -> None:
    assert "imagePullSecrets" not in spec(web)
    found = spec(web, name="other", settings={"private_docker_registries": [REGISTRY]})
    assert found["imagePullSecrets"] == [{"name": "paasta-registry-registry.example.org-5000"}]


def test_volumes_of_the_sidecar_are_in_the_pod_once(web: Web) -> None:
    hosts = "/etc/hosts:/etc/hosts:ro"
    settings = {**HACHECK, "volumes": [hosts], "hacheck_sidecar_volumes": [hosts, "/nail/etc:/nail/etc:rw"]}
    found = spec(web, smartstack=MESH, settings=settings)
    assert found["volumes"] == [
        {"name": "host--slash-etcslash-hosts", "hostPath": {"path": "/etc/hosts"}},
        {"name": "host--slash-nailslash-etc", "hostPath": {"path": "/nail/etc"}},
    ]
    mounts = {container["name"]: container["volumeMounts"] for container in found["containers"]}
    assert mounts["main"] == [{"name": "host--slash-etcslash-hosts", "mountPath": "/etc/hosts", "readOnly": True}]
    assert mounts["hacheck"] == [*mounts["main"], {"name": "host--slash-nailslash-etc", "mountPath": "/nail/etc"}]


def test_who_the_pod_is(web: Web) -> None:
    found = spec(web, "iam_role: 'arn:aws:iam::1:role/web', fs_group_change_policy: Always")
    assert found["serviceAccountName"] == "paasta--arn-aws-iam-1-role-web"
    assert found["securityContext"]["fsGroup"] == 65534
    assert found["securityContext"]["fsGroupChangePolicy"] == "Always"


DEFAULTS = {
    "dns_policy": "Default",
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    "nodeSelector": {"kubernetes.io/os": "linux", "yelp.com/pool": "other"},
    "securityContext": {"runAsNonRoot": False, "runAsUser": 33, "fsGroup": 1},
    "shareProcessNamespace": False,
    "tolerations": [{"key": "a", "operator": "Exists"}],
}


def test_pod_defaults_give_way_to_what_instances_say(web: Web) -> None:
    tolerations = {"gpu": [{"key": "gpu", "operator": "Exists"}]}
    settings = {"pod_defaults": DEFAULTS, "kubernetes_pool_tolerations": tolerations}
    found = spec(web, "pool: gpu, fs_group: 7", settings=settings)
    assert found["dnsPolicy"] == "Default"
    assert found["hostAliases"] == DEFAULTS["hostAliases"]
    assert found["nodeSelector"] == {"kubernetes.io/os": "linux", "yelp.com/pool": "gpu"}
    assert found["tolerations"] == [{"key": "gpu", "operator": "Exists"}, {"key": "a", "operator": "Exists"}]
    assert found["shareProcessNamespace"] is True
    # What is only a default of ours gives way to the platform's, and both to the instance's own.
    assert found["securityContext"] == {
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": False,
        "runAsUser": 33,
        "fsGroup": 7,
    }


KEYS = st.sampled_from("abc")
JSON = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3, unique_by=repr) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_merging_loses_nothing_that_is_wanted(defaults: dict[str, Any], own: dict[str, Any]) -> None:
    before = json.dumps([defaults, own])
    found = pod.merged(defaults, own)
    assert found.keys() == defaults.keys() | own.keys()
    assert pod.merged({}, own) == own
    assert pod.merged(found, own) == found
    assert json.dumps([defaults, own]) == before

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""An instance in, all of its objects out."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.render import (
    collisions,
    general_warnings,
    render,
    warnings,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes import openapi
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import MESH, Soa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PV = "persistent_volumes: [{container_path: /data, size: 10, mode: RW, storage_class_name: ebs}]"
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def workload(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in entry["objects"] if one["kind"] in ("Deployment", "StatefulSet"))
    return found


def kinds(entry: dict[str, Any]) -> list[str]:
    return [manifest["kind"] for manifest in entry["objects"]]


GOLDEN = """
    instances: 6, cpus: 0.5, mem: 1536, disk: 2048, pool: web, cmd: python3 -m web, weight: 20,
    env: {LOG_LEVEL: info, GREETING: ''}, cap_add: [NET_BIND_SERVICE],
    bounce_margin_factor: 0.9, bounce_overprovision_factor: 0.5, bounce_health_params: {min_task_uptime: 15},
    healthcheck_uri: /healthz, extra_volumes: [{containerPath: /srv, hostPath: /var/srv, mode: RW}],
    anti_affinity_preferred: {weight: 10}, node_selectors: {instance_type: [m5.large, m5.xlarge]},
    prometheus_port: 9100, service_account_name: web
""".replace("\n", " ").strip()
PLATFORM = {
    "hacheck_sidecar_image_url": "registry.example.org:5000/hacheck-k8s-sidecar:1",
    "hacheck_sidecar_volumes": ["/etc/nerve:/etc/nerve:ro"],
    "volumes": ["/etc/localtime:/etc/localtime:ro"],
    "topology_spread_constraints": [{"topology_key": "topology.kubernetes.io/zone"}],
}


def test_a_whole_instance(web: Web) -> None:
    """``web_main.yaml`` is read by people: whoever changes it says what bounces."""
    instance, facts = web(GOLDEN, smartstack=MESH, settings=PLATFORM, bounce="20260102T030405", image_version="v7")
    entry = render(instance, facts)
    golden = yaml.safe_load((Path(__file__).parent / "web_main.yaml").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(entry)) == golden
    openapi.check(entry["objects"])


@pytest.mark.parametrize(
    ("keys", "options", "expected", "replicas", "autoscaling"),
    [
        ("instances: 3", {}, ["PodDisruptionBudget", "Deployment"], 3, None),
        ("instances: 3", {"state": "stop"}, ["PodDisruptionBudget", "Deployment"], 0, None),
        (
            "min_instances: 2, max_instances: 5",
            {},
            ["PodDisruptionBudget", "Deployment", "HorizontalPodAutoscaler"],
            None,
            {"min": 2, "max": 5},
        ),
        ("min_instances: 2, max_instances: 5", {"state": "stop"}, ["PodDisruptionBudget", "Deployment"], 0, None),
        (PV, {}, ["Service", "PodDisruptionBudget", "StatefulSet"], 1, None),
        (
            f"{PV}, max_instances: 2",
            {},
            ["Service", "PodDisruptionBudget", "StatefulSet", "HorizontalPodAutoscaler"],
            None,
            {"min": 1, "max": 2},
        ),
        (
            "",
            {"settings": {"kubernetes_service_objects": True}},
            ["Service", "PodDisruptionBudget", "Deployment"],
            1,
            None,
        ),
    ],
)
def test_which_objects_and_who_decides_how_many(
    web: Web, keys: str, options: dict[str, Any], expected: list[str], replicas: int | None, autoscaling: Any
) -> None:
    entry = render(*web(keys, **options))
    assert kinds(entry) == expected
    assert workload(entry)["spec"].get("replicas") == replicas
    assert entry["autoscaling"] == autoscaling
    assert entry["replicas"] == (autoscaling["min"] if autoscaling else replicas)
    openapi.check(entry["objects"])


def test_a_stateful_set(web: Web) -> None:
    found = workload(render(*web(f"{PV}, pod_management_policy: Parallel, bounce_method: brutal")))
    spec = found["spec"]
    assert found["kind"] == "StatefulSet"
    assert spec["serviceName"] == "web-main"
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["revisionHistoryLimit"] == 0
    assert [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]] == ["pv--slash-data"]
    assert spec["template"]["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "pv--slash-data", "mountPath": "/data"}
    ]
    assert not spec.keys() & {"strategy", "progressDeadlineSeconds", "updateStrategy"}


def test_everything_that_is_wrong_is_said_at_once(web: Web) -> None:
    keys = (
        "aws_ebs_volumes: [{volume_id: v, container_path: /d}], instances: 2, net: host, drain_method: test, "
        "projected_sa_volumes: [{container_path: /t, audience: a, expiration_seconds: 5}], "
        "node_selectors: {zone: [{operator: In}]}"
    )
    instance, facts = web(keys)
    with pytest.raises(CannotRender) as error:
        render(instance, facts)
    text = str(error.value)
    for part in (
        "aws_ebs_volumes: an EBS",
        "instances: 2 replicas",
        "net: host: pods",
        "drain_method: test",
        "projected_sa_volumes[0]",
        "node_selectors",
    ):
        assert f"web/kubernetes-prod.yaml:1: web.main: {part}" in text, text


def test_a_stateful_set_s_name_leaves_room_for_a_hash(web: Web) -> None:
    name = "x" * (63 - len("web-"))
    assert kinds(render(*web(name=name)))[-1] == "Deployment"
    with pytest.raises(CannotRender, match="has 63 characters, the limit of a StatefulSet's name is 52"):
        render(*web(PV, name=name, service="wob"))
    render(*web(PV, name="x" * 48, service="wub"))


def test_an_instance_without_a_version_cannot_be_rendered(web: Web) -> None:
    instance, facts = web()
    with pytest.raises(CannotRender, match="deploy group g has not been marked for deployment"):
        render(replace(instance, version=None), facts)


def test_names_that_become_the_same_are_all_refused_at_once(soa: Soa) -> None:
    soa.write("namespace: mine", service="a", name="b-c")
    soa.write("namespace: mine", service="a-b", name="c")
    soa.write(service="d_e", name="x")
    soa.write(service="d--e", name="x")
    soa.write(service="f", name="x")
    instances = soa.config().instances
    everything = {instance.id for instance in instances}
    assert collisions(instances, everything) == [
        "a-b/kubernetes-prod.yaml:1: a-b.c: namespace: would be a-b-c in namespace mine, which a.b-c is; "
        "rename one of them, or give it a namespace",
        "d_e/kubernetes-prod.yaml:1: d_e.x: would be d--e-x in namespace paastasvc-d--e, which d--e.x is; "
        "rename one of them, or give it a namespace",
    ]
    assert len(collisions(instances, {"a-b.c"})) == 1
    assert collisions(instances, {"f.x"}) == []


def test_what_is_not_carried_out_is_said(web: Web) -> None:
    instance, facts = web("extra_constraints: [[pool, LIKE, x]], cap_add: [NET_RAW], cpus: 1", smartstack=MESH)
    assert warnings(instance, facts) == [
        "web/kubernetes-prod.yaml:1: web.main: cap_add: NET_RAW: the pod may run as root, to be able to use them",
        "web/kubernetes-prod.yaml:1: web.main: extra_constraints: engine kubernetes does not carry it out",
    ]
    assert warnings(*web(service="quiet")) == []


def test_a_missing_sidecar_is_said_once_for_all(web: Web) -> None:
    instance, facts = web(smartstack=MESH)
    others = [instance, replace(instance, name="other", registrations=("web.none",)), replace(instance, name="third")]
    found = general_warnings(others, facts)
    assert len(found) == 1
    assert found[0].startswith("web.main and 1 more in the mesh: pods are ready by their own health check")
    assert general_warnings(others[1:2], facts) == []


def sha_of(web: Web, keys: str = "", **options: Any) -> str:
    text: str = render(*web(keys, **options))["config_sha"]
    return text


HACHECK = {"hacheck_sidecar_image_url": "hacheck:1"}
WORKERS = "{metrics_providers: [{type: worker-load}]}"
MESH_HACHECK = {"smartstack": MESH, "settings": HACHECK}
HTTP = "drain_method: http, drain_method_params: {drain: {url_format: 'http://{host}/drain?'}}"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"keys": "instances: 5"}, True),
        ({}, {"state": "stop"}, True),
        ({}, {"keys": "cpus: 2"}, False),
        ({}, {"bounce": "x"}, False),
        ({}, {"settings": {"pod_defaults": {"dnsPolicy": "Default"}}}, False),
        ({}, {"settings": {"kubernetes_pod_security": "paasta"}}, False),
        ({}, {"settings": {"kubernetes_pool_tolerations": {"default": [{"operator": "Exists"}]}}}, False),
        ({}, {"settings": {"kubernetes_pool_tolerations": {"other": [{"operator": "Exists"}]}}}, True),
        ({}, {"settings": {"volumes": ["/a:/a:ro"]}}, False),
        ({"settings": {"volumes": ["/a:/a:ro", "/b:/b"]}}, {"settings": {"volumes": ["/b:/b:rw", "/a:/a:ro"]}}, True),
        ({}, {"settings": HACHECK}, True),
        ({"smartstack": MESH}, {"smartstack": MESH, "settings": HACHECK}, False),
        ({"smartstack": MESH}, {"smartstack": MESH.replace("5000", "6000")}, False),
        ({}, {"settings": {"pdb_max_unavailable": 2, "kubernetes_concurrency": 3}}, True),
        ({"keys": "max_instances: 3"}, {"keys": "max_instances: 3", "state": "stop"}, True),
        ({}, {"keys": "max_instances: 3"}, False),
        ({}, {"keys": "bounce_margin_factor: 0.5"}, True),
        ({}, {"keys": "cfs_period_us: 50000, constraints: [[a, b]], pod_management_policy: Parallel"}, True),
        ({"keys": "max_instances: 3"}, {"keys": f"max_instances: 3, autoscaling: {WORKERS}"}, False),
        (
            {"keys": "max_instances: 3", "smartstack": MESH},
            {"keys": f"max_instances: 3, autoscaling: {WORKERS}", "smartstack": MESH},
            True,
        ),
        ({}, {"settings": {"private_docker_registries": ["registry.example.org:5000"]}}, False),
        ({"keys": HTTP}, {"keys": HTTP.replace("drain?", "stop?")}, False),
        (MESH_HACHECK, {**MESH_HACHECK, "keys": "bounce_health_params: {check_haproxy: false}"}, False),
        (MESH_HACHECK, {**MESH_HACHECK, "keys": "bounce_health_params: {haproxy_min_fraction_up: 0.5}"}, True),
    ],
)
def test_the_config_sha_changes_with_what_replaces_pods(
    web: Web, one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert (sha_of(web, **one) == sha_of(web, **other)) == same


OPTIONS: dict[str, list[str]] = {
    "instances": ["0", "7"],
    "max_instances": ["9"],
    "cpus": ["0.3", "4"],
    "mem": ["100", "2048.5"],
    "pool": ["big pool"],
    "monitoring": ["{team: 'Front End!'}"],
    "cmd": ["'exec web'", "[web]"],
    "env": ["{A: '', B: '1'}"],
    "cap_add": ["[NET_RAW]", "[SYS_ADMIN]"],
    "privileged": ["true"],
    "gpus": ["1"],
    "healthcheck_mode": ["tcp", "https"],
    "bounce_method": ["brutal", "downthenup", "upthendown"],
    "bounce_margin_factor": ["0", "0.55"],
    "bounce_health_params": ["{min_task_uptime: 3, check_haproxy: false}"],
    "lifecycle": ["{pre_stop_drain_seconds: 40}", "{pre_stop_command: [bye], termination_grace_period_seconds: 5}"],
    "drain_method": ["noop"],
    "persistent_volumes": ["[{container_path: /data, size: 10, mode: RW, storage_class_name: ebs}]"],
    "extra_volumes": ["[{containerPath: /a, hostPath: /A, mode: RO}, {containerPath: /b, hostPath: /a, mode: RW}]"],
    "anti_affinity": ["{}", "[{service: other, instance: x}]"],
    "node_selectors": ["{instance_type: m5}", "{zone: [{operator: Exists}]}"],
    "topology_spread_constraints": ["[{topology_key: zone, match_label_keys: [pod-template-hash]}]"],
    "prometheus_port": ["9000"],
    "prometheus_shard": ["'a/b'"],
    "iam_role": ["'arn:aws:iam::1:role/web'"],
    "projected_sa_volumes": ["[{container_path: /t, audience: a}]"],
    "is_istio_sidecar_injection_enabled": ["true"],
    "sidecar_resource_requirements": ["{hacheck: {limits: {cpu: 0.75, memory: 1.5Gi}}}"],
}
CHOSEN = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in OPTIONS.items()})


def strings(value: Any) -> list[Any]:
    """Every leaf and every empty collection in a document."""
    if isinstance(value, dict) and value:
        return [leaf for item in value.values() for leaf in strings(item)]
    if isinstance(value, list) and value:
        return [leaf for item in value for leaf in strings(item)]
    return [value]


@given(
    chosen=CHOSEN,
    mesh=st.sampled_from(["", MESH]),
    image=st.booleans(),
    security=st.sampled_from(["restricted", "paasta"]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_instance_says_its_objects_are_valid_and_the_same_each_time(
    web: Web, chosen: dict[str, str], mesh: str, image: bool, security: str
) -> None:
    instance, facts = web(
        ", ".join(f"{key}: {value}" for key, value in chosen.items()),
        smartstack=mesh,
        settings={"kubernetes_pod_security": security, **(HACHECK if image else {})},
    )
    entry = render(instance, facts)
    assert json.dumps(entry) == json.dumps(render(_shuffled(instance), facts))
    assert json.loads(json.dumps(entry)) == entry
    openapi.check(entry["objects"])
    main = workload(entry)
    template = main["spec"]["template"]
    assert main["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    for manifest in entry["objects"]:
        labels = manifest["metadata"]["labels"]
        assert all(len(value) <= 63 and LABEL_VALUE.fullmatch(value) for value in labels.values()), labels
        assert not [leaf for leaf in bare(manifest) if leaf in (None, "", [], {})]
    labels = template["metadata"]["labels"]
    assert all(len(value) <= 63 and LABEL_VALUE.fullmatch(value) for value in labels.values()), labels


def bare(manifest: dict[str, Any]) -> list[Any]:
    """The leaves of a manifest without those that may be empty: values of annotations, and selectors of everything."""
    copy = json.loads(json.dumps(manifest))
    copy.get("spec", {}).get("template", {}).get("metadata", {}).pop("annotations", None)
    text = json.dumps(copy).replace('"namespaceSelector": {}', '"namespaceSelector": 1')
    return strings(json.loads(text))


def _shuffled(instance: Instance) -> Instance:
    """The same instance, its keys in another order."""
    items = list(instance.keys.items())
    random.Random(1).shuffle(items)
    return replace(instance, keys=FrozenDict(items))

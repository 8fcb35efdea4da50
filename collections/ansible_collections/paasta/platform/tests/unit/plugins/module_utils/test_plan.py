# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.plan import run

SHA = "0123456789abcdef0123456789abcdef01234567"
DEFAULTS: dict[str, Any] = {
    "cluster": "local",
    "engines": {"kubernetes": "docker"},
    "services": [],
    "instances": [],
    "registry": "registry:5000",
    "settings": {},
}


@pytest.fixture
def soa(tmp_path: Path) -> Path:
    """``web`` with main (deployed) and canary (not marked), and ``api`` with main (deployed)."""
    instances = {
        "web": "main: {deploy_group: g}\ncanary: {deploy_group: other}\n",
        "api": "main: {deploy_group: g, max_instances: 3}\n",
    }
    for number, (service, text) in enumerate(sorted(instances.items())):
        directory = tmp_path / service
        directory.mkdir()
        (directory / "service.yaml").write_text("description: d\nexternal_link: https://example.org\n")
        (directory / "monitoring.yaml").write_text("team: t\n")
        (directory / "smartstack.yaml").write_text(f"main: {{proxy_port: {20001 + number}, balance: leastconn}}\n")
        (directory / "kubernetes-local.yaml").write_text(text)
        version = {"docker_image": f"services-{service}:paasta-{SHA}", "git_sha": SHA, "image_version": None}
        (directory / "deployments.json").write_text(json.dumps({"v2": {"deployments": {"g": version}, "controls": {}}}))
    return tmp_path


def plan(soa: Path, **arguments: Any) -> dict[str, Any]:
    result = run({**DEFAULTS, "soa_dir": str(soa), **arguments})
    assert not result.get("failed"), result
    found: dict[str, Any] = result["plan"]
    return {**found, "kubernetes": json.loads(found["kubernetes"])}


def refusal(soa: Path, **arguments: Any) -> str:
    result = run({**DEFAULTS, "soa_dir": str(soa), **arguments})
    assert result["failed"] is True
    return str(result["msg"])


def test_everything_is_in_the_plan(soa: Path) -> None:
    found = plan(soa)
    assert sorted(found["docker"]["instances"]) == ["api.main", "web.main"]
    assert sorted(found["mesh"]["namespaces"]) == ["api.main", "web.main"]
    assert found["undeployed"] == ["web.canary"]
    assert found["only"] == []
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("arguments", "only", "instances"),
    [
        ({"services": ["web"]}, ["web"], ["web.main"]),
        ({"instances": ["api.main"]}, ["api.main"], ["api.main"]),
        ({"services": ["web"], "instances": ["main"]}, ["web.main"], ["web.main"]),
    ],
)
def test_a_selection_keeps_the_whole_mesh(
    soa: Path, arguments: dict[str, Any], only: list[str], instances: list[str]
) -> None:
    found = plan(soa, **arguments)
    assert (found["only"], sorted(found["docker"]["instances"])) == (only, instances)
    assert sorted(found["mesh"]["namespaces"]) == ["api.main", "web.main"]


def test_what_is_not_there_is_named_with_the_nearest_and_all_at_once(soa: Path) -> None:
    message = refusal(soa, services=["wbe"], instances=["aip.main"])
    assert "wbe: is not a service of this tree; did you mean web?" in message
    assert "aip: is not a service of this tree; did you mean api?" in message
    message = refusal(soa, instances=["web.mian", "api.cnary"])
    assert "instance web.mian: not in the soa-configs of cluster local; did you mean web.main?" in message
    assert "instance api.cnary: not in the soa-configs of cluster local" in message


def test_a_mistake_in_another_service_does_not_stop_a_deploy(soa: Path) -> None:
    (soa / "api" / "kubernetes-local.yaml").write_text("main: {cpus: lots}\n")
    assert "lots" in refusal(soa)
    assert sorted(plan(soa, services=["web"])["docker"]["instances"]) == ["web.main"]
    assert sorted(plan(soa, instances=["web.main"])["docker"]["instances"]) == ["web.main"]


def test_settings_of_the_platform_reach_containers_and_are_checked(soa: Path) -> None:
    volumes = ["/etc/localtime:/etc/localtime:ro"]
    found = plan(soa, settings={"paasta_volumes": volumes, "paasta_log_max_file": "7"})
    host = found["docker"]["instances"]["web.main"]["container"]["HostConfig"]
    assert volumes[0] in host["Binds"]
    assert host["LogConfig"]["Config"]["max-file"] == "7"
    assert "paasta_log_max_fiel" in refusal(soa, settings={"paasta_log_max_fiel": 7})


def test_a_bare_instance_needs_its_service(soa: Path) -> None:
    assert "say which service, as in instance=web.main" in refusal(soa, instances=["main"])


def test_an_engine_that_does_not_exist_is_refused(soa: Path) -> None:
    assert "no engine 'nomad' for instances of type kubernetes" in refusal(soa, engines={"kubernetes": "nomad"})


def test_what_is_not_carried_out_is_said(soa: Path) -> None:
    assert plan(soa)["warnings"] == [
        "api.main: the mesh does not carry out balance (api/smartstack.yaml)",
        "web.main: the mesh does not carry out balance (web/smartstack.yaml)",
        "api.main: engine docker does not carry out max_instances (api/kubernetes-local.yaml:1)",
    ]


def test_an_engine_of_its_own_needs_no_mapping(soa: Path) -> None:
    found = plan(soa, engines={})
    assert found["engines"] == ["kubernetes"]
    assert found["docker"]["instances"] == {}
    assert sorted(found["kubernetes"]["instances"]) == ["api.main", "web.main"]
    assert found["kubernetes"]["prefix"] == "paasta.yelp.com"
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        ({}, ["kubernetes"]),
        ({"kubernetes": "docker"}, ["docker"]),
        ({"eks": "docker", "kubernetes": "kubernetes"}, ["docker", "kubernetes"]),
    ],
)
def test_engines_that_instances_may_be_on_are_named_whether_there_are_any(
    soa: Path, engines: dict[str, str], expected: list[str]
) -> None:
    assert plan(soa, engines=engines)["engines"] == expected


def test_instances_of_one_plan_may_be_on_different_engines(soa: Path) -> None:
    (soa / "web" / "kubernetes-local.yaml").rename(soa / "web" / "eks-local.yaml")
    found = plan(soa, engines={"eks": "kubernetes", "kubernetes": "docker"})
    assert list(found["docker"]["instances"]) == ["api.main"]
    assert list(found["kubernetes"]["instances"]) == ["web.main"]


def test_each_engine_knows_what_others_run_and_where_clients_find_it_there(soa: Path) -> None:
    (soa / "api" / "smartstack.yaml").write_text("main: {proxy_port: null}\nother: {proxy_port: 20009}\n")
    (soa / "web" / "kubernetes-local.yaml").write_text(
        "main: {deploy_group: g, instances: 2, registrations: [web.main, api.main]}\n"
    )
    for engine, other in (("kubernetes", "docker"), ("docker", "kubernetes")):
        elsewhere = plan(soa, engines={"kubernetes": engine})["elsewhere"]
        assert json.loads(elsewhere[engine]) == {}
        found = json.loads(elsewhere[other])
        assert found["web.main"] == {
            "engine": engine,
            "label": "web.main",
            "replicas": 2,
            # Nobody is told of one without a proxy port.
            "registrations": ["web.main"],
        }
        assert found["api.main"]["registrations"] == []


def test_everything_that_an_instance_needs_is_there_and_nothing_else(soa: Path) -> None:
    adapter = {"paasta_kubernetes_adapter_config": {"namespace": "custom-metrics", "name": "adapter-config"}}
    found = plan(soa, engines={}, services=["web"], settings=adapter)["kubernetes"]
    needed = {ref for entry in found["instances"].values() for ref in entry["needs"]}
    assert needed == set(found["shared"])
    assert next(iter(found["shared"])) == "v1/Namespace//paastasvc-web"
    assert "paastasvc-api" not in json.dumps(found)
    # What holds something of every instance is only there when all of them were read.
    everything = plan(soa, engines={}, settings=adapter)["kubernetes"]["shared"]
    assert "v1/ConfigMap/custom-metrics/adapter-config" in everything
    assert any("paastasvc-api" in ref for ref in everything)


def test_all_that_the_engine_kubernetes_cannot_run_is_said_at_once(soa: Path) -> None:
    (soa / "web" / "kubernetes-local.yaml").write_text("main: {deploy_group: g, net: host, namespace: n}\n")
    (soa / "api" / "kubernetes-local.yaml").write_text("main: {deploy_group: g, drain_method: test}\n")
    message = refusal(soa, engines={})
    assert "api/kubernetes-local.yaml:1: api.main: drain_method: test: is for PaaSTA's own tests" in message
    assert "web/kubernetes-local.yaml:1: web.main: net: host: pods have a network of their own" in message


def test_a_name_that_another_instance_has_is_refused_though_only_one_is_selected(soa: Path) -> None:
    (soa / "web" / "kubernetes-local.yaml").write_text("a_b: {deploy_group: g}\n")
    (soa / "web" / "eks-local.yaml").write_text("a--b: {deploy_group: other}\n")
    message = refusal(soa, engines={}, instances=["web.a_b"])
    assert "would be web-a--b in namespace paastasvc-web, which web.a_b is" in message
    assert "web.a--b" in message


def test_pods_in_the_mesh_without_a_sidecar_are_one_warning(soa: Path) -> None:
    found = [text for text in plan(soa, engines={})["warnings"] if "paasta_hacheck_sidecar_image_url" in text]
    assert len(found) == 1
    assert found[0].startswith("api.main and 1 more in the mesh: pods are ready by their own health check")
    settings = {"paasta_use_hacheck_sidecar": False}
    assert not [text for text in plan(soa, engines={}, settings=settings)["warnings"] if "hacheck" in text]

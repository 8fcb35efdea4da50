# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The engine docker, from soa-configs files to the Engine API's create body."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.docker import (
    Facts,
    render,
    replica_body,
    warnings,
)
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Bounce, Instance
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.tree import load

SHA = "0123456789abcdef0123456789abcdef01234567"
FACTS = Facts(registry="registry:5000")
BASE = "{cpus: 0.5, mem: 256, instances: 2, deploy_group: g"


def instance(
    tmp_path: Path, keys: str = "", *, smartstack: str = "", sha: str = SHA, bounce: str | None = None
) -> Instance:
    """``web.main`` as soa-configs say; ``keys`` is appended to its flow mapping."""
    service = tmp_path / "web"
    service.mkdir(exist_ok=True)
    (service / "service.yaml").write_text("description: d\nexternal_link: https://example.org\n")
    (service / "monitoring.yaml").write_text("team: frontend\n")
    (service / "kubernetes-local.yaml").write_text(f"main: {BASE}{keys}}}\n")
    (service / "smartstack.yaml").write_text(smartstack)
    deployment = {"docker_image": f"services-web:paasta-{sha}", "git_sha": sha, "image_version": None}
    control = {"desired_state": "start", "force_bounce": bounce}
    record = {"v2": {"deployments": {"g": deployment}, "controls": {"web:local.main": control}}}
    (service / "deployments.json").write_text(json.dumps(record))
    return load(str(tmp_path), "local").instances[0]


def body(tmp_path: Path, keys: str = "", **options: Any) -> dict[str, Any]:
    container: dict[str, Any] = render(instance(tmp_path, keys, **options), FACTS)["container"]
    return container


def test_limits_and_image(tmp_path: Path) -> None:
    container = body(tmp_path)
    host = container["HostConfig"]
    assert container["Image"] == f"registry:5000/services-web:paasta-{SHA}"
    assert host["Memory"] == 256 * 1024 * 1024
    assert host["MemorySwap"] == (256 + 64) * 1024 * 1024
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100000, 150000, 512)
    assert "NET_RAW" in host["CapDrop"]
    assert not host["Privileged"]


def test_a_kept_capability_is_not_dropped(tmp_path: Path) -> None:
    host = body(tmp_path, ", cap_add: [NET_RAW]")["HostConfig"]
    assert host["CapAdd"] == ["NET_RAW"]
    assert "NET_RAW" not in host["CapDrop"]


def test_environment(tmp_path: Path) -> None:
    environment = dict(variable.split("=", 1) for variable in body(tmp_path, ", env: {FOO: bar}")["Env"])
    assert environment["FOO"] == "bar"
    assert environment["PAASTA_SERVICE"] == "web"
    assert environment["PAASTA_GIT_SHA"] == "01234567"
    assert environment["PAASTA_RESOURCE_MEM"] == "256"
    assert environment["PAASTA_MONITORING_TEAM"] == "frontend"
    assert environment["PAASTA_MESH_ADDRESS"] == "169.254.255.254"


@pytest.mark.parametrize(
    ("keys", "entrypoint", "arguments"),
    [
        ("", None, None),
        (", cmd: python3 -m web", ["sh", "-c", "python3 -m web"], None),
        (", cmd: [python3, -m, web]", ["python3", "-m", "web"], None),
        (", args: [--verbose]", None, ["--verbose"]),
    ],
)
def test_commands(tmp_path: Path, keys: str, entrypoint: list[str] | None, arguments: list[str] | None) -> None:
    container = body(tmp_path, keys)
    assert (container["Entrypoint"], container["Cmd"]) == (entrypoint, arguments)


@pytest.mark.parametrize(
    ("keys", "smartstack", "test"),
    [
        ("", "", ["NONE"]),
        ("", "main: {proxy_port: 20001}", ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8888/status"]),
        (
            ", healthcheck_mode: http, healthcheck_uri: /up",
            "",
            ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8888/up"],
        ),
        (", healthcheck_mode: tcp", "", ["nc", "127.0.0.1", "8888", "-e", "/.paasta/busybox", "true"]),
        (", healthcheck_mode: cmd, healthcheck_cmd: 'test -f /up'", "", ["/bin/sh", "-c", "test -f /up"]),
    ],
)
def test_health_checks(tmp_path: Path, keys: str, smartstack: str, test: list[str]) -> None:
    container = body(tmp_path, keys, smartstack=smartstack)
    command = [part for part in container["Healthcheck"]["Test"] if part != "CMD"]
    assert command[1:] == test if command[0] == "/.paasta/busybox" else command == test
    mounted = any("/.paasta/busybox" in bind for bind in container["HostConfig"]["Binds"])
    assert mounted == (command[0] == "/.paasta/busybox")


def test_health_check_times_are_nanoseconds(tmp_path: Path) -> None:
    check = body(tmp_path, ", healthcheck_mode: tcp, healthcheck_interval_seconds: 2")["Healthcheck"]
    assert (check["Interval"], check["Timeout"], check["StartPeriod"], check["Retries"]) == (
        2_000_000_000,
        10_000_000_000,
        60_000_000_000,
        30,
    )


def test_own_volumes_win_over_the_cluster_s(tmp_path: Path) -> None:
    facts = Facts(registry="r", volumes=("/etc/hosts:/data:ro", "/a:/b:ro"))
    keys = ", extra_volumes: [{hostPath: /srv, containerPath: /data, mode: RW}]"
    assert render(instance(tmp_path, keys), facts)["container"]["HostConfig"]["Binds"] == ["/a:/b:ro", "/srv:/data:rw"]


def test_the_config_sha_is_the_configuration_s_alone(tmp_path: Path) -> None:
    first = render(instance(tmp_path), FACTS)
    assert render(instance(tmp_path, sha="f" * 40), FACTS)["config_sha"] == first["config_sha"]
    assert render(instance(tmp_path, ", env: {FOO: bar}"), FACTS)["config_sha"] != first["config_sha"]
    assert render(instance(tmp_path, bounce="20260101T000000"), FACTS)["config_sha"] != first["config_sha"]


def test_rendering_twice_gives_the_same(tmp_path: Path) -> None:
    assert render(instance(tmp_path), FACTS) == render(instance(tmp_path), FACTS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (", net: host", "web.main: net 'host'"),
        (", healthcheck_mode: https", "web.main: healthcheck_mode https"),
    ],
)
def test_what_must_not_be_ignored_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(CannotRender) as error:
        render(instance(tmp_path, keys), FACTS)
    assert str(error.value).startswith(message)


def test_a_service_may_have_a_registry_of_its_own(tmp_path: Path) -> None:
    found = instance(tmp_path)
    assert found.docker_registry is None
    text = "description: d\nexternal_link: https://example.org\ndocker_registry: images.example.org\n"
    (tmp_path / "web" / "service.yaml").write_text(text)
    own = load(str(tmp_path), "local").instances[0]
    assert render(own, FACTS)["container"]["Image"] == f"images.example.org/services-web:paasta-{SHA}"
    # The image is the same wherever it is pulled from, so nothing restarts for it.
    assert render(own, FACTS)["config_sha"] == render(found, FACTS)["config_sha"]


def test_a_bounce_method_of_marathon_s_is_refused(tmp_path: Path) -> None:
    down = replace(instance(tmp_path), bounce=Bounce("down", 1.0))
    with pytest.raises(CannotRender, match="bounce_method down: engine docker can brutal, crossover"):
        render(down, FACTS)


def test_what_is_not_carried_out_is_said(tmp_path: Path) -> None:
    assert warnings(instance(tmp_path, ", max_instances: 5, min_instances: 1")) == [
        "web.main: engine docker does not carry out max_instances (web/kubernetes-local.yaml:1)",
        "web.main: engine docker does not carry out min_instances (web/kubernetes-local.yaml:1)",
    ]


def test_a_replica_adds_its_host_and_port_and_leaves_the_plan_alone(tmp_path: Path) -> None:
    container = body(tmp_path)
    before = copy.deepcopy(container)
    replica = replica_body(container, host="node1", port=31005, container_port=8888)
    assert replica["HostConfig"]["PortBindings"] == {"8888/tcp": [{"HostPort": "31005"}]}
    assert "PAASTA_HOST=node1" in replica["Env"]
    assert container == before

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the roles leave on every host."""

from __future__ import annotations

import json
from typing import Any

testinfra_hosts = ["ansible://docker_hosts", "ansible://gateways"]


def groups(host: Any) -> list[str]:
    found: list[str] = host.ansible.get_variables()["group_names"]
    return found


def test_services_run_and_start_with_the_machine(host: Any) -> None:
    expected = {"docker_hosts": "docker", "registry": "docker-registry", "envoy": "envoy"}
    for group, name in expected.items():
        if group in groups(host):
            service = host.service(name)
            assert service.is_running, name
            assert service.is_enabled, name


def test_docker_keeps_containers_through_its_own_restart_and_rotates_logs(host: Any) -> None:
    if "docker_hosts" not in groups(host):
        return
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["live-restore"] is True
    assert settings["log-driver"] == "json-file"
    assert settings["log-opts"]["max-size"]


def test_envoy_runs_as_its_own_user(host: Any) -> None:
    users = {process.user for process in host.process.filter(comm="envoy")}
    assert users == {"envoy"}


def test_envoys_admin_interface_is_on_loopback_only(host: Any) -> None:
    listening = host.check_output("ss -Hltn").splitlines()
    admin = [line.split()[3] for line in listening if line.split()[3].endswith(":9901")]
    assert admin
    assert all(address.startswith("127.") for address in admin)


def test_proxy_ports_are_on_the_mesh_addresses_only(host: Any) -> None:
    listening = host.check_output("ss -Hltn").splitlines()
    addresses = {line.split()[3].rpartition(":")[0] for line in listening if line.split()[3].endswith(":20002")}
    if "gateways" in groups(host):
        # The gateway shares this machine's network, where another cluster may be up on another loopback address.
        assert "127.0.0.77" in addresses
        assert all(address.startswith("127.") for address in addresses)
    else:
        assert addresses == {"127.0.0.1", "169.254.255.254"}


def test_services_answer_at_the_same_address_on_every_node(host: Any) -> None:
    if "docker_hosts" not in groups(host):
        return
    answer = json.loads(host.check_output("curl -sf http://169.254.255.254:20002/"))
    assert answer["service"] == "web"
    assert answer["quotes"]["service"] == "quotes"

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the roles leave on the hosts that run services."""

from __future__ import annotations

import json
from typing import Any

testinfra_hosts = ["ansible://docker_hosts"]


def test_docker_runs_and_starts_with_the_machine(host: Any) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled


def test_docker_keeps_containers_through_its_own_restart_and_rotates_logs(host: Any) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["live-restore"] is True
    assert settings["log-driver"] == "json-file"
    assert settings["log-opts"]["max-size"]


def test_proxy_ports_are_on_the_mesh_addresses_only(host: Any) -> None:
    listening = host.check_output("ss -Hltn").splitlines()
    addresses = {line.split()[3].rpartition(":")[0] for line in listening if line.split()[3].endswith(":20002")}
    assert addresses == {"127.0.0.1", "169.254.255.254"}


def test_services_answer_at_the_same_address_on_every_node(host: Any) -> None:
    answer = json.loads(host.check_output("curl -sf http://169.254.255.254:20002/"))
    assert answer["service"] == "web"
    assert answer["quotes"]["service"] == "quotes"

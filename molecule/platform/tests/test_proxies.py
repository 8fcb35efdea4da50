# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the role envoy leaves on every host of the mesh, the gateway included."""

from __future__ import annotations

from typing import Any

testinfra_hosts = ["ansible://envoy"]


def test_envoy_runs_as_its_own_user_and_starts_with_the_machine(host: Any) -> None:
    assert host.service("envoy").is_running
    assert host.service("envoy").is_enabled
    assert {process.user for process in host.process.filter(comm="envoy")} == {"envoy"}


def test_envoys_admin_interface_is_on_loopback_only(host: Any) -> None:
    listening = host.check_output("ss -Hltn").splitlines()
    admin = [line.split()[3] for line in listening if line.split()[3].endswith(":9901")]
    assert admin
    assert all(address.startswith("127.") for address in admin)

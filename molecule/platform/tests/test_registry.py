# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the role registry leaves on its host."""

from __future__ import annotations

import json
from typing import Any

testinfra_hosts = ["ansible://registry"]


def test_the_registry_runs_and_starts_with_the_machine(host: Any) -> None:
    assert host.service("docker-registry").is_running
    assert host.service("docker-registry").is_enabled


def test_it_has_the_images_of_the_examples(host: Any) -> None:
    repositories = json.loads(host.check_output("curl -sf http://127.0.0.1:5000/v2/_catalog"))["repositories"]
    assert {"services-clock", "services-quotes", "services-reports", "services-web"} <= set(repositories)

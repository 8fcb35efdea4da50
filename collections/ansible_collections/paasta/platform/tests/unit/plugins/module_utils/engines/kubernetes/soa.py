# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Instances for the tests of this room, read from soa-configs as a deploy reads them: defaults are the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts, facts
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import ClusterConfig, Instance
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import parse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.tree import load

SHA = "0123456789abcdef0123456789abcdef01234567"
MESH = "main: {proxy_port: 20001, timeout_server_ms: 5000}"
REGISTRY = "registry.example.org:5000"


class Soa:
    """A soa-configs directory of cluster ``prod``, with one instance for each service that is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._written = ""

    def write(
        self,
        keys: str = "",
        *,
        service: str = "web",
        name: str = "main",
        kind: str = "kubernetes",
        smartstack: str = "",
        state: str = "start",
        bounce: str | None = None,
        image_version: str | None = None,
        service_yaml: str = "",
    ) -> Soa:
        """An instance with these keys, in the notation of YAML's flow mappings; it replaces the one before."""
        self._written = f"{service}.{name}"
        directory = self.directory / service
        directory.mkdir(exist_ok=True)
        basics = "description: d\nexternal_link: https://example.org\n"
        (directory / "service.yaml").write_text(basics + service_yaml)
        (directory / "monitoring.yaml").write_text("team: frontend\n")
        (directory / "smartstack.yaml").write_text(smartstack)
        (directory / f"{kind}-prod.yaml").write_text(f"{name}: {{deploy_group: g{', ' if keys else ''}{keys}}}\n")
        image = f"services-{service}:paasta-{SHA}" + (f"-{image_version}" if image_version else "")
        version = {"docker_image": image, "git_sha": SHA, "image_version": image_version}
        control = {f"{service}:prod.{name}": {"desired_state": state, "force_bounce": bounce}}
        record = {"v2": {"deployments": {"g": version}, "controls": control}}
        (directory / "deployments.json").write_text(json.dumps(record))
        return self

    def config(self, **settings: Any) -> ClusterConfig:
        variables = {f"paasta_{name}": value for name, value in settings.items()}
        types = ("kubernetes", "eks")
        return load(str(self.directory), "prod", instance_types=types, settings=parse(variables))

    def load(self, **settings: Any) -> tuple[Instance, Facts]:
        """The instance that was written last, and the facts of its cluster; ``settings`` without ``paasta_``."""
        config = self.config(**settings)
        variables = {f"paasta_{name}": value for name, value in settings.items()}
        instance = next(one for one in config.instances if one.id == self._written)
        return instance, facts(parse(variables), REGISTRY, config)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A soa-configs repository of one test, and deploys of it: the same code and the same rights as the playbook's."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.paasta.platform.plugins.module_utils import plan
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import ARGUMENTS
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.instances import run
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import Provider

OLD = "0" * 39 + "1"
NEW = "0" * 39 + "2"
DOCKER_REGISTRY = "registry.example.org"

# What a deploy in a process of its own does.
_ALONE = f"import json, sys; from {run.__module__} import run; run(json.load(sys.stdin), False, False, {{}})"

Object = dict[str, Any]


class Deploys:
    """Services are named as the test calls them, with the cluster's prefix before them."""

    def __init__(self, directory: Path, kubeconfig: Path, cluster: str, service: Callable[[str], str]) -> None:
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.cluster = cluster
        self._service = service
        self._instances: dict[str, dict[str, Object]] = {}
        self._versions: dict[str, Object] = {}
        self.settings: dict[str, Any] = {}

    def service(self, name: str, instances: Mapping[str, Object], *, sha: str = OLD, **files: Object) -> str:
        """Write a service: its instances, a version for all of them, and other files by name without ``.yaml``.

        :returns: its whole name.
        """
        whole = self._service(name)
        directory = self.directory / whole
        directory.mkdir(exist_ok=True)
        texts: dict[str, Object] = {
            "service": {"description": "d", "external_link": "https://example.org"},
            "monitoring": {"team": "platform"},
            f"kubernetes-{self.cluster}": {key: {"deploy_group": "all", **value} for key, value in instances.items()},
            **files,
        }
        for file, content in texts.items():
            (directory / f"{file}.yaml").write_text(yaml.safe_dump(content))
        self._instances[name] = dict(instances)
        self.mark(name, sha)
        return whole

    def change(self, name: str, instance: str = "main", **keys: Any) -> None:
        """Set keys of an instance; None removes one."""
        whole, sha = self._service(name), self._versions[name]["git_sha"]
        merged = {**self._instances[name][instance], **keys}
        changed = {key: value for key, value in merged.items() if value is not None}
        self._instances[name][instance] = changed
        path = self.directory / whole / f"kubernetes-{self.cluster}.yaml"
        content = {key: {"deploy_group": "all", **value} for key, value in self._instances[name].items()}
        path.write_text(yaml.safe_dump(content))
        self.mark(name, sha)

    def remove(self, name: str, instance: str) -> None:
        del self._instances[name][instance]
        path = self.directory / self._service(name) / f"kubernetes-{self.cluster}.yaml"
        path.write_text(
            yaml.safe_dump({key: {"deploy_group": "all", **value} for key, value in self._instances[name].items()})
        )

    def mark(self, name: str, sha: str, **controls: Object) -> None:
        """Mark a version of a service; ``controls`` by instance: desired_state, force_bounce (deployments.json)."""
        whole = self._service(name)
        image = f"services-{whole}:paasta-{sha}"
        version = {"docker_image": image, "git_sha": sha, "image_version": None}
        self._versions[name] = version
        states = {f"{whole}:{self.cluster}.{instance}": control for instance, control in controls.items()}
        document = {"v2": {"deployments": {"all": version}, "controls": states}}
        (self.directory / whole / "deployments.json").write_text(json.dumps(document))

    def plan(self, *only: str) -> Object:
        """The plan, as module ``plan`` returns it; ``only`` are services and instances by their whole names."""
        result = plan.run(
            {
                "soa_dir": str(self.directory),
                "cluster": self.cluster,
                "engines": {"kubernetes": "kubernetes"},
                "services": [name for name in only if "." not in name],
                "instances": [name for name in only if "." in name],
                "registry": DOCKER_REGISTRY,
                "settings": {f"paasta_{key}": value for key, value in self.settings.items()},
            }
        )
        assert not result.get("failed"), result["msg"]
        return {**result["plan"], "kubernetes": json.loads(result["plan"]["kubernetes"])}

    def deploy(
        self,
        *only: str,
        check: bool = False,
        plan: Object | None = None,
        providers: Mapping[str, Provider] | None = None,
        **arguments: Any,
    ) -> Object:
        """One call of the module; its result, also of a failure. ``providers`` decrypt secrets."""
        return run(self.arguments(plan or self.plan(*only), **arguments), check, True, providers or {})

    def arguments(self, plan: Object, **arguments: Any) -> Object:
        """The module's arguments, checked and with defaults."""
        given = {
            "kubeconfig": str(self.kubeconfig),
            "cluster": self.cluster,
            "plan": plan["kubernetes"],
            "only": plan["only"],
            "undeployed": plan["undeployed"],
            "soa_dir": str(self.directory),
            "prune_guard": 1.0,
            "timeout": 60,
            "lock_timeout": 30,
            **arguments,
        }
        validation = ArgumentSpecValidator(ARGUMENTS).validate(given)
        assert not validation.error_messages
        return dict(validation.validated_parameters)

    def started(self, **arguments: Any) -> subprocess.Popen[str]:
        """A deploy in a process of its own, which may be killed."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", _ALONE], stdin=subprocess.PIPE, text=True, env=environment)
        with process.stdin or contextlib.nullcontext() as stdin:
            json.dump(self.arguments(self.plan(), **arguments), stdin)
        return process

    def deployed(self, *only: str, **arguments: Any) -> Object:
        """A deploy that must not fail."""
        result = self.deploy(*only, **arguments)
        assert not result.get("failed"), result["msg"]
        return result

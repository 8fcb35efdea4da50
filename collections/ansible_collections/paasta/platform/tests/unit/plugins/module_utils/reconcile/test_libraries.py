"""A missing library is named, by the name it is installed under."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.docker_instances import gather
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.libraries import DOCKER, KUBERNETES, missing


def test_nothing_is_missing_here() -> None:
    assert missing() == ""
    assert missing(KUBERNETES) == ""


def test_docker_hosts_do_without_the_library_of_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert missing(DOCKER) == ""
    assert "(kubernetes)" in missing(KUBERNETES)


def test_a_cluster_does_without_the_library_of_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    monkeypatch.setitem(sys.modules, "requests", None)
    assert missing(KUBERNETES) == ""


def test_asking_for_the_library_does_not_import_it() -> None:
    code = (
        "import sys; from ansible_collections.paasta.platform.plugins.module_utils.reconcile.libraries import *;"
        "assert missing(KUBERNETES) == ''; assert 'kubernetes' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


@pytest.mark.parametrize(("module", "package"), [("docker", "docker"), ("requests", "requests"), ("yaml", "PyYAML")])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"({package})" in missing()


def test_a_module_reports_it_before_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    result = gather({"cluster": "local", "instances": {}, "hosts": [], "only": []})
    assert result["failed"]
    assert "Failed to import the required Python library (docker)" in result["msg"]

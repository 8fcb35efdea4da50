"""A missing library is named, by the name it is installed under."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.docker_instances import gather
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.libraries import missing


def test_nothing_is_missing_here() -> None:
    assert missing() == ""


@pytest.mark.parametrize(("module", "package"), [("docker", "docker"), ("requests", "requests"), ("yaml", "PyYAML")])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"({package})" in missing()


def test_a_module_reports_it_before_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    result = gather({"cluster": "local", "instances": {}, "hosts": [], "only": []})
    assert result["failed"]
    assert "Failed to import the required Python library (docker)" in result["msg"]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import deploy_groups
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.files import SoaDir
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.service import Problems

Soa = Callable[..., str]
TRON = """
_template: {actions: {never: {}}}
nightly:
  deploy_group: tron.jobs
  actions:
    extract: {command: a}
    load: {command: b, deploy_group: "tron.{instance}"}
    other: {command: c, service: elsewhere}
  cleanup_action: {command: d}
listed:
  actions:
    - {name: one, deploy_group: tron.one}
    - {name: undeployed}
    - nonsense
empty:
"""


def test_instances_of_every_type_in_every_cluster(soa: Soa) -> None:
    root = soa(
        {
            "web/tron-prod.yaml": TRON,
            "web/marathon-old.yaml": "main: {}\n_t: {}\nbranchy: {branch: old.branch}\n",
            "web/flink-prod-east.yaml": "stream: {deploy_group: '{cluster}.flink'}\n",
            "web/rollback-prod.yaml": "conditions: {}\n",
            "web/adhoc-prod.yaml": "shell: {}\n",
        }
    )
    problems = Problems()
    groups = deploy_groups.load(SoaDir(root), "web", problems)
    assert problems.errors == []
    assert groups.instances == {
        ("prod", "main"): "prod.main",
        ("prod", "shell"): "prod.shell",
        ("prod", "nightly.extract"): "tron.jobs",
        ("prod", "nightly.load"): "tron.nightly.load",
        ("prod", "nightly.cleanup"): "tron.jobs",
        ("prod", "listed.one"): "tron.one",
        ("old", "main"): "old.main",
        ("old", "branchy"): "old.branch",
        ("prod-east", "stream"): "prod-east.flink",
    }
    assert groups.of("tron.jobs") == [("prod", "nightly.cleanup"), ("prod", "nightly.extract")]
    assert "prod.canary" in groups.names
    assert "prod.canary" not in groups.used()


def test_git_url_and_defaults_of_service_yaml(soa: Soa) -> None:
    root = soa(
        {"web/service.yaml": "git_url: /srv/web.git\ndeploy_group: everywhere\n", "web/kubernetes-dev.yaml": "a: {}\n"}
    )
    groups = deploy_groups.load(SoaDir(root), "web", Problems())
    assert groups.git_url == "/srv/web.git"
    assert groups.instances == {("prod", "main"): "prod.main", ("dev", "a"): "everywhere"}


def test_mistakes_have_their_place(soa: Soa) -> None:
    root = soa({"web/tron-prod.yaml": "j:\n  actions:\n    a:\n      deploy_group: '{what}'\n"})
    problems = Problems()
    deploy_groups.load(SoaDir(root), "web", problems)
    assert [str(error) for error in problems.errors] == [
        "web/tron-prod.yaml:4:7: j.actions.a.deploy_group: unknown placeholder {what}"
    ]

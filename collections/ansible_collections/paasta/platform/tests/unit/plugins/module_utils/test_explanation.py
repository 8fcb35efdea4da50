# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.explanation import run

SHA = "0123456789abcdef0123456789abcdef01234567"
RECORD = {
    "v2": {
        "deployments": {
            "prod.main": {"docker_image": f"services-web:paasta-{SHA}", "git_sha": SHA, "image_version": None}
        },
        "controls": {"web:prod.main": {"desired_state": "stop", "force_bounce": None}},
    }
}
BASE: dict[str, str | None] = {
    "web/service.yaml": "description: a\nexternal_link: b\nmem: 900\nenv:\n  A: service\n  B: service\n",
    "web/monitoring.yaml": "team: words\n",
    "web/deploy.yaml": "pipeline: [{step: prod.main}]\n",
    "web/smartstack.yaml": "main:\n  proxy_port: 20001\n  mode: http2\n  healthcheck_uri: /up\n",
    "web/autotuned_defaults/kubernetes-prod.yaml": "main:\n  cpus: 0.3\n  mem: 700\n",
    "web/kubernetes-prod.yaml": "_d: &d\n  disk: 64\nmain:\n  <<: *d\n  deploy_group: '{cluster}.main'\n  env:\n"
    "    A: SECRET(token)\n",
    "web/secrets/token.json": json.dumps(
        {"environments": {"prod": {"ciphertext": "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQ"}}}
    ),
    "web/deployments.json": json.dumps(RECORD),
}
Explain = Callable[..., dict[str, Any]]


@pytest.fixture
def explain(tmp_path: Path) -> Explain:
    def call(changes: dict[str, str | None] | None = None, **args: Any) -> dict[str, Any]:
        for name, text in {**BASE, **(changes or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text)
        defaults = {"cluster": "prod", "instance": "web.main", "key": None, "settings": {}}
        return run({"soa_dir": str(tmp_path), **defaults, **args})

    return call


def where(result: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """``{key: (value, "file:line" or "default", with the note)}``"""
    assert not result.get("failed"), result
    found = {}
    for row in result["rows"]:
        place = "default" if row["default"] else f"{row['file']}:{row['line']}" if row["line"] else row["file"]
        found[row["key"]] = (row["value"], f"{place} ({row['note']})" if row["note"] else place)
    return found


def test_every_layer_is_named(explain: Explain) -> None:
    rows = where(explain())
    own, tuned = "web/kubernetes-prod.yaml", "web/autotuned_defaults/kubernetes-prod.yaml"
    assert rows["cpus"] == (0.3, f"{tuned}:2")
    assert rows["mem"] == (700, f"{tuned}:3")
    assert rows["disk"] == (64, f"{own}:2")  # where the anchor wrote it
    assert rows["env.A"] == ("SECRET(token)", f"{own}:7")
    assert rows["env.B"] == ("service", "web/service.yaml:6")
    assert rows["monitoring.team"] == ("words", "web/monitoring.yaml:1")
    assert rows["pool"] == ("default", "default")
    assert "gpus" not in rows
    assert "description" not in rows


def test_what_is_worked_out_is_explained(explain: Explain) -> None:
    rows = where(explain())
    assert rows["deploy_group"] == ("prod.main", "web/kubernetes-prod.yaml:5 (made of {cluster}.main)")
    assert rows["registrations"] == (["web.main"], "default (<service>.<instance>)")
    assert rows["healthcheck_mode"] == ("tcp", "web/smartstack.yaml:3 (mode of namespace web.main, http2)")
    assert rows["healthcheck_uri"] == ("/up", "web/smartstack.yaml:4 (healthcheck_uri of namespace web.main)")
    assert rows["drain_method"] == ("hacheck", "default (in the mesh as web.main)")
    assert rows["drain_method_params.delay"] == (60, "default (drain_method hacheck)")
    assert rows["git_sha"] == (SHA, "web/deployments.json (deploy group prod.main)")
    assert rows["desired_state"] == ("stop", "web/deployments.json")


def test_outside_the_mesh(explain: Explain) -> None:
    rows = where(explain({"web/smartstack.yaml": "main: {proxy_port: null}\n", "web/deployments.json": "{}"}))
    assert rows["healthcheck_mode"] == ("none", "default (not in the mesh: healthy while it runs)")
    assert rows["drain_method"] == ("noop", "default (not in the mesh)")
    assert rows["git_sha"] == ("none", "default (nobody has marked prod.main)")
    assert rows["desired_state"] == ("start", "default")


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("main: {branch: prod.main}\n", "deploy_group", ("prod.main", "web/kubernetes-prod.yaml:1 (branch)")),
        ("main: {}\n", "deploy_group", ("prod.main", "default (<cluster>.<instance>)")),
        ("main: {registrations: [web.main]}\n", "registrations", (["web.main"], "web/kubernetes-prod.yaml:1")),
        ("main: {nerve_ns: main}\n", "registrations", (["web.main"], "web/kubernetes-prod.yaml:1 (nerve_ns)")),
        ("main: {healthcheck_mode: http}\n", "healthcheck_mode", ("http", "web/kubernetes-prod.yaml:1")),
        ("main: {drain_method: noop}\n", "drain_method", ("noop", "web/kubernetes-prod.yaml:1")),
    ],
)
def test_what_is_written_wins(explain: Explain, text: str, key: str, expected: tuple[Any, str]) -> None:
    assert where(explain({"web/kubernetes-prod.yaml": text}))[key] == expected


def test_older_places_of_the_team(explain: Explain) -> None:
    changes = {
        "web/service.yaml": "description: a\nexternal_link: b\nteam: old\n",
        "web/monitoring.yaml": "page: true\n",
    }
    assert where(explain(changes))["monitoring.team"] == ("old", "web/service.yaml:3 (legacy place)")


def test_a_key_narrows(explain: Explain) -> None:
    assert set(where(explain(key="env"))) == {"env.A", "env.B"}
    assert set(where(explain(key="env.A"))) == {"env.A"}
    assert where(explain(key="args")) == {"args": ([], "default")}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"key": "cpu"}, "cpu: is not a key of kubernetes instances; did you mean cpus?"),
        ({"key": "gpus"}, "gpus of web.main: is not set, and has no default"),
        ({"instance": "main"}, "instance main: say which service, too, as in instance=web.main"),
        ({"instance": "web.mian"}, "did you mean web.main?"),
        ({"instance": "wbe.main"}, "did you mean web?"),
        ({"cluster": "dev"}, "instance web.main: not in the soa-configs of cluster dev"),
        ({"settings": {"paasta_cluser": "a"}}, "did you mean paasta_cluster?"),
        ({"soa_dir": "/nothing/there"}, "is not a readable soa-configs directory"),
    ],
)
def test_what_cannot_be_explained(explain: Explain, args: dict[str, Any], says: str) -> None:
    result = explain(**args)
    assert result["failed"]
    assert says in result["msg"]


def test_mistakes_are_told_beside_the_defaults_that_stand_for_them(explain: Explain) -> None:
    result = explain({"web/kubernetes-prod.yaml": "main: {deploy_group: prod.main, pool: 3}\n"})
    assert where(result)["pool"] == ("default", "default")
    (error,) = result["errors"]
    assert error.startswith("web/kubernetes-prod.yaml:1:33: main.pool: 3 is not a string")
    assert result["text"].splitlines()[-1] == f"! {error}"


def test_the_table_is_for_people(explain: Explain) -> None:
    text = "main:\n  deploy_group: prod.main\n  cmd: |\n    first\n    second " + "x" * 80 + "\n"
    lines = explain({"web/kubernetes-prod.yaml": text})["text"].splitlines()
    assert lines[0].split() == ["key", "value", "where"]
    (cmd,) = [line for line in lines if line.startswith("cmd ")]
    assert cmd.split()[1:3] == ["first", "second"]
    assert "..." in cmd
    assert cmd.endswith("web/kubernetes-prod.yaml:3")
    # Empty defaults say nothing.
    assert not [line for line in lines if line.startswith("cap_add")]


JOB = """\
nightly:
  schedule: cron 0 4 * * *
  deploy_group: "{cluster}.main"
  monitoring: {page: true}
  actions:
    extract:
      command: x
      cpus: 0.5
      env: {T: SECRET(token)}
    load:
      command: y
      requires: [extract]
      deploy_group: prod.main
  cleanup_action: {command: z}
"""


def test_a_job_of_tron_with_its_actions(explain: Explain) -> None:
    rows = where(explain({"web/tron-prod.yaml": JOB}, instance="web.nightly"))
    assert rows["schedule"] == ("cron 0 4 * * *", "web/tron-prod.yaml:2")
    assert rows["monitoring.page"] == (True, "web/tron-prod.yaml:4")
    assert rows["monitoring.team"] == ("words", "web/monitoring.yaml:1")
    assert rows["queueing"] == (True, "default")
    assert rows["actions.extract.cpus"] == (0.5, "web/tron-prod.yaml:8")
    assert rows["actions.extract.env.T"] == ("SECRET(token)", "web/tron-prod.yaml:9")
    assert rows["actions.load.retries"] == (0, "default")
    assert rows["cleanup_action.command"] == ("z", "web/tron-prod.yaml:14")
    assert rows["cleanup_action.deploy_group"] == (
        "prod.main",
        "web/tron-prod.yaml:3 (of the job, made of {cluster}.main)",
    )


def test_an_action_of_tron(explain: Explain) -> None:
    rows = where(explain({"web/tron-prod.yaml": JOB}, instance="web.nightly.load"))
    assert rows["command"] == ("y", "web/tron-prod.yaml:11")
    assert rows["deploy_group"] == ("prod.main", "web/tron-prod.yaml:13")
    assert rows["service"] == ("web", "default (of the job)")
    assert rows["git_sha"] == (SHA, "web/deployments.json (deploy group prod.main)")
    assert "schedule" not in rows


def test_actions_in_the_older_form(explain: Explain) -> None:
    text = "nightly:\n  schedule: daily\n  deploy_group: x\n  actions:\n    - {name: a, command: y}\n"
    rows = where(
        explain({"web/tron-prod.yaml": text, "web/deploy.yaml": "pipeline: [{step: x}]\n"}, instance="web.nightly.a")
    )
    assert rows["command"] == ("y", "web/tron-prod.yaml:4")
    assert rows["git_sha"] == ("none", "default (nobody has marked x)")


@pytest.mark.parametrize(
    ("instance", "key", "says"),
    [
        ("web.nightyl", None, "did you mean web.nightly?"),
        ("web.nightly.laod", None, "did you mean web.nightly.load?"),
        ("web.nightly.load", "cpsu", "cpsu: is not a key of tron instances; did you mean cpus?"),
        ("web.ring", None, "a custom resource, whose body is handed on as it is written"),
    ],
)
def test_what_is_not_there(explain: Explain, instance: str, key: str | None, says: str) -> None:
    files = {"web/tron-prod.yaml": JOB, "web/cassandracluster-prod.yaml": "ring: {replicas: 3}\n"}
    result = explain(files, instance=instance, key=key)
    assert result["failed"]
    assert says in result["msg"]

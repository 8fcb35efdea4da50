# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""All kinds of documents end up in their cluster, typed; and what a reading is limited to is all that it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import SecretUse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.predicates import predicate
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import read as read_secret
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings, parse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import oddities
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Soa = Callable[..., str]
SHA = "0123456789abcdef0123456789abcdef01234567"
CIPHERTEXT = "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM96XEbEYlN"
SECRET = json.dumps({"environments": {"prod": {"ciphertext": CIPHERTEXT}}})
MORE: dict[str, str | None] = {
    "web/marathon-prod.yaml": "old: {deploy_group: prod.main, instances: 2, backoff_factor: 3}\n",
    "web/tron-prod.yaml": (
        "nightly:\n  schedule: cron 0 4 * * *\n  deploy_group: prod.main\n  actions:\n"
        "    first: {command: run, executor: paasta, env: {T: SECRET(token)}}\n"
    ),
    "web/flink-prod.yaml": "stream: {deploy_group: prod.main, taskmanager: {instances: 3}, parallelism: 8}\n",
    "web/rollback-prod.yaml": "conditions: {prometheus: [{query: up, upper_bound: 5}]}\n",
    "web/chronos-prod.yaml": "job: {schedule: R/2014-10-10T18:32:00Z/PT60M}\n",
    "web/secrets/token.json": SECRET,
    "_shared/secrets/common.json": SECRET,
    "web/dependencies.yaml": "main: [{smartstack: web.main}, {cidr: 10.0.0.0/8, port: 443}]\n",
    "web/authorization.yaml": "authorization: {rules: [{identity_groups: {services: [web]}}]}\n",
    "authenticating.yaml": "services: [web]\n",
    "tron/prod/MASTER.yaml": "time_zone: UTC\nnodes: [{hostname: box0}]\n",
    "tron/dev/MASTER.yaml": "nodes: 3\n",
}


def reading(soa: Soa, changes: dict[str, str | None] | None = None, settings: Settings | None = None) -> tree.Reading:
    return tree.validate(soa({**MORE, **(changes or {})}), settings)


def test_everything_of_a_cluster(soa: Soa) -> None:
    config = reading(soa).configs["prod"]
    assert [(item.id, item.instance_type) for item in config.instances] == [
        ("web.main", "kubernetes"),
        ("web.old", "marathon"),
    ]
    (job,) = config.jobs
    assert (job.id, job.schedule.kind, job.team) == ("web.nightly", "cron", "words")
    (action,) = job.actions
    assert (action.instance, action.deploy_group, action.cpu_burst_add, action.disk) == (
        "nightly.first", "prod.main", 0, 4096
    )  # fmt: skip
    assert action.version is not None
    assert action.version.git_sha == SHA
    assert [(use.service, use.name) for use in action.secrets] == [("web", "token")]
    (custom,) = config.custom_resources
    assert (custom.id, custom.instance_type, custom.spec["parallelism"]) == ("web.stream", "flink", 8)
    assert config.tron_master is not None
    assert config.tron_master.nodes[0].hostname == "box0"
    assert config.rollbacks["web"].conditions[0].upper_bound == 5
    assert [(item.kind, item.ports) for item in config.dependencies["web"]["main"]] == [
        ("smartstack", None), ("cidr", (443, 443))
    ]  # fmt: skip
    assert config.authorizations["web"].services == config.authenticating == ("web",)
    assert config.services == ("web",)


def test_what_is_wrong_in_any_of_them_is_said(soa: Soa) -> None:
    found = reading(soa, {"authenticating.yaml": "services: web\n", "web/secrets/other.json": "{}"})
    assert [f"{error.file}:{error.line}: {error.key}" for error in found.errors] == [
        "authenticating.yaml:1: services",
        "tron/dev/MASTER.yaml:1: nodes",
        "web/secrets/other.json:0: ",
    ]
    assert [warning.rule for warning in found.warnings] == ["retired-type"]


def test_a_load_of_one_cluster_does_not_see_the_others(soa: Soa) -> None:
    root = soa({**MORE, "web/kubernetes-dev.yaml": "main: 3\n", "api/kubernetes-dev.yaml": "[", "api/deploy.yaml": "["})
    config = tree.load(root, "prod", instance_types=("kubernetes", "tron"))
    assert [item.id for item in config.instances] == ["web.main"]
    assert [job.id for job in config.jobs] == ["web.nightly"]
    assert config.custom_resources == ()


def test_secrets_of_an_instance_have_the_digest_of_the_environment(soa: Soa) -> None:
    text = "main:\n  deploy_group: prod.main\n  env: {A: SECRET(token), B: SHARED_SECRET(common), C: SECRET(token)}\n"
    (instance,) = tree.load(soa({**MORE, "web/kubernetes-prod.yaml": text}), "prod").instances
    digest = read_secret("x", SECRET.encode())[0].digest("prod")
    assert digest is not None
    assert instance.secrets == (SecretUse("_shared", "common", digest), SecretUse("web", "token", digest))
    found = reading(soa, {"web/kubernetes-prod.yaml": text}, Settings(secret_environments={"prod": "production"}))
    assert {(error.rule, error.key) for error in found.errors if "kubernetes" in error.file} == {
        ("secret-environment", "main.env.A"),
        ("secret-environment", "main.env.B"),
        ("secret-environment", "main.env.C"),
    }


def test_a_platform_has_types_of_custom_resources_of_its_own(soa: Soa) -> None:
    changes: dict[str, str | None] = {
        "web/spaceship-prod.yaml": "one: {deploy_group: prod.main, engines: 3, pool: 4}\n"
    }
    assert not reading(soa, changes).configs["prod"].custom_resources[1:]
    settings = parse(
        {"paasta_custom_resource_types": {"spaceship": {"group": "x.org", "version": "v1", "kind": "Ship"}}}
    )
    found = reading(soa, changes, settings)
    assert [str(error) for error in found.errors][-1].startswith(
        "web/spaceship-prod.yaml:1:44: one.pool: 4 is not a string"
    )
    assert [item.instance_type for item in found.configs["prod"].custom_resources] == ["flink", "spaceship"]


@pytest.mark.parametrize(
    ("settings", "mem"),
    [
        ({}, 77),
        ({"paasta_auto_config_instance_types_enabled": {"kubernetes": True}}, 77),
        ({"paasta_auto_config_instance_types_enabled": {"kubernetes": False}}, 4096),
        ({"paasta_auto_config_instance_types_enabled": {"eks": True}}, 4096),
        ({"paasta_auto_config_instance_type_aliases": {"kubernetes": "eks"}}, 78),
    ],
)
def test_tuned_defaults_are_used_as_the_inventory_says(soa: Soa, settings: dict[str, object], mem: int) -> None:
    tuned: dict[str, str | None] = {
        "web/autotuned_defaults/kubernetes-prod.yaml": "main: {mem: 77}\n",
        "web/autotuned_defaults/eks-prod.yaml": "main: {mem: 78}\n",
    }
    (instance,) = tree.load(soa(tuned), "prod", settings=parse(settings)).instances
    assert instance.mem == mem


def test_an_error_is_where_the_layer_that_holds_the_value_wrote_it(soa: Soa) -> None:
    service = "description: x\nexternal_link: x\nmin_instances: 5\nmax_instances: 2\n"
    (error,) = tree.validate(soa({"web/service.yaml": service})).errors
    assert str(error) == "web/service.yaml:3:1: min_instances: min_instances 5 is more than max_instances 2"


def test_pipes_and_loops_do_not_stop_a_reading(soa: Soa, tmp_path: Path) -> None:
    root = soa({"web/monitoring.yaml": None, "web/deploy.yaml": None})
    os.mkfifo(tmp_path / "web/monitoring.yaml")
    (tmp_path / "web/deploy.yaml").symlink_to("deploy.yaml")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "web/secrets").symlink_to("..")
    errors = [str(error) for error in tree.validate(root).errors]
    assert "web/monitoring.yaml: cannot be read: is not a file" in errors
    assert "web/deploy.yaml: cannot be read: Too many levels of symbolic links" in errors


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(keys.DOCUMENTS)), JUNK)
def test_a_predicate_says_what_the_check_says(name: str, value: object) -> None:
    shape = keys.DOCUMENTS[name].shape
    found: list[object] = []
    shape.check(value, (), lambda *problem: found.append(problem))
    assert predicate(shape)(value) == (not found and not any(oddities(shape, value)))


PIECES = [
    b"{", b"}", b"[", b"]", b": ", b"- ", b"null", b"1", b"1e999", b'"', b"'", b"&a ", b"*a", b"<<: ", b"!!binary x",
    b"? ", b"\n", b"\n  ", b"\t", b"#", b"|", b"%", b"\x00", b"\xff", b"\xef\xbb\xbf", b"2020-01-01", b"{cluster}",
    b"SECRET(",
]  # fmt: skip
FILES = {
    **MORE,
    "web/kubernetes-prod.yaml": (
        "main: &a\n  deploy_group: prod.main\n  env: {A: SECRET(token)}\nother: {<<: *a, cpus: 2}\n"
    ),
    "web/autotuned_defaults/kubernetes-prod.yaml": "main: {mem: 77}\n",
    "web/deployments.json": '{"v2": {"deployments": {}, "controls": {}}}',
    "web/deploy.yaml": "pipeline: [{step: prod.main}, {parallel: [{step: prod.other}]}]\n",
    "location_types.json": '["region"]',
}
EDITS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=3)), max_size=4
)


@given(st.dictionaries(st.sampled_from(sorted(FILES)), EDITS, min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_list_of_errors(soa: Soa, edits: dict[str, list[tuple[int, int, bytes]]]) -> None:
    root = Path(soa(FILES))
    for name, changes in edits.items():
        data = (root / name).read_bytes()
        for position, length, piece in changes:
            data = data[:position] + piece + data[position + length :]
        (root / name).write_bytes(data)
    found = tree.validate(str(root))
    for problem in (*found.errors, *found.warnings):
        assert problem.message
        assert problem.rule or not problem.file, problem
    for config in found.configs.values():
        for instance in (*config.instances, *config.undeployed):
            assert all(str(source) for source in instance.sources.values())

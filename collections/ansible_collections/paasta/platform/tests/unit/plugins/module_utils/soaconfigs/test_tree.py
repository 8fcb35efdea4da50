# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.merge import leaves
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import (
    Bounce,
    ClusterConfig,
    HealthCheck,
    Instance,
    Version,
    Volume,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import Settings
from hypothesis import HealthCheck as HealthCheck_
from hypothesis import given, settings
from hypothesis import strategies as st

Soa = Callable[..., str]
SHA = "0123456789abcdef0123456789abcdef01234567"
EXAMPLES = Path(__file__).parents[9] / "examples" / "soa-configs"


def only(config: ClusterConfig) -> Instance:
    (instance,) = (*config.instances, *config.undeployed)
    return instance


def instance_of(soa: Soa, text: str, changes: dict[str, str | None] | None = None) -> Instance:
    return only(tree.load(soa({"web/kubernetes-prod.yaml": text, **(changes or {})}), "prod"))


def errors(root: str, **options: object) -> list[str]:
    with pytest.raises(InvalidConfigs) as caught:
        tree.load(root, "prod", **options)  # type: ignore[arg-type]
    return [str(error) for error in caught.value.errors]


def instance_errors(soa: Soa, text: str, changes: dict[str, str | None] | None = None) -> list[str]:
    return errors(soa({"web/kubernetes-prod.yaml": text, **(changes or {})}))


def test_defaults(soa: Soa) -> None:
    config = tree.load(soa(), "prod")
    assert config.services == ("web",)
    assert config.warnings == ()
    instance = only(config)
    assert (instance.id, instance.instances, instance.replicas) == ("web.main", 1, 1)
    assert (instance.cpus, instance.mem, instance.disk, instance.cpu_burst_add) == (1, 4096, 1024, 1)
    assert (instance.container_port, instance.weight, instance.pool, instance.net) == (8888, 10, "default", "bridge")
    assert instance.version == Version(SHA, f"services-web:paasta-{SHA}")
    assert instance.bounce == Bounce("crossover", 1.0)
    assert instance.healthcheck == HealthCheck("http", "/status", None, 60, 10, 10, 30)
    assert (instance.drain_method, instance.drain_delay) == ("hacheck", 60)
    assert instance.registrations == ("web.main",)
    assert instance.team == "words"
    assert hash(instance) == hash(only(tree.load(soa(), "prod")))


def test_namespace_defaults(soa: Soa) -> None:
    (namespace,) = tree.load(soa(), "prod").namespaces
    assert (namespace.id, namespace.proxy_port, namespace.mode) == ("web.main", 20001, "http")
    assert (namespace.healthcheck_mode, namespace.healthcheck_uri, namespace.healthcheck_timeout_s) == (
        "http",
        "/status",
        1,
    )
    assert (namespace.timeout_connect_ms, namespace.timeout_client_ms, namespace.timeout_server_ms) == (200, 1000, 1000)
    assert (namespace.retries, namespace.balance, namespace.lb_policy) == (1, "leastconn", "ROUND_ROBIN")


@pytest.mark.parametrize(
    ("key", "client", "server"), [("timeout_client_ms", 7, 7), ("timeout_server_ms", 7, 7), ("retries", 1000, 1000)]
)
def test_one_timeout_sets_the_other(soa: Soa, key: str, client: int, server: int) -> None:
    root = soa({"web/smartstack.yaml": f"main:\n  proxy_port: 20001\n  {key}: 7\n"})
    (namespace,) = tree.load(root, "prod").namespaces
    assert (namespace.timeout_client_ms, namespace.timeout_server_ms) == (client, server)


def test_the_instance_wins_over_autotuned_over_service_wide(soa: Soa) -> None:
    changes = {
        "web/service.yaml": "description: a\nexternal_link: b\ncpus: 9\nmem: 900\ndisk: 900\nenv: {A: s, B: s}\n",
        "web/autotuned_defaults/kubernetes-prod.yaml": "main: {cpus: 5, mem: 500}\n",
    }
    instance = instance_of(soa, "main:\n  deploy_group: prod.main\n  cpus: 2\n  env: {A: i}\n", changes)
    assert (instance.cpus, instance.mem, instance.disk) == (2, 500, 900)
    assert instance.env == {"A": "i", "B": "s"}
    assert "description" not in instance.keys
    assert {
        key: str(source) for key, source in instance.sources.items() if key[0] in ("cpus", "mem", "env", "pool")
    } == {
        ("cpus",): "web/kubernetes-prod.yaml:3",
        ("mem",): "web/autotuned_defaults/kubernetes-prod.yaml:1",
        ("env", "A"): "web/kubernetes-prod.yaml:4",
        ("env", "B"): "web/service.yaml:6",
        ("pool",): "default",
    }


def test_templates_are_no_instances(soa: Soa) -> None:
    instance = instance_of(
        soa, "_d: &d {cpus: 0.5, anything: 1}\n_e: &e {mem: 64}\nmain: {<<: *e, branch: prod.main}\n"
    )
    assert (instance.name, instance.mem, instance.deploy_group) == ("main", 64, "prod.main")


def test_everything_typed(soa: Soa) -> None:
    instance = instance_of(
        soa,
        "main:\n  deploy_group: '{cluster}.{instance}'\n  cmd: [a, b]\n  cap_add: [KILL]\n"
        "  extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO}]\n  drain_method_params: {delay: 1.5}\n",
    )
    assert instance.deploy_group == "prod.main"
    assert instance.cmd == ("a", "b")
    assert instance.extra_volumes == (Volume("/a", "/b", "RO"),)
    assert instance.drain_delay == 1.5
    with pytest.raises(TypeError, match="read-only"):
        instance.keys["cmd"] = "x"  # type: ignore[index]


def test_outside_the_mesh(soa: Soa) -> None:
    instance = instance_of(soa, "main:\n  deploy_group: prod.main\n", {"web/smartstack.yaml": None})
    assert instance.registrations == ("web.main",)
    assert instance.healthcheck is None
    assert (instance.drain_method, instance.drain_delay) == ("noop", 0)


def test_the_first_registration_gives_the_health_check(soa: Soa) -> None:
    instance = instance_of(
        soa,
        "main:\n  deploy_group: prod.main\n  registrations: [api.rpc, web.main]\n",
        {"api/smartstack.yaml": "rpc: {proxy_port: 20002, mode: tcp}\n"},
    )
    assert instance.healthcheck is not None
    assert instance.healthcheck.mode == "tcp"


def test_a_control_stops_an_instance(soa: Soa) -> None:
    document = {
        "v2": {"deployments": {}, "controls": {"web:prod.main": {"desired_state": "stop", "force_bounce": "7"}}}
    }
    config = tree.load(soa({"web/deployments.json": json.dumps(document)}), "prod")
    assert config.instances == ()
    (instance,) = config.undeployed
    assert (instance.desired_state, instance.force_bounce, instance.replicas, instance.version) == (
        "stop",
        "7",
        0,
        None,
    )


def test_services_limit_instances_and_not_namespaces(soa: Soa) -> None:
    root = soa({"api/smartstack.yaml": "rpc: {proxy_port: 20002}\n", "api/kubernetes-prod.yaml": "broken: [\n"})
    config = tree.load(root, "prod", services=["web"])
    assert config.services == ("web",)
    assert [namespace.id for namespace in config.namespaces] == ["api.rpc", "web.main"]
    assert errors(root, services=["wbe"]) == ["wbe: is not a service of this tree; did you mean web?"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main:\n  deploy_group: prod.main\n  cpu: 0.5\n",
         "web/kubernetes-prod.yaml:3:3: main.cpu: unknown key (value 0.5); did you mean cpus?"),
        ("main:\n  deploy_group: prod.mian\n",
         'web/kubernetes-prod.yaml:2:3: main.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
         "did you mean prod.main?"),
        ("other:\n  cpus: 1\n",
         'web/kubernetes-prod.yaml:1:1: other: deploy_group is not set, and its default "prod.other" is not in the '
         "pipeline of web/deploy.yaml; allowed: prod.canary, prod.main"),
        ("main: {deploy_group: 'x.{instnce}'}\n",
         "web/kubernetes-prod.yaml:1:8: main.deploy_group: unknown placeholder {instnce}; "
         "allowed: {cluster}, {instance}, {service}"),
        ("main: {deploy_group: '{cluster.__class__}'}\n",
         "web/kubernetes-prod.yaml:1:8: main.deploy_group: unknown placeholder {cluster.__class__}; "
         "allowed: {cluster}, {instance}, {service}"),
        ("main: {deploy_group: prod.main, registrations: [web]}\n",
         'web/kubernetes-prod.yaml:1:49: main.registrations[0]: "web" is not of the form service.namespace'),
        ("main: {deploy_group: prod.main, registrations: [web.mian]}\n",
         'web/kubernetes-prod.yaml:1:49: main.registrations[0]: "web.mian" is in no smartstack.yaml; '
         "did you mean web.main?"),
        ("main: {deploy_group: prod.main, cmd: x, args: [y]}\n",
         "web/kubernetes-prod.yaml:1:41: main.args: cmd and args cannot both be set; "
         "put the arguments into cmd, or drop it"),
        ("main: {deploy_group: prod.main, healthcheck_mode: cmd}\n",
         "web/kubernetes-prod.yaml:1:33: main.healthcheck_mode: mode cmd needs healthcheck_cmd; add healthcheck_cmd"),
        ("main: {deploy_group: prod.main, env: {N: 8}}\n",
         "web/kubernetes-prod.yaml:1:39: main.env.N: 8 is not a string; "
         "environment values are strings, put it in quotes"),
        ("Main: {deploy_group: prod.main}\n",
         'web/kubernetes-prod.yaml:1:1: Main: "Main" is not a valid instance name; use a-z, 0-9 and inner - and _'),
        (f"{'m' * 60}: {{deploy_group: prod.main}}\n",
         f"web/kubernetes-prod.yaml:1:1: {'m' * 60}: web-{'m' * 60} has 64 characters, the limit for service and "
         "instance is 63; shorten the instance name"),
        ("main:\n", "web/kubernetes-prod.yaml:1:1: main: null is not a mapping"),
        # One mistake is one error: its default deploy group, prod.other, is in no pipeline.
        ("other:\n", "web/kubernetes-prod.yaml:1:1: other: null is not a mapping"),
        ("other: {deploy_group: null}\n",
         "web/kubernetes-prod.yaml:1:9: other.deploy_group: null is not a string"),
        ("_d: 3\nmain: {deploy_group: prod.main}\n", "web/kubernetes-prod.yaml:1:1: _d: 3 is not a mapping to values"),
        ("main: {deploy_group: prod.main, min_instances: 3, max_instances: 2}\n",
         "web/kubernetes-prod.yaml:1:33: main.min_instances: min_instances 3 is more than max_instances 2"),
    ],
)  # fmt: skip
def test_mistakes_in_an_instance(soa: Soa, text: str, expected: str) -> None:
    assert instance_errors(soa, text) == [expected]


def test_all_mistakes_of_all_files_at_once(soa: Soa) -> None:
    root = soa(
        {
            "web/kubernetes-prod.yaml": "_d: &d\n  cpu: 1\nmain:\n  <<: *d\n  deploy_group: prod.mian\n",
            "web/monitoring.yaml": "teem: words\n",
            "web/smartstack.yaml": "main: {proxy_port: 20001, retries: 99}\n",
            "web/service.yaml": "cpus: lots\ndescripton: x\n",
            "web/deployments.json": "{",
            "api/smartstack.yaml": "main: {proxy_port: 20001}\n",
            "api/deploy.yaml": "pipeline: [{stp: x}]\n",
            "api/eks-prod.yaml": "main: {cpus: 0}\n a: 1",
        }
    )
    assert errors(root) == [
        "api/deploy.yaml:1:12: pipeline[0]: needs at least one of step, parallel",
        "api/deploy.yaml:1:13: pipeline[0].stp: unknown key (a string); did you mean step?",
        "api/eks-prod.yaml:2:2: is not valid YAML: while parsing a block mapping, did not find expected key",
        "web/deployments.json:1:2: is not valid JSON: Expecting property name enclosed in double quotes",
        "web/kubernetes-prod.yaml:2:3: main.cpu: unknown key (value 1); did you mean cpus?",
        'web/kubernetes-prod.yaml:5:3: main.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
        "did you mean prod.main?",
        'web/service.yaml:1:1: cpus: "lots" is not a number greater than 0',
        "web/smartstack.yaml:1:8: main.proxy_port: 20001 is already the proxy_port of api.main "
        "(api/smartstack.yaml:1); choose another port",
        "web/smartstack.yaml:1:27: main.retries: 99 is not an integer from 0 to 10",
    ]


def test_an_instance_name_of_two_types(soa: Soa) -> None:
    assert errors(soa({"web/eks-prod.yaml": "main: {deploy_group: prod.main}\n"})) == [
        "web/kubernetes-prod.yaml:1:1: main: instance main is already defined in web/eks-prod.yaml; "
        "an instance name is used once per service and cluster"
    ]


def test_warnings(soa: Soa) -> None:
    root = soa(
        {
            "web/deploy.yaml": None,
            "web/monitoring.yaml": None,
            "web/service.yaml": "descripton: x\n",
            "web/kubernetes-prdo.yaml": "main: {}\n",
        }
    )
    reading = tree.validate(root, Settings(clusters=("prod", "dev")))
    assert reading.errors == ()
    assert [str(warning) for warning in reading.warnings] == [
        "web/deploy.yaml: is missing; write one with a pipeline, or a misspelt deploy_group goes unnoticed",
        "web/kubernetes-prdo.yaml: belongs to no known cluster (prdo); did you mean prod?",
        "web/monitoring.yaml: is missing; write one with a team, or nobody is told of problems",
        "web/service.yaml: description is missing; PaaSTA requires it of every service",
        "web/service.yaml: external_link is missing; PaaSTA requires it of every service",
        "web/service.yaml:1:1: descripton: unknown key (a string); did you mean description?",
    ]


def test_a_cluster_without_files_is_warned_about(soa: Soa) -> None:
    (warning,) = tree.load(soa(), "prdo").warnings
    assert "no service has an instance file for cluster prdo; did you mean prod?" in str(warning)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    root = tmp_path / "nothing"
    assert errors(str(root)) == [
        f"{root}: is not a readable soa-configs directory: No such file or directory; set paasta_soa_dir"
    ]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to(path.name)])
def test_a_file_that_cannot_be_read(soa: Soa, make: Callable[[Path], None]) -> None:
    root = soa({"web/monitoring.yaml": None})
    make(Path(root) / "web" / "monitoring.yaml")
    (error,) = errors(root)
    assert error.startswith("web/monitoring.yaml: cannot be read: ")


def test_a_service_that_cannot_be_listed_is_not_taken_for_absent(soa: Soa, monkeypatch: pytest.MonkeyPatch) -> None:
    root = soa()
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/web"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert errors(root) == ["web: cannot be listed: Permission denied"]


def test_an_instance_type_that_is_not_known(soa: Soa) -> None:
    assert errors(soa(), instance_types=("kubernets",)) == [
        '"kubernets" is not a known instance type; did you mean kubernetes?'
    ]


DOCUMENTS = {
    "service.yaml": sorted(keys.SERVICE.by_name),
    "monitoring.yaml": sorted(keys.MONITORING.by_name),
    "deploy.yaml": sorted(keys.DEPLOY.by_name),
    "smartstack.yaml": sorted(keys.NAMESPACE.by_name),
    "kubernetes-prod.yaml": sorted(keys.INSTANCE["kubernetes"].by_name),
    "autotuned_defaults/kubernetes-prod.yaml": sorted(keys.AUTOTUNED["kubernetes"].by_name),
}
NESTED = {"smartstack.yaml", "kubernetes-prod.yaml", "autotuned_defaults/kubernetes-prod.yaml"}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | st.floats() | st.text("a.{/", max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["step", "parallel", "x"]), inner),
    max_leaves=4,
)


@given(st.data())
@settings(suppress_health_check=[HealthCheck_.function_scoped_fixture])
def test_no_values_end_in_a_traceback(soa: Soa, data: st.DataObject) -> None:
    changes: dict[str, str | None] = {}
    for file in data.draw(st.sets(st.sampled_from(sorted(DOCUMENTS)), min_size=1)):
        content = data.draw(st.dictionaries(st.sampled_from(DOCUMENTS[file]), ODD, max_size=4))
        changes[f"web/{file}"] = yaml.safe_dump({"main": content} if file in NESTED else content)
    try:
        config = tree.load(soa(changes), "prod")
    except InvalidConfigs:
        return
    for instance in (*config.instances, *config.undeployed):
        assert hash(instance)
        assert set(leaves(instance.keys)) <= set(instance.sources)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the collection is tested outside its repository")
def test_the_examples_are_valid() -> None:
    config = tree.load(str(EXAMPLES), "local")
    assert config.warnings == ()
    assert config.services == ("clock", "quotes", "reports", "web")
    quotes = [instance for instance in (*config.instances, *config.undeployed) if instance.service == "quotes"]
    assert [instance.registrations for instance in quotes] == [("quotes.main",)] * 2

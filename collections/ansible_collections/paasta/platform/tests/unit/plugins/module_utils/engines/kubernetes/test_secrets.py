# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of the engine kubernetes: names as PaaSTA's, no cleartext but in the manifest, everything wrong at once."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import secrets
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict, freeze
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

USES = {("web", "web_token"): "1", ("web", "tls"): "2", ("_shared", "ca"): "3"}


@pytest.fixture
def using(web: Web) -> Any:
    """``web.main`` with these variables and volumes; ``uses`` are the secrets that the cluster has."""

    def of(
        env: Mapping[str, str] | None = None,
        volumes: list[dict[str, Any]] | None = None,
        *,
        uses: Mapping[tuple[str, str], str] = FrozenDict(USES),  # type: ignore[arg-type]
        keys: str = "",
    ) -> tuple[Instance, Facts]:
        instance, facts = web(keys)
        changed = replace(
            instance,
            env=FrozenDict(env or {}),
            keys=freeze({**instance.keys, "env": env or {}, "secret_volumes": volumes or []}),
            secrets=tuple(SecretUse(service, name, digest) for (service, name), digest in uses.items()),
        )
        return changed, facts

    return of


def test_names_are_those_of_paasta() -> None:
    assert secrets.object_name("paastasvc-web", "web", "web_token") == "paastasvc-web-secret-web-web--token"
    assert secrets.object_name("paastasvc-web", "_shared", "ca") == "paastasvc-web-secret-underscore-shared-ca"
    long = secrets.object_name("n" * 63, "s" * 63, "k" * 200)
    assert len(long) == 253
    assert long != secrets.object_name("n" * 63, "s" * 63, "k" * 199 + "j")


def test_variables_refer_to_objects(using: Any) -> None:
    instance, facts = using({"TOKEN": "SECRET(web_token)", "CA": "SHARED_SECRET(ca)", "PLAIN": "x"})
    assert secrets.environment(instance, facts) == {
        "CA": {"secretKeyRef": {"name": "paastasvc-web-secret-underscore-shared-ca", "key": "ca"}},
        "TOKEN": {"secretKeyRef": {"name": "paastasvc-web-secret-web-web--token", "key": "web_token"}},
    }
    assert secrets.problems(instance, facts) == []


def test_uses_are_what_variables_and_volumes_take_each_once(using: Any) -> None:
    volumes = [{"container_path": "/a", "secret_name": "tls"}, {"container_path": "/b", "secret_name": "web_token"}]
    instance, facts = using({"A": "SECRET(web_token)", "B": "SECRET(web_token)"}, volumes)
    assert secrets.uses(instance, facts) == [
        {
            "object": f"paastasvc-web-secret-web-{name.replace('_', '--')}",
            "key": name,
            "service": "web",
            "name": name,
            "digest": digest,
        }
        for name, digest in (("tls", "2"), ("web_token", "1"))
    ]


def test_objects_are_in_the_instances_namespace(using: Any) -> None:
    instance, facts = using({"A": "SECRET(tls)"}, keys="namespace: theirs")
    assert secrets.uses(instance, facts)[0]["object"] == "theirs-secret-web-tls"


def test_the_manifest_holds_the_cleartext_and_nothing_else_does(using: Any) -> None:
    (entry,) = secrets.uses(*using({"A": "SHARED_SECRET(ca)"}))
    manifest = secrets.manifest(entry, "paastasvc-web", b"\x00CANARY", "prod", "paasta.yelp.com")
    assert manifest == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "paastasvc-web-secret-underscore-shared-ca",
            "namespace": "paastasvc-web",
            "labels": {
                "paasta.yelp.com/managed": "true",
                "paasta.yelp.com/cluster": "prod",
                "paasta.yelp.com/service": "shared",
            },
            "annotations": {"paasta.yelp.com/secret-digest": "3"},
        },
        "type": "Opaque",
        "data": {"ca": base64.b64encode(b"\x00CANARY").decode()},
    }


def test_everything_wrong_is_said_at_once(using: Any) -> None:
    volumes = [{"container_path": "s", "secret_name": "gone", "default_mode": "rw"}]
    instance, facts = using({"A": "SECRET(gone)", "B": "SECRET(tls)"}, volumes)
    assert secrets.problems(instance, facts) == [
        "web.main: env.A: web/secrets/gone.json has nothing for this cluster's environment; "
        "add it with playbooks/secret.yml",
        "web.main: secret_volumes[0].container_path: s: must be an absolute path, and not /",
        "web.main: secret_volumes[0].secret_name: web/secrets/gone.json has nothing for this cluster's environment; "
        "add it with playbooks/secret.yml",
        "web.main: secret_volumes[0]: mode rw: must be octal and in quotes, such as '0400'",
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("a_b", "a--b"),
            "secrets a_b and a--b would both be the Kubernetes object paastasvc-web-secret-web-a--b; rename one",
        ),
        (("Token", "token"), "secrets Token and token would both be the Kubernetes object"),
        (("end_", "x"), "secret end_: a Kubernetes object cannot be called paastasvc-web-secret-web-end--"),
    ],
)
def test_names_that_cannot_be(using: Any, names: tuple[str, str], message: str) -> None:
    env = {f"V{index}": f"SECRET({name})" for index, name in enumerate(names)}
    (line,) = secrets.problems(*using(env, uses={("web", name): "1" for name in names}))
    assert message in line


def test_aws_parameters_are_refused_with_a_way_out(web: Web) -> None:
    (line,) = secrets.problems(*web("ssm_secrets: [{source: /a/b, secret_name: TOKEN}]"))
    assert line == (
        "web/kubernetes-prod.yaml:1: web.main: ssm_secrets: engine kubernetes does not read AWS parameters; "
        "add their values with playbooks/secret.yml, and name them in env as SECRET(name)"
    )

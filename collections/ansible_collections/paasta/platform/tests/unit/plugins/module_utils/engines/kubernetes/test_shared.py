# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import shared
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import Soa

ROLE = "arn:aws:iam::1:role/x"
ADAPTER = {"kubernetes_adapter_config": {"namespace": "custom-metrics", "name": "adapter-config"}}
NAMESPACE = "v1/Namespace//paastasvc-web"
LIMITS = "v1/LimitRange/paastasvc-web/limit-mem-cpu-disk-per-container"
ACCOUNT = "v1/ServiceAccount/paastasvc-web/paasta--arn-aws-iam-1-role-x"
CONFIG_MAP = "v1/ConfigMap/custom-metrics/adapter-config"


@pytest.fixture
def two(soa: Soa) -> tuple[list[Instance], Facts]:
    """Two instances of one service and role, in a cluster whose adapter is known."""
    soa.write(f"iam_role: '{ROLE}'")
    with (soa.directory / "web" / "kubernetes-prod.yaml").open("a") as stream:
        stream.write(f"canary: {{deploy_group: g, iam_role: '{ROLE}'}}\n")
    _first, facts = soa.load(**ADAPTER)
    return list(soa.config(**ADAPTER).instances), facts


def test_what_instances_share_is_there_once_and_in_order(two: tuple[list[Instance], Facts]) -> None:
    instances, facts = two
    assert list(shared.objects(instances, facts)) == [NAMESPACE, LIMITS, ACCOUNT]
    for instance in instances:
        assert shared.needs(instance, facts) == [NAMESPACE, LIMITS, ACCOUNT]


def test_the_rules_of_the_adapter_are_there_only_if_they_are_all_known(two: tuple[list[Instance], Facts]) -> None:
    instances, facts = two
    assert CONFIG_MAP not in shared.objects(instances, facts)
    assert CONFIG_MAP in shared.objects(instances[:1], facts, everything=instances)
    assert CONFIG_MAP not in shared.needs(instances[0], facts)


def refused(instances: list[Instance], facts: Facts) -> str:
    with pytest.raises(CannotRender) as error:
        shared.objects(instances, facts)
    return str(error.value)


def test_two_services_do_not_share_a_namespace_by_accident(soa: Soa) -> None:
    soa.write("", service="a_b").write("", service="a--b")
    _first, facts = soa.load()
    text = refused(list(soa.config().instances), facts)
    assert "a_b.main: Namespace paastasvc-a--b is already that of service a--b; rename one of the two services" in text


def test_an_instance_may_live_in_the_namespace_of_another_service_or_name_its_own(soa: Soa) -> None:
    soa.write("namespace: paastasvc-web", service="a").write("namespace: paastasvc-web", service="web")
    soa.write("namespace: paastasvc-web", service="z")
    _first, facts = soa.load()
    found = shared.objects(soa.config().instances, facts)
    assert list(found) == [NAMESPACE, LIMITS]
    assert found[NAMESPACE]["metadata"]["labels"]["paasta.yelp.com/service"] == "web"


def test_two_secrets_do_not_share_an_object(soa: Soa) -> None:
    soa.write("namespace: tools", service="a").write("namespace: tools", service="a-b")
    _first, facts = soa.load()

    def using(instance: Instance, name: str) -> Instance:
        uses = (SecretUse(instance.service, name, "1"),)
        return replace(instance, env=FrozenDict({"T": f"SECRET({name})"}), secrets=uses)

    a, a_b = soa.config().instances
    assert shared.objects([using(a, "b-c"), using(a_b, "d")], facts)
    text = refused([using(a, "b-c"), using(a_b, "c")], facts)
    assert text == (
        "a-b/kubernetes-prod.yaml:1: a-b.main: secrets a.b-c and a-b.c would both be the Secret tools-secret-a-b-c; "
        "rename one of the two, or give the instance a namespace of its own"
    )


def test_a_cluster_without_instances() -> None:
    facts: Any = Facts("prod", "r")
    assert shared.objects([], facts, everything=[]) == {}

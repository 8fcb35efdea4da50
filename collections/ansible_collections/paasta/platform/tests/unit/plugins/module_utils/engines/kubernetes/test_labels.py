# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import labels, names
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.labels import Labels
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web


@pytest.mark.parametrize(
    ("name", "of_pods", "of_nodes"),
    [
        ("service", "paasta.yelp.com/service", "service"),
        ("pool", "yelp.com/pool", "yelp.com/pool"),
        ("habitat", "yelp.com/habitat", "yelp.com/habitat"),
        ("owner", "yelp.com/owner", "yelp.com/owner"),
        ("datacenter", "paasta.yelp.com/datacenter", "yelp.com/datacenter"),
        ("instance_type", "paasta.yelp.com/instance_type", "node.kubernetes.io/instance-type"),
        ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ],
)
def test_short_names_get_paasta_s_prefixes(name: str, of_pods: str, of_nodes: str) -> None:
    assert Labels().prefixed(name) == of_pods
    assert Labels().of_node(name) == of_nodes


def test_both_prefixes_are_the_platform_s_choice(web: Web) -> None:
    settings = {"kubernetes_label_prefix": "paas.example.org", "kubernetes_node_label_prefix": "example.org"}
    instance, facts = web(settings=settings)
    assert facts.labels == Labels("paas.example.org", "example.org")
    assert labels.metadata(instance, facts) == {
        "name": "web-main",
        "namespace": "paastasvc-web",
        "labels": {
            "paas.example.org/managed": "true",
            "paas.example.org/cluster": "prod",
            "paas.example.org/service": "web",
            "paas.example.org/instance": "main",
        },
    }


def test_names_of_an_instance(web: Web) -> None:
    instance, _facts = web(service="My_App", name="a_b")
    assert (names.app(instance), names.namespace(instance)) == ("my--app-a--b", "paastasvc-my--app")


def test_an_instance_may_name_its_namespace(web: Web) -> None:
    assert names.namespace(web("namespace: mine")[0]) == "mine"


def test_shared_objects_say_whose_they_are(web: Web) -> None:
    _instance, facts = web()
    assert labels.shared_metadata(facts, "x", namespace="n", service="web", annotations={"a": "b"}) == {
        "name": "x",
        "namespace": "n",
        "labels": {
            "paasta.yelp.com/managed": "true",
            "paasta.yelp.com/cluster": "prod",
            "paasta.yelp.com/service": "web",
        },
        "annotations": {"a": "b"},
    }
    assert labels.shared_metadata(facts, "x")["labels"].keys() == {"paasta.yelp.com/managed", "paasta.yelp.com/cluster"}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where pods may run: every key and setting, alone and together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import placement
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

POOL = {"yelp.com/pool": "default"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
OWN = {"paasta.yelp.com/service": "web", "paasta.yelp.com/instance": "main"}


def term(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


@pytest.mark.parametrize(
    ("keys", "settings", "expected"),
    [
        ("", {}, []),
        ("deploy_whitelist: [region, [b, a]]", {}, [term("yelp.com/region", "In", "b", "a")]),
        ("deploy_blacklist: [[habitat, x]]", {}, [term("yelp.com/habitat", "NotIn", "x")]),
        (
            "deploy_blacklist: [[region, z], [region, a]], deploy_whitelist: [region, [c]]",
            {"deploy_blacklist": [["region", "b"], ["region", "a"]], "deploy_whitelist": ["region", ["b", "c"]]},
            [
                term("yelp.com/region", "In", "b", "c"),
                term("yelp.com/region", "In", "c"),
                *(term("yelp.com/region", "NotIn", value) for value in "abz"),
            ],
        ),
        (
            "node_selectors: {instance_type: [m5.large], disk: [{operator: Exists}], cpu: [{operator: Gt, value: 4}]}",
            {},
            [
                term("cpu", "Gt", "4"),
                term("disk", "Exists"),
                term("node.kubernetes.io/instance-type", "In", "m5.large"),
            ],
        ),
        (
            "node_selectors: {label: [{operator: In, values: [x]}, {operator: NotIn, values: [y]}]}",
            {},
            [term("label", "In", "x"), term("label", "NotIn", "y")],
        ),
        (
            "",
            {"pool_node_affinities": {"default": {"zone": ["a", "b"]}, "gpu": {"x": ["y"]}}},
            [term("zone", "In", "a", "b")],
        ),
        ("pool: other", {"pool_node_affinities": {"default": {"zone": ["a"]}}}, []),
        ("node_selectors: {habitat: a}", {"pool_node_affinities": {"default": {"zone": ["a"]}}}, []),
        (
            "node_selectors: {label: a}",
            {"pool_node_affinities": {"default": {"zone": ["a"]}}},
            [term("zone", "In", "a")],
        ),
    ],
)
def test_required_nodes(web: Web, keys: str, settings: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    fields = placement.pod_fields(*web(keys, settings=settings))
    if not expected:
        assert "affinity" not in fields
    else:
        terms = [{"matchExpressions": expected}]
        assert fields["affinity"] == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}


@pytest.mark.parametrize("zone", ["topology.kubernetes.io/zone", "yelp.com/eni_config", "karpenter.sh/nodepool"])
def test_an_instance_that_names_its_zone_is_not_held_to_those_of_its_pool(web: Web, zone: str) -> None:
    settings = {"pool_node_affinities": {"default": {"zone": ["a"]}}}
    assert "affinity" not in placement.pod_fields(*web(f"node_selectors: {{{zone}: b}}", settings=settings))


def test_one_value_is_a_node_selector(web: Web) -> None:
    fields = placement.pod_fields(*web("pool: gpu, node_selectors: {ssd: 'true', region: a, none: []}"))
    assert fields == {"nodeSelector": {"yelp.com/pool": "gpu", "yelp.com/region": "a", "ssd": "true"}}


def test_preferred_nodes(web: Web) -> None:
    keys = "node_selectors_preferred: [{weight: 7, preferences: {aa: x, bb: [y, z]}}, {weight: 9, preferences: {}}]"
    expressions = [term("aa", "In", "x"), term("bb", "In", "y", "z")]
    assert placement.pod_fields(*web(keys))["affinity"] == {
        "nodeAffinity": {PREFERRED: [{"weight": 7, "preference": {"matchExpressions": expressions}}]}
    }


def anti(labels: dict[str, str], *, elsewhere: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    return found | ({"namespaceSelector": {}} if elsewhere else {})


CLUSTER = {"paasta.yelp.com/cluster": "prod"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{}", [anti(OWN)]),
        ("{service: web, instance: main}", [anti(OWN)]),
        ("{service: db}", [anti({"paasta.yelp.com/service": "db", **CLUSTER}, elsewhere=True)]),
        ("[{instance: canary}]", [anti({"paasta.yelp.com/instance": "canary", **CLUSTER}, elsewhere=True)]),
        ("[]", []),
    ],
)
def test_pods_to_stay_away_from(web: Web, condition: str, expected: list[dict[str, Any]]) -> None:
    fields = placement.pod_fields(*web(f"anti_affinity: {condition}"))
    assert fields.get("affinity", {}).get("podAntiAffinity", {}).get(REQUIRED, []) == expected


def test_required_and_preferred_at_once(web: Web) -> None:
    keys = "anti_affinity: {}, anti_affinity_preferred: [{weight: 50, service: db}, {}]"
    db = anti({"paasta.yelp.com/service": "db", **CLUSTER}, elsewhere=True)
    assert placement.pod_fields(*web(keys))["affinity"]["podAntiAffinity"] == {
        REQUIRED: [anti(OWN)],
        PREFERRED: [{"weight": 50, "podAffinityTerm": db}, {"weight": 1, "podAffinityTerm": anti(OWN)}],
    }


def spread(key: str, when: str = "ScheduleAnyway", skew: int = 1, **more: Any) -> dict[str, Any]:
    own = {"labelSelector": {"matchLabels": OWN}}
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, **own, **more}


PLATFORM = {"topology_spread_constraints": [{"topology_key": "zone"}]}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", [spread("zone")]),
        ("topology_spread_constraints: []", None),
        (
            "topology_spread_constraints: [{topology_key: zone, when_unsatisfiable: DoNotSchedule, max_skew: 2, "
            "match_label_keys: [pod-template-hash]}, {topology_key: habitat}]",
            [
                spread("yelp.com/habitat"),
                spread("zone", "DoNotSchedule", 2, matchLabelKeys=["pod-template-hash"]),
            ],
        ),
    ],
)
def test_spread_is_the_instances_own_or_the_platforms(web: Web, keys: str, expected: Any) -> None:
    assert placement.pod_fields(*web(keys, settings=PLATFORM)).get("topologySpreadConstraints") == expected


def test_tolerations_are_those_of_the_pool(web: Web) -> None:
    settings = {"kubernetes_pool_tolerations": {"gpu": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]}}
    assert placement.pod_fields(*web("pool: gpu", settings=settings))["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert "tolerations" not in placement.pod_fields(*web("", service="other", settings=settings))


def test_the_prefix_of_node_labels_is_a_setting(web: Web) -> None:
    fields = placement.pod_fields(
        *web("node_selectors: {region: a}", settings={"kubernetes_node_label_prefix": "n.org"})
    )
    assert fields["nodeSelector"] == {"n.org/pool": "default", "n.org/region": "a"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("node_selectors: {label: [{operator: In}]}", "node_selectors.label[0]: operator In needs values"),
        (
            "node_selectors: {label: [{operator: Gt, values: ['1']}]}",
            "node_selectors.label[0]: operator Gt needs value",
        ),
        (
            "node_selectors_preferred: [{weight: 1, preferences: {label: [{operator: NotIn}]}}]",
            "node_selectors_preferred[0].preferences.label[0]: operator NotIn needs values",
        ),
        (
            "topology_spread_constraints: [{max_skew: 1}]",
            "topology_spread_constraints[0]: needs topology_key, the node label to spread over",
        ),
        (
            "topology_spread_constraints: [{topology_key: a}, {topology_key: a, max_skew: 3}]",
            "topology_spread_constraints[1]: there is already a constraint on a with ScheduleAnyway",
        ),
        (
            "topology_spread_constraints: [{topology_key: habitat}, {topology_key: yelp.com/habitat}]",
            "topology_spread_constraints[1]: there is already a constraint on yelp.com/habitat with ScheduleAnyway",
        ),
        (
            "topology_spread_constraints: [{topology_key: a, max_skew: 0}]",
            "topology_spread_constraints[0].max_skew: 0 is not at least 1",
        ),
    ],
)
def test_what_the_api_would_refuse(web: Web, keys: str, message: str) -> None:
    assert placement.problems(*web(keys)) == [f"web/kubernetes-prod.yaml:1: web.main: {message}"]


def test_labels_that_all_pods_of_an_instance_share_do_not_group_them(web: Web) -> None:
    keys = "topology_spread_constraints: [{topology_key: a, match_label_keys: [example.org/service, other]}]"
    assert placement.problems(*web(keys, settings={"kubernetes_label_prefix": "example.org"})) == [
        "web/kubernetes-prod.yaml:1: web.main: topology_spread_constraints[0].match_label_keys: "
        "example.org/service is the same in all pods of an instance; drop it"
    ]


def test_nothing_wrong_without_keys(web: Web) -> None:
    assert placement.problems(*web("", settings=PLATFORM)) == []

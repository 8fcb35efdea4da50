# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import fields
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.fields import (
    conflicts,
    differences,
    foreign,
    ours,
    owned,
    taken_over,
    union,
    value_named,
)
from hypothesis import given
from hypothesis import strategies as st

Object = dict[str, Any]

DESIRED: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web-main", "namespace": "ns", "labels": {"example.org/a": "1"}},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "registry/web:1",
                        "args": ["a", "b"],
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 8888}],
                        "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}},
                    }
                ]
            }
        },
    },
}

# As the API server records it for an apply of DESIRED.
CONTAINER_FIELDS: Object = {
    ".": {},
    "f:name": {},
    "f:image": {},
    "f:args": {},
    "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
    "f:ports": {'k:{"containerPort":8888,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    "f:resources": {"f:requests": {"f:cpu": {}, "f:memory": {}}},
}
FIELDS: Object = {
    "f:metadata": {"f:labels": {"f:example.org/a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': CONTAINER_FIELDS}}},
    },
}


def live(**entries: Object) -> Object:
    """DESIRED as the server keeps it: with defaults, its own forms of quantities, and managers."""
    found = copy.deepcopy(DESIRED)
    container = found["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolicy": "Always", "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}}
    container["ports"][0]["protocol"] = "TCP"
    found["spec"]["progressDeadlineSeconds"] = 600
    found["metadata"]["managedFields"] = [
        {"manager": "paasta", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": FIELDS},
        *(
            {"manager": name, "operation": "Update", "apiVersion": "apps/v1", **entry}
            for name, entry in entries.items()
        ),
    ]
    return found


def container(found: Object) -> Object:
    return dict(found["spec"]["template"]["spec"]["containers"][0])


def changed(**keys: Any) -> Object:
    """DESIRED with keys of its container; None removes one."""
    desired = copy.deepcopy(DESIRED)
    merged = {**container(desired), **keys}
    desired["spec"]["template"]["spec"]["containers"] = [
        {key: value for key, value in merged.items() if value is not None}
    ]
    return desired


def test_what_was_applied_is_no_difference() -> None:
    assert differences(DESIRED, live(), FIELDS) == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"image": "registry/web:2"},
            ("spec.template.spec.containers[main].image", "registry/web:1", "registry/web:2"),
        ),
        ({"args": ["a"]}, ("spec.template.spec.containers[main].args", ["a", "b"], ["a"])),
        ({"args": None}, ("spec.template.spec.containers[main].args", ["a", "b"], None)),
        (
            {"env": [{"name": "A", "value": "2"}]},
            ("spec.template.spec.containers[main].env[A].value", "1", "2"),
        ),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            ("spec.template.spec.containers[main].env[B]", None, {"name": "B", "value": "2"}),
        ),
        ({"env": []}, ("spec.template.spec.containers[main].env[A]", {"name": "A", "value": "1"}, None)),
        (
            {"resources": {"requests": {"cpu": "200m", "memory": "1Gi"}}},
            ("spec.template.spec.containers[main].resources.requests.cpu", "100m", "200m"),
        ),
        ({"tty": False}, ("spec.template.spec.containers[main].tty", None, False)),
        (
            {"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}},
            ("spec.template.spec.containers[main].lifecycle.preStop.exec.command", None, ["x"]),
        ),
    ],
)
def test_a_change_of_the_plan(keys: Object, told: tuple[str, Any, Any]) -> None:
    found = differences(changed(**keys), live(), FIELDS)
    assert [(str(change), change.before, change.after, change.by) for change in found] == [(*told, ())]


def test_an_environment_variable_that_looks_like_a_quantity_is_compared_as_text() -> None:
    there = live()
    there["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "1000m"
    assert len(differences(DESIRED, there, FIELDS)) == 1


def test_a_value_that_somebody_else_took_names_them() -> None:
    image = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}}}}}}}
    there = live(**{"kubectl-set": {"fieldsV1": image}})
    there["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    mine = copy.deepcopy(FIELDS)
    del mine["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']["f:image"]
    (change,) = differences(DESIRED, there, mine)
    assert (change.before, change.after, change.by) == ("other", "registry/web:1", ("kubectl-set",))


def test_what_others_added_is_told_and_controllers_are_not() -> None:
    added = {'k:{"name":"DEBUG"}': {".": {}, "f:name": {}, "f:value": {}}}
    env = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': {"f:env": added}}}}}}
    status = {"subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}}
    there = live(**{"kubectl-edit": {"fieldsV1": env}, "kube-controller-manager": status})
    there["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "DEBUG", "value": "1"})
    assert differences(DESIRED, there, FIELDS) == []
    (found,) = foreign(there)
    assert (str(found), found.by) == ("spec.template.spec.containers[main].env[DEBUG]", ("kubectl-edit",))
    assert found.before == {"name": "DEBUG", "value": "1"}


def test_owned_is_what_was_applied() -> None:
    result = owned(live(), FIELDS)
    assert container(result)["resources"] == {"requests": {"cpu": "100m", "memory": "1Gi"}}
    assert "imagePullPolicy" not in container(result)
    assert "progressDeadlineSeconds" not in result["spec"]
    assert result["metadata"] == {"name": "web-main", "namespace": "ns", "labels": {"example.org/a": "1"}}
    assert differences(result, live(), FIELDS) == []


def test_taking_over_keeps_controllers_and_subresources() -> None:
    there = live(
        **{
            "kubectl-client-side-apply": {"fieldsV1": {"f:spec": {"f:paused": {}}}},
            "kube-controller-manager": {"fieldsV1": {"f:metadata": {"f:annotations": {"f:x": {}}}}},
            "kubectl": {"subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        }
    )
    *kept, mine = taken_over(there)
    assert [entry["manager"] for entry in kept] == ["kube-controller-manager", "kubectl"]
    assert (mine["manager"], mine["operation"]) == ("paasta", "Apply")
    assert mine["fieldsV1"]["f:spec"].keys() == {"f:replicas", "f:template", "f:paused"}


def test_only_an_apply_of_ours_is_ours() -> None:
    there = live()
    assert ours(there) is FIELDS
    there["metadata"]["managedFields"][0]["operation"] = "Update"
    assert ours(there) is None


def test_conflicts_name_field_and_manager() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl" using apps/v1',
        "field": ".spec.replicas",
    }
    assert conflicts({"causes": [cause, {"reason": "FieldValueInvalid"}]}) == [("spec.replicas", "kubectl")]


TREES = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c", "."]), below, max_size=3),
    max_leaves=8,
)


@given(TREES, TREES)
def test_union_has_both_and_is_symmetrical(one: Object, other: Object) -> None:
    assert union(one, other) == union(other, one)
    assert union(one, one) == one
    assert union(union(one, other), other) == union(one, other)


VALUES = st.one_of(
    st.text(max_size=3), st.integers(), st.booleans(), st.lists(st.text(max_size=2), min_size=1, max_size=2)
)
SPECS = st.recursive(
    VALUES, lambda below: st.dictionaries(st.sampled_from("abcdef"), below, min_size=1, max_size=3), max_leaves=10
)


def fields_of(value: Any) -> Object:
    """What the server records for an apply of a value without lists of structs."""
    return {f"f:{name}": fields_of(item) for name, item in value.items()} if isinstance(value, dict) else {}


@given(st.dictionaries(st.sampled_from("abc"), SPECS, min_size=1, max_size=3), st.data())
def test_no_difference_exactly_when_nothing_changed(spec: Object, data: st.DataObject) -> None:
    there = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": spec}
    mine = {"f:spec": fields_of(spec)}
    assert fields.differences(there, there, mine) == []
    name = data.draw(st.sampled_from(sorted(spec)))
    without = {**there, "spec": {key: value for key, value in spec.items() if key != name}}
    if without["spec"]:
        (change,) = fields.differences(without, there, mine)
        assert (change.path, change.after) == (("spec", name), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spec.replicas", 2),
        ("metadata.annotations.example.org/a.b", "1"),
        ('spec.containers[name="main"].image', "web:1"),
        ('spec.containers[name="main"].ports[containerPort=80,protocol="TCP"].name', "http"),
        ('metadata.finalizers[="x"]', "x"),
        ('spec.containers[name="other"].image', None),
        ("spec.missing", None),
    ],
)
def test_the_value_of_a_field_by_the_servers_name(name: str, value: Any) -> None:
    container = {"name": "main", "image": "web:1", "ports": [{"containerPort": 80, "name": "http"}]}
    metadata = {"annotations": {"example.org/a.b": "1"}, "finalizers": ["x"]}
    assert value_named({"metadata": metadata, "spec": {"replicas": 2, "containers": [container]}}, name) == value

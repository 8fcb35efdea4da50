# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.board import slim
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import (
    meddled,
    needed,
    state,
    taken_over,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.workloads import (
    OLD,
    P,
    target,
    workload,
)

NOT_DONE: list[tuple[dict[str, Any], str]] = [
    ({"observedGeneration": 4}, "the Deployment controller has not seen the change yet"),
    # What kubernetes.core takes for done: everything is available, of the old version.
    ({"updatedReplicas": 0}, "0 of 3 new replicas there, 3 ready in all, 3 old left"),
    ({"replicas": 4}, "3 of 3 new replicas there, 3 ready in all, 1 old left"),
    ({"updatedReplicas": 2, "availableReplicas": 3}, "2 of 3 new replicas there, 3 ready in all, 1 old left"),
    ({"availableReplicas": 2}, "3 of 3 new replicas there, 2 ready in all"),
    # Scaling down: the old number is still there.
    (
        {"replicas": 5, "updatedReplicas": 5, "availableReplicas": 5},
        "3 of 3 new replicas there, 5 ready in all, 2 too many",
    ),
    ({"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}, "0 of 3 new replicas there, 0 ready in all"),
]


@pytest.mark.parametrize(("status", "text"), NOT_DONE)
def test_a_deployment_is_not_done(status: dict[str, Any], text: str) -> None:
    progress = state(workload(**status), target())
    assert (progress.done, progress.text) == (False, text)


def test_a_deployment_is_done() -> None:
    progress = state(workload(), target())
    assert (progress.done, progress.stuck, progress.text) == (True, None, "3 of 3 ready")


def test_the_generation_that_counts_is_the_newest() -> None:
    assert not state(workload(generation=6, observedGeneration=5), target()).done
    assert state(workload(generation=6), target()).done


def test_an_object_made_anew_is_not_the_one_that_was_applied() -> None:
    progress = state(workload(generation=1), target())
    assert not progress.done
    assert progress.stuck == "its generation is 1, what was applied had 5: it was deleted and created anew"


@pytest.mark.parametrize(
    ("desired", "margin", "count"),
    [(3, 1.0, 3), (20, 0.95, 19), (1, 0.95, 1), (100, 0.07, 7), (3, 0.5, 2), (3, 0.0, 0), (0, 1.0, 0)],
)
def test_how_many_must_be_ready(desired: int, margin: float, count: int) -> None:
    assert needed(desired, margin) == count


def test_the_margin_is_about_readiness_only() -> None:
    assert state(workload(availableReplicas=2), target(margin=0.6)).text == "2 of 3 ready"
    assert not state(workload(availableReplicas=1), target(margin=0.6)).done
    assert not state(workload(updatedReplicas=2), target(margin=0.6)).done


def test_stopped() -> None:
    assert state(workload(desired=0), target(replicas=0)).text == "stopped"
    progress = state(workload(desired=0, replicas=2), target(replicas=0))
    assert (progress.done, progress.text) == (False, "2 left to stop")
    # Somebody has started what the plan stops.
    assert not state(workload(desired=1), target(replicas=0)).done


def test_autoscaled_replicas_are_what_the_workload_says() -> None:
    scaled = target(replicas=2, autoscaling={"min": 2, "max": 10})
    assert state(workload(desired=7), scaled).text == "7 of 7 ready"
    assert not state(workload(desired=7, availableReplicas=6), scaled).done
    assert state(workload(desired=0), target(replicas=0, autoscaling={"min": 0, "max": 10})).done


def test_a_stateful_set_is_done_when_its_pods_are_new_and_ready() -> None:
    wanted = target(kind="StatefulSet")
    assert state(workload("StatefulSet"), wanted).done
    assert not state(workload("StatefulSet", readyReplicas=2), wanted).done
    assert not state(workload("StatefulSet", updatedReplicas=2), wanted).done
    assert not state(workload("StatefulSet", observedGeneration=4), wanted).done


def test_equal_revisions_do_not_mean_that_no_other_pod_is_left() -> None:
    """Rolled back: currentRevision never left the old version, and one pod of the version between is still there."""
    back = workload("StatefulSet", updatedReplicas=2, readyReplicas=2)
    assert back["status"]["currentRevision"] == back["status"]["updateRevision"]
    assert not state(back, target(kind="StatefulSet", margin=0.5)).done


def test_min_ready_seconds_of_a_stateful_set() -> None:
    young = workload("StatefulSet", availableReplicas=1)
    assert state(young, target(kind="StatefulSet")).done
    young["spec"]["minReadySeconds"] = 10
    assert not state(young, target(kind="StatefulSet")).done


def refused(message: str) -> dict[str, Any]:
    return {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}


OVERDUE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out"}


@pytest.mark.parametrize(
    ("changes", "stuck"),
    [
        ({"conditions": [refused('pods "x" is forbidden: exceeded quota')]}, 'pods "x" is forbidden: exceeded quota'),
        ({"conditions": [refused("no") | {"status": "False"}]}, None),
        ({"conditions": [OVERDUE]}, "has timed out"),
        ({"conditions": [OVERDUE | {"status": "True"}]}, None),
        ({}, None),
    ],
)
def test_what_a_deployment_says_is_in_its_way(changes: dict[str, Any], stuck: str | None) -> None:
    assert state(workload(updatedReplicas=1, **changes), target()).stuck == stuck


def test_what_a_spec_has_in_its_way() -> None:
    paused, on_delete, partition = workload(updatedReplicas=1), workload(updatedReplicas=1), workload(updatedReplicas=1)
    paused["spec"]["paused"] = True
    on_delete["spec"]["updateStrategy"] = {"type": "OnDelete"}
    partition["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert state(paused, target()).stuck == "it is paused"
    assert "only when somebody deletes it" in str(state(on_delete, target()).stuck)
    assert "partition 2" in str(state(partition, target()).stuck)


def edited(manager: str, **entry: Any) -> dict[str, Any]:
    found = workload(generation=6)
    found["metadata"]["managedFields"].append({"manager": manager, "time": "2026-01-01T12:01:00Z"} | entry)
    return found


def test_another_version_is_a_taking_over() -> None:
    found = edited("kubectl-edit")
    found["spec"]["template"]["metadata"]["labels"][f"{P}/git_sha"] = OLD
    assert taken_over(found, target(), P) == (
        "kubectl-edit (at 2026-01-01T12:01:00Z) has set git_sha bbbbbbbb, planned is aaaaaaaa"
    )


def test_another_number_of_replicas_is_a_taking_over_unless_it_is_scaled_automatically() -> None:
    # The server gives such an entry no time.
    found = edited("somebody", subresource="scale", time=None, fieldsV1={"f:spec": {"f:replicas": {}}})
    found["spec"]["replicas"] = 1
    assert taken_over(found, target(), P) == "somebody has set replicas 1, planned are 3"
    assert taken_over(slim(found), target(), P) == taken_over(found, target(), P)
    scaled = target(autoscaling={"min": 1, "max": 3})
    assert taken_over(found, scaled, P) == ""
    assert meddled(found, scaled) == ""


def test_what_was_there_before_the_apply_is_no_taking_over() -> None:
    found = workload()
    found["spec"]["replicas"] = 1
    assert taken_over(found, target(), P) == ""
    assert meddled(found, target()) == ""


def test_other_changes_are_told() -> None:
    found = edited("kubectl-rollout")
    assert taken_over(found, target(), P) == ""
    assert meddled(found, target()) == "kubectl-rollout (at 2026-01-01T12:01:00Z) has changed it since it was applied"

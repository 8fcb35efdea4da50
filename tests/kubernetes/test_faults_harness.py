# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Faults are what they are said to be: the proxy's and the webhook's."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import urllib3
from client import APPLY, Client, Refused
from cluster import Cluster
from control_plane import ControlPlane
from fault_proxy import FaultProxy
from webhook import AdmissionWebhook


@pytest.fixture
def through(control_plane: ControlPlane, fault_proxy: FaultProxy) -> Iterator[Client]:
    """The deployer, by way of the proxy."""
    with control_plane.deployer(fault_proxy.url) as client:
        yield client


@pytest.fixture
def path(cluster: Cluster) -> str:
    return f"/api/v1/namespaces/{cluster.namespace('faults')}/configmaps"


def configmap(name: str = "a") -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_without_rules_all_passes(through: Client, fault_proxy: FaultProxy, path: str) -> None:
    through.create(path, configmap())
    through.apply(f"{path}/b", configmap("b"), manager="test")
    assert [item["metadata"]["name"] for item in through.items(path) if item["metadata"]["name"] in "ab"] == ["a", "b"]
    through.delete(f"{path}/a")
    assert [(seen.method, seen.status) for seen in fault_proxy.requests] == [
        ("POST", 201),
        ("PATCH", 201),
        ("GET", 200),
        ("DELETE", 200),
    ]
    assert fault_proxy.requests[1].query["fieldManager"] == ["test"]
    assert fault_proxy.connections == 1


def test_the_second_and_third_request_are_too_many(through: Client, fault_proxy: FaultProxy, path: str) -> None:
    fault_proxy.answer(429, retry_after=7, method="GET", path="/configmaps", skip=1, times=2)
    through.get(path)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            through.get(path)
        assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (429, "TooManyRequests", "7")
    through.get(path)


@pytest.mark.parametrize("after", [False, True])
def test_a_reset_before_or_after_the_server_has_it(
    through: Client, fault_proxy: FaultProxy, control_plane: ControlPlane, path: str, after: bool
) -> None:
    fault_proxy.reset(method="POST", after=after, times=1)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        through.create(path, configmap())
    assert control_plane.admin.exists(f"{path}/a") is after
    assert through.apply(f"{path}/b", configmap("b"), manager="test")


def test_a_delay(through: Client, fault_proxy: FaultProxy, path: str) -> None:
    fault_proxy.delay(0.7, times=1)
    started = time.monotonic()
    through.items(path)
    assert time.monotonic() - started > 0.7


def test_a_watch_breaks_off(through: Client, fault_proxy: FaultProxy, path: str) -> None:
    fault_proxy.cut(0.5)
    version = through.get(path)["metadata"]["resourceVersion"]
    through.create(path, configmap())
    watch = through.watch(path, version=version)
    while next(watch)["object"]["metadata"]["name"] != "a":
        pass
    with pytest.raises(urllib3.exceptions.ProtocolError):
        list(watch)


def test_the_server_is_down_behind_the_proxy(through: Client, control_plane: ControlPlane) -> None:
    through.get("/version")
    with control_plane.apiserver_down(), pytest.raises(urllib3.exceptions.ProtocolError):
        through.get("/version")
    through.get("/version")


def test_the_webhook_refuses_what_it_is_told_to(
    webhook: AdmissionWebhook, control_plane: ControlPlane, path: str
) -> None:
    webhook.refuse("not this one", kind="ConfigMap", name="b")

    def refused() -> bool:
        """A new webhook is known to the API server only after a moment."""
        try:
            control_plane.admin.patch(
                f"{path}/b", configmap("b"), content_type=APPLY, fieldManager="test", dryRun="All"
            )
        except Refused as error:
            return error.status == 403 and "not this one" in str(error)
        return False

    control_plane.wait_for("the webhook", refused)
    control_plane.admin.create(path, configmap("a"))
    created = [review for review in webhook.reviews if review["operation"] == "CREATE" and not review["dryRun"]]
    assert ("ConfigMap", "a") in [(review["kind"]["kind"], review["name"]) for review in created]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The test kubelet gives the real controllers what they need, and says what a real one would."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from client import Object, Refused
from cluster import Cluster
from control_plane import ControlPlane
from pod_states import Behaviour
from test_kubelet import TestKubelet

PREFIX = "paasta.yelp.com"


def deployment(name: str, *, image: str = "registry.invalid/web:1", replicas: int = 2, cpu: str = "10m") -> Object:
    labels = {f"{PREFIX}/service": name, f"{PREFIX}/instance": "main"}
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class Shop:
    """A namespace with deployments in it."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.admin = control_plane.admin
        self.namespace = namespace
        self._wait = control_plane.wait_for

    def path(self, name: str) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"

    def apply(self, manifest: Object) -> None:
        self.admin.apply(self.path(manifest["metadata"]["name"]), manifest, manager="test")

    def pods(self) -> list[Object]:
        return self.admin.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def events(self) -> list[Object]:
        return self.admin.items(f"/api/v1/namespaces/{self.namespace}/events")

    def until(self, what: str, is_so: Callable[[], bool], timeout: float = 15) -> None:
        self._wait(what, is_so, timeout)

    def until_ready(self, name: str, replicas: int) -> None:
        def is_ready() -> bool:
            found = self.admin.get(self.path(name))
            status = found.get("status", {})
            counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
            return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [replicas] * 3

        self.until(f"{replicas} replicas of {name}", is_ready)

    def waiting(self) -> str:
        """The reason for which the first pod's container waits."""
        for pod in self.pods():
            for container in pod["status"].get("containerStatuses", []):
                return str(container["state"].get("waiting", {}).get("reason", ""))
        return ""


@pytest.fixture
def shop(control_plane: ControlPlane, cluster: Cluster, kubelet: TestKubelet) -> Shop:
    return Shop(control_plane, cluster.namespace("shop"))


def test_a_deployment_is_rolled_out_changed_scaled_and_deleted(shop: Shop, kubelet: TestKubelet) -> None:
    shop.apply(deployment("web"))
    shop.until_ready("web", 2)
    first = {pod["metadata"]["uid"] for pod in shop.pods()}

    shop.apply(deployment("web", image="registry.invalid/web:2", replicas=3))
    shop.until_ready("web", 3)
    shop.until("the old pods' end", lambda: not first & {pod["metadata"]["uid"] for pod in shop.pods()})

    shop.admin.delete(shop.path("web"), {"propagationPolicy": "Background"})
    shop.until("the end of all pods", lambda: not shop.pods())
    assert not kubelet.problems


def test_pods_are_ready_when_they_are_told_to_be(shop: Shop, kubelet: TestKubelet) -> None:
    kubelet.slow(1.5, service="web")
    shop.apply(deployment("web", replicas=1))
    started = time.monotonic()
    shop.until("the pod", lambda: bool(shop.pods()))
    shop.until_ready("web", 1)
    assert time.monotonic() - started >= 1.5


def test_an_image_that_cannot_be_pulled(shop: Shop, kubelet: TestKubelet) -> None:
    kubelet.pull_fails("manifest unknown", image=":broken$")
    shop.apply(deployment("web", image="registry.invalid/web:broken", replicas=1))
    shop.until("ErrImagePull", lambda: shop.waiting() == "ErrImagePull")
    shop.until("ImagePullBackOff", lambda: shop.waiting() == "ImagePullBackOff")
    (pod,) = shop.pods()
    assert pod["status"]["phase"] == "Pending"
    assert "manifest unknown" in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert {"Failed", "BackOff"} <= {event["reason"] for event in shop.events()}

    shop.apply(deployment("web", image="registry.invalid/web:good", replicas=1))
    shop.until_ready("web", 1)


def test_a_container_that_crashes_and_its_log(shop: Shop, kubelet: TestKubelet, control_plane: ControlPlane) -> None:
    kubelet.crashes(service="web", exit_code=3, logs="one\ntwo\nthree\n")
    shop.apply(deployment("web", replicas=1))
    shop.until("CrashLoopBackOff", lambda: shop.waiting() == "CrashLoopBackOff")
    (pod,) = shop.pods()
    name = pod["metadata"]["name"]
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3

    logs = f"/api/v1/namespaces/{shop.namespace}/pods/{name}/log?container=main&tailLines=2"
    with control_plane.deployer() as deployer:
        assert deployer.raw("GET", logs) == b"two\nthree\n"
        shop.until("a restart", lambda: shop.pods()[0]["status"]["containerStatuses"][0]["restartCount"] > 0)
        assert deployer.raw("GET", f"{logs}&previous=true") == b"two\nthree\n"


def test_a_pod_that_was_not_restarted_has_no_earlier_log(shop: Shop, control_plane: ControlPlane) -> None:
    shop.apply(deployment("web", replicas=1))
    shop.until_ready("web", 1)
    name = shop.pods()[0]["metadata"]["name"]
    with control_plane.deployer() as deployer, pytest.raises(Refused, match="previous terminated container"):
        deployer.raw("GET", f"/api/v1/namespaces/{shop.namespace}/pods/{name}/log?previous=true")


def test_a_readiness_probe_that_fails(shop: Shop, kubelet: TestKubelet) -> None:
    kubelet.never_ready("connection refused", instance="main")
    shop.apply(deployment("web", replicas=1))

    def unhealthy() -> list[str]:
        return [event["message"] for event in shop.events() if event["reason"] == "Unhealthy"]

    shop.until("its event", lambda: bool(unhealthy()))
    assert unhealthy() == ["Readiness probe failed: connection refused"]
    (pod,) = shop.pods()
    conditions = {condition["type"]: condition for condition in pod["status"]["conditions"]}
    assert (pod["status"]["phase"], conditions["Ready"]["status"]) == ("Running", "False")

    kubelet.reset()
    shop.until_ready("web", 1)


def test_a_pod_that_fits_nowhere(shop: Shop) -> None:
    shop.apply(deployment("web", replicas=1, cpu="10k"))

    def reason() -> str:
        conditions = [condition for pod in shop.pods() for condition in pod["status"].get("conditions", [])]
        return "".join(condition.get("message", "") for condition in conditions)

    shop.until("the scheduler's word", lambda: bool(reason()))
    assert "Insufficient cpu" in reason()
    assert not [pod for pod in shop.pods() if pod["spec"].get("nodeName")]


def test_a_pod_that_takes_its_time_to_end(shop: Shop, kubelet: TestKubelet) -> None:
    kubelet.behave(Behaviour(stops_after=1.5), service="web")
    shop.apply(deployment("web", replicas=1))
    shop.until_ready("web", 1)
    shop.apply(deployment("web", replicas=0))
    shop.until("its end to begin", lambda: "deletionTimestamp" in shop.pods()[0]["metadata"])
    started = time.monotonic()
    shop.until("its end", lambda: not shop.pods())
    assert time.monotonic() - started > 1

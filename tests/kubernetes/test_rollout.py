# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rollouts as the real controllers and the real scheduler do them, waited for as the deployer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import verdict
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from cluster import Cluster
from control_plane import ControlPlane
from pod_states import Behaviour
from services import Deployer, P, sha
from test_kubelet import TestKubelet
from webhook import AdmissionWebhook


@pytest.fixture
def deployer(control_plane: ControlPlane, cluster: Cluster) -> Iterator[Deployer]:
    api = Api(access({"kubeconfig": str(control_plane.deployer_kubeconfig)}), patience=5.0)
    yield Deployer(api, cluster.name)
    api.close()


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.namespace("web")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_rollout_is_waited_for_until_nothing_old_is_left(
    control_plane: ControlPlane, deployer: Deployer, namespace: str, kubelet: TestKubelet, kind: str
) -> None:
    kubelet.slow(1.0, service="web")
    assert deployer.wait(deployer.apply(namespace, "web", "one", kind=kind)) == {"web.main": ""}
    target = deployer.apply(namespace, "web", "two", kind=kind)
    assert deployer.wait(target) == {"web.main": ""}
    pods = control_plane.admin.items(f"/api/v1/namespaces/{namespace}/pods")
    there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["metadata"]["labels"][f"{P}/git_sha"] for pod in there} == {sha("two")}
    assert len(there) == 2
    assert deployer.texts["web.main"][-1] == "2 of 2 ready (1 of 1 instances)"
    assert any("old left" in text for text in deployer.texts["web.main"])


def test_stopping_and_scaling(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    assert deployer.wait(deployer.apply(namespace, "web", "one", replicas=3)) == {"web.main": ""}
    assert deployer.wait(deployer.apply(namespace, "web", "one", replicas=1)) == {"web.main": ""}
    live = deployer.api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web-main")
    assert live["status"]["replicas"] == 1
    assert deployer.wait(deployer.apply(namespace, "web", "one", replicas=0)) == {"web.main": ""}
    assert deployer.texts["web.main"][-1].startswith("stopped")


def test_one_crash_loop_ends_early_while_others_go_on(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    old = deployer.apply(namespace, "web", "good")
    assert deployer.wait(old) == {"web.main": ""}
    kubelet.crashes(service="web", image=":bad$", exit_code=3, logs="starting\nno such table: users hunter22\n")
    kubelet.slow(14.0, service="api")
    targets = [deployer.apply(namespace, "web", "bad"), deployer.apply(namespace, "api", "good")]
    started = time.monotonic()
    results = deployer.wait(*targets, redact=lambda text: text.replace("hunter22", "***"))
    assert results["api.main"] == ""
    failed = results["web.main"]
    assert "crashes again and again: 0 of 2 new replicas ready, 2 old left" in failed
    # Whether it waits for its next try or runs once more when it is looked at is chance.
    assert "CrashLoopBackOff" in failed or "restart" in failed
    assert "exit code 3" in failed
    assert "| no such table: users ***" in failed
    assert "2 of version good0000 still serve" in failed
    order = [change.target.id for change in deployer.heard if change.finished]
    assert order == ["web.main", "web.main", "api.main"]
    assert time.monotonic() - started < 40


def test_an_image_that_cannot_be_pulled_is_waited_for_until_the_time_is_up(
    deployer: Deployer, namespace: str, kubelet: TestKubelet
) -> None:
    kubelet.pull_fails("manifest unknown", service="web")
    target = deployer.apply(namespace, "web", "one")
    started = time.monotonic()
    failed = deployer.wait(target, timeout=8.0)["web.main"]
    assert 8.0 <= time.monotonic() - started < 15.0
    assert failed.startswith(f"Deployment {namespace}/web-main is not done after 8 s: 0 of 2 new replicas ready")
    assert "manifest unknown" in failed
    assert "Is the image in the registry" in failed
    assert any("ImagePullBackOff" in text for text in deployer.texts["web.main"][:-1])


def test_a_pull_that_heals_is_a_success(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    kubelet.pull_fails("manifest unknown", service="web")
    timer = threading.Timer(5.0, kubelet.reset)
    timer.start()
    assert deployer.wait(deployer.apply(namespace, "web", "one")) == {"web.main": ""}
    timer.join()


def test_a_failing_probe_and_what_it_said(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    kubelet.never_ready("HTTP probe failed with statuscode: 503", service="web")
    failed = deployer.wait(deployer.apply(namespace, "web", "one"), timeout=5.0)["web.main"]
    assert "its readiness probe has not passed yet" in failed
    assert "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503" in failed
    assert "answer its health check" in failed


def test_the_schedulers_reason(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    def greedy(manifest: dict) -> None:
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "500"}}

    failed = deployer.wait(deployer.apply(namespace, "web", "one", edit=greedy), timeout=4.0)["web.main"]
    assert "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu" in failed
    assert "No node fits" in failed


def test_a_volume_that_nobody_provides(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    def claiming(manifest: dict) -> None:
        request = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
        claim = {"metadata": {"name": "data"}, "spec": {**request, "storageClassName": "nowhere"}}
        manifest["spec"]["volumeClaimTemplates"] = [claim]
        mounts = [{"name": "data", "mountPath": "/data"}]
        manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts

    target = deployer.apply(namespace, "web", "one", kind="StatefulSet", edit=claiming)
    failed = deployer.wait(target, timeout=5.0)["web.main"]
    assert "PersistentVolumeClaim data-web-main-0: Pending, storage class nowhere" in failed


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_quota_ends_the_wait_early(
    control_plane: ControlPlane,
    deployer: Deployer,
    namespace: str,
    kubelet: TestKubelet,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(verdict, "REFUSAL_SECONDS", 3.0)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "1"}},
    }
    control_plane.admin.create(f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
    control_plane.wait_for(
        "the quota's status",
        lambda: "hard" in control_plane.admin.get(f"/api/v1/namespaces/{namespace}/resourcequotas/small")["status"],
    )
    started = time.monotonic()
    failed = deployer.wait(deployer.apply(namespace, "web", "one", kind=kind))["web.main"]
    assert time.monotonic() - started < 30.0
    assert "may not create its pods" in failed
    assert "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1" in failed
    assert f"Raise the quota of namespace {namespace}" in failed


def test_an_admission_webhook_that_refuses_pods(
    deployer: Deployer,
    namespace: str,
    kubelet: TestKubelet,
    webhook: AdmissionWebhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict, "REFUSAL_SECONDS", 3.0)
    webhook.refuse("images must be signed", kind="Pod")
    failed = deployer.wait(deployer.apply(namespace, "web", "one"))["web.main"]
    assert "may not create its pods" in failed
    assert "images must be signed" in failed


def test_a_missing_key_of_a_secret(
    deployer: Deployer, namespace: str, kubelet: TestKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "CONFIG_SECONDS", 2.0)
    kubelet.behave(Behaviour(config_error="couldn't find key token in Secret web/main"), service="web")
    failed = deployer.wait(deployer.apply(namespace, "web", "one"))["web.main"]
    assert "cannot start: 0 of 2 new replicas ready" in failed
    assert "CreateContainerConfigError: couldn't find key token in Secret web/main" in failed
    assert "Does every Secret and ConfigMap" in failed


def test_a_container_that_runs_out_of_memory(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    kubelet.crashes(service="web", exit_code=137, logs="loading\n")
    failed = deployer.wait(deployer.apply(namespace, "web", "one", kind="StatefulSet"))["web.main"]
    assert "crashes again and again" in failed
    assert "exit code 137, OOMKilled" in failed
    assert "Out of memory: raise mem" in failed


def test_the_progress_deadline(deployer: Deployer, namespace: str, kubelet: TestKubelet) -> None:
    def hasty(manifest: dict) -> None:
        manifest["spec"]["progressDeadlineSeconds"] = 3

    kubelet.never_ready(service="web")
    target = deployer.apply(namespace, "web", "one", edit=hasty)
    failed = deployer.wait(target)["web.main"]
    assert "made no progress within its progressDeadlineSeconds" in failed
    # Run again when the reason is gone: what the deadline says is of before, and does not end the wait.
    timer = threading.Timer(2.0, kubelet.reset)
    timer.start()
    assert deployer.wait(target) == {"web.main": ""}
    timer.join()


def test_a_broken_old_pod_blocks_a_stateful_set_and_is_named(
    deployer: Deployer, namespace: str, kubelet: TestKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "BLOCKED_SECONDS", 4.0)
    good = deployer.apply(namespace, "web", "good", kind="StatefulSet")
    assert deployer.wait(good) == {"web.main": ""}
    kubelet.crashes(service="web", image=":bad$")
    deployer.wait(deployer.apply(namespace, "web", "bad", kind="StatefulSet"), timeout=5.0)
    back = deployer.apply(namespace, "web", "good", kind="StatefulSet")
    failed = deployer.wait(back, timeout=30.0)["web.main"]
    assert "is blocked by a broken pod of another version" in failed
    assert f"kubectl -n {namespace} delete pod web-main-1" in failed
    assert "last output of web-main-1:" in failed


def test_a_workload_that_somebody_deletes(
    control_plane: ControlPlane, deployer: Deployer, namespace: str, kubelet: TestKubelet
) -> None:
    kubelet.never_ready(service="web")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web-main"
    target = deployer.apply(namespace, "web", "one")
    timer = threading.Timer(1.5, control_plane.admin.delete, [path])
    timer.start()
    assert "was deleted while its rollout was waited for" in deployer.wait(target)["web.main"]
    timer.join()


def test_a_workload_that_somebody_changes(
    control_plane: ControlPlane, deployer: Deployer, namespace: str, kubelet: TestKubelet
) -> None:
    kubelet.never_ready(service="web")
    target = deployer.apply(namespace, "web", "one")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web-main/scale"
    change = {"spec": {"replicas": 5}}
    timer = threading.Timer(1.5, lambda: control_plane.admin.patch(path, change, fieldManager="somebody"))
    timer.start()
    failed = deployer.wait(target)["web.main"]
    assert "somebody has set replicas 5, planned are 2. Run the deploy again" in failed
    timer.join()


def test_an_api_server_that_restarts_meanwhile(
    control_plane: ControlPlane, deployer: Deployer, namespace: str, kubelet: TestKubelet
) -> None:
    kubelet.slow(5.0, service="web")
    target = deployer.apply(namespace, "web", "one")
    results: dict[str, str] = {}
    waiter = threading.Thread(target=lambda: results.update(deployer.wait(target, timeout=120.0)))
    waiter.start()
    time.sleep(1.5)
    with control_plane.apiserver_down():
        # Longer than the transport's patience here.
        time.sleep(8.0)
    waiter.join()
    assert results == {"web.main": ""}


def test_a_hundred_rollouts_are_watched_by_one_watch_for_each_kind(
    control_plane: ControlPlane, deployer: Deployer, cluster: Cluster, kubelet: TestKubelet
) -> None:
    kubelet.behave(Behaviour(ready_after=2.0))
    namespace = cluster.namespace("many")
    targets = [deployer.apply(namespace, f"s{n}", "one", replicas=1) for n in range(100)]
    with control_plane.requests() as requests:
        results = deployer.wait(*targets, timeout=120.0)
    assert set(results.values()) == {""}
    assert len(results) == 100
    assert requests.count("list") <= 2 + len({target.namespace for target in targets})
    assert requests.count("watch") <= 2
    assert deployer.heard[-1].text.endswith("(100 of 100 instances)")

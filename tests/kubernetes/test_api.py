# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The transport on a real API server: what it is there for is what goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import (
    ApiError,
    Expired,
    Unreachable,
)
from client import Client, Object
from cluster import Cluster
from control_plane import ControlPlane
from fault_proxy import FaultProxy
from webhook import AdmissionWebhook

Open = Callable[..., Api]
MANAGER = "paasta"


@pytest.fixture
def open_api(control_plane: ControlPlane) -> Iterator[Open]:
    """Api's of the deployer, or of another kubeconfig."""
    opened: list[Api] = []

    def open_(kubeconfig: Path = control_plane.deployer_kubeconfig, **options: Any) -> Api:
        opened.append(Api(access({"kubeconfig": str(kubeconfig)}), **options))
        return opened[-1]

    yield open_
    for api in opened:
        api.close()


@pytest.fixture
def proxied(open_api: Open, control_plane: ControlPlane, fault_proxy: FaultProxy) -> Callable[..., Api]:
    def open_(**options: Any) -> Api:
        return open_api(control_plane.deployer_kubeconfig_at(fault_proxy.url), **options)

    return open_


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.namespace("api")


def configmap(namespace: str, name: str | int, value: str = "v") -> Object:
    metadata = {"name": f"c-{name}", "namespace": namespace, "labels": {"test": "api"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}}


def configmaps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def names(admin: Client, namespace: str) -> set[str]:
    return {item["metadata"]["name"] for item in admin.items(configmaps(namespace), labelSelector="test=api")}


def apply_all(api: Api, namespace: str, count: int, done: Callable[[int], None] = lambda _: None) -> list[Any]:
    """Apply so many configmaps at once; what became of each. ``done`` is told how many are."""
    counted = iter(range(1, count + 1))

    def one(number: int) -> Object:
        result = api.apply(configmap(namespace, number), manager=MANAGER)
        done(next(counted))
        return result

    return api.map(one, range(count))


def failures(results: list[Any]) -> list[str]:
    return [str(result) for result in results if isinstance(result, Exception)]


# Servers that fail


def test_the_api_server_is_killed_half_way_and_comes_back(
    open_api: Open, control_plane: ControlPlane, namespace: str
) -> None:
    half = threading.Event()
    api = open_api()
    with ThreadPoolExecutor(1) as background:
        applying = background.submit(apply_all, api, namespace, 300, lambda done: half.set() if done == 150 else None)
        assert half.wait(60)
        with control_plane.apiserver_down():
            time.sleep(1)
        results = applying.result(timeout=90)
    assert not failures(results)
    assert names(control_plane.admin, namespace) == {f"c-{number}" for number in range(300)}


def test_a_server_that_stays_away_is_told_in_time(open_api: Open, control_plane: ControlPlane, namespace: str) -> None:
    api = open_api(patience=1.5)
    with control_plane.apiserver_down():
        started = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer"):
            api.apply(configmap(namespace, 1), manager=MANAGER)
        assert 0.5 < time.monotonic() - started < 5
    api.apply(configmap(namespace, 1), manager=MANAGER)


def test_etcd_stands_still_for_three_seconds(open_api: Open, control_plane: ControlPlane, namespace: str) -> None:
    api = open_api(timeout=2.0)
    timer = threading.Timer(3.0, control_plane.cont_etcd)
    started = time.monotonic()
    with control_plane.etcd_stopped():
        timer.start()
        results = apply_all(api, namespace, 20)
    timer.join()
    assert not failures(results)
    assert time.monotonic() - started >= 3
    assert len(names(control_plane.admin, namespace)) == 20


@pytest.mark.parametrize("after", [False, True], ids=["before it arrived", "after it was carried out"])
def test_connections_are_reset(
    proxied: Open, fault_proxy: FaultProxy, control_plane: ControlPlane, namespace: str, after: bool
) -> None:
    fault_proxy.reset(method="PATCH", after=after, times=5)
    assert not failures(apply_all(proxied(), namespace, 10))
    assert fault_proxy.count("PATCH") == 15
    assert len(names(control_plane.admin, namespace)) == 10


def test_a_create_that_may_have_been_carried_out_is_not_repeated(
    proxied: Open, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.reset(method="POST", after=True)
    with pytest.raises(Unreachable, match="may have been carried out"):
        proxied().request("POST", configmaps(namespace), body=configmap(namespace, 1))
    assert fault_proxy.count("POST") == 1


def test_a_delete_of_a_certain_object_is_repeated(
    proxied: Open, fault_proxy: FaultProxy, control_plane: ControlPlane, namespace: str
) -> None:
    made = control_plane.admin.create(configmaps(namespace), configmap(namespace, 1))
    fault_proxy.reset(method="DELETE", after=True, times=1)
    proxied().delete(f"v1/ConfigMap/{namespace}/c-1", uid=made["metadata"]["uid"])
    assert fault_proxy.count("DELETE") == 2
    assert not names(control_plane.admin, namespace)


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_server_in_trouble_is_asked_again(
    proxied: Open, fault_proxy: FaultProxy, namespace: str, status: int
) -> None:
    fault_proxy.answer(status, message="etcdserver: request timed out", times=2)
    assert proxied().apply(configmap(namespace, 1), manager=MANAGER)["metadata"]["uid"]
    assert fault_proxy.count() == 3


# Too many requests


def test_a_storm_of_429_with_retry_after(
    proxied: Open, fault_proxy: FaultProxy, control_plane: ControlPlane, namespace: str
) -> None:
    fault_proxy.answer(429, retry_after=1, method="PATCH", times=30)
    assert not failures(apply_all(proxied(), namespace, 60))
    assert len(names(control_plane.admin, namespace)) == 60
    assert fault_proxy.count("PATCH") == 90
    refused: dict[str, float] = {}
    for seen in fault_proxy.requests:
        if seen.path in refused:
            assert seen.at - refused[seen.path] >= 1, seen.path
        if seen.status == 429:
            refused[seen.path] = seen.at
    assert refused


def test_429_without_retry_after_and_for_what_is_not_repeated_otherwise(
    proxied: Open, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.answer(429, method="POST", times=2)
    proxied().request("POST", configmaps(namespace), body=configmap(namespace, 1))
    assert [seen.status for seen in fault_proxy.requests] == [429, 429, 201]


def test_429_for_ever_ends_in_the_servers_words(proxied: Open, fault_proxy: FaultProxy, namespace: str) -> None:
    fault_proxy.answer(429, message="too many of you")
    with pytest.raises(ApiError, match="too many of you") as raised:
        proxied(patience=1.0).apply(configmap(namespace, 1), manager=MANAGER)
    assert (raised.value.status, raised.value.subject) == (429, f"PATCH ConfigMap {namespace}/c-1")


# Credentials


def test_a_token_that_has_expired_is_renewed_once_for_all(
    open_api: Open, control_plane: ControlPlane, namespace: str
) -> None:
    plugin = control_plane.exec_plugin("expired")
    plugin.give(control_plane.short_token(-1))
    api = open_api(plugin.kubeconfig)
    with pytest.raises(ApiError) as raised:
        api.list(configmaps(namespace))
    assert raised.value.status == 401
    asked = plugin.calls

    plugin.give(control_plane.deployer_token)
    assert not failures(apply_all(api, namespace, 40))
    assert asked < plugin.calls <= asked + 3


# What the server says


def test_conflicts_name_field_and_manager(open_api: Open, namespace: str) -> None:
    api = open_api()
    api.apply(configmap(namespace, 1), manager="somebody")
    with pytest.raises(ApiError) as raised:
        api.apply(configmap(namespace, 1, "other"), manager=MANAGER)
    assert (raised.value.status, raised.value.reason) == (409, "Conflict")
    (cause,) = raised.value.details["causes"]
    assert (cause["field"], "somebody" in cause["message"]) == (".data.k", True)
    assert api.apply(configmap(namespace, 1, "other"), manager=MANAGER, force=True)["data"] == {"k": "other"}


def test_a_dry_run_changes_nothing(open_api: Open, control_plane: ControlPlane, namespace: str) -> None:
    with control_plane.requests() as seen:
        answer = open_api().apply(configmap(namespace, 1), manager=MANAGER, dry_run=True)
    assert answer["metadata"]["uid"]
    assert (seen.count("patch"), seen.writes(), names(control_plane.admin, namespace)) == (1, [], set())


def test_what_is_forbidden_is_told_with_the_object(open_api: Open) -> None:
    with pytest.raises(ApiError, match="cannot delete resource") as raised:
        open_api().delete("v1/Namespace//default")
    assert (raised.value.status, raised.value.subject) == (403, "DELETE Namespace default")


def test_a_webhooks_refusal_is_told_in_its_words(
    open_api: Open, control_plane: ControlPlane, webhook: AdmissionWebhook, namespace: str
) -> None:
    webhook.refuse("images come from our registry only", kind="ConfigMap")
    api = open_api()

    def refused() -> bool:
        """A new webhook is known to the API server only after a moment."""
        try:
            api.apply(configmap(namespace, 1), manager=MANAGER, dry_run=True)
        except ApiError as error:
            return "images come from our registry only" in str(error)
        return False

    control_plane.wait_for("the refusal", refused)
    with pytest.raises(ApiError, match="images come from our registry only") as raised:
        api.apply(configmap(namespace, 1), manager=MANAGER)
    assert raised.value.subject.startswith("PATCH ConfigMap ")


# Many objects, many requests


def test_five_thousand_foreign_objects_are_listed(open_api: Open, control_plane: ControlPlane, foreign: str) -> None:
    api = open_api()
    with control_plane.requests() as seen:
        items, version = api.list("/apis/apps/v1/deployments")
    ours = [item for item in items if item["metadata"]["namespace"] == foreign]
    assert len({item["metadata"]["uid"] for item in ours}) == 5000
    assert {(item["apiVersion"], item["kind"]) for item in ours} == {("apps/v1", "Deployment")}
    assert int(version) > 0
    assert seen.count("list") >= 10, "in pages"


def test_only_metadata_and_only_what_a_selector_fits(open_api: Open, foreign: str) -> None:
    api = open_api()
    items, _version = api.list("/apis/apps/v1/deployments", metadata_only=True)
    assert len(items) >= 5000
    assert all("spec" not in item for item in items)
    items, _version = api.list("/apis/apps/v1/deployments", label_selector="paasta.yelp.com/managed=true")
    assert not [item for item in items if item["metadata"]["namespace"] == foreign]


def test_connections_are_kept(proxied: Open, fault_proxy: FaultProxy, namespace: str) -> None:
    assert not failures(apply_all(proxied(concurrency=4), namespace, 100))
    assert fault_proxy.count("PATCH") == 100
    assert fault_proxy.connections <= 4


def test_changes_keep_to_the_rate(open_api: Open, namespace: str) -> None:
    api = open_api(rate=20)
    started = time.monotonic()
    assert not failures(apply_all(api, namespace, 30))
    assert time.monotonic() - started >= 29 / 20


# Watches


class Watcher:
    """The names of a namespace's configmaps as a list and watches tell of them, gathered by a thread."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.names: list[str] = []
        self._api = api
        self._path = configmaps(namespace)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._gather, args=(self._list(),), daemon=True)
        self._thread.start()

    def _list(self) -> str:
        items, version = self._api.list(self._path, label_selector="test=api")
        self.names += [item["metadata"]["name"] for item in items if item["metadata"]["name"] not in self.names]
        return version

    def _gather(self, version: str) -> None:
        while not self._stop.is_set():
            try:
                for event in self._api.watch(
                    self._path, label_selector="test=api", resource_version=version, stop=self._stop
                ):
                    self.names.append(event["object"]["metadata"]["name"])
            except Expired:
                version = self._list()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_a_watch_goes_on_when_connections_break(
    proxied: Open, fault_proxy: FaultProxy, control_plane: ControlPlane, namespace: str
) -> None:
    fault_proxy.cut(0.3)
    watcher = Watcher(proxied(), namespace)
    for number in range(20):
        control_plane.admin.create(configmaps(namespace), configmap(namespace, number))
        time.sleep(0.1)
    control_plane.wait_for("all events", lambda: len(watcher.names) >= 20, 15)
    watcher.stop()
    assert watcher.names == [f"c-{number}" for number in range(20)], "each once, in order"
    assert sum("watch" in seen.query for seen in fault_proxy.requests) > 3


def test_a_watch_goes_on_when_the_api_server_was_away(
    open_api: Open, control_plane: ControlPlane, namespace: str
) -> None:
    watcher = Watcher(open_api(), namespace)
    control_plane.admin.create(configmaps(namespace), configmap(namespace, 1))
    control_plane.wait_for("the first event", lambda: watcher.names == ["c-1"], 15)
    with control_plane.apiserver_down():
        pass
    control_plane.admin.create(configmaps(namespace), configmap(namespace, 2))
    control_plane.wait_for("the second event", lambda: len(watcher.names) > 1, 30)
    watcher.stop()
    assert watcher.names == ["c-1", "c-2"], "each once"


def test_a_version_that_is_too_old_is_told(open_api: Open, namespace: str) -> None:
    watch = open_api().watch(configmaps(namespace), resource_version="1", stop=threading.Event())
    with pytest.raises(Expired):
        list(watch)

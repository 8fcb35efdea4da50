# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One control plane for all tests; a cluster name of its own, and a kubelet that knows nothing yet, for each."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from binaries import programs
from cluster import LABEL, Cluster
from control_plane import ControlPlane
from deploys import Deploys
from fault_proxy import FaultProxy
from test_kubelet import TestKubelet
from webhook import AdmissionWebhook


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    # Getting the programs may take minutes, and says so.
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        programs()
    with ControlPlane() as control_plane:
        yield control_plane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What fills the API server comes last: it stays there."""
    items.sort(key=lambda item: "foreign" in getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The logs of the control plane belong to the report of a test that fails."""
    report = yield
    control_plane = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and control_plane:
        report.sections.append(("control plane", control_plane.programs.tails()))
    return report


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    cluster = Cluster(control_plane.admin)
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def _nodes(control_plane: ControlPlane) -> Iterator[TestKubelet]:
    with TestKubelet(control_plane.host, control_plane.authority) as kubelet:
        kubelet.add_node(labels={"yelp.com/pool": "default"})
        yield kubelet


@pytest.fixture
def kubelet(_nodes: TestKubelet) -> Iterator[TestKubelet]:
    """The test kubelet with one node, on which pods are ready at once unless the test says otherwise."""
    yield _nodes
    _nodes.reset()


@pytest.fixture(scope="session")
def foreign(control_plane: ControlPlane) -> str:
    """A namespace with 5,000 deployments of somebody else's. They are paused, or the controllers would work on them."""
    namespace = Cluster(control_plane.admin).namespace("foreign")
    labels = {"app": "foreign"}
    spec = {
        "paused": True,
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i.invalid/i"}]}},
    }

    def create(number: int) -> None:
        metadata = {"name": f"f-{number}", "labels": labels}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        control_plane.admin.raw("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body=body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(5000)))
    return namespace


@pytest.fixture
def fault_proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    """Lets everything through until the test says otherwise. control_plane.deployer_kubeconfig_at(url) goes with it."""
    pair = control_plane.authority.issue("fault-proxy", hosts=("127.0.0.1",))
    with FaultProxy(control_plane.host, control_plane.ca, pair) as proxy:
        yield proxy


@pytest.fixture
def webhook(control_plane: ControlPlane, cluster: Cluster) -> Iterator[AdmissionWebhook]:
    """Asked about everything in namespaces of this cluster, and content with it until the test says otherwise."""
    with AdmissionWebhook(control_plane, namespaces={LABEL: cluster.name}) as webhook:
        yield webhook


@pytest.fixture
def deploys(control_plane: ControlPlane, cluster: Cluster, tmp_path: Path) -> Deploys:
    """Empty soa-configs of this cluster, deployed with the deployer's rights."""
    directory = tmp_path / "soa-configs"
    directory.mkdir()
    return Deploys(directory, control_plane.deployer_kubeconfig, cluster.name, cluster.service)

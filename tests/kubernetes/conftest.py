# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One control plane for all tests; a cluster name of its own, and a kubelet that knows nothing yet, for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from binaries import programs
from cluster import Cluster
from control_plane import ControlPlane
from test_kubelet import TestKubelet


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    # Getting the programs may take minutes, and says so.
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        programs()
    with ControlPlane() as control_plane:
        yield control_plane


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
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
        kubelet.add_node()
        yield kubelet


@pytest.fixture
def kubelet(_nodes: TestKubelet) -> Iterator[TestKubelet]:
    """The test kubelet with one node, on which pods are ready at once unless the test says otherwise."""
    yield _nodes
    _nodes.reset()

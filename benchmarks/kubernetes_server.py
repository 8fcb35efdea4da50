# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The API server that ``benchmarks/kubernetes.py`` measures against: the control plane of tests/kubernetes."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "kubernetes"))

from control_plane import ControlPlane

CONTROLLERS = ("kube-scheduler", "kube-controller-manager")


@dataclass(frozen=True)
class Server:
    """An API server, a user of it, and a directory for whoever uses it.

    :ivar kubeconfig: of the deployer, who has the rights of examples/kubernetes/deployer.yml and no others.
    """

    directory: Path
    kubeconfig: str
    plane: ControlPlane

    def rest(self) -> None:
        """End the scheduler and the controllers, once these have seen every Deployment."""
        if "kube-controller-manager" not in self.plane.programs.names():
            return
        while not all(item.get("status") for item in self.plane.admin.items("/apis/apps/v1/deployments")):
            time.sleep(2)
        for name in CONTROLLERS:
            self.plane.programs.kill(name)

    def count(self, path: str) -> int:
        """How many objects a collection has."""
        page = self.plane.admin.get(f"{path}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))


@contextmanager
def started(scratch: Path, controllers: bool) -> Iterator[Server]:
    """A new control plane; without controllers only etcd and the API server stay."""
    with ControlPlane(audit=False) as plane, tempfile.TemporaryDirectory(dir=scratch) as directory:
        for name in () if controllers else CONTROLLERS:
            plane.programs.kill(name)
        yield Server(Path(directory), str(plane.deployer_kubeconfig), plane)

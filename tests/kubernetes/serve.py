#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A control plane to try things out on, with test nodes that claim to run pods. It stays until Ctrl-C.

    .venv/bin/python tests/kubernetes/serve.py [--nodes 3] [--user deployer]

Prints a line for a shell, export KUBECONFIG=..., when it is ready.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from control_plane import ControlPlane
from test_kubelet import TestKubelet


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1, help="how many test nodes; with 0, pods stay unscheduled")
    parser.add_argument("--user", choices=("admin", "deployer"), default="admin", help="whose kubeconfig is printed")
    arguments = parser.parse_args()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with (
        ControlPlane(audit=False) as control_plane,
        TestKubelet(control_plane.host, control_plane.authority) as kubelet,
    ):
        for _ in range(arguments.nodes):
            kubelet.add_node()
        kubeconfigs = {"admin": control_plane.admin_kubeconfig, "deployer": control_plane.deployer_kubeconfig}
        print(f"export KUBECONFIG={kubeconfigs[arguments.user]}", flush=True)
        print(f"# logs are in {control_plane.directory}; Ctrl-C ends it all", flush=True)
        while not stop.wait(1):
            control_plane.programs.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())

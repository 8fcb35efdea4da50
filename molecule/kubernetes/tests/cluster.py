# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster under test, asked as an administrator does: with kubectl on a control-plane host."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterable
from typing import Any

from driver import CommandFailed, Platform, docker, wait_for

FIRST = "node1"
NODES = ("node1", "node2", "node3", "node4")
CONTROL_PLANE = NODES[:3]  # and members of etcd
REGISTRY = "node1:5000"
PLATFORM = Platform("molecule-kubernetes", "127.0.0.78", ("node4",))
PORT = 8080
PATIENCE = 120.0  # seconds


def hosts(*nodes: str) -> list[str]:
    """For ``testinfra_hosts``: by ``docker exec``, which takes a tenth of the time that it takes by way of Ansible."""
    return [f"docker://{PLATFORM.container(node)}" for node in nodes]


#: How etcdctl asks the member of the host that it runs on.
ETCD = (
    "--endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt"
    " --cert /etc/kubernetes/pki/etcd/client.crt --key /etc/kubernetes/pki/etcd/client.key"
)

#: What a pod of the tests runs: it answers with its own name and the address that asks.
SERVER = f"""
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((os.environ["HOSTNAME"] + " " + self.client_address[0]).encode())
http.server.ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""

Object = dict[str, Any]


class Cluster:
    """kubectl on a host of the control plane."""

    def __init__(self, host: Any = None, node: str = FIRST) -> None:
        """testinfra's object of the host is for tests that want it. ``node``: another host of the control plane."""
        self.host = host
        self._node = PLATFORM.container(node)

    def run(self, command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """A shell's command on the host, with a text to read."""
        words = ["docker", "exec", "--interactive", self._node, "sh", "-c", command]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=2 * PATIENCE)

    def output(self, command: str, text: str = "") -> str:
        """What it prints. Raises CommandFailed."""
        done = self.run(command, text)
        if done.returncode:
            raise CommandFailed(f"{command}: {done.stderr}{done.stdout}")
        return done.stdout.rstrip("\n")

    def kubectl(self, *words: str) -> str:
        """What it prints; it must succeed."""
        return self.output(f"kubectl --kubeconfig /etc/kubernetes/admin.conf {shlex.join(words)}")

    def get(self, *words: str) -> Object:
        """What the API server has, as ``kubectl get`` names it."""
        return dict(json.loads(self.kubectl("get", *words, "--output=json")))

    def apply(self, *manifests: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self.output("kubectl --kubeconfig /etc/kubernetes/admin.conf apply --server-side --filename=-", text)

    def members(self) -> dict[str, bool]:
        """Which members etcd has, and whether they have a vote."""
        found = json.loads(self.output(f"etcdctl {ETCD} member list --write-out json"))["members"]
        return {each["name"]: not each.get("isLearner") for each in found}

    def image(self) -> str:
        """An image with Python that the cluster's registry has; ``KUBERNETES_TEST_IMAGE`` names another."""
        if given := os.environ.get("KUBERNETES_TEST_IMAGE"):
            return given
        tags = json.loads(self.output(f"curl -sSf http://{REGISTRY}/v2/services-web/tags/list"))["tags"]
        return f"{REGISTRY}/services-web:{tags[0]}"

    def namespace(self, name: str) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        # Pods are refused until it is there.
        wait_for("service account default", lambda: self.get("serviceaccounts", f"--namespace={name}")["items"])
        return name

    def remove(self, namespace: str) -> None:
        self.kubectl("delete", "namespace", namespace, "--wait=false")

    def serve(self, namespace: str, nodes: Iterable[str] = NODES, image: str = "") -> None:
        """One pod on each node that answers on :data:`PORT`, named as the node, and service ``all`` before them."""
        used = image or self.image()
        metadata = {"namespace": namespace, "labels": {"app": "all"}}
        pods = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**metadata, "name": node},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {
                            "name": "main",
                            "image": used,
                            "command": ["python3", "-c", SERVER],
                            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                        }
                    ],
                },
            }
            for node in nodes
        ]
        ports = [{"port": 80, "targetPort": PORT}]
        spec = {"selector": {"app": "all"}, "ports": ports}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {**metadata, "name": "all"}, "spec": spec}
        self.apply(*pods, service)
        self.wait_ready(namespace)

    def wait_ready(self, namespace: str) -> None:
        self.kubectl(
            "wait", "pods", "--all", f"--namespace={namespace}", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s"
        )

    def addresses(self, namespace: str) -> dict[str, str]:
        """Address of each pod, by the node it is named after. Raises CommandFailed while one has none."""
        pods = self.get("pods", f"--namespace={namespace}")["items"]
        found = {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in pods}
        if without := [name for name, address in found.items() if not address]:
            raise CommandFailed(f"pods without an address: {', '.join(without)}")
        return found

    def python(self, namespace: str, pod: str, code: str) -> str:
        """What Python prints in a pod."""
        return self.kubectl("exec", f"--namespace={namespace}", pod, "--", "python3", "-c", code).strip()

    def fetch(self, namespace: str, pod: str, *urls: str) -> list[str]:
        """What a pod gets from addresses, or the error in place of it."""
        code = f"""
import urllib.request
for url in {list(urls)!r}:
    try:
        print(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(url, timeout=5).read().decode())
    except OSError as error:
        print("error:", error)
"""
        return self.python(namespace, pod, code).splitlines()


def restart(node: str) -> None:
    """What a reboot is for a machine that is a container."""
    docker("restart", "--time=60", PLATFORM.container(node))

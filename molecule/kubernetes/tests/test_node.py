# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What kubelet, kube-proxy and containerd of a node do for pods, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster import FIRST, NODES, Cluster, Object, hosts, restart
from driver import wait_for

testinfra_hosts = hosts(FIRST)
NAMESPACE = "test-node"
PAUSE = "localhost/paasta/pause:host"
IMAGES = f"ctr --namespace k8s.io images ls name=={PAUSE}"


@pytest.fixture(scope="module")
def cluster(host: Any) -> Iterator[Cluster]:
    cluster = Cluster(host)
    cluster.namespace(NAMESPACE)
    cluster.serve(NAMESPACE, [FIRST])
    yield cluster
    cluster.remove(NAMESPACE)


def pod(cluster: Cluster, name: str, code: str, **container: Any) -> Object:
    """A pod on the first node that runs Python once."""
    main = {"name": "main", "image": cluster.image(), "command": ["python3", "-c", code], **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {"nodeName": FIRST, "restartPolicy": "Never", "containers": [main]},
    }


def ended(cluster: Cluster, name: str) -> Object:
    """How a pod's container has ended, as soon as it has."""

    def look() -> Object:
        statuses = cluster.get("pod", name, f"--namespace={NAMESPACE}")["status"].get("containerStatuses", [{}])
        return dict(statuses[0].get("state", {}).get("terminated", {}))

    return dict(wait_for(f"pod {name} has ended", look))


def main_pid(host: Any, unit: str) -> str:
    return str(host.check_output(f"systemctl show --property=MainPID --value {unit}"))


def restarts(cluster: Cluster) -> int:
    return int(cluster.get("pod", FIRST, f"--namespace={NAMESPACE}")["status"]["containerStatuses"][0]["restartCount"])


def test_every_node_is_ready_and_has_its_labels(cluster: Cluster) -> None:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert set(nodes) == set(NODES)
    for name, node in nodes.items():
        states = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        assert states["Ready"] == "True", name
        assert node["metadata"]["labels"]["yelp.com/pool"] == "default", name


def test_kubelet_knows_who_asks(cluster: Cluster) -> None:
    addresses = cluster.get("node", FIRST)["status"]["addresses"]
    address = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    answer = "curl --silent --output /dev/null --write-out '%{http_code}' --cacert /etc/kubernetes/pki/ca.crt"
    # Its certificate is of the cluster's authority and has its address, or curl would print 000.
    assert cluster.host.check_output(f"{answer} https://{address}:10250/pods") == "401"
    own = "--cert /etc/kubernetes/pki/kube-proxy.crt --key /etc/kubernetes/pki/kube-proxy.key"
    assert cluster.host.check_output(f"{answer} {own} https://{address}:10250/pods") == "403"
    assert cluster.host.run(f"curl --silent http://{address}:10255/pods").rc != 0


def test_logs_of_a_pod(cluster: Cluster) -> None:
    cluster.apply(pod(cluster, "says", "print('hello from a pod')"))
    assert ended(cluster, "says")["exitCode"] == 0
    assert cluster.kubectl("logs", f"--namespace={NAMESPACE}", "says").strip() == "hello from a pod"


def test_memory_of_a_container_has_its_limit(cluster: Cluster) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    cluster.apply(pod(cluster, "greedy", "print(len(bytearray(200 << 20)))", **limits))
    assert ended(cluster, "greedy")["reason"] == "OOMKilled"


def test_containers_are_as_those_of_docker(cluster: Cluster) -> None:
    """A seccomp profile, and ports below 1024 for everybody."""
    code = """
import re, socket
print(re.search("Seccomp:\\t(.)", open("/proc/self/status").read())[1])
socket.socket().bind(("", 80))
"""
    cluster.apply(pod(cluster, "low-port", code, securityContext={"runAsUser": 1000}))
    assert ended(cluster, "low-port")["exitCode"] == 0, cluster.kubectl("logs", f"--namespace={NAMESPACE}", "low-port")
    assert cluster.kubectl("logs", f"--namespace={NAMESPACE}", "low-port").strip() == "2"


@pytest.mark.parametrize("unit", ["kubelet", "containerd", "kube-proxy"])
def test_pods_run_on_while_a_unit_dies(cluster: Cluster, unit: str) -> None:
    host = cluster.host
    before, ran = main_pid(host, unit), restarts(cluster)
    host.check_output(f"systemctl kill --signal=KILL --kill-whom=main {unit}.service")
    wait_for(f"{unit} runs again", lambda: main_pid(host, unit) not in ("0", before))
    wait_for("kubelet is well", lambda: host.run("curl --silent --fail http://127.0.0.1:10248/healthz").rc == 0)
    wait_for("kube-proxy is well", lambda: host.run("curl --silent --fail http://127.0.0.1:10256/healthz").rc == 0)
    cluster.kubectl("wait", f"pod/{FIRST}", f"--namespace={NAMESPACE}", "--for=condition=Ready", "--timeout=120s")
    assert restarts(cluster) == ran
    assert cluster.fetch(NAMESPACE, FIRST, "http://all/")[0].startswith(FIRST)


def test_the_pause_image_comes_back(cluster: Cluster) -> None:
    """As when kubelet removes it because the disk is full."""
    host = cluster.host
    assert "io.cri-containerd.pinned=pinned" in host.check_output(IMAGES)
    host.check_output(f"ctr --namespace k8s.io images rm {PAUSE}")
    assert PAUSE not in host.check_output(IMAGES)
    wait_for("the image is there", lambda: PAUSE in host.check_output(IMAGES), timeout=90)
    cluster.apply(pod(cluster, "after", "pass"))
    assert ended(cluster, "after")["exitCode"] == 0


def test_pods_come_back_after_a_reboot(cluster: Cluster) -> None:
    ran = restarts(cluster)
    restart(FIRST)
    wait_for("the API server answers", lambda: cluster.host.run("curl -ksf https://127.0.0.1:7443/readyz").rc == 0)
    wait_for("the pod was started again", lambda: restarts(cluster) > ran)
    cluster.kubectl("wait", f"pod/{FIRST}", f"--namespace={NAMESPACE}", "--for=condition=Ready", "--timeout=120s")
    wait_for("the pod answers", lambda: cluster.fetch(NAMESPACE, FIRST, "http://all/")[0].startswith(FIRST))

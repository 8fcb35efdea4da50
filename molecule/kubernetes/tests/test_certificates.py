# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""All certificates are renewed, and whoever uses them goes on."""

from __future__ import annotations

import pytest
from cluster import FIRST, PLATFORM, Cluster
from driver import WEB, Platform

pytestmark = pytest.mark.life

FILES = ("apiserver.crt", "kubelet.crt", "kubelet-serving.crt", "etcd/server.crt", "etcd/client.crt")


def serials() -> dict[str, str]:
    """Of the first host's certificates, those of the API server and kubelet as they present themselves."""
    found = {}
    for file in FILES:
        command = ("openssl", "x509", "-noout", "-serial", "-in", f"/etc/kubernetes/pki/{file}")
        found[file] = PLATFORM.node(FIRST, *command)
    for name, port in (("API server", 6443), ("kubelet", 10250), ("etcd", 2379)):
        shown = f"openssl s_client -connect $(hostname -i | cut -d' ' -f1):{port} </dev/null 2>/dev/null"
        found[name] = PLATFORM.node(FIRST, "sh", "-c", f"{shown} | openssl x509 -noout -serial")
    return found


def test_all_are_listed(platform: Platform) -> None:
    output = platform.play("certificates").output
    for text in ("kubelet-serving.crt", "etcd/ca.crt", "deployer"):
        assert text in output


def test_all_are_renewed_and_nobody_notices(platform: Platform) -> None:
    before, cluster = serials(), Cluster()
    with platform.traffic(WEB) as seen:
        platform.play("certificates", renew=True)
    assert seen.failures == []
    after = serials()
    assert not {name for name in before if before[name] == after[name]}
    cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=60s")
    # As who deploys, whose certificate is a new one as well.
    assert platform.play("deploy").changed == 0

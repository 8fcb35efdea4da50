# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The CIS Kubernetes Benchmark's checks of worker nodes (4.1 to 4.3), by their numbers, on every node.

The configuration is in effect: the process has read it after it was written, and no flag says anything else.
Left out on purpose: 4.2.11 and 4.2.12 (kubelet does not renew its certificates: Ansible issues and renews them).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from cluster import NODES, hosts
from test_cis_control_plane import STRONG

testinfra_hosts = hosts(*NODES)

Config = dict[str, Any]

KUBELET = "/etc/kubernetes/kubelet.yaml"
PROXY = "/etc/kubernetes/kube-proxy.yaml"
#: Flags that say where something is or who the node is; everything else is in the configuration.
FLAGS = {"config", "kubeconfig", "hostname-override", "node-ip", "node-labels"}

#: One look at a host: flags of each process, whether it is older than its configuration, and files with their modes.
LOOK = """
import glob, grp, json, os, pwd, subprocess
found = {"flags": {}, "stale": [], "files": {}}
for name in ("kubelet", "kube-proxy"):
    pid = subprocess.check_output(["systemctl", "show", "--property=MainPID", "--value", name], text=True).strip()
    words = open("/proc/" + pid + "/cmdline").read().split(chr(0)) if pid != "0" else []
    found["flags"][name] = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    if pid == "0" or os.stat("/etc/kubernetes/" + name + ".yaml").st_ctime > os.stat("/proc/" + pid).st_ctime:
        found["stale"].append(name)
for pattern in ("/etc/systemd/system/kubelet.service", "/etc/kubernetes/kube*", "/etc/kubernetes/pki/*"):
    for path in glob.glob(pattern):
        status = os.stat(path)
        owner = pwd.getpwuid(status.st_uid).pw_name + ":" + grp.getgrgid(status.st_gid).gr_name
        found["files"][path] = [owner, status.st_mode & 0o777, os.path.isdir(path)]
print(json.dumps(found))
"""


def at(config: Config, path: str) -> Any:
    for key in path.split("."):
        config = config.get(key, {}) if isinstance(config, dict) else {}
    return config


def equals(path: str, value: Any) -> Callable[[Config], bool]:
    return lambda config: at(config, path) == value


def differs(path: str, value: Any) -> Callable[[Config], bool]:
    return lambda config: at(config, path) not in ({}, value)


def has(*paths: str) -> Callable[[Config], bool]:
    return lambda config: all(at(config, path) not in ({}, "", None) for path in paths)


CHECKS: list[tuple[str, str, Callable[[Config], bool]]] = [
    ("4.2.1 nobody is anonymous", KUBELET, equals("authentication.anonymous.enabled", False)),
    ("4.2.2 not AlwaysAllow", KUBELET, equals("authorization.mode", "Webhook")),
    ("4.2.3 authority of clients", KUBELET, equals("authentication.x509.clientCAFile", "/etc/kubernetes/pki/ca.crt")),
    ("4.2.4 no port without questions", KUBELET, equals("readOnlyPort", 0)),
    ("4.2.5 idle streams end", KUBELET, differs("streamingConnectionIdleTimeout", "0s")),
    ("4.2.6 settings of the kernel", KUBELET, equals("protectKernelDefaults", True)),
    ("4.2.7 chains of iptables", KUBELET, equals("makeIPTablesUtilChains", True)),
    ("4.2.9 events are kept", KUBELET, lambda config: 0 < at(config, "eventRecordQPS") <= 50),
    ("4.2.10 own certificate", KUBELET, has("tlsCertFile", "tlsPrivateKeyFile")),
    ("4.2.13 strong ciphers", KUBELET, lambda config: set() < set(at(config, "tlsCipherSuites")) <= STRONG),
    ("4.2.14 a limit of processes", KUBELET, lambda config: at(config, "podPidsLimit") > 0),
    ("4.2.15 seccomp", KUBELET, equals("seccompDefault", True)),
    ("no pods of files", KUBELET, lambda config: not at(config, "staticPodPath") and not at(config, "staticPodURL")),
    ("no profiling of kubelet", KUBELET, equals("enableProfilingHandler", False)),
    ("no TLS before 1.2", KUBELET, lambda config: at(config, "tlsMinVersion") in ("VersionTLS12", "VersionTLS13")),
    ("4.3.1 metrics for the host only", PROXY, lambda config: at(config, "metricsBindAddress").startswith("127.")),
    ("no profiling of kube-proxy", PROXY, equals("enableProfiling", False)),
]

#: Files, and the widest mode they may have. All are root's.
MODES: list[tuple[str, str, int]] = [
    ("4.1.1, 4.1.2", "/etc/systemd/system/kubelet.service", 0o600),
    ("4.1.3, 4.1.4", "/etc/kubernetes/kube-proxy.conf", 0o600),
    ("4.1.5, 4.1.6", "/etc/kubernetes/kubelet.conf", 0o600),
    ("4.1.7, 4.1.8", "/etc/kubernetes/pki/ca.crt", 0o644),
    ("4.1.9, 4.1.10", KUBELET, 0o600),
    ("key of kubelet", "/etc/kubernetes/pki/kubelet.key", 0o600),
    ("key of kubelet's API", "/etc/kubernetes/pki/kubelet-serving.key", 0o600),
    ("key of kube-proxy", "/etc/kubernetes/pki/kube-proxy.key", 0o600),
]


@pytest.fixture(scope="module")
def seen(host: Any) -> dict[str, Any]:
    return dict(json.loads(host.check_output("python3 -c %s", LOOK)))


@pytest.fixture(scope="module")
def configurations(host: Any) -> dict[str, Config]:
    return {path: yaml.safe_load(host.file(path).content_string) for path in (KUBELET, PROXY)}


def test_the_configuration_is_in_effect(seen: dict[str, Any]) -> None:
    assert seen["stale"] == []
    assert seen["flags"]["kubelet"]["config"] == KUBELET
    assert set(seen["flags"]["kubelet"]) <= FLAGS
    assert seen["flags"]["kube-proxy"] == {"config": PROXY}


@pytest.mark.parametrize(("name", "path", "holds"), CHECKS, ids=[check[0] for check in CHECKS])
def test_configuration(
    configurations: dict[str, Config], name: str, path: str, holds: Callable[[Config], bool]
) -> None:
    assert holds(configurations[path]), f"{name}: {path} has {configurations[path]}"


@pytest.mark.parametrize(("number", "path", "widest"), MODES, ids=[mode[0] for mode in MODES])
def test_file(seen: dict[str, Any], number: str, path: str, widest: int) -> None:
    owner, mode, _directory = seen["files"][path]
    assert owner == "root:root", f"{number}: {path}"
    assert mode & ~widest == 0, f"{number}: {path} has mode {mode:04o}"


def test_no_key_is_for_others(seen: dict[str, Any]) -> None:
    keys = {path: mode for path, (_owner, mode, _directory) in seen["files"].items() if path.endswith(".key")}
    assert keys
    assert not {path: oct(mode) for path, mode in keys.items() if mode & 0o077}

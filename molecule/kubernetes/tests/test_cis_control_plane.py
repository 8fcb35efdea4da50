# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The CIS Kubernetes Benchmark's checks of the control plane and etcd that are about files and flags, by their numbers.

Looked at as they are in effect: the arguments and environment of the processes that run, and the files on the host.
What the benchmark says of the manifests of pods (1.1.1 to 1.1.8) goes for the files that these programs read here.
Units are readable by all, as systemd wants it: anybody can ask it what is in them, and there is no secret in them.
Left out on purpose: 1.2.1 (anonymous requests are limited to paths of health instead) and 1.2.11 (AlwaysPullImages: a
pod would not start while the registry is away, and images of this platform are not secrets between its tenants).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cluster import CONTROL_PLANE, hosts

testinfra_hosts = hosts(*CONTROL_PLANE)

Flags = dict[str, str]
#: What is looked at, who is asked, and what must hold for the flags.
Check = tuple[str, str, Callable[[Flags], bool]]

STRONG = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}

#: Of every process: its arguments, or for etcd its environment, as flags. One look at a host for all checks.
PROCESSES = """
import json, subprocess
found = {}
for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"):
    pid = subprocess.check_output(["systemctl", "show", "--property=MainPID", "--value", name], text=True).strip()
    kind = "environ" if name == "etcd" else "cmdline"
    words = open(f"/proc/{pid}/{kind}").read().split(chr(0)) if pid != "0" else []
    if name == "etcd":
        pairs = [w[5:].partition("=") for w in words if w.startswith("ETCD_")]
        words = ["--" + key.lower().replace("_", "-") + "=" + value for key, _equals, value in pairs]
    found[name] = dict(w[2:].partition("=")[::2] for w in words if w.startswith("--"))
print(json.dumps(found))
"""

FILES = """
import glob, grp, json, os, pwd
found = {}
for pattern in (
    "/etc/kubernetes/*.conf", "/etc/kubernetes/control-plane", "/etc/kubernetes/control-plane/*",
    "/etc/kubernetes/pki", "/etc/kubernetes/pki/**", "/etc/systemd/system/kube-*.service",
    "/etc/systemd/system/etcd.service", "/etc/etcd/etcd.env", "/var/lib/etcd", "/var/log/kubernetes/audit.log",
):
    for path in glob.glob(pattern, recursive=True):
        status = os.stat(path)
        try:
            who = pwd.getpwuid(status.st_uid).pw_name + ":" + grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            who = "nobody known"
        found[path] = [who, status.st_mode & 0o777, os.path.isdir(path)]
print(json.dumps(found))
"""


def items(flags: Flags, name: str) -> set[str]:
    return set(flags.get(name, "").split(",")) - {""}


def has(*names: str) -> Callable[[Flags], bool]:
    return lambda flags: all(flags.get(name) for name in names)


def lacks(name: str) -> Callable[[Flags], bool]:
    return lambda flags: name not in flags


def equals(name: str, value: str) -> Callable[[Flags], bool]:
    return lambda flags: flags.get(name) == value


def differs(name: str, value: str) -> Callable[[Flags], bool]:
    return lambda flags: flags.get(name) != value


def lists(name: str, value: str) -> Callable[[Flags], bool]:
    return lambda flags: value in items(flags, name)


def lists_not(name: str, value: str) -> Callable[[Flags], bool]:
    return lambda flags: value not in items(flags, name)


def at_least(name: str, least: int) -> Callable[[Flags], bool]:
    return lambda flags: int(flags.get(name, 0)) >= least


def strong(name: str) -> Callable[[Flags], bool]:
    return lambda flags: bool(items(flags, name)) and items(flags, name) <= STRONG


CHECKS: list[Check] = [
    ("1.2.2 no file of tokens", "kube-apiserver", lacks("token-auth-file")),
    ("1.2.3 DenyServiceExternalIPs", "kube-apiserver", lists("enable-admission-plugins", "DenyServiceExternalIPs")),
    ("1.2.4 certificate for kubelets", "kube-apiserver", has("kubelet-client-certificate", "kubelet-client-key")),
    ("1.2.5 authority of kubelets", "kube-apiserver", has("kubelet-certificate-authority")),
    ("1.2.6 not AlwaysAllow", "kube-apiserver", lists_not("authorization-mode", "AlwaysAllow")),
    ("1.2.7 Node", "kube-apiserver", lists("authorization-mode", "Node")),
    ("1.2.8 RBAC", "kube-apiserver", lists("authorization-mode", "RBAC")),
    ("1.2.9 EventRateLimit", "kube-apiserver", lists("enable-admission-plugins", "EventRateLimit")),
    ("1.2.10 not AlwaysAdmit", "kube-apiserver", lists_not("enable-admission-plugins", "AlwaysAdmit")),
    ("1.2.12 ServiceAccount", "kube-apiserver", lists_not("disable-admission-plugins", "ServiceAccount")),
    ("1.2.13 NamespaceLifecycle", "kube-apiserver", lists_not("disable-admission-plugins", "NamespaceLifecycle")),
    ("1.2.14 NodeRestriction", "kube-apiserver", lists("enable-admission-plugins", "NodeRestriction")),
    ("1.2.15 no profiling", "kube-apiserver", equals("profiling", "false")),
    ("1.2.16 audit log", "kube-apiserver", has("audit-log-path", "audit-policy-file")),
    ("1.2.17 audit log, days", "kube-apiserver", at_least("audit-log-maxage", 30)),
    ("1.2.18 audit log, files", "kube-apiserver", at_least("audit-log-maxbackup", 10)),
    ("1.2.19 audit log, size", "kube-apiserver", at_least("audit-log-maxsize", 100)),
    ("1.2.20 time for requests", "kube-apiserver", differs("request-timeout", "0s")),
    ("1.2.21 accounts are looked up", "kube-apiserver", differs("service-account-lookup", "false")),
    ("1.2.22 key of service accounts", "kube-apiserver", has("service-account-key-file")),
    ("1.2.23 certificate for etcd", "kube-apiserver", has("etcd-certfile", "etcd-keyfile")),
    ("1.2.24 own certificate", "kube-apiserver", has("tls-cert-file", "tls-private-key-file")),
    ("1.2.25 authority of clients", "kube-apiserver", has("client-ca-file")),
    ("1.2.26 authority of etcd", "kube-apiserver", has("etcd-cafile")),
    ("1.2.27 encryption at rest", "kube-apiserver", has("encryption-provider-config")),
    ("1.2.29 strong ciphers", "kube-apiserver", strong("tls-cipher-suites")),
    ("1.2.30 tokens end", "kube-apiserver", equals("service-account-extend-token-expiration", "false")),
    ("1.3.1 pods that ended go", "kube-controller-manager", at_least("terminated-pod-gc-threshold", 1)),
    ("1.3.2 no profiling", "kube-controller-manager", equals("profiling", "false")),
    ("1.3.3 an account for each", "kube-controller-manager", equals("use-service-account-credentials", "true")),
    ("1.3.4 key of service accounts", "kube-controller-manager", has("service-account-private-key-file")),
    ("1.3.5 authority for pods", "kube-controller-manager", has("root-ca-file")),
    (
        "1.3.6 certificates of kubelets are renewed",
        "kube-controller-manager",
        lists_not("feature-gates", "RotateKubeletServerCertificate=false"),
    ),
    ("1.3.7 loopback only", "kube-controller-manager", equals("bind-address", "127.0.0.1")),
    ("1.4.2 loopback only", "kube-scheduler", equals("bind-address", "127.0.0.1")),
    ("2.1 own certificate", "etcd", has("cert-file", "key-file")),
    ("2.2 clients have certificates", "etcd", equals("client-cert-auth", "true")),
    ("2.3 signed by our authority", "etcd", differs("auto-tls", "true")),
    ("2.4 certificate for members", "etcd", has("peer-cert-file", "peer-key-file")),
    ("2.5 members have certificates", "etcd", equals("peer-client-cert-auth", "true")),
    ("2.6 signed by our authority", "etcd", differs("peer-auto-tls", "true")),
]


@pytest.fixture(scope="module")
def flags(host: Any) -> dict[str, Flags]:
    return dict(json.loads(host.check_output("python3 -c %s", PROCESSES)))


@pytest.fixture(scope="module")
def files(host: Any) -> dict[str, tuple[str, int, bool]]:
    return {
        path: (who, mode, folder)
        for path, (who, mode, folder) in json.loads(host.check_output("python3 -c %s", FILES)).items()
    }


@pytest.mark.parametrize(("title", "program", "holds"), CHECKS, ids=[check[0].replace(" ", "-") for check in CHECKS])
def test_flag(flags: dict[str, Flags], title: str, program: str, holds: Callable[[Flags], bool]) -> None:
    if program == "etcd" and not flags["etcd"]:
        pytest.skip("no member of etcd on this host")
    assert flags[program], f"{program} does not run"
    assert holds(flags[program]), f"{title}: {flags[program]}"


@pytest.mark.parametrize(
    ("pattern", "least", "owner"),
    [
        ("/etc/kubernetes/control-plane/", 1, "root:root"),  # 1.1.1 to 1.1.8
        ("/etc/kubernetes/admin.conf", 1, "root:root"),  # 1.1.13, 1.1.14
        ("/etc/kubernetes/scheduler.conf", 0, "root:root"),  # 1.1.15, 1.1.16
        ("/etc/kubernetes/controller-manager.conf", 0, "root:root"),  # 1.1.17, 1.1.18
    ],
)
def test_only_root_reads_what_the_programs_are_told(
    files: dict[str, tuple[str, int, bool]], pattern: str, least: int, owner: str
) -> None:
    found = {
        path: (who, mode) for path, (who, mode, folder) in files.items() if path.startswith(pattern) and not folder
    }
    assert len(found) >= least
    assert {path: access for path, access in found.items() if access != (owner, 0o600)} == {}


def test_units_are_written_by_root_alone(files: dict[str, tuple[str, int, bool]]) -> None:
    found = {path: (who, mode) for path, (who, mode, _folder) in files.items() if path.endswith((".service", ".env"))}
    assert "/etc/systemd/system/kube-apiserver.service" in found
    assert {path: access for path, access in found.items() if access != ("root:root", 0o644)} == {}


def test_data_of_etcd_is_its_own(files: dict[str, tuple[str, int, bool]]) -> None:
    """1.1.11 and 1.1.12."""
    if "/var/lib/etcd" not in files:
        pytest.skip("no member of etcd on this host")
    assert files["/var/lib/etcd"][:2] == ("etcd:etcd", 0o700)


def test_keys_and_certificates(files: dict[str, tuple[str, int, bool]]) -> None:
    """1.1.19 to 1.1.21."""
    pki = {path: access for path, access in files.items() if path.startswith("/etc/kubernetes/pki")}
    assert {path: who for path, (who, _mode, _folder) in pki.items() if who != "root:root"} == {}
    keys = {path: mode for path, (_who, mode, _folder) in pki.items() if path.endswith((".key", "encryption.yaml"))}
    assert len(keys) >= 8
    assert {path: oct(mode) for path, mode in keys.items() if mode & 0o177} == {}
    certificates = {path: mode for path, (_who, mode, _folder) in pki.items() if path.endswith((".crt", ".pub"))}
    assert len(certificates) >= 8
    assert {path: oct(mode) for path, mode in certificates.items() if mode & 0o133} == {}


def test_nobody_else_reads_the_audit_log(files: dict[str, tuple[str, int, bool]]) -> None:
    """1.1.x of programs that are no pods, and what 1.2.16 makes."""
    assert files["/var/log/kubernetes/audit.log"][1] == 0o600


def test_the_scheduler_is_not_profiled(host: Any) -> None:
    """1.4.1, which with a configuration file is in that."""
    assert "\nenableProfiling: false\n" in host.file("/etc/kubernetes/control-plane/scheduler.yaml").content_string


def test_the_authority_of_etcd_is_its_own(host: Any) -> None:
    """2.7."""
    pki = "/etc/kubernetes/pki"
    assert host.file(f"{pki}/etcd/ca.crt").content_string != host.file(f"{pki}/ca.crt").content_string


def test_secrets_are_encrypted_with_a_strong_cipher(host: Any) -> None:
    """1.2.28; the file is looked at for the names of providers, and never shown."""
    names = host.check_output("grep -oE '(secretbox|aesgcm|aescbc|kms|identity):' /etc/kubernetes/pki/encryption.yaml")
    providers = names.replace(":", "").split()
    assert providers[0] in ("secretbox", "kms", "aesgcm", "aescbc")
    assert providers[-1] == "identity"


def test_strangers_learn_of_health_and_nothing_else(host: Any) -> None:
    """1.2.1, as AuthenticationConfiguration puts it."""
    paths = ("/livez", "/readyz", "/healthz", "/version", "/api", "/metrics", "/api/v1/secrets")
    urls = " ".join(f"-o /dev/null https://127.0.0.1:6443{path}" for path in paths)
    codes = host.check_output(f"curl -sk -w '%{{http_code}} ' {urls}").split()
    assert dict(zip(paths, codes, strict=True)) == dict(zip(paths, ["200"] * 3 + ["401"] * 4, strict=True))


@pytest.mark.parametrize("port", [6443, 2379, 2380])
def test_old_tls_is_refused(host: Any, flags: dict[str, Flags], port: int) -> None:
    address = flags["kube-apiserver"]["advertise-address"]
    result = host.run(f"echo | openssl s_client -connect {address}:{port} -tls1_1 -cipher 'DEFAULT@SECLEVEL=0'")
    assert result.rc != 0
    assert "protocol version" in result.stderr

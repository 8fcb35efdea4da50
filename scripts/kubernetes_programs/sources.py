# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the programs of a Kubernetes cluster are: their versions, official archives with digests, and Go packages.

The directory modules/<family>-<version> pins the Go modules of a build (go.mod) and has their checksums (go.sum).
Versions and digests are also in roles/kubernetes (defaults/main.yml, vars/main/programs.yml); a test compares them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Not the newest minor: 1.34's kubelet is the last that runs on cgroup v1 hosts without being told to, and with the
# containerd 1.6 of Debian 12. Both are what the node containers have.
VERSION = "v1.34.4"
MODULES = Path(__file__).resolve().parent / "modules"


class NoPrograms(Exception):
    """No place has them, or one has something else than it should."""


@dataclass(frozen=True)
class Archive:
    url: str
    algorithm: str
    checksums: Mapping[str, str]  # architecture -> digest
    directory: str  # of the programs in the archive


@dataclass(frozen=True)
class Family:
    """Programs of one version that come from the same place."""

    name: str
    version: str
    packages: Mapping[str, str]  # program -> Go package
    archive: Archive
    stamps: Mapping[str, str] = field(default_factory=dict)  # Go variable -> value, where a build has to be told

    @property
    def modules(self) -> Path:
        return MODULES / f"{self.name}-{self.version}"

    @property
    def cache(self) -> Path:
        prefix = "" if self.name == "kubernetes" else f"{self.name}-"
        return cache_root() / f"{prefix}{self.version}-{architecture()}"


def architecture() -> str:
    machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in names:
        raise NoPrograms(f"Kubernetes has no server for the architecture {machine}; there is {', '.join(names)}")
    return names[machine]


def cache_root() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "paasta", "kubernetes")


CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE = ("kubelet", "kube-proxy")

# From the CHANGELOG of the minor version. What is not here can be built.
_KUBERNETES_SHA512 = {
    "v1.34.4": {
        "amd64": "65c75e81e3ea488f6d42b493cad64d7577ddfa1e5372037a1c841ac069039997"
        "d359b5b2f2d44e7665bf04c48ed0065cf9d4c9801b1e63bb6a1b099ef00d4863",
        "arm64": "a1fad7060ed67b5634f32f3256a295179dd887dab5c82b8550c2eb62c69df34c"
        "fbb311c8f93e7608d558eba32b9e2ddc23976db39e512fd747cc6bf9b4c1765f",
    },
}


def kubernetes(version: str = VERSION) -> Family:
    known = sorted(path.name.removeprefix("kubernetes-") for path in MODULES.glob("kubernetes-*"))
    if version not in known:
        raise NoPrograms(f"Kubernetes {version} is not among the versions that can be had here: {', '.join(known)}")
    major, minor, _patch = version.removeprefix("v").split(".")
    stamped = "k8s.io/component-base/version"
    return Family(
        "kubernetes",
        version,
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in (*CONTROL_PLANE, *NODE)},
        Archive(
            f"https://dl.k8s.io/{version}/kubernetes-server-linux-{{architecture}}.tar.gz",
            "sha512",
            _KUBERNETES_SHA512.get(version, {}),
            "kubernetes/server/bin",
        ),
        {
            f"{stamped}.gitVersion": version,
            f"{stamped}.gitMajor": major,
            f"{stamped}.gitMinor": minor,
            f"{stamped}.gitTreeState": "archive",
            "k8s.io/client-go/pkg/version.gitVersion": version,
        },
    )


ETCD = Family(
    "etcd",
    "v3.6.5",
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
        "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
    },
    Archive(  # digests: SHA256SUMS of the release
        "https://github.com/etcd-io/etcd/releases/download/v3.6.5/etcd-v3.6.5-linux-{architecture}.tar.gz",
        "sha256",
        {
            "amd64": "66bad39ed920f6fc15fd74adcb8bfd38ba9a6412f8c7852d09eb11670e88cac3",
            "arm64": "7010161787077b07de29b15b76825ceacbbcedcb77fe2e6832f509be102cab6b",
        },
        "etcd-v3.6.5-linux-{architecture}",
    ),
)

# Of these the digests of the releases are not known here: they are built.
COREDNS = Family(
    "coredns",
    "v1.12.1",
    {"coredns": "github.com/coredns/coredns"},
    Archive(
        "https://github.com/coredns/coredns/releases/download/v1.12.1/coredns_1.12.1_linux_{architecture}.tgz",
        "sha256",
        {},
        ".",
    ),
)
METRICS_SERVER = Family(
    "metrics-server",
    "v0.9.0",
    {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    Archive(
        "https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/metrics-server-linux-{architecture}",
        "sha256",
        {},
        ".",
    ),
    {"sigs.k8s.io/metrics-server/pkg/version.gitVersion": "v0.9.0"},
)

# For a build where there is no Go, or one too old to get a newer one by itself: the Go that upstream's release is built
# with, from the module proxy, where Go's own releases are modules. As from the checksum database sum.golang.org.
GO = Archive(
    "/golang.org/toolchain/@v/v0.0.1-go1.24.13.linux-{architecture}.zip",
    "sha256",
    {"amd64": "d2b048367a3d1a748b87f756fa06df12ce3b419e1d5f2a3612acb8950d615f9f"},
    "golang.org/toolchain@v0.0.1-go1.24.13.linux-{architecture}",
)
OLDEST_GO = (1, 21)

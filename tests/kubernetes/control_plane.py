# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A control plane of Kubernetes on the loopback: etcd, API server, controller manager and scheduler, nothing else.

    with ControlPlane() as control_plane:
        control_plane.admin.get("/version")
        subprocess.run([..., f"--kubeconfig={control_plane.deployer_kubeconfig}"])

As in a cluster of kubeadm there are TLS, certificates, RBAC, the default admission plugins, priority and fairness, and
the real controllers. Nothing runs pods: see test_kubelet.py. Several control planes run side by side.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import urllib3
from binaries import programs
from certificates import Authority, Pair, TokenSigner
from client import Client, Refused
from kubeconfigs import ExecPlugin, kubeconfig
from processes import Ended, Programs, free_ports, memory_directory

ROOT = Path(__file__).resolve().parents[2]
DEPLOYER = ROOT / "examples/kubernetes/deployer.yml"
DEPLOYER_NAMESPACE, DEPLOYER_NAME = "paasta", "paasta-deployer"
DEPLOYER_USER = f"system:serviceaccount:{DEPLOYER_NAMESPACE}:{DEPLOYER_NAME}"
ISSUER = "https://kubernetes.default.svc.cluster.local"
PATIENCE = 60.0

# What the deployer asks of the API server, one line each. Nobody else's requests, for those are many.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "omitManagedFields": True,
    "rules": [{"level": "Metadata", "users": [DEPLOYER_USER]}, {"level": "None"}],
}


@dataclass
class Requests:
    """What the deployer asked while this was open: audit events, see audit.k8s.io/v1."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def count(self, *verbs: str) -> int:
        return sum(event["verb"] in verbs for event in self.events)

    def writes(self) -> list[str]:
        """Requests that changed something, as "verb resource namespace/name"."""
        changing = ("create", "update", "patch", "delete", "deletecollection")
        return [
            f"{event['verb']} {event['objectRef']['resource']} "
            f"{event['objectRef'].get('namespace', '')}/{event['objectRef'].get('name', '')}"
            for event in self.events
            if event["verb"] in changing and "dryRun=All" not in event["requestURI"]
        ]


class ControlPlane:
    """Started by entering it.

    host: URL of the API server. ca: file of its CA's certificate. admin_kubeconfig: of a member of system:masters.
    deployer_kubeconfig: of the service account in examples/kubernetes/deployer.yml, by token. admin: a client.
    """

    def __init__(self, *, audit: bool = True) -> None:
        self._programs_found = programs()
        self.directory = Path(tempfile.mkdtemp(prefix="paasta-kubernetes-", dir=memory_directory()))
        self.programs = Programs(self.directory)
        self._audit = audit
        self._etcd_port, self._etcd_peer_port, self._port = free_ports(3)
        self.host = f"https://127.0.0.1:{self._port}"
        self.authority = Authority(self.directory)
        self.ca = self.authority.certificate
        self.signer = TokenSigner(self.directory, ISSUER)
        self._admin_pair = self.authority.issue("paasta-test-admin", groups=("system:masters",))
        self._kubelet_client = self.authority.issue("kube-apiserver-kubelet-client", groups=("system:masters",))
        hosts = ("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1")
        self._server_pair = self.authority.issue("kube-apiserver", hosts=hosts)
        self.admin = Client(self.host, self.ca, pair=self._admin_pair)
        self.admin_kubeconfig = self.user_kubeconfig("admin", pair=self._admin_pair)
        self.deployer_token = ""
        self.deployer_kubeconfig = self.directory / "deployer.kubeconfig"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):
                error.add_note(self.programs.tails())
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.admin.close()
        self.programs.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    # Starting

    def _start(self) -> None:
        self._start_etcd()
        self.start_apiserver()
        self.kubectl("apply", "--server-side", f"--filename={DEPLOYER}")
        answer = self.admin.create(
            f"/api/v1/namespaces/{DEPLOYER_NAMESPACE}/serviceaccounts/{DEPLOYER_NAME}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}},
        )
        self.deployer_token = answer["status"]["token"]
        self.user_kubeconfig("deployer", token=self.deployer_token)
        # Pods need it, and that it is there shows that the controllers work.
        self.wait_for(
            "the service account of namespace default",
            lambda: self.admin.exists("/api/v1/namespaces/default/serviceaccounts/default"),
        )

    def _start_etcd(self) -> None:
        program = str(self._programs_found["etcd"])
        options = {
            "data-dir": str(self.directory / "etcd"),
            "listen-client-urls": f"http://127.0.0.1:{self._etcd_port}",
            "advertise-client-urls": f"http://127.0.0.1:{self._etcd_port}",
            "listen-peer-urls": f"http://127.0.0.1:{self._etcd_peer_port}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{self._etcd_peer_port}",
            "initial-cluster": f"default=http://127.0.0.1:{self._etcd_peer_port}",
            "log-level": "warn",
        }
        known = subprocess.run([program, "--help"], check=False, capture_output=True, text=True)
        if "--unsafe-no-fsync" in known.stdout + known.stderr:  # from 3.5 on
            options["unsafe-no-fsync"] = "true"
        self.programs.start("etcd", [program, *_options(options)])

    def start_apiserver(self) -> None:
        """Start the API server and wait until it is ready; also again, after `kill_apiserver`."""
        options = {
            "bind-address": "127.0.0.1",
            "secure-port": str(self._port),
            "endpoint-reconciler-type": "none",  # the loopback cannot be an endpoint
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "tls-cert-file": str(self._server_pair.certificate),
            "tls-private-key-file": str(self._server_pair.key),
            "client-ca-file": str(self.ca),
            "service-account-issuer": ISSUER,
            "service-account-key-file": str(self.signer.public),
            "service-account-signing-key-file": str(self.signer.private),
            "service-cluster-ip-range": "10.96.0.0/16",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "allow-privileged": "true",
            # For logs of pods, which it fetches of the test kubelet.
            "kubelet-client-certificate": str(self._kubelet_client.certificate),
            "kubelet-client-key": str(self._kubelet_client.key),
            "kubelet-certificate-authority": str(self.ca),
            "kubelet-preferred-address-types": "InternalIP",
            "profiling": "false",
        }
        if self._audit:
            policy = self.directory / "audit-policy.json"
            policy.write_text(json.dumps(AUDIT_POLICY))
            options |= {"audit-policy-file": str(policy), "audit-log-path": str(self.directory / "audit.log")}
        self.programs.start("kube-apiserver", [str(self._programs_found["kube-apiserver"]), *_options(options)])
        self.wait_for("the API server", lambda: self.admin.raw("GET", "/readyz") == b"ok")
        self._start_controllers()
        if self.deployer_token:
            # It says that it is ready, and then refuses everybody but admins until it has read all roles.
            with self.deployer() as deployer:
                self.wait_for("the deployer's rights", lambda: bool(deployer.items("/api/v1/namespaces")))

    def _start_controllers(self) -> None:
        """As kubeadm starts them; quicker where they would wait or be slow on purpose."""
        common = {"leader-elect": "false", "secure-port": "0", "profiling": "false"}
        quick = {"kube-api-qps": "500", "kube-api-burst": "1000"}
        user = "system:kube-controller-manager"
        manager = {
            "kubeconfig": str(self.user_kubeconfig("controller-manager", pair=self.authority.issue(user))),
            "use-service-account-credentials": "true",
            "service-account-private-key-file": str(self.signer.private),
            "root-ca-file": str(self.ca),
            "horizontal-pod-autoscaler-sync-period": "2s",
            "resource-quota-sync-period": "5s",
            "concurrent-namespace-syncs": "20",
            "concurrent-statefulset-syncs": "10",
        }
        user = "system:kube-scheduler"
        scheduler = {"kubeconfig": str(self.user_kubeconfig("scheduler", pair=self.authority.issue(user)))}
        for name, options in (("kube-controller-manager", manager), ("kube-scheduler", scheduler)):
            self.programs.start(name, [str(self._programs_found[name]), *_options({**common, **quick, **options})])

    def wait_for(self, what: str, is_there: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Ask until the answer is yes. A server that is not there yet, or not ready, is a no."""
        deadline = time.monotonic() + timeout
        last = "no"
        while time.monotonic() < deadline:
            self.programs.check()
            try:
                if is_there():
                    return
            except (urllib3.exceptions.HTTPError, Refused) as error:
                last = str(error)
            time.sleep(0.05)
        raise Ended(f"waited {timeout:.0f} s for {what}; last answer: {last}")

    # Faults

    def kill_apiserver(self) -> None:
        """SIGKILL: requests in flight get no answer. `start_apiserver` brings it back at the same address.

        The controllers go as well: without an API server they do nothing, and after it was away they wait for up to
        half a minute before they ask again. With leader election, which is off here, they would end by themselves.
        """
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            self.programs.kill(name)

    def stop_etcd(self) -> None:
        """SIGSTOP: requests that need etcd get no answer until `cont_etcd`, or until they time out."""
        self.programs.signal("etcd", signal.SIGSTOP)

    def cont_etcd(self) -> None:
        self.programs.signal("etcd", signal.SIGCONT)

    @contextlib.contextmanager
    def apiserver_down(self) -> Iterator[None]:
        self.kill_apiserver()
        try:
            yield
        finally:
            self.start_apiserver()

    @contextlib.contextmanager
    def etcd_stopped(self) -> Iterator[None]:
        self.stop_etcd()
        try:
            yield
        finally:
            self.cont_etcd()

    # Users

    def user_kubeconfig(
        self, name: str, *, pair: Pair | None = None, token: str = "", plugin: ExecPlugin | None = None, host: str = ""
    ) -> Path:
        """A kubeconfig for a certificate, a token or an exec plugin; for another host if that is a proxy."""
        path = self.directory / f"{name}.kubeconfig"
        text = kubeconfig(host or self.host, self.ca, pair=pair, token=token, plugin=plugin)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def deployer_kubeconfig_at(self, host: str) -> Path:
        """The deployer's kubeconfig for another host: the URL of a proxy."""
        return self.user_kubeconfig(f"deployer-{urlsplit(host).port}", token=self.deployer_token, host=host)

    def deployer(self, host: str = "") -> Client:
        """A client with the deployer's rights, to be closed; of another host if that is a proxy."""
        return Client(host or self.host, self.ca, token=self.deployer_token)

    def short_token(self, seconds: float) -> str:
        """The deployer's token that expires in so many seconds; in the past if negative. See TokenSigner.sign."""
        account = self.admin.get(f"/api/v1/namespaces/{DEPLOYER_NAMESPACE}/serviceaccounts/{DEPLOYER_NAME}")
        return self.signer.sign(DEPLOYER_NAMESPACE, DEPLOYER_NAME, account["metadata"]["uid"], seconds=seconds)

    def exec_plugin(self, name: str) -> ExecPlugin:
        """A credential plugin that gives out the deployer's tokens; its kubeconfig is `.kubeconfig`."""
        plugin = ExecPlugin(self.directory / f"{name}.plugin")
        plugin.give(self.deployer_token)
        plugin.kubeconfig = self.user_kubeconfig(name, plugin=plugin)
        return plugin

    # Looking

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None, check: bool = True) -> str:
        """What kubectl writes; its standard error as well where it fails and need not succeed."""
        command = [str(self._programs_found["kubectl"]), f"--kubeconfig={kubeconfig or self.admin_kubeconfig}"]
        result = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)
        if result.returncode and check:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr or result.stdout}")
        return result.stdout + (result.stderr if result.returncode else "")

    @contextlib.contextmanager
    def requests(self) -> Iterator[Requests]:
        """What the deployer asks meanwhile. The list is filled when the block ends."""
        log = self.directory / "audit.log"
        start = log.stat().st_size if log.exists() else 0
        seen = Requests()
        yield seen
        if log.exists():
            with log.open("rb") as file:
                file.seek(start)
                seen.events += [json.loads(line) for line in file]

    def request_counts(self) -> dict[tuple[str, str, str], int]:
        """(verb, resource, code) -> how many requests the API server has answered since it was started, of anybody."""
        pattern = re.compile(r"^apiserver_request_total\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)
        counts: dict[tuple[str, str, str], int] = {}
        for labels, value in pattern.findall(self.admin.raw("GET", "/metrics").decode()):
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (of["verb"], of["resource"], of["code"])
            counts[key] = counts.get(key, 0) + int(float(value))
        return counts


def _options(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of a cluster: three steps between hosts that share nothing but what Ansible carries."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.pki import sealing
from ansible_collections.paasta.platform.plugins.module_utils.pki.entries import AUTHORITIES, SHARED
from ansible_collections.paasta.platform.plugins.module_utils.pki.states import ARGUMENTS, run

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KEY = "-----BEGIN"


def entry(name: str, **more: Any) -> dict[str, Any]:
    base = {"name": name, "authority": "ca", "common_name": name, "organizations": [], "dns_names": []}
    return base | {"ip_addresses": [], "usages": ["client"]} | more


SERVER = entry("apiserver", dns_names=["kubernetes", "localhost"], ip_addresses=["127.0.0.1"], usages=["server"])
KUBELET = entry("kubelet", common_name="system:node:one", organizations=["system:nodes"])
PEER = entry("etcd/peer", authority="etcd/ca", dns_names=["one"], usages=["server", "client"])


@dataclass
class Cluster:
    """Hosts in directories, and everything that went between them."""

    root: Path
    hosts: dict[str, tuple[bool, list[dict[str, Any]]]] = field(default_factory=dict)
    carried: list[str] = field(default_factory=list)

    def directory(self, host: str) -> Path:
        return self.root / host

    def call(self, host: str, now: datetime.datetime = NOW, check_mode: bool = False, **args: Any) -> dict[str, Any]:
        holds, certificates = self.hosts[host]
        defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
        given = {"directory": str(self.directory(host)), "certificates": certificates, "holds_authorities": holds}
        result = run(defaults | given | args, check_mode, now)
        self.carried.append(json.dumps([args, result]))
        return result

    def asked(self, now: datetime.datetime = NOW, **args: Any) -> dict[str, dict[str, Any]]:
        return {host: self.call(host, now, state="requested", **args) for host in self.hosts}

    def issue(self, asked: dict[str, dict[str, Any]], now: datetime.datetime = NOW) -> dict[str, Any]:
        """As the role does it."""
        holders = [host for host, (holds, _certificates) in self.hosts.items() if holds]
        holder = next((host for host in holders if asked[host]["complete"]), holders[0])
        hosts = [
            {"host": host, "certificates": self.hosts[host][1]}
            | {key: result[key] for key in ("requests", "authorities", "public_key")}
            for host, result in asked.items()
        ]
        return self.call(holder, now, state="issued", hosts=hosts)

    def converge(self, now: datetime.datetime = NOW) -> dict[str, list[str]]:
        """All three steps; the names of what was renewed, by host."""
        asked = self.asked(now)
        if not any(result["due"] for result in asked.values()):
            return {}
        issued = self.issue(asked, now)
        assert not issued.get("failed"), issued
        renewed = {}
        for host, result in asked.items():
            if result["due"]:
                done = self.call(host, now, state="installed", issued=issued["hosts"][host])
                assert not done.get("failed"), done
                renewed[host] = done["renewed"]
        return renewed


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(
        tmp_path, {"one": (True, [SERVER, KUBELET, PEER]), "two": (True, [SERVER]), "node": (False, [KUBELET])}
    )


def test_every_host_gets_what_it_is_to_have_and_no_more(cluster: Cluster) -> None:
    assert cluster.converge() == {
        "one": ["apiserver", "etcd/peer", "kubelet"],
        "two": ["apiserver"],
        "node": ["kubelet"],
    }
    for name in (*SHARED, *(f"{one}.crt" for one in AUTHORITIES)):
        assert (cluster.directory("one") / name).read_text() == (cluster.directory("two") / name).read_text()
    found = {str(path.relative_to(cluster.directory("node"))) for path in cluster.directory("node").rglob("*")}
    assert found == {"ca.crt", "kubelet.crt", "kubelet.key"}
    modes = {path.name: path.stat().st_mode & 0o777 for path in cluster.directory("one").rglob("*") if path.is_file()}
    assert {mode for name, mode in modes.items() if not name.endswith((".crt", ".pub"))} == {0o600}
    assert cluster.converge() == {}


def test_nothing_secret_is_carried(cluster: Cluster) -> None:
    cluster.converge()
    texts = [path.read_text() for path in cluster.root.rglob("*.key")]
    texts += [(cluster.directory("one") / "encryption.yaml").read_text().split("secret: ")[1].split()[0]]
    bodies = ["".join(text.split("\n")[1:-2]) if text.startswith(KEY) else text for text in texts]
    carried = "".join(cluster.carried).replace("\\n", "")
    assert len(bodies) > 8
    assert not [body for body in bodies if body in carried]


def test_openssl_agrees(cluster: Cluster) -> None:
    cluster.converge()
    directory = cluster.directory("one")
    for name, authority, purpose in (
        *(("apiserver", "ca", "sslserver"), ("kubelet", "ca", "sslclient")),
        *(("etcd/peer", "etcd/ca", "sslserver"), ("etcd/peer", "etcd/ca", "sslclient")),
    ):
        command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-purpose", purpose]
        command += ["-CAfile", str(directory / f"{authority}.crt"), str(directory / f"{name}.crt")]
        subprocess.run(command, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", directory / "kubelet.crt"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "O = system:nodes, CN = system:node:one" in shown.stdout


def test_a_handshake(cluster: Cluster) -> None:
    cluster.converge(datetime.datetime.now(datetime.UTC))
    directory = cluster.directory("one")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(directory / "ca.crt"))
    serving.load_cert_chain(directory / "apiserver.crt", directory / "apiserver.key")
    serving.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    asking.load_cert_chain(directory / "kubelet.crt", directory / "kubelet.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with serving.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.sendall(json.dumps(connection.getpeercert()).encode())

        thread = threading.Thread(target=serve)
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        with plain, asking.wrap_socket(plain, server_hostname="kubernetes") as connection:
            seen = json.loads(connection.recv(65536))
        thread.join()
    assert [["commonName", "system:node:one"]] in seen["subject"]


@pytest.mark.parametrize(("days", "renewed"), [(300, False), (306, True), (400, True)])
def test_certificates_are_renewed_before_they_end(cluster: Cluster, days: int, renewed: bool) -> None:
    cluster.converge()
    before = (cluster.directory("node") / "kubelet.key").read_text()
    later = NOW + datetime.timedelta(days=days)
    assert bool(cluster.converge(later)) is renewed
    assert ((cluster.directory("node") / "kubelet.key").read_text() != before) is renewed
    assert cluster.converge(later) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dns_names": ["kubernetes", "localhost", "api.example.com"]}, "it lacks api.example.com"),
        ({"dns_names": ["kubernetes"]}, "it has localhost as well"),
        ({"ip_addresses": ["10.0.0.1"]}, "it lacks 10.0.0.1 and it has 127.0.0.1 as well"),
        ({"common_name": "other"}, "the subject is CN=apiserver instead of CN=other"),
        ({"organizations": ["a"]}, "the subject is CN=apiserver instead of CN=apiserver,O=a"),
        ({"usages": ["server", "client"]}, "it is not for client and server"),
        ({"authority": "front-proxy-ca"}, "the certificate is of another authority"),
    ],
)
def test_what_differs_is_made_anew(cluster: Cluster, change: dict[str, Any], reason: str) -> None:
    cluster.converge()
    cluster.hosts["one"] = (True, [SERVER | change, KUBELET, PEER])
    result = cluster.call("one", state="requested", check_mode=True)
    assert result["due"] == {"apiserver": reason}
    assert cluster.converge() == {"one": ["apiserver"]}
    assert cluster.converge() == {}


def test_a_key_or_a_certificate_that_is_gone_or_another(cluster: Cluster) -> None:
    cluster.converge()
    directory = cluster.directory("one")
    (directory / "kubelet.key").unlink()
    (directory / "etcd/peer.crt").write_text("nonsense")
    (directory / "apiserver.crt").write_text((cluster.directory("two") / "apiserver.crt").read_text())
    assert cluster.call("one", state="requested", check_mode=True)["due"] == {
        "apiserver": "the certificate is of another key",
        "kubelet": "there is no key",
        "etcd/peer": "the certificate, its key or its authority cannot be read",
    }
    assert cluster.converge() == {"one": ["apiserver", "etcd/peer", "kubelet"]}


def test_check_mode_makes_nothing(cluster: Cluster) -> None:
    asked = cluster.asked(check_mode=True)
    assert all(result["changed"] and result["due"] and not result["requests"] for result in asked.values())
    assert not any(cluster.root.iterdir())


def test_a_run_that_was_killed_is_finished_by_the_next(cluster: Cluster) -> None:
    cluster.asked()
    issued = cluster.issue(cluster.asked())
    cluster.call("two", state="installed", issued=issued["hosts"]["two"])
    assert cluster.converge() == {"one": ["apiserver", "etcd/peer", "kubelet"], "node": ["kubelet"]}
    # Between the key and the certificate.
    asked = cluster.asked(renew_days=1000)
    directory = cluster.directory("node")
    (directory / "kubelet.key.new").rename(directory / "kubelet.key")
    assert asked["node"]["due"]
    assert set(cluster.converge()) == {"node"}
    assert cluster.converge() == {}


def test_a_new_host_of_the_control_plane_gets_what_the_others_share(cluster: Cluster) -> None:
    cluster.converge()
    cluster.hosts = {"new": (True, [SERVER]), **cluster.hosts}
    assert cluster.converge() == {"new": ["apiserver"]}
    assert (cluster.directory("new") / "ca.key").read_text() == (cluster.directory("one") / "ca.key").read_text()


def test_authorities_of_another_cluster_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.converge()
    other = Cluster(tmp_path / "other", {"one": (True, [SERVER]), "stray": (False, [KUBELET])})
    other.converge()
    other.directory("stray").rename(cluster.directory("stray"))
    cluster.hosts["stray"] = (False, [KUBELET | {"common_name": "new"}])
    assert cluster.issue(cluster.asked())["msg"].startswith("stray: trust authorities of another cluster")


def test_authorities_are_not_made_where_there_were_some(cluster: Cluster) -> None:
    cluster.converge()
    for host in ("one", "two"):
        for name in (*SHARED, *(f"{one}.crt" for one in AUTHORITIES)):
            (cluster.directory(host) / name).unlink()
    message = cluster.issue(cluster.asked(renew_days=1000))["msg"]
    assert message.startswith("node: trust authorities whose keys no host of group kube_control_plane has")
    (cluster.directory("one") / "ca.crt").write_text((cluster.directory("node") / "ca.crt").read_text())
    assert "only a part of the cluster's authorities; it lacks" in cluster.issue(cluster.asked(renew_days=1000))["msg"]


def test_a_request_cannot_ask_for_more(cluster: Cluster) -> None:
    asked = cluster.asked()
    asked["node"]["requests"]["admin"] = asked["node"]["requests"]["kubelet"]
    assert cluster.issue(asked)["msg"] == "node asks for admin, which it should not have"
    del asked["node"]["requests"]["admin"]
    # A request of somebody else's, with another subject: what is signed is what the entry says.
    asked["node"]["requests"]["kubelet"] = asked["one"]["requests"]["apiserver"]
    issued = cluster.issue(asked)
    (cluster.root / "signed.crt").write_text(issued["hosts"]["node"]["certificates"]["kubelet"])
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", cluster.root / "signed.crt"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "system:node:one" in shown.stdout
    failed = cluster.call("node", state="installed", issued=issued["hosts"]["node"])
    assert "not of the key that waits for it" in failed["msg"]


def test_what_is_damaged_or_for_another_host_is_not_opened() -> None:
    private = sealing.new_key()
    sealed = sealing.seal({"a": "b"}, sealing.public(private))
    assert sealing.opened(sealed, private) == {"a": "b"}
    with pytest.raises(sealing.Broken):
        sealing.opened(sealed, sealing.new_key())
    for at in (0, 40, len(sealed) - 8):
        other = "A" if sealed[at] != "A" else "B"
        with pytest.raises(sealing.Broken):
            sealing.opened(sealed[:at] + other + sealed[at + 1 :], private)
    with pytest.raises(sealing.Broken):
        sealing.opened("", private)


def test_wrong_entries_are_all_said_at_once(cluster: Cluster) -> None:
    cluster.hosts["one"] = (
        True,
        [entry("ca"), entry("../x"), entry("a", ip_addresses=["300.1.1.1"], usages=[]), entry("a")],
    )
    assert cluster.call("one", state="requested")["msg"] == (
        "certificates: 'ca' cannot be the name of a certificate; '../x' cannot be the name of a certificate; "
        "a: '300.1.1.1' is no IP address; a needs usages: server, client or both; a is there twice"
    )


def test_the_table(cluster: Cluster) -> None:
    cluster.converge()
    found = cluster.call("one", state="listed")["certificates"]
    by_file = {Path(one["file"]).name: one for one in found}
    assert by_file["apiserver.crt"] == {
        "file": str(cluster.directory("one") / "apiserver.crt"),
        "subject": "CN=apiserver",
        "issuer": "CN=kubernetes",
        "names": ["127.0.0.1", "kubernetes", "localhost"],
        "ends": "2027-01-01T00:00:00Z",
        "days": 365,
    }

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of a cluster: asked for, signed, installed."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.pki import sealing
from ansible_collections.paasta.platform.plugins.module_utils.pki.entries import AUTHORITIES, SHARED
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.pki.conftest import (
    KUBELET,
    NOW,
    PEER,
    SERVER,
    Cluster,
    entry,
    snapshot,
)

KEY = "-----BEGIN"


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


def test_what_certificates_say(cluster: Cluster) -> None:
    cluster.converge()

    def shown(name: str) -> list[str]:
        command = ["openssl", "x509", "-noout", "-text", "-in", str(cluster.directory("one") / name)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [line.strip() for line in text.splitlines()]

    def extension(lines: list[str], name: str) -> str:
        return lines[next(at for at, line in enumerate(lines) if line.startswith(f"X509v3 {name}:")) + 1]

    authority, server, client = shown("ca.crt"), shown("apiserver.crt"), shown("kubelet.crt")
    assert extension(authority, "Basic Constraints") == "CA:TRUE, pathlen:0"
    assert extension(authority, "Key Usage") == "Digital Signature, Certificate Sign, CRL Sign"
    assert "Not After : Dec 30 00:00:00 2035 GMT" in authority
    for lines, purpose in ((server, "TLS Web Server Authentication"), (client, "TLS Web Client Authentication")):
        assert {"X509v3 Basic Constraints: critical", "X509v3 Key Usage: critical", "ASN1 OID: prime256v1"} <= {*lines}
        assert extension(lines, "Basic Constraints") == "CA:FALSE"
        assert extension(lines, "Key Usage") == "Digital Signature"
        assert extension(lines, "Extended Key Usage") == purpose
        assert extension(lines, "Authority Key Identifier") == extension(authority, "Subject Key Identifier")
        assert {"Not Before: Dec 31 23:50:00 2025 GMT", "Not After : Jan  1 00:00:00 2027 GMT"} <= {*lines}
    names = extension(server, "Subject Alternative Name")
    assert names == "DNS:kubernetes, DNS:localhost, IP Address:127.0.0.1"
    assert len({lines[lines.index("Serial Number:") + 1] for lines in (authority, server, client)}) == 3


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
    asked = cluster.asked()
    before = snapshot(cluster.root)
    issued = cluster.issue(asked, check_mode=True)
    assert issued["changed"]
    assert issued["hosts"] == {}
    assert snapshot(cluster.root) == before
    issued = cluster.issue(asked)
    before = snapshot(cluster.root)
    installed = cluster.call("node", check_mode=True, state="installed", issued=issued["hosts"]["node"])
    assert installed["changed"]
    assert installed["renewed"] == ["kubelet"]
    assert snapshot(cluster.root) == before


def test_the_difference_is_the_same_before_and_after(cluster: Cluster) -> None:
    cluster.converge()
    cluster.hosts["one"] = (True, [SERVER | {"dns_names": ["api"], "ip_addresses": []}, KUBELET, PEER])
    later = NOW + datetime.timedelta(days=10)
    (foretold,) = cluster.call("one", later, check_mode=True, state="requested")["diff"]
    path = f"{cluster.directory('one')}/apiserver.crt"
    assert foretold == {
        "before_header": f"{path} (it lacks api and it has 127.0.0.1, kubernetes, localhost as well)",
        "after_header": path,
        "before": (
            "subject: CN=apiserver\nnames: 127.0.0.1, kubernetes, localhost\nusages: server\n"
            "issuer: CN=kubernetes\nends: 2027-01-01\n"
        ),
        "after": "subject: CN=apiserver\nnames: api\nusages: server\nissuer: CN=kubernetes\nends: 2027-01-11\n",
    }
    asked = cluster.asked(later)
    assert asked["one"]["diff"] == []
    issued = cluster.issue(asked, later)
    (shown,) = cluster.call("one", later, state="installed", issued=issued["hosts"]["one"])["diff"]
    assert shown == foretold | {"before_header": path}


def test_what_the_control_plane_shares_is_only_named(cluster: Cluster) -> None:
    asked = cluster.asked(check_mode=True)
    named = asked["two"]["diff"][-1]
    assert named["before"] == ""
    assert set(named["after"].splitlines()) == {
        *SHARED,
        *(f"{one}.crt" for one in AUTHORITIES),
    }
    issued = cluster.issue(cluster.asked())
    assert cluster.call("two", state="installed", issued=issued["hosts"]["two"])["diff"][-1] == named | {
        "after": "".join(f"{name}\n" for name in (*SHARED, "ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"))
    }


def test_secrets_that_others_can_read_are_closed(cluster: Cluster) -> None:
    cluster.converge()
    paths = [cluster.directory("one") / name for name in ("ca.key", "kubelet.key", "encryption.yaml")]
    for path in paths:
        path.chmod(0o644)
    result = cluster.call("one", state="requested", check_mode=True)
    assert result["changed"]
    assert result["closed"] == ["ca.key", "encryption.yaml", "kubelet.key"]
    assert not result["due"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}
    texts = [path.read_text() for path in paths]
    assert cluster.call("one", state="requested")["changed"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert [path.read_text() for path in paths] == texts
    assert not cluster.call("one", state="requested")["changed"]


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


def test_secrets_for_another_host_are_not_opened(cluster: Cluster) -> None:
    cluster.hosts["three"] = (True, [SERVER])
    issued = cluster.issue(cluster.asked())["hosts"]
    failed = cluster.call("two", state="installed", issued=issued["two"] | {"sealed": issued["three"]["sealed"]})
    assert failed["msg"] == "what the host of the authorities sent is damaged, or was meant for another host"
    # Nothing was written: no certificate without the rest.
    assert {path.name for path in cluster.directory("two").rglob("*")} == {".sealing.key", "apiserver.key.new"}


def test_a_certificate_of_another_authority_is_not_installed(cluster: Cluster, tmp_path: Path) -> None:
    issued = cluster.issue(cluster.asked())["hosts"]["node"]
    other = Cluster(tmp_path / "other", {"one": (True, [])})
    other.converge()
    foreign = {"ca": (other.directory("one") / "ca.crt").read_text()}
    failed = cluster.call("node", state="installed", issued=issued | {"authorities": foreign})
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
        [
            *(entry("ca"), entry("../x"), entry("a", ip_addresses=["300.1.1.1"], usages=[]), entry("a")),
            entry("b", common_name="x" * 65, organizations=[""], dns_names=["bücher.example"]),
        ],
    )
    assert cluster.call("one", state="requested")["msg"] == (
        "certificates: 'ca' cannot be the name of a certificate; '../x' cannot be the name of a certificate; "
        "a: '300.1.1.1' is no IP address; a needs usages: server, client or both; a is there twice; "
        f"b: common_name {'x' * 65!r} has 65 characters; 1 to 64 are possible; "
        "b: organizations '' has 0 characters; 1 to 64 are possible; b: 'bücher.example' is no DNS name"
    )


def test_the_table(cluster: Cluster) -> None:
    cluster.converge()
    found = cluster.call("one", state="listed")["certificates"]
    by_file = {Path(one["file"]).name: one for one in found}
    assert by_file["apiserver.crt"] == {
        "file": str(cluster.directory("one") / "apiserver.crt"),
        "subject": "CN=apiserver",
        "names": ["127.0.0.1", "kubernetes", "localhost"],
        "usages": ["server"],
        "issuer": "CN=kubernetes",
        "ends": "2027-01-01T00:00:00Z",
        "days": 365,
    }

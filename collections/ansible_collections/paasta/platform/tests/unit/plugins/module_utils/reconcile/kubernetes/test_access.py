"""Who asks which server: arguments, variables, kubeconfigs, plugins; and what must not be told about it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import access as module
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access, secrets
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import shown
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import ApiError, NoAccess
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.info import gather

from .scripted_server import answer, refuse, serving

URL = "https://k8s.example.com:6443"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("K8S_AUTH_", "KUBE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(user: dict[str, Any], name: str = "a", server: str = URL, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **cluster}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def written(path: Path, content: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=me",
    ]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_the_arguments_may_say_all_and_then_the_library_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access\n"
        f"found = access({{'host': '{URL}/', 'api_key': 'hush'}})\n"
        "print(found.server, found.headers())\n"
        "assert 'kubernetes' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{URL} {{'Authorization': 'Bearer hush'}}"


def test_variables_are_those_of_kubernetes_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_HOST", URL)
    monkeypatch.setenv("K8S_AUTH_USERNAME", "me")
    monkeypatch.setenv("K8S_AUTH_PASSWORD", "pass")
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "no")
    monkeypatch.setenv("K8S_AUTH_IMPERSONATE_GROUPS", "dev, ops")
    monkeypatch.setenv("K8S_AUTH_PROXY", "http://proxy:3128")
    monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH", "u:p")
    found = access({})
    assert found.headers() == {"Authorization": "Basic " + base64.b64encode(b"me:pass").decode()}
    assert found.tls is not None
    assert not found.tls.verify_mode
    assert found.groups == ["dev", "ops"]
    assert found.proxy == "http://proxy:3128"
    assert found.proxy_headers == {"proxy-authorization": "Basic dTpw"}
    assert access({"api_key": "argument"}).headers() == {"Authorization": "Bearer argument"}


def test_a_kubeconfig_is_a_path_a_list_of_paths_or_a_dictionary(tmp_path: Path) -> None:
    one = kubeconfig({"token": "one"})
    two = kubeconfig({"token": "two"}, name="b", server="https://b:1", **{"tls-server-name": "inside"})
    first, second = written(tmp_path / "1", one), written(tmp_path / "2", two)
    assert access({"kubeconfig": first}).headers() == {"Authorization": "Bearer one"}
    assert access({"kubeconfig": one}).headers() == {"Authorization": "Bearer one"}
    both = access({"kubeconfig": f"{first}{os.pathsep}{second}", "context": "b"})
    assert (both.server, both.server_name, both.headers()) == ("https://b:1", "inside", {"Authorization": "Bearer two"})


def test_the_usual_places_of_a_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home/.kube").mkdir(parents=True)
    written(tmp_path / "home/.kube/config", kubeconfig({"token": "home"}))
    assert access({}).headers() == {"Authorization": "Bearer home"}
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "variable", kubeconfig({"token": "variable"})))
    assert access({}).headers() == {"Authorization": "Bearer variable"}
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", written(tmp_path / "own", kubeconfig({"token": "own"})))
    assert access({}).headers() == {"Authorization": "Bearer own"}


def test_no_kubeconfig_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="/home/.kube/config: there is no such kubeconfig. Give `kubeconfig`, or"):
        access({})
    with pytest.raises(NoAccess, match="nowhere"):
        access({"kubeconfig": str(tmp_path / "nowhere")})
    assert access({"host": "http://127.0.0.1:8001"}).headers() == {}


def test_keys_of_a_kubeconfig_do_not_stay_in_files(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = (base64.b64encode(each.read_bytes()).decode() for each in certificate)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    user = {"client-certificate-data": cert, "client-key-data": key}
    found = access({"kubeconfig": kubeconfig(user, **{"certificate-authority-data": cert})})
    assert found.tls is not None
    assert [each["subject"] for each in found.tls.get_ca_certs()] == [((("commonName", "me"),),)]
    assert list((tmp_path / "t").iterdir()) == []


def test_a_key_that_is_not_that_of_the_certificate(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other], check=True)
    with pytest.raises(NoAccess, match="client_cert .*tls.crt, client_key .*other.key: .*mismatch"):
        access({"host": URL, "client_cert": str(certificate[0]), "client_key": str(other)})


def test_a_key_with_a_passphrase_is_not_asked_for(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-aes128", "-passout", "pass:x1234", "-in", certificate[1], "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(NoAccess, match="locked.key is protected by a passphrase"):
        access({"host": URL, "client_cert": str(certificate[0]), "client_key": str(locked)})


def plugin(tmp_path: Path, body: str) -> dict[str, Any]:
    """A user whose credentials a script gives; ``body`` prints them. How often it ran is the length of ``runs``."""
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\necho >> {tmp_path}/runs\n{body}\n")
    script.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(script), "interactiveMode": "Never"}}


def credential(**status: str) -> str:
    return json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})


def test_a_plugins_token_that_is_refused_is_asked_for_again(tmp_path: Path) -> None:
    user = plugin(tmp_path, f"cat {tmp_path}/says")
    (tmp_path / "says").write_text(credential(token="old"))

    def only_new(handler: Any) -> None:
        good = handler.headers["Authorization"] == "Bearer new"
        (answer({"ok": True}) if good else refuse(401, "Unauthorized", "Unauthorized"))(handler)

    with serving(only_new) as server:
        api = Api(access({"kubeconfig": written(tmp_path / "config", kubeconfig(user, server=server.url))}))
        (tmp_path / "says").write_text(credential(token="new"))
        assert api.map(lambda _each: api.request("GET", "/api/v1/pods"), range(20)) == [{"ok": True}] * 20
        assert (tmp_path / "runs").read_text() == "\n\n"
        # What is refused although it has just been renewed stays refused.
        server.steps = [refuse(401, "Unauthorized", "Unauthorized")]
        with pytest.raises(ApiError, match="GET pods: Unauthorized"):
            api.request("GET", "/api/v1/pods")
        api.close()


def test_a_token_that_ends_soon_is_renewed_before_but_not_for_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    user = plugin(tmp_path, f"cat {tmp_path}/says")
    (tmp_path / "says").write_text(credential(token="old", expirationTimestamp=soon))
    found = access({"kubeconfig": kubeconfig(user)})
    (tmp_path / "says").write_text(credential(token="new", expirationTimestamp=soon))
    assert [found.headers()["Authorization"] for _each in range(50)] == ["Bearer old"] * 50
    assert (tmp_path / "runs").read_text() == "\n"
    monkeypatch.setattr(module, "_ASK_AGAIN", 0.0)
    found = access({"kubeconfig": kubeconfig(user)})
    (tmp_path / "says").write_text(credential(token="newer", expirationTimestamp=soon))
    assert found.headers() == {"Authorization": "Bearer newer"}


def test_a_token_that_cannot_be_renewed_now_is_used_until_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    user = plugin(tmp_path, f"cat {tmp_path}/says")
    (tmp_path / "says").write_text(credential(token="old", expirationTimestamp=soon))
    monkeypatch.setattr(module, "_ASK_AGAIN", 0.0)
    with serving(answer({"ok": True}), refuse(401, "Unauthorized", "Unauthorized")) as server:
        api = Api(access({"kubeconfig": kubeconfig(user, server=server.url)}))
        (tmp_path / "says").write_text("trouble")
        assert api.request("GET", "/api/v1/pods") == {"ok": True}
        assert server.seen[0]["headers"]["Authorization"] == "Bearer old"
        with pytest.raises(NoAccess, match="failed to decode"):
            api.request("GET", "/api/v1/pods")
        api.close()


def test_with_a_new_certificate_there_is_a_new_connection(tmp_path: Path) -> None:
    user = plugin(tmp_path, f"cat {tmp_path}/says")
    (tmp_path / "says").write_text(credential(clientCertificateData="old", clientKeyData="k"))
    connections: list[Any] = []

    def not_the_first(handler: Any) -> None:
        connections.append(handler.client_address)
        known = handler.client_address != connections[0]
        (answer({"ok": True}) if known else refuse(401, "Unauthorized", "Unauthorized"))(handler)

    with serving(not_the_first) as server:
        api = Api(access({"kubeconfig": kubeconfig(user, server=server.url)}))
        (tmp_path / "says").write_text(credential(clientCertificateData="new", clientKeyData="k"))
        assert api.request("GET", "/api/v1/pods") == {"ok": True}
        api.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo who are you >&2; exit 3", "process returned 3. who are you"),
        ("echo not json", "failed to decode process output"),
        (f"echo '{credential()}'", "missing token or clientCertificateData"),
    ],
)
def test_a_plugin_that_fails_does_not_mean_to_ask_as_nobody(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(NoAccess, match=said):
        access({"kubeconfig": kubeconfig(plugin(tmp_path, body))})


def test_an_error_in_a_kubeconfig_does_not_quote_it(tmp_path: Path) -> None:
    user = {"auth-provider": {"name": "oidc", "config": {"client-secret": "hush", "refresh-token": "hush"}}}
    # Of an entry in a file the library says all that it holds.
    with pytest.raises(NoAccess, match="id-token") as caught:
        access({"kubeconfig": written(tmp_path / "config", kubeconfig(user))})
    assert "hush" not in str(caught.value)


def test_what_is_secret_in_the_arguments() -> None:
    user = {"token": "t0", "exec": {"env": [{"name": "P", "value": "e0"}]}, "client-key-data": "k0"}
    args = {"api_key": "a0", "password": "p0", "host": URL, "kubeconfig": kubeconfig(user)}
    assert secrets(args) == {"a0", "p0", "t0", "e0", "k0"}
    assert shown(args)["kubeconfig"] == "********"
    assert shown({"kubeconfig": "/a/path"}) == {"kubeconfig": "/a/path"}


def test_what_a_plugin_prints_of_its_credentials_is_not_in_the_error(tmp_path: Path) -> None:
    user = plugin(tmp_path, 'echo "denied for $SECRET" >&2; exit 3')
    user["exec"]["env"] = [{"name": "SECRET", "value": "hush-hush"}]
    plan: dict[str, Any] = {"prefix": "p", "instances": {}, "shared": {}}
    args = {"kubeconfig": kubeconfig(user), "cluster": "c", "plan": plan, "only": [], "undeployed": []}
    message = gather(args)["msg"]
    assert "denied for ********" in message
    assert "hush" not in message


@pytest.mark.parametrize(
    ("server", "variables", "args", "proxy"),
    [
        (URL, {}, {}, None),
        (URL, {"HTTPS_PROXY": "http://env:1"}, {}, "http://env:1"),
        (URL, {"HTTPS_PROXY": "http://env:1"}, {"proxy": "http://arg:1"}, "http://arg:1"),
        (URL, {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "x,.example.com"}, {}, None),
        (URL, {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "notexample.com"}, {}, "http://env:1"),
        ("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://env:1"}, {"no_proxy": "10.0.0.0/8"}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://env:1"}, {}, None),
        ("https://127.0.0.1:6443", {}, {"proxy": "http://arg:1"}, "http://arg:1"),
    ],
)
@pytest.mark.parametrize("by_kubeconfig", [False, True])
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    variables: dict[str, str],
    args: dict[str, str],
    proxy: str | None,
    by_kubeconfig: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    who = (
        {"kubeconfig": kubeconfig({"token": "t"}, server=server)} if by_kubeconfig else {"host": server, "api_key": "t"}
    )
    assert access({**who, **args}).proxy == proxy


def test_a_proxy_of_another_kind_is_refused() -> None:
    with pytest.raises(NoAccess, match="socks5"):
        access({"host": URL, "api_key": "hush", "proxy": "socks5://u:secret@proxy:1080"})


def test_what_is_no_url_is_said() -> None:
    with pytest.raises(NoAccess, match="'k8s.example.com' is not the URL"):
        access({"host": "k8s.example.com", "api_key": "hush"})

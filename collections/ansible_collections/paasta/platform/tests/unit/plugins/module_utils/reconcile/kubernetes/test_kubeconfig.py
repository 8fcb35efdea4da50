"""Plain kubeconfigs: what is read of them is what the kubernetes package reads, and all others are left to it."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import credentials
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import NoAccess
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.kubeconfig import NotPlain, plain

PEM = "-----BEGIN CERTIFICATE-----\nnone\n"
DATA = base64.b64encode(PEM.encode()).decode()
BY_DATA = {"client-certificate-data": DATA, "client-key-data": DATA}


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def config(tmp_path: Path, user: Any, cluster: dict[str, Any] | None = None, **more: Any) -> str:
    cluster = {"server": "https://k8s.example.com:6443", **(cluster or {})}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": cluster}, {"name": "b", "cluster": {"server": "https://b"}}],
        "users": [{"name": "a", "user": user}],
        "contexts": [
            {"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "default"}},
            {"name": "b", "context": {"cluster": "b", "user": "a"}},
        ],
        **more,
    }
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text(PEM)
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def contents(found: credentials.Found) -> dict[str, Any]:
    """The fields, with what is in files instead of where these are; how often a token is renewed is the package's."""
    fields = asdict(found)
    for name in ("ca_cert", "client_cert", "client_key"):
        fields[name] = Path(fields[name]).read_text() if fields[name] else None
    return {name: value for name, value in fields.items() if name != "current"}


@pytest.mark.parametrize("context", [None, "a", "b"])
@pytest.mark.parametrize(
    "cluster",
    [
        {},
        {"server": "https://k8s.example.com:6443/clusters/a/"},
        {"certificate-authority-data": DATA},
        {"certificate-authority": "ca.crt", "tls-server-name": "inside"},
        {"insecure-skip-tls-verify": True},
    ],
)
@pytest.mark.parametrize(
    "user",
    [
        {"token": "hush"},
        BY_DATA,
        {"client-certificate": "tls.crt", "client-key": "tls.key"},
        {**BY_DATA, "token": "hush"},
    ],
)
def test_it_reads_what_the_package_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: dict[str, Any],
    cluster: dict[str, Any],
    context: str | None,
) -> None:
    path = config(tmp_path, user, cluster)
    for name in ("own", "package"):
        (tmp_path / name).mkdir()
    ours = credentials.Found(**plain(path, context, str(tmp_path / "own")))
    given = {"kubeconfig": path, "context": context}

    def never(*_arguments: Any) -> dict[str, Any]:
        raise NotPlain

    monkeypatch.setattr(credentials, "plain", never)
    theirs = credentials.find(given, str(tmp_path / "package"))
    assert contents(ours) == contents(theirs)


@pytest.mark.parametrize(
    ("user", "cluster", "more"),
    [
        ({"exec": {"command": "aws"}}, {}, {}),
        ({"token": "hush", "as": "somebody"}, {}, {}),
        ({"tokenFile": "token"}, {}, {}),
        ({"username": "a", "password": "b"}, {}, {}),
        ({"client-certificate-data": DATA}, {}, {}),
        ({**BY_DATA, "client-key-data": "not base64!"}, {}, {}),
        ({"client-certificate": "absent", "client-key": "tls.key"}, {}, {}),
        ({"token": ["hush"]}, {}, {}),
        (None, {}, {}),
        ({}, {}, {}),
        ({"token": "hush"}, {"proxy-url": "http://proxy:3128"}, {}),
        ({"token": "hush"}, {"server": "http://k8s.example.com"}, {}),
        ({"token": "hush"}, {"server": ""}, {}),
        ({"token": "hush"}, {}, {"current-context": "absent"}),
        ({"token": "hush"}, {}, {"users": [{"name": "a", "user": {"token": token}} for token in "bc"]}),
        ({"token": "hush"}, {}, {"contexts": None}),
    ],
)
def test_all_else_is_left_to_the_package(
    tmp_path: Path, user: Any, cluster: dict[str, Any], more: dict[str, Any]
) -> None:
    with pytest.raises(NotPlain):
        plain(config(tmp_path, user, cluster, **more), None, str(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "current-context: a"])
def test_what_is_no_kubeconfig_is_said_by_the_package(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(NoAccess, match="config: "):
        credentials.find({"kubeconfig": str(tmp_path / "config")}, str(tmp_path))

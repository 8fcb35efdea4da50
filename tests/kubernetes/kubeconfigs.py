# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""kubeconfig files, and a credential plugin (client-go's "exec") whose tokens a test decides on."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any

from certificates import Pair

# Notes each call, then prints the credential. A shell, for plugins are called a lot and Python starts slowly.
PLUGIN = """#!/bin/sh
echo call >>"$0.calls"
cat "$0.credential"
"""


class ExecPlugin:
    """The program `path`; what it gives out is told to it with `give`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kubeconfig = path  # until the control plane has written one
        self._calls = Path(f"{path}.calls")
        self._credential = Path(f"{path}.credential")
        path.write_text(PLUGIN)
        path.chmod(0o700)
        self._credential.touch(mode=0o600)

    def give(self, token: str, *, expires: datetime.datetime | None = None) -> None:
        """The token for the calls from now on; clients call again once it has expired, or after a 401."""
        status: dict[str, str] = {"token": token}
        if expires:
            status["expirationTimestamp"] = expires.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        self._credential.write_text(json.dumps(credential))

    @property
    def calls(self) -> int:
        return len(self._calls.read_text().splitlines()) if self._calls.exists() else 0


def kubeconfig(
    host: str, ca: Path, *, pair: Pair | None = None, token: str = "", plugin: ExecPlugin | None = None
) -> str:
    """The file's text, as JSON, which is YAML. Certificates are in it: it can be copied elsewhere."""
    user: dict[str, Any] = {}
    if pair:
        user |= {"client-certificate-data": _data(pair.certificate), "client-key-data": _data(pair.key)}
    if token:
        user["token"] = token
    if plugin:
        user["exec"] = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin.path),
            "interactiveMode": "Never",
        }
    cluster = {"server": host, "certificate-authority-data": _data(ca)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    return json.dumps(document, indent=1)


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

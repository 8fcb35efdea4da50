# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How to reach an API server and who asks."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Access:
    server: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None
    proxy_headers: dict[str, str] = field(default_factory=dict)
    fixed_headers: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What comes before every path, where the server is not at the root of its URL."""
        return urlsplit(self.server).path.rstrip("/")

    def headers(self) -> dict[str, str]:
        return self.fixed_headers

    def renew(self) -> bool:
        return False


def access(args: Mapping[str, Any]) -> Access:
    import os
    import shutil
    import tempfile

    import urllib3
    from kubernetes.client import Configuration
    from kubernetes.config import load_kube_config

    configuration = Configuration()
    directory = tempfile.mkdtemp()
    load_kube_config(
        args.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG"),
        args.get("context"),
        configuration,
        temp_file_path=directory,
    )
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    shutil.rmtree(directory)
    del urllib3
    token = configuration.get_api_key_with_prefix("BearerToken")
    return Access(configuration.host, tls, fixed_headers={"Authorization": token} if token else {})

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The few questions asked of an OCI registry, on the machine that pushes to it."""

from __future__ import annotations

import base64
import ipaddress
import re
from pathlib import Path
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

try:
    import docker.auth
    import requests
    import requests.exceptions
    import urllib3
except ImportError:
    # Whoever uses this reports it: see images.py.
    pass

MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# Where the API of a registry lives when that is not the host its images are named after.
API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
REGISTRY = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?(/[a-z0-9._\-]+)*|\[[0-9a-f:.]+\](:[0-9]+)?(/[a-z0-9._\-]+)*")


class RegistryError(Exception):
    """Why the registry has not answered a question, and what to do."""


def is_loopback(host: str) -> bool:
    name = host.removeprefix("[").split("]")[0] if host.startswith("[") else host.rsplit(":", 1)[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Registry:
    """The few questions asked of an OCI registry, with the credentials Docker's own configuration holds for it."""

    def __init__(self, name: str, scheme: str = "auto", insecure: bool = False, timeout: float = 30) -> None:
        """``insecure``: the Engine that pushes there accepts plain HTTP and unverified certificates from it."""
        self.name = name
        self.host, _slash, self.prefix = name.partition("/")
        self._insecure = insecure
        self._scheme = scheme
        self._timeout = timeout
        self._session = requests.Session()
        if is_loopback(self.host):
            # As Docker Engine does: a proxy cannot reach this machine's loopback. ~/.netrc is not asked either.
            self._session.trust_env = False
        certificate = Path("/etc/docker/certs.d", self.host, "ca.crt")
        self._verify: bool | str = str(certificate) if certificate.exists() else True
        self._base = ""
        self._authorization: dict[str, str] = {}

    def close(self) -> None:
        self._session.close()

    def connect(self) -> None:
        """Find the scheme the registry speaks; raises RegistryError with every attempt's reason."""
        api_host = API_HOSTS.get(self.host, self.host)
        reasons = []
        for scheme in self._schemes():
            if scheme == "https" and self._insecure:
                self._verify = False
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            base = f"{scheme}://{api_host}/v2/"
            try:
                status = self._ask("GET", base).status_code
            except requests.exceptions.RequestException as error:
                reasons.append(f"{base}: {reason(error)}")
                continue
            # 401: it is a registry, and wants to know who asks. That is settled per repository.
            if status in (200, 401):
                self._base = base
                return
            reasons.append(f"{base}: HTTP {status}, which is not what a registry answers")
        raise RegistryError(
            f"the registry {self.host} cannot be asked ({'; '.join(reasons)}): is it running, and is `registry` right?"
        )

    def has(self, repository: str, tag: str) -> bool:
        path = "/".join(part for part in (self.prefix, repository) if part)
        url = f"{self._base}{path}/manifests/{tag}"
        try:
            answer = self._head(url, path)
            if answer.status_code == 401:
                self._authenticate(path, answer.headers.get("WWW-Authenticate", ""))
                answer = self._head(url, path)
        except requests.exceptions.RequestException as error:
            raise RegistryError(f"asking the registry for {url} failed: {reason(error)}") from error
        if answer.status_code == 200:
            return True
        if answer.status_code == 404:
            return False
        hint = f": run `docker login {self.host}`" if answer.status_code in (401, 403) else ""
        raise RegistryError(f"asking the registry for {url} failed: HTTP {answer.status_code}{hint}")

    def _schemes(self) -> tuple[str, ...]:
        if self._scheme != "auto":
            return (self._scheme,)
        return ("http", "https") if self._insecure else ("https",)

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response:
        # `verify` of the session would yield to REQUESTS_CA_BUNDLE; of the request it does not.
        return self._session.request(method, url, timeout=self._timeout, verify=self._verify, **options)

    def _head(self, url: str, path: str) -> requests.Response:
        headers = {"Accept": MANIFEST_TYPES}
        if path in self._authorization:
            headers["Authorization"] = self._authorization[path]
        return self._ask("HEAD", url, headers=headers, allow_redirects=True)

    def _authenticate(self, path: str, challenge: str) -> None:
        """Answer a challenge (RFC 7235; for Bearer, the token protocol of the distribution specification)."""
        kind, _space, rest = challenge.partition(" ")
        key = docker.auth.INDEX_URL if self.host in API_HOSTS else self.host
        found: dict[str, Any] = docker.auth.load_config().resolve_authconfig(key) or {}
        user = found.get("username") or found.get("Username") or ""
        secret = found.get("password") or found.get("Password") or ""
        identity = found.get("IdentityToken") or found.get("identitytoken") or ""
        if kind.lower() == "basic" and user:
            pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
            self._authorization[path] = f"Basic {pair}"
        elif kind.lower() == "bearer":
            asked = parse_keqv_list(parse_http_list(rest))
            query = {"service": asked.get("service", ""), "scope": f"repository:{path}:pull"}
            realm = asked.get("realm", "")
            if identity:
                form = {**query, "grant_type": "refresh_token", "client_id": "paasta", "refresh_token": identity}
                answer = self._ask("POST", realm, data=form)
            else:
                credentials = (user, secret) if user else None
                answer = self._ask("GET", realm, params=query, auth=credentials)
            if answer.status_code == 200:
                token = answer.json()
                self._authorization[path] = f"Bearer {token.get('token') or token.get('access_token')}"


def reason(error: BaseException) -> str:
    """The innermost cause, which says what happened; the outer ones name Python's objects."""
    inner: Any = error
    while True:
        candidates = (getattr(inner, "reason", None), *getattr(inner, "args", ()), inner.__cause__)
        deeper = next((candidate for candidate in candidates if isinstance(candidate, BaseException)), None)
        if deeper is None:
            text = getattr(inner, "strerror", None) or re.sub(r"^(<.*?>|HTTPS?Connection\w*\(.*?\)): ", "", str(inner))
            return str(text) or type(inner).__name__
        inner = deeper

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How an API server is reached, and who asks it."""

from __future__ import annotations

import base64
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .arguments import AUTH_ARGUMENTS, given, secrets
from .credentials import Found, find
from .errors import NoAccess
from .proxy import choose

__all__ = ["AUTH_ARGUMENTS", "Access", "NoAccess", "access", "secrets"]

# Seconds between two questions whether the token is still good: for one that ends within five minutes the
# `kubernetes` package would run its plugin for every request.
_ASK_AGAIN = 15.0


class Access:
    """A server's URL, TLS and proxy, and the headers of who asks. Safe for use by many threads.

    :ivar version: grows when who asks has changed, so that connections made before are of no use.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._given = options
        self._lock = threading.Lock()
        self.version = 0
        self.tls: ssl.SSLContext | None = None
        self._authorization: str | None = None
        self._current: Callable[[], str | None] | None = None
        self._ask_at = 0.0
        self._chain: tuple[bytes, ...] = ()
        found = self._look()
        self.server = str(options.get("host") or found.server).rstrip("/")
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoAccess(
                f"{self.server!r} is not the URL of an API server, such as https://kubernetes.example.com:6443"
            )
        # What comes before every path, where the server is not at the root of its URL.
        self.prefix = parts.path.rstrip("/")
        self.server_name = found.server_name
        self.proxy = choose(self.server, options.get("proxy") or found.proxy, options.get("no_proxy"))
        self.proxy_headers = _proxy_headers(options.get("proxy_headers", {}))
        user = options.get("impersonate_user")
        self._impersonation = {"Impersonate-User": str(user)} if user else {}
        # Each is a header of its own.
        self.groups = [str(group) for group in options.get("impersonate_groups", ())]

    def headers(self) -> dict[str, str]:
        """The headers that say who asks."""
        # Who does not get the lock goes on with the token there is: it is being looked after.
        if self._current and time.monotonic() >= self._ask_at and self._lock.acquire(blocking=False):
            try:
                self._ask_at = time.monotonic() + _ASK_AGAIN
                # Who cannot be asked now is asked with the reason when the server does not accept the token any more.
                with suppress(NoAccess):
                    self._authorization = self._current()
            finally:
                self._lock.release()
        if self._authorization is None:
            return self._impersonation
        return {"Authorization": self._authorization, **self._impersonation}

    def renew(self, refused: Mapping[str, str], version: int) -> bool:
        """Look again for who asks after the server has not accepted it; whether there is something new to say.

        :param refused: the headers that were refused.
        :param version: the version when they were sent.
        """
        with self._lock:
            if self.version != version or refused.get("Authorization") != self._authorization:
                return True
            before = (self._authorization, self._chain)
            self._look()
            if (self._authorization, self._chain) == before:
                return False
            self.version += 1
            return True

    def _look(self) -> Found:
        """Find who asks, and where; sets what may change while a run goes on.

        Certificates that are part of a kubeconfig are in files only until they are loaded: what a killed run leaves
        behind holds no keys.
        """
        directory = tempfile.mkdtemp(prefix="paasta-")
        try:
            found = Found() if _says_all(self._given) else find(self._given, directory)
            certificate = self._given.get("client_cert") or found.client_cert
            key = self._given.get("client_key") or found.client_key
            self._chain = _read(certificate, key)
            if str(self._given.get("host") or found.server).startswith("https:"):
                self.tls = self.tls or self._context(found)
                _load_chain(self.tls, certificate, key)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        own = _authorization(self._given)
        self._authorization = own or found.authorization
        self._current = None if own else found.current
        self._ask_at = time.monotonic() + _ASK_AGAIN
        return found

    def _context(self, found: Found) -> ssl.SSLContext:
        authority = self._given.get("ca_cert") or found.ca_cert
        try:
            context = ssl.create_default_context(cafile=authority)
        except (OSError, ssl.SSLError) as error:
            raise NoAccess(f"ca_cert {authority}: {error.strerror or error}") from error
        # Python 3.13 asks of a certificate authority what those of many clusters do not have.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self._given.get("validate_certs", found.verify):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def access(args: Mapping[str, Any]) -> Access:
    """The way to the API server that the arguments of a module, the environment or a kubeconfig name.

    :param args: as in :data:`~.arguments.AUTH_ARGUMENTS`; more are ignored.
    :raises NoAccess: it is not clear which server, or who asks.
    """
    return Access(given(args))


def _says_all(options: Mapping[str, Any]) -> bool:
    """Whether the arguments alone say who asks. As in kubernetes.core a kubeconfig is not looked at then."""
    if "host" not in options:
        return False
    if "api_key" in options or ("username" in options and "password" in options):
        return True
    named = "kubeconfig" in options or "context" in options
    return "client_cert" in options and "client_key" in options and not named


def _authorization(options: Mapping[str, Any]) -> str | None:
    if "api_key" in options:
        return f"Bearer {options['api_key']}"
    if "username" in options and "password" in options:
        return _basic(f"{options['username']}:{options['password']}")
    return None


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _proxy_headers(options: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    if "proxy_basic_auth" in options:
        headers["proxy-authorization"] = _basic(options["proxy_basic_auth"])
    if "basic_auth" in options:
        headers["authorization"] = _basic(options["basic_auth"])
    if "user_agent" in options:
        headers["user-agent"] = options["user_agent"]
    return headers


def _read(*paths: str | None) -> tuple[bytes, ...]:
    return tuple(Path(path).read_bytes() for path in paths if path and Path(path).is_file())


def _load_chain(context: ssl.SSLContext, certificate: str | None, key: str | None) -> None:
    if not certificate:
        return

    def password() -> str:
        raise NoAccess(f"client_key {key or certificate} is protected by a passphrase, for which nobody can be asked")

    try:
        context.load_cert_chain(certificate, key, password)
    except (OSError, ssl.SSLError) as error:
        raise NoAccess(f"client_cert {certificate}, client_key {key}: {error.strerror or error}") from error

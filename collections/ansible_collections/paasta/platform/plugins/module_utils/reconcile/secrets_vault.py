# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""HashiCorp Vault's transit engine over its HTTP API: cleartext and ciphertext in batches, no Vault library needed."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

try:
    import requests
    import requests.exceptions

    REQUESTS_MISSING = ""
except ImportError as _error:
    REQUESTS_MISSING = str(_error)

from ansible.module_utils.basic import missing_required_lib

from ..soaconfigs.secrets import VAULT, Encrypted, parse_ciphertext
from .oci_registry import is_loopback, reason
from .secrets import Decrypted, Item, Provider, Reencrypted, SecretError

BATCH = 200  # ciphertexts in a request: far below Vault's limit of 32 MiB, and each answer is back soon
CONNECTIONS = 8
RETRIED = frozenset({412, 429, 500, 502, 503, 504})  # 412: a replica that is behind; 503: sealed, or no leader yet
_HINTS = {
    403: "the token is wrong, has expired, or has no policy for it (paasta_vault_token)",
    404: "no transit engine is there: is paasta_vault_mount right?",
}


@contextlib.contextmanager
def opened(args: Mapping[str, Any]) -> Iterator[dict[str, Provider]]:
    """The server of validated arguments (secrets.PROVIDER_ARGUMENTS) as a provider by name; none without ``vault``."""
    if not args["vault"]:
        yield {}
        return
    vault = VaultTransit(**args["vault"])
    try:
        yield {VAULT: vault}
    finally:
        vault.close()


class Unreachable(SecretError):
    """Vault did not answer, or not with anything of use, until the time was over; asking for more is pointless."""


class VaultTransit:
    """A provider (secrets.Provider) over one Vault server and one mount of the transit engine. Thread-safe.

    Times in seconds; ``timeout`` is for a request with all its retries. ``login`` is what an authentication method
    takes, ``{"path": "approle/login", "data": {"role_id": ..., "secret_id": ...}}``; its token is revoked by ``close``.
    """

    def __init__(
        self,
        url: str,
        mount: str = "transit",
        token: str | None = None,
        token_file: str | None = None,
        login: Mapping[str, Any] | None = None,
        namespace: str | None = None,
        ca: str | None = None,
        timeout: float = 30,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._mount = mount.strip("/")
        self._token = token or ""
        self._token_file = token_file
        self._login = login
        self._namespace = namespace
        self._verify: bool | str = ca or True
        self._timeout = timeout
        self._sleep = sleep
        self._session: requests.Session | None = None
        self._lock = threading.Lock()
        self._down = ""
        self._logged_in = False

    def close(self) -> None:
        """Give a token of our own back, and the connections."""
        with self._lock:
            if self._session is not None:
                if self._logged_in:
                    with contextlib.suppress(requests.exceptions.RequestException):
                        self._send(self._session, "auth/token/revoke-self", None, 5)
                self._session.close()
            self._session, self._logged_in = None, False

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        results: Decrypted = self._in_batches("decrypt", items, lambda item, entry: _cleartext(entry))
        return results

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        """Vault's rewrap: the cleartext does not leave the server. What is under the newest version already stays."""

        def newer(item: Item, entry: Mapping[str, Any]) -> Encrypted:
            found = _ciphertext(entry)
            return found if _version(found) > _version(item.entry) else item.entry

        results: Reencrypted = self._in_batches("rewrap", items, newer)
        return results

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        results = self._batch("encrypt", key, [{"plaintext": base64.b64encode(cleartext).decode("ascii")}])
        if isinstance(results[0], SecretError):
            raise results[0]
        return _ciphertext(results[0])

    def _in_batches(self, action: str, items: Sequence[Item], result: Callable[[Item, Mapping[str, Any]], Any]) -> Any:
        """One request for up to BATCH items of one key, several requests at a time."""
        by_key: dict[str, list[Item]] = {}
        for item in items:
            by_key.setdefault(item.key, []).append(item)
        batches = [
            (key, its_items[start : start + BATCH])
            for key, its_items in by_key.items()
            for start in range(0, len(its_items), BATCH)
        ]

        def run(batch: tuple[str, list[Item]]) -> list[tuple[Item, Any]]:
            key, its_items = batch
            try:
                answers = self._batch(action, key, [{"ciphertext": item.entry.ciphertext} for item in its_items])
            except SecretError as error:
                return [(item, error) for item in its_items]
            return [(item, _result(result, item, answer)) for item, answer in zip(its_items, answers, strict=True)]

        with ThreadPoolExecutor(max(1, min(CONNECTIONS, len(batches)))) as pool:
            return {item: found for found_items in pool.map(run, batches) for item, found in found_items}

    def _batch(self, action: str, key: str, inputs: list[dict[str, str]]) -> list[dict[str, Any] | SecretError]:
        """A batch's results in the order of ``inputs``; SecretError when there are none at all."""
        path = f"{self._mount}/{action}/{quote(key, safe='')}"
        status, body = self._ask(path, {"batch_input": inputs})
        data = body.get("data")
        results = data.get("batch_results") if isinstance(data, dict) else None
        # A batch in which some or all items failed has status 400 and results none the less.
        if not isinstance(results, list) or len(results) != len(inputs):
            raise SecretError(self._refusal(path, status, body))
        return [
            SecretError(f"HashiCorp Vault's key {key}: {found['error']}") if found.get("error") else found
            for found in results
        ]

    def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        return self._retry(self._connected(), path, body)

    def _retry(self, session: requests.Session, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer. Retries what passes by itself, until the time is over."""
        deadline = time.monotonic() + self._timeout
        wait = 0.2
        while True:
            if self._down:
                raise Unreachable(self._down)
            left = max(0.1, deadline - time.monotonic())
            pause = wait
            try:
                answer = self._send(session, path, body, left)
            except requests.exceptions.SSLError as error:
                self._down = f"HashiCorp Vault at {self._url}: {reason(error)}; is paasta_vault_ca right?"
                raise Unreachable(self._down) from None
            except requests.exceptions.RequestException as error:
                why = f"HashiCorp Vault at {self._url} cannot be asked: {reason(error)}"
            else:
                found = _json(answer)
                if answer.status_code not in RETRIED or "data" in found:
                    return answer.status_code, found
                why = self._refusal(path, answer.status_code, found)
                with contextlib.suppress(ValueError):
                    pause = max(wait, float(answer.headers.get("Retry-After", "")))
            if time.monotonic() + pause >= deadline:
                # Every other request would wait as long for the same.
                self._down = why
                raise Unreachable(why)
            self._sleep(pause)
            wait = min(wait * 2, 5)

    def _send(self, session: requests.Session, path: str, body: Any, timeout: float) -> requests.Response:
        """One POST; a standby's redirect is followed once, as the vault command does, and never to where it could be
        read on the way.
        """
        url = f"{self._url}/v1/{path}"
        options: dict[str, Any] = {"json": body, "verify": self._verify, "allow_redirects": False}
        options["timeout"] = (min(5, timeout), timeout)
        answer = session.post(url, **options)
        target = urljoin(url, answer.headers.get("Location", ""))
        if answer.status_code in (307, 308) and _is_private(target):
            answer = session.post(target, **options)
        return answer

    def _connected(self) -> requests.Session:
        with self._lock:
            if self._down:
                raise Unreachable(self._down)
            if self._session is None:
                try:
                    self._session = self._connect()
                except Unreachable as error:
                    # Not once per batch: some authentication methods lock out who fails too often.
                    self._down = str(error)
                    raise
            return self._session

    def _connect(self) -> requests.Session:
        if REQUESTS_MISSING:
            raise Unreachable(f"{missing_required_lib('requests')} ({REQUESTS_MISSING})")
        host = urlsplit(self._url)
        if not _is_private(self._url):
            raise Unreachable(
                f"{self._url} is not an https address: the token and the secrets could be read on the way; "
                "set paasta_vault_url to one, and paasta_vault_ca to its authority"
            )
        session = requests.Session()
        # As oci_registry.py: no proxy reaches this machine's loopback.
        session.trust_env = not is_loopback(host.netloc)
        session.headers["X-Vault-Request"] = "true"
        if self._namespace:
            session.headers["X-Vault-Namespace"] = self._namespace
        try:
            session.headers["X-Vault-Token"] = self._find_token(session)
        except Unreachable:
            session.close()
            raise
        return session

    def _find_token(self, session: requests.Session) -> str:
        """The token that was given, or the file's, or what logging in gives, or the one that the vault command uses."""
        if self._token:
            return self._token
        if self._token_file:
            return _read_token(self._token_file)
        if self._login:
            path = f"auth/{str(self._login['path']).strip('/').removeprefix('auth/')}"
            status, body = self._retry(session, path, self._login["data"])
            auth = body.get("auth")
            if status != 200 or not isinstance(auth, dict) or not auth.get("client_token"):
                raise Unreachable(self._refusal(path, status, body))
            self._logged_in = True
            return str(auth["client_token"])
        found = os.environ.get("VAULT_TOKEN") or ""
        home = os.path.expanduser("~/.vault-token")
        if found or not os.path.exists(home):
            if not found:
                raise Unreachable("there is no token for HashiCorp Vault; set paasta_vault_token_file or VAULT_TOKEN")
            return found
        return _read_token(home)

    def _refusal(self, path: str, status: int, body: Mapping[str, Any]) -> str:
        errors = body.get("errors")
        lines = errors if isinstance(errors, list) else []
        said = "; ".join(" ".join(str(line).split()).rstrip(".") for line in lines)
        hint = _HINTS.get(status, "")
        text = f"HashiCorp Vault at {self._url}: {path}: HTTP {status}" + (f": {said}" if said else "")
        return f"{text}; {hint}" if hint else text


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: TLS, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.netloc))


def _read_token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            token = stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not a token"
        raise Unreachable(f"{path}: the token for HashiCorp Vault cannot be read: {why}") from None
    if not token:
        raise Unreachable(f"{path}: the token for HashiCorp Vault is empty")
    return token


def _json(answer: requests.Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = answer.json()
        if isinstance(found, dict):
            return found
    return {}


def _result(result: Callable[[Item, Mapping[str, Any]], Any], item: Item, answer: Any) -> Any:
    if isinstance(answer, SecretError):
        return answer
    try:
        return result(item, answer)
    except SecretError as error:
        return error


def _cleartext(entry: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(entry["plaintext"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise SecretError("HashiCorp Vault's answer holds no plaintext") from None


def _ciphertext(entry: Mapping[str, Any]) -> Encrypted:
    found = parse_ciphertext(str(entry.get("ciphertext", "")))
    if found is None or found.provider != VAULT:
        raise SecretError("HashiCorp Vault's answer holds no ciphertext")
    return found


def _version(entry: Encrypted) -> int:
    """The version of the key: ``vault:v2:...`` is 2."""
    return int(entry.ciphertext.split(":", 2)[1][1:])

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""HashiCorp Vault transit. The first half runs against the double, and against a real server too, when there is one:

``PAASTA_TEST_VAULT="http://127.0.0.1:8200 <token>"``, as ``vault server -dev`` prints them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import Item, SecretError
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_vault import (
    BATCH,
    CONNECTIONS,
    VaultTransit,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import VAULT, Encrypted, SecretRef
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.transit_double import (
    ROOT_TOKEN,
    Answer,
    TransitDouble,
    serving,
)

REAL = os.environ.get("PAASTA_TEST_VAULT", "")


@pytest.fixture
def double() -> Iterator[TransitDouble]:
    with serving() as found:
        found.keys["transit"] = {}
        yield found


class Server:
    """A mount of its own on a Vault, and what an administrator does there."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token, self.mount = url, token, f"t{uuid.uuid4().hex}"
        self.admin(f"sys/mounts/{self.mount}", type="transit")

    def admin(self, path: str, **body: Any) -> None:
        answer = requests.post(f"{self.url}/v1/{path}", json=body, headers={"X-Vault-Token": self.token}, timeout=10)
        answer.raise_for_status()

    def rotate_key(self, name: str) -> None:
        self.admin(f"{self.mount}/keys/{name}/rotate")

    def client(self, **options: Any) -> VaultTransit:
        return VaultTransit(self.url, mount=self.mount, **{"token": self.token, "timeout": 5, **options})


@pytest.fixture(params=["double", "real"] if REAL else ["double"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "real":
        yield Server(*REAL.split())
    else:
        with serving() as found:
            yield Server(found.url, ROOT_TOKEN)


@pytest.fixture
def client() -> Iterator[Callable[..., VaultTransit]]:
    """Makes clients of a server, with any of VaultTransit's options, and closes them."""
    made: list[VaultTransit] = []

    def make(server: Server | TransitDouble, **options: Any) -> VaultTransit:
        if isinstance(server, TransitDouble):
            options = {"token": ROOT_TOKEN, "timeout": 5, "sleep": lambda seconds: None, **options}
            made.append(VaultTransit(server.url, **options))
        else:
            made.append(server.client(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def item(entry: Encrypted, name: str = "token", key: str = "paasta") -> Item:
    return Item(SecretRef("web", name), "prod", entry, key)


VALUES = [b"s3cret", b"x", bytes(range(256)), "пароль\n".encode(), b"a" * 100_000]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_what_is_encrypted_is_decrypted(server: Server, client: Any, value: bytes) -> None:
    vault = client(server)
    wanted = item(vault.encrypt("paasta", value))
    assert wanted.entry.provider == VAULT
    assert wanted.entry.ciphertext.startswith("vault:v1:")
    assert vault.decrypt([wanted]) == {wanted: value}


def test_the_same_value_never_has_the_same_ciphertext(server: Server, client: Any) -> None:
    vault = client(server)
    assert vault.encrypt("paasta", b"x") != vault.encrypt("paasta", b"x")


def test_one_bad_ciphertext_does_not_keep_the_others(server: Server, client: Any) -> None:
    vault = client(server)
    good = item(vault.encrypt("paasta", b"good"), "good")
    text = good.entry.ciphertext
    tampered = item(Encrypted(VAULT, f"{text[:30]}{'A' if text[30] != 'A' else 'B'}{text[31:]}"), "tampered")
    short = item(Encrypted(VAULT, "vault:v1:AAAA"), "short")
    newer = item(Encrypted(VAULT, text.replace("v1", "v9")), "newer")
    found = vault.decrypt([short, good, tampered, newer])
    assert found[good] == b"good"
    assert "message authentication failed" in str(found[tampered])
    assert "invalid ciphertext length" in str(found[short])
    assert "version is too new" in str(found[newer])


def test_each_service_has_its_own_key(server: Server, client: Any) -> None:
    vault = client(server)
    entry = vault.encrypt("mine", b"x")
    vault.encrypt("yours", b"y")
    mine, yours, nobodys = item(entry, "a", "mine"), item(entry, "b", "yours"), item(entry, "c", "nobodys")
    found = vault.decrypt([mine, yours, nobodys])
    assert found[mine] == b"x"
    assert "key yours: cipher: message authentication failed" in str(found[yours])
    assert "encryption key not found" in str(found[nobodys])


def test_rotation_rewraps_what_is_not_under_the_newest_version(server: Server, client: Any) -> None:
    vault = client(server)
    first = item(vault.encrypt("paasta", b"first"), "first")
    assert vault.rotate([first]) == {first: first.entry}
    server.rotate_key("paasta")
    second = item(vault.encrypt("paasta", b"second"), "second")
    broken = item(Encrypted(VAULT, "vault:v1:AAAA"), "broken")
    found = vault.rotate([first, second, broken])
    assert found[second] == second.entry
    assert found[first].ciphertext.startswith("vault:v2:")
    assert isinstance(found[broken], SecretError)
    again = item(found[first], "first")
    assert vault.decrypt([again, first]) == {again: b"first", first: b"first"}


def test_more_than_a_batch(server: Server, client: Any) -> None:
    vault = client(server)
    entry = vault.encrypt("paasta", b"x")
    items = [item(entry, f"s{number}") for number in range(2 * BATCH + 1)]
    assert vault.decrypt(items) == dict.fromkeys(items, b"x")


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"token": "hvs.wrong"}, "HTTP 403: .*permission denied.*paasta_vault_token"),
    ({"mount": "elsewhere"}, "HTTP 404: no handler for route.*paasta_vault_mount"),
    ({"token": None, "token_file": "/nowhere"}, "/nowhere: .*No such file"),
    ({"token": None, "login": {"path": "nobody/login", "data": {}}}, "auth/nobody/login: HTTP 40[034]"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS)
def test_refusals_say_what_to_do(server: Server, client: Any, options: dict[str, Any], message: str) -> None:
    options = {"mount": server.mount, "token": server.token, "timeout": 5, **options}
    vault = VaultTransit(server.url, **options)
    with pytest.raises(SecretError, match=message):
        vault.encrypt("paasta", b"x")
    vault.close()


def test_the_token_is_read_from_a_file(server: Server, client: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{server.token}\n")
    assert client(server, token=None, token_file=str(tmp_path / "token")).encrypt("paasta", b"x")


# From here on what only the double does on demand.


def test_a_login_is_used_and_its_token_revoked(double: TransitDouble) -> None:
    login = {"path": "auth/approle/login", "data": {"role_id": "role", "secret_id": "opensesame"}}
    vault = VaultTransit(double.url, login=login)
    assert vault.encrypt("paasta", b"x")
    assert len(double.tokens) == 2
    vault.close()
    assert double.tokens == {ROOT_TOKEN}


def test_a_login_that_is_refused(double: TransitDouble, client: Any) -> None:
    login = {"path": "approle/login", "data": {"role_id": "role", "secret_id": "wrong-canary"}}
    vault = client(double, token=None, login=login)
    entry = Encrypted(VAULT, "vault:v1:AAAA")
    found = vault.decrypt([item(entry, "a", "one"), item(entry, "b", "two")])
    assert {str(error) for error in found.values()} == {
        f"HashiCorp Vault at {double.url}: auth/approle/login: HTTP 400: invalid role or secret ID"
    }
    assert "wrong-canary" not in str(found)
    assert len(double.requests) == 1


@pytest.mark.parametrize("status", [412, 429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_tried_again(double: TransitDouble, client: Any, status: int) -> None:
    double.answers = [Answer(status, {"errors": ["later"]}), Answer(status), Answer(0)]
    assert client(double).encrypt("paasta", b"x")
    assert len(double.requests) == 4


def test_retry_after_is_heeded(double: TransitDouble, client: Any) -> None:
    double.answers = [Answer(429, headers={"Retry-After": "2"})]
    waited: list[float] = []
    assert client(double, sleep=waited.append).encrypt("paasta", b"x")
    assert waited == [2]


def test_refusals_are_not_tried_again(double: TransitDouble, client: Any) -> None:
    with pytest.raises(SecretError, match="HTTP 403"):
        client(double, token="wrong").encrypt("paasta", b"x")
    assert len(double.requests) == 1


def test_a_sealed_vault_is_said_once_for_all(double: TransitDouble, client: Any) -> None:
    double.answers = [Answer(503, {"errors": ["Vault is sealed"]}, {"Retry-After": "60"})] * 100
    vault = client(double)
    entry = Encrypted(VAULT, "vault:v1:AAAA")
    items = [item(entry, f"s{number}", f"key{number}") for number in range(40)]
    found = vault.decrypt(items)
    assert all("Vault is sealed" in str(error) for error in found.values())
    # Those that were on their way; the rest was not sent.
    assert len(double.requests) <= CONNECTIONS


def test_a_slow_server_is_not_waited_for_longer_than_the_timeout(double: TransitDouble, client: Any) -> None:
    double.answers = [Answer(200, {}, delay=1.5)]
    with pytest.raises(SecretError, match="cannot be asked: .*[Tt]imed out"):
        client(double, timeout=0.3).encrypt("paasta", b"x")


def test_a_server_that_is_not_there(client: Any, double: TransitDouble) -> None:
    gone = VaultTransit("http://127.0.0.1:1", token="x", timeout=0.1)
    with pytest.raises(SecretError, match="http://127.0.0.1:1 cannot be asked: Connection refused"):
        gone.encrypt("paasta", b"x")
    gone.close()


@pytest.mark.parametrize("url", ["http://vault.example.org:8200", "vault.example.org", "ftp://vault.example.org"])
def test_no_token_goes_over_the_network_in_the_clear(url: str) -> None:
    with pytest.raises(SecretError, match="is not an https address"):
        VaultTransit(url, token="x").encrypt("paasta", b"x")


def test_a_standby_is_followed(double: TransitDouble, client: Any) -> None:
    target = f"{double.url}/v1/transit/encrypt/paasta"
    double.answers = [Answer(307, headers={"Location": target})]
    assert client(double).encrypt("paasta", b"x")


def test_no_redirect_leads_to_where_the_token_could_be_read(double: TransitDouble, client: Any) -> None:
    double.answers = [Answer(307, headers={"Location": "http://vault.example.org/v1/transit/encrypt/paasta"})]
    with pytest.raises(SecretError, match="HTTP 307"):
        client(double).encrypt("paasta", b"x")


@pytest.mark.parametrize(
    "body",
    [{}, {"data": None}, {"data": {"batch_results": []}}, {"data": {"batch_results": [{}]}}, {"data": {"x": 1}}],
)
def test_answers_that_are_none(double: TransitDouble, client: Any, body: dict[str, Any]) -> None:
    double.answers = [Answer(200, body), Answer(200, body)]
    vault = client(double)
    with pytest.raises(SecretError):
        vault.encrypt("paasta", b"x")
    found = vault.decrypt([item(Encrypted(VAULT, "vault:v1:AAAA"))])
    assert all(isinstance(error, SecretError) for error in found.values())


def test_headers(double: TransitDouble, client: Any) -> None:
    client(double, namespace="team/words", mount="/transit/").encrypt("a/b c", b"x")
    _method, path, headers = double.requests[0]
    assert path == "/v1/transit/encrypt/a%2Fb%20c"
    assert headers["X-Vault-Namespace"] == "team/words"
    assert headers["X-Vault-Request"] == "true"


def test_the_vault_commands_token_is_the_last_resort(
    double: TransitDouble, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(SecretError, match="there is no token for HashiCorp Vault"):
        client(double, token=None).encrypt("paasta", b"x")
    (tmp_path / ".vault-token").write_text(ROOT_TOKEN)
    assert client(double, token=None).encrypt("paasta", b"x")
    monkeypatch.setenv("VAULT_TOKEN", "wrong")
    with pytest.raises(SecretError, match="HTTP 403"):
        client(double, token=None).encrypt("paasta", b"x")

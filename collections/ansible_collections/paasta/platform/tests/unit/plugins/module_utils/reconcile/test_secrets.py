# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import (
    Decrypted,
    Item,
    Reencrypted,
    SecretError,
    SecretErrors,
    resolve,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import Encrypted, SecretRef

TRANSIT = {"ciphertext": "vault:v1:AAAA"}
BROKEN = {"ciphertext": "vault:v1:BBBB"}
ANSIBLE = {"ciphertext": "$ANSIBLE_VAULT;1.1;AES256\n3132\n"}


class Fake:
    """Decrypts to the transit key's name, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        self.asked.append([item.ref.file for item in items])
        return {
            item: SecretError("it is broken") if item.entry.ciphertext == BROKEN["ciphertext"] else item.key.encode()
            for item in items
        }

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        raise NotImplementedError

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        raise NotImplementedError


@pytest.fixture
def soa(tmp_path: Path) -> Path:
    def write(service: str, **secrets: object) -> None:
        directory = tmp_path / service / "secrets"
        directory.mkdir(parents=True, exist_ok=True)
        for name, entry in secrets.items():
            text = entry if isinstance(entry, str) else json.dumps({"environments": {"prod": entry}})
            (directory / f"{name}.json").write_text(text)

    write(
        "web", token=TRANSIT, other=TRANSIT, broken=BROKEN, bad='{"environments": {"prod": {"ciphertext": "canary"}}}'
    )
    write("api", token=TRANSIT)
    write("_shared", token=ANSIBLE)
    (tmp_path / "api/service.yaml").write_text("encryption_key: api-key\n")
    return tmp_path


def test_one_request_per_provider_for_all_secrets(soa: Path) -> None:
    refs = [SecretRef("web", "token"), SecretRef("api", "token"), SecretRef("_shared", "token")]
    vault, ansible = Fake(), Fake()
    found = resolve(
        [*refs, *refs], soa_dir=str(soa), environment="prod", providers={"vault": vault, "ansible_vault": ansible}
    )
    assert found == {refs[0]: b"paasta", refs[1]: b"api-key", refs[2]: b"paasta"}
    assert vault.asked == [["web/secrets/token.json", "api/secrets/token.json"]]
    assert ansible.asked == [["_shared/secrets/token.json"]]


def test_all_that_cannot_be_had_is_said_at_once(soa: Path) -> None:
    refs = [SecretRef("web", name) for name in ("token", "broken", "bad", "missing")] + [
        SecretRef("_shared", "token"),
        SecretRef("gone", "x"),
    ]
    with pytest.raises(SecretErrors) as caught:
        resolve(refs, soa_dir=str(soa), environment="prod", providers={"vault": Fake()})
    message = str(caught.value)
    assert message.startswith("5 secrets cannot be had:\n")
    assert "web/secrets/broken.json (prod): it is broken" in message
    assert "web/secrets/bad.json (prod): 1:28: environments.prod.ciphertext: the value is not a ciphertext" in message
    assert "gone/secrets/x.json (prod), web/secrets/missing.json (prod): cannot be read: No such file" in message
    assert "_shared/secrets/token.json (prod): it is encrypted with Ansible Vault" in message
    assert "canary" not in message
    assert "AAAA" not in message


def test_an_environment_without_the_secret(soa: Path) -> None:
    with pytest.raises(
        SecretErrors, match=r'token.json \(prd\): has no value for environment "prd"; did you mean prod'
    ):
        resolve([SecretRef("web", "token")], soa_dir=str(soa), environment="prd", providers={"vault": Fake()})


@pytest.mark.parametrize(
    ("text", "message"),
    [("encryption_key: 3\n", "service.yaml:1:1: encryption_key: 3 is not the name"), ("a: [", "is not valid YAML")],
)
def test_a_service_whose_key_is_not_known(soa: Path, text: str, message: str) -> None:
    (soa / "api/service.yaml").write_text(text)
    with pytest.raises(SecretErrors, match=message):
        resolve([SecretRef("api", "token")], soa_dir=str(soa), environment="prod", providers={"vault": Fake()})


def test_no_secrets_need_no_provider(soa: Path) -> None:
    assert resolve([], soa_dir=str(soa), environment="prod", providers={}) == {}

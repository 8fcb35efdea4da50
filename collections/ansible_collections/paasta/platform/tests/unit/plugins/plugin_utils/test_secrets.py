# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Ansible Vault and lookups as providers, with Ansible's own vault library and its own lookup plugins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import Item, SecretError
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import (
    ANSIBLE_VAULT,
    LOOKUP,
    Encrypted,
    SecretRef,
)
from ansible_collections.paasta.platform.plugins.plugin_utils import secrets as plugin_secrets
from ansible_collections.paasta.platform.plugins.plugin_utils.secrets import AnsibleVault, Lookup, providers

OLD, NEW = ("default", VaultSecret(b"old password")), ("prod", VaultSecret(b"new password"))


def item(entry: Encrypted) -> Item:
    return Item(SecretRef("web", "token"), "prod", entry)


def action(*vault_secrets: tuple[str, VaultSecret], basedir: Path | None = None) -> Any:
    loader = DataLoader()
    loader.set_vault_secrets(list(vault_secrets))
    if basedir:
        loader.set_basedir(str(basedir))
    return SimpleNamespace(_loader=loader, _templar=Templar(loader=loader, variables={}))


@pytest.mark.parametrize("value", [b"x", bytes(range(256)), b"\n", "é".encode()])
def test_ansible_vault_gives_back_what_it_was_given(value: bytes) -> None:
    vault = AnsibleVault(VaultLib([OLD]))
    found = item(vault.encrypt("paasta", value))
    assert found.entry.ciphertext.startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert vault.decrypt([found]) == {found: value}


def test_the_ansible_vault_command_reads_it_and_we_read_its() -> None:
    theirs = VaultLib([NEW])
    ours = AnsibleVault(VaultLib([NEW]))
    assert theirs.decrypt(ours.encrypt("paasta", b"x").ciphertext) == b"x"
    found = item(Encrypted(ANSIBLE_VAULT, theirs.encrypt(b"y", vault_id="prod").decode()))
    assert ours.decrypt([found]) == {found: b"y"}


def test_the_vault_id_that_encrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    library = VaultLib([OLD, NEW])
    assert ";1.1;AES256\n" in AnsibleVault(library).encrypt("paasta", b"x").ciphertext
    assert ";1.2;AES256;prod\n" in AnsibleVault(library, "prod").encrypt("paasta", b"x").ciphertext
    with pytest.raises(SecretError, match="encrypt-vault-id=dev in the known vault-ids"):
        AnsibleVault(library, "dev").encrypt("paasta", b"x")
    monkeypatch.setenv("ANSIBLE_VAULT_ENCRYPT_IDENTITY", "prod")
    assert ";prod\n" in AnsibleVault(library).encrypt("paasta", b"x").ciphertext


def test_rotation_is_to_the_password_that_encrypts() -> None:
    old = item(AnsibleVault(VaultLib([OLD])).encrypt("paasta", b"x"))
    both = AnsibleVault(VaultLib([NEW, OLD]))
    new = item(both.rotate([old])[old])
    assert ";prod\n" in new.entry.ciphertext
    assert AnsibleVault(VaultLib([NEW])).decrypt([new]) == {new: b"x"}
    assert both.rotate([new]) == {new: new.entry}


def test_rotation_under_the_same_vault_id() -> None:
    """A password that changes keeps its id: both files are given for the time of the rotation, the new one first."""
    old = item(AnsibleVault(VaultLib([OLD])).encrypt("paasta", b"x"))
    changed = ("default", NEW[1])
    both = AnsibleVault(VaultLib([changed, OLD]))
    new = item(both.rotate([old])[old])
    assert AnsibleVault(VaultLib([changed])).decrypt([new]) == {new: b"x"}
    assert both.rotate([new]) == {new: new.entry}


def test_passwords_that_are_missing_or_wrong() -> None:
    found = item(AnsibleVault(VaultLib([OLD])).encrypt("paasta", b"x"))
    for provider, message in [
        (AnsibleVault(VaultLib()), "no password was given: use --vault-password-file"),
        (AnsibleVault(VaultLib([NEW])), "Decryption failed .*; vault ids given: prod"),
    ]:
        for result in (provider.decrypt([found])[found], provider.rotate([found])[found]):
            with pytest.raises(SecretError, match=message):
                raise result
    with pytest.raises(SecretError, match="no password was given"):
        AnsibleVault(VaultLib()).encrypt("paasta", b"x")


def test_a_damaged_file_is_an_error_of_its_own() -> None:
    good = item(AnsibleVault(VaultLib([OLD])).encrypt("paasta", b"x"))
    bad = item(Encrypted(ANSIBLE_VAULT, "$ANSIBLE_VAULT;1.1;AES256\n3132333\n"))
    odd = item(Encrypted(ANSIBLE_VAULT, "$ANSIBLE_VAULT;1.1;AES256\n31323334\n"))
    found = AnsibleVault(VaultLib([OLD])).decrypt([bad, good, odd])
    assert found[good] == b"x"
    assert isinstance(found[bad], SecretError)
    assert isinstance(found[odd], SecretError)


def test_a_lookup_of_ansible(tmp_path: Path) -> None:
    (tmp_path / "files/web").mkdir(parents=True)
    (tmp_path / "files/web/token").write_text("s3cret\n")
    lookup = Lookup(action(basedir=tmp_path), "file", {"rstrip": False}, "{service}/{term}")
    found = item(Encrypted(LOOKUP, term="token", version="1"))
    missing = item(Encrypted(LOOKUP, term="nothing", version="1"))
    results = lookup.decrypt([found, missing])
    assert results[found] == b"s3cret\n"
    assert "the lookup file failed" in str(results[missing])


class Plugin:
    def __init__(self, result: Any) -> None:
        self.result = result

    def run(self, terms: list[str], variables: Any = None, **options: Any) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


RESULTS: list[tuple[Any, str]] = [
    ([], "returned 0 values instead of one text"),
    (["a", "b"], "returned 2 values instead of one text"),
    ([{"value": "canary"}], "returned something else"),
    ("canary", "returned something else"),
    (None, "returned something else"),
    (AnsibleError("hvs.token was refused"), r"failed: \*{8} was refused"),
    (KeyError("x"), "failed: 'x'"),
]


@pytest.mark.parametrize(("result", "message"), RESULTS)
def test_lookups_that_give_no_text(monkeypatch: pytest.MonkeyPatch, result: Any, message: str) -> None:
    monkeypatch.setattr(plugin_secrets.lookup_loader, "get", lambda *_args, **_options: Plugin(result))
    lookup = Lookup(action(), "x.y.z", {"token": "hvs.token", "empty": ""}, "{term}")
    found = item(Encrypted(LOOKUP, term="a", version="1"))
    with pytest.raises(SecretError, match=message) as caught:
        raise lookup.decrypt([found])[found]
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe", "runs its term as code"),
        ("ansible.builtin.pipe", "runs its term as code"),
        ("ansible.builtin.template", "runs its term as code"),
        ("file", "would give soa-configs everything of its kind on this machine; begin term"),
        ("ansible.builtin.vars", "would give soa-configs everything"),
        ("no.such.lookup", "there is no lookup no.such.lookup; install its collection"),
    ],
)
def test_lookups_that_cannot_be_used(name: str, message: str) -> None:
    found = item(Encrypted(LOOKUP, term="id", version="1"))
    with pytest.raises(SecretError, match=message):
        raise Lookup(action(), name, {}, "{term}").decrypt([found])[found]


def test_a_lookup_only_reads() -> None:
    lookup = Lookup(action(), "x.y.z", {}, "{term}")
    with pytest.raises(SecretError, match="only reads"):
        lookup.encrypt("paasta", b"x")
    found = item(Encrypted(LOOKUP, term="id", version="1"))
    assert lookup.rotate([found]) == {found: found.entry}


def test_what_a_play_has() -> None:
    with providers(action(OLD), {"vault": None, "lookup": None}) as found:
        assert sorted(found) == ["ansible_vault"]
    vault = {"url": "https://vault.example.org", "token": "x"}
    lookup = {"name": "x.y.z", "options": {}, "term": "{term}"}
    with providers(action(OLD), {"vault": vault, "lookup": lookup}) as found:
        assert sorted(found) == ["ansible_vault", "lookup", "vault"]

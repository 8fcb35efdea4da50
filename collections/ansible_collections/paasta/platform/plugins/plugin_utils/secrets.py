# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The providers of secrets that a running play has: Ansible Vault, lookups, and HashiCorp Vault beside them.

Ansible Vault and lookups exist on the controller only: the passwords are in the memory of ansible-playbook, which does
not hand them to modules. An action plugin uses all three::

    with providers(self, args) as found:
        cleartexts = resolve(refs, soa_dir=..., environment=..., providers=found)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.common.parameters import remove_values
from ansible.parsing.vault import VaultLib, match_encrypt_secret, parse_vaulttext_envelope
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import (
    Decrypted,
    Item,
    Provider,
    Reencrypted,
    SecretError,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import (
    ANSIBLE_VAULT,
    LOOKUP,
    Encrypted,
    parse_ciphertext,
)

_NO_PASSWORD = (
    "it is encrypted with Ansible Vault, and no password was given: use --vault-password-file, --vault-id or "
    "ANSIBLE_VAULT_PASSWORD_FILE"
)
# Lookups whose term is a program or a template: who writes soa-configs would run code on the controller.
_DANGEROUS = frozenset({"pipe", "lines", "template"})
# Lookups that reach everything on the controller: its files, and variables such as paasta_vault_token. Fine below a
# place of their own, as in secrets/{service}/{term}, for a term has no "..".
_LOCAL = frozenset({"config", "csvfile", "env", "file", "ini", "password", "unvault", "vars"})


@contextlib.contextmanager
def providers(
    action: ActionBase, args: Mapping[str, Any], vault_id: str | None = None
) -> Iterator[dict[str, Provider]]:
    """Every provider that the play and ``args`` allow, by name; what they hold open is closed at the end.

    ``args`` are validated arguments with secrets.PROVIDER_ARGUMENTS among them: ``vault`` and ``lookup``, None where
    the inventory has none. ``vault_id`` is the Ansible Vault identity that encrypts.
    """
    found: dict[str, Provider] = {ANSIBLE_VAULT: AnsibleVault(action._loader._vault, vault_id)}
    if args["lookup"]:
        found[LOOKUP] = Lookup(action, **args["lookup"])
    if not args["vault"]:
        yield found
        return
    # With its HTTP library it takes as long to import as a small deploy's plan takes to render.
    from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_vault import opened

    with opened(args) as vault:
        yield {**found, **vault}


class AnsibleVault:
    """A provider (secrets.Provider) over the vault passwords of the running play, as users know them.

    Encrypts under ``vault_id``, else as ``ansible-vault encrypt`` does: under ANSIBLE_VAULT_ENCRYPT_IDENTITY, else with
    the first password.
    """

    def __init__(self, vault: VaultLib, vault_id: str | None = None) -> None:
        self._vault = vault
        self._vault_id = vault_id or constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        return {item: self._decrypt(self._vault, item) for item in items}

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        name, secret = self._newest()
        try:
            # As ansible-vault does: format 1.2 only where there is a label to write.
            text = VaultLib().encrypt(cleartext, secret, vault_id=None if name == "default" else name)
        except AnsibleError as error:
            raise SecretError(f"Ansible Vault cannot encrypt it: {error.message}") from None
        found = parse_ciphertext(text.decode("ascii"))
        if found is None:
            raise SecretError(f"the name of the vault id {name} cannot be part of a file: it has spaces or semicolons")
        return found

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        """Encrypt anew with the password that ``encrypt`` uses what that password does not decrypt."""
        return {item: self._rotate(item) for item in items}

    def _rotate(self, item: Item) -> Encrypted | SecretError:
        try:
            name, secret = self._newest()
            label = parse_vaulttext_envelope(item.entry.ciphertext.encode("ascii"))[3] or "default"
            newest = VaultLib([(label, secret)])
            if label == name and not isinstance(self._decrypt(newest, item), SecretError):
                return item.entry
            cleartext = self._decrypt(self._vault, item)
            return cleartext if isinstance(cleartext, SecretError) else self.encrypt(item.key, cleartext)
        except SecretError as error:
            return error

    def _decrypt(self, vault: VaultLib, item: Item) -> bytes | SecretError:
        if not vault.secrets:
            return SecretError(_NO_PASSWORD)
        try:
            return bytes(vault.decrypt(item.entry.ciphertext))
        except AnsibleError as error:
            names = ", ".join(name for name, _secret in vault.secrets)
            return SecretError(f"Ansible Vault: {error.message.rstrip('.')}; vault ids given: {names}")

    def _newest(self) -> tuple[str, Any]:
        if not self._vault.secrets:
            raise SecretError(_NO_PASSWORD.replace("it is encrypted", "it is to be encrypted"))
        try:
            name, secret = match_encrypt_secret(self._vault.secrets, self._vault_id)
        except AnsibleError as error:
            raise SecretError(error.message) from None
        return str(name), secret


class Lookup:
    """A provider (secrets.Provider) over one Ansible lookup, which the inventory names together with its options.

    soa-configs give the term only, of characters that no lookup takes for options (soaconfigs.secrets.TERM). ``term``
    may put it into a place of its own: ``paasta/{environment}/{service}/{term}``.
    """

    def __init__(self, action: ActionBase, name: str, options: Mapping[str, Any], term: str) -> None:
        self._action = action
        self._name = name
        self._options = dict(options)
        self._term = term

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        """One after the other: some lookups leave out what they do not find, and values would then be mistaken."""
        plugin = self._plugin()
        if isinstance(plugin, SecretError):
            return dict.fromkeys(items, plugin)
        return {item: self._ask(plugin, item) for item in items}

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        raise SecretError(
            f"the lookup {self._name} only reads: store the value where it looks, and set term and version"
        )

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        """Nothing here is encrypted by us; a new version is written with the secret module."""
        return {item: item.entry for item in items}

    def _plugin(self) -> Any:
        if self._name.rpartition(".")[2] in _DANGEROUS:
            return SecretError(f"the lookup {self._name} runs its term as code, which soa-configs could then contain")
        if self._name.rpartition(".")[2] in _LOCAL and self._term.startswith("{term}"):
            return SecretError(
                f"the lookup {self._name} would give soa-configs everything of its kind on this machine; begin term of "
                "paasta_secret_lookup with a place for secrets, as in /srv/secrets/{service}/{term}"
            )
        found = lookup_loader.get(self._name, loader=self._action._loader, templar=self._action._templar)
        return found or SecretError(f"there is no lookup {self._name}; install its collection (paasta_secret_lookup)")

    def _ask(self, plugin: Any, item: Item) -> bytes | SecretError:
        places = {"{term}": item.entry.term, "{service}": item.ref.service, "{environment}": item.environment}
        term = self._term
        for place, text in places.items():
            term = term.replace(place, text)
        try:
            found = plugin.run([term], variables=self._action._templar.available_variables, **self._options)
        except Exception as error:  # whatever a lookup of any collection raises
            # Its options may hold a token, and its message may hold its options.
            hidden = [str(value) for value in self._options.values() if value and isinstance(value, str)]
            text = " ".join(str(getattr(error, "message", error)).split())
            return SecretError(f"the lookup {self._name} failed: {remove_values(text, hidden)}")
        value = found[0] if isinstance(found, list) and len(found) == 1 else None
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, bytes):
            return value
        kind = f"{len(found)} values" if isinstance(found, list) and len(found) != 1 else "something else"
        return SecretError(f"the lookup {self._name} returned {kind} instead of one text")

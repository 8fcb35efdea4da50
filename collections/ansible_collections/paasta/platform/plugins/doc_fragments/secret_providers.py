# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """How modules reach those who decrypt secrets."""

    DOCUMENTATION = r"""
options:
  vault:
    description: The HashiCorp Vault server whose transit engine decrypts and encrypts.
    type: dict
    suboptions:
      url:
        description: Its address; without TLS only on this machine.
        type: str
        required: true
      mount:
        description: Where the transit engine is.
        type: str
        default: transit
      token:
        description: A token.
        type: str
      token_file:
        description:
          - A file that holds the token. Without O(vault.token), this and O(vault.login), the token is that of
            E(VAULT_TOKEN) or C(~/.vault-token).
        type: path
      login:
        description: How to get a token of our own, which is revoked at the end.
        type: dict
        suboptions:
          path:
            description: The login of an authentication method, for example V(approle/login).
            type: str
            required: true
          data:
            description: What it takes, for example C(role_id) and C(secret_id).
            type: dict
            required: true
      namespace:
        description: A namespace of Vault Enterprise or OpenBao.
        type: str
      ca:
        description: A file with the certificate authority of its certificate.
        type: path
      timeout:
        description: Seconds that a request may take with all its retries.
        type: float
        default: 30
  lookup:
    description: The Ansible lookup that entries with a term are read with.
    type: dict
    suboptions:
      name:
        description: Name of the lookup plugin.
        type: str
        required: true
      options:
        description: Its options.
        type: dict
        default: {}
      term:
        description: What it is asked for; C({term}), C({service}) and C({environment}) are filled in.
        type: str
        default: "{term}"
"""

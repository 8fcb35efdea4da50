#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret
short_description: Add, change, rotate and remove secrets in a soa-configs directory
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Writes C(<service>/secrets/<name>.json), PaaSTA's format, for any number of secrets. Each environment has an entry
    of its own, encrypted with Ansible Vault or HashiCorp Vault, or found with an Ansible lookup.
  - Everything is checked and encrypted first. What is wrong is reported all at once, and then no file is written.
  - A value that is stored already is not written again, as far as it can be decrypted to compare.
  - Values never appear in results, diffs and messages; names and digests of ciphertexts do.
options:
  secrets:
    description: What to do, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description:
          - The service, or V(_shared) for a secret of all services.
          - With O(secrets[].state=rotated), all services when not given.
        type: str
      name:
        description: Name of the secret. With O(secrets[].state=rotated), all of the service when not given.
        type: str
      state:
        description:
          - V(rotated) encrypts the same value with the newest key. With Ansible Vault that is the password of
            O(vault_id), else the first one; with HashiCorp Vault, the newest version of the transit key. What is
            under that key already stays as it is.
        type: str
        choices: [present, absent, rotated]
        default: present
      environments:
        description:
          - The environments, as in the inventory's C(paasta_secret_environments). Required for
            O(secrets[].state=present); else all that the secret has.
        type: list
        elements: str
        default: []
      exists:
        description:
          - V(true) refuses a secret that has no value in these environments yet, V(false) one that has.
        type: bool
      value:
        description: The value, as text. Take it from a prompt or a vaulted variable, never from a command line.
        type: str
      value_base64:
        description: The value in base64, for bytes that are not text.
        type: str
      value_file:
        description: A file whose whole content is the value, a line feed at its end included.
        type: path
      lookup:
        description: Where the inventory's lookup finds the value. Nothing is encrypted.
        type: dict
        suboptions:
          term:
            description: The term that the lookup is asked for.
            type: str
            required: true
          version:
            description: Change it when the value changes, and whoever uses the secret is restarted.
            type: str
            required: true
      motivation:
        description: Why the environments share one value, PaaSTA's C(cross_env_motivation).
        type: str
      extra_namespaces:
        description: Kubernetes namespaces that get the secret, too.
        type: list
        elements: str
  provider:
    description:
      - Who encrypts. When not given, whoever encrypted the entry before; for new entries HashiCorp Vault when O(vault)
        is given, else Ansible Vault.
    type: str
    choices: [ansible_vault, vault]
  vault_id:
    description:
      - The Ansible Vault id that encrypts, of those that the play was given.
      - When not given, that of E(ANSIBLE_VAULT_ENCRYPT_IDENTITY), else the first.
    type: str
extends_documentation_fragment:
  - paasta.platform.secret_providers
  - paasta.platform.attributes
  - paasta.platform.soa_configs
attributes:
  action:
    description: Runs on the controller, in Ansible's own process, when the connection is local.
    support: partial
    details: Elsewhere only HashiCorp Vault can be used; the passwords of Ansible Vault do not leave the controller.
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows the environments of each file, with provider and digest of the ciphertext.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: partial
    details: A value that cannot be decrypted for comparison is written anew, with a warning.
requirements:
  - requests, for HashiCorp Vault
"""

EXAMPLES = r"""
- name: Store a password for two environments
  paasta.platform.secret:
    soa_dir: /nail/etc/services
    secrets:
      - service: web
        name: database_password
        environments: [dev, staging]
        value: "{{ vaulted_password }}"

- name: Encrypt everything anew with the newest keys
  paasta.platform.secret:
    soa_dir: /nail/etc/services
    secrets:
      - state: rotated
    vault:
      url: https://vault.example.org:8200

- name: A value that an Ansible lookup finds
  paasta.platform.secret:
    soa_dir: /nail/etc/services
    secrets:
      - service: web
        name: api_key
        environments: [prod]
        lookup:
          term: web/api_key
          version: "7"
"""

RETURN = r"""
files:
  description: The files that changed, or would change in check mode, in the soa-configs directory.
  returned: success
  type: list
  elements: str
  sample: [web/secrets/database_password.json]
secrets:
  description: What happened to each secret in each environment.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service that owns it.
      type: str
      returned: always
    name:
      description: Name of the secret.
      type: str
      returned: always
    environment:
      description: The environment.
      type: str
      returned: always
    action:
      description: One of C(added), C(updated), C(rotated), C(removed) and C(unchanged).
      type: str
      returned: always
    provider:
      description: Who encrypted it; none when it was removed, or in check mode.
      type: str
      returned: always
    digest:
      description: SHA-256 of what is stored, which takes part in the config sha of its users.
      type: str
      returned: always
table:
  description: The same for people.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_edit import ARGUMENTS, run
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_vault import opened


def main() -> None:
    # no_log: the system log would get the list of secrets as Python writes it; its escapes hide values from redaction.
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, no_log=True)
    with opened(module.params) as providers:
        result = run(module.params, providers, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_certificates
short_description: Certificates of a Kubernetes cluster, on the hosts they are for
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Makes and renews all certificates of a cluster in three steps, each one task for all of them. Every host asks for
    what is due (O(state=requested)); one host of the control plane, which has the authorities, signs (O(state=issued));
    every host installs what was signed for it (O(state=installed)). Where nothing is due there is only the first step.
  - A certificate ends with its authority at the latest. An authority that ends within a year is warned of; replacing
    it is not part of this module.
  - Private keys never leave the host they are made on. What the hosts of the control plane share (the keys of the
    authorities, that of service account tokens, that which encrypts Secrets) is encrypted on its way to a key of the
    receiving host, so that no secret is in a result, an argument or a log.
  - Keys are ECDSA P-256. Certificates are valid for a year, authorities for ten.
  - The files are laid out as C(kubeadm) does it.
options:
  state:
    description:
      - V(requested) makes keys and requests for certificates that are missing, end soon, or are not as they should be.
      - V(issued) signs. Subject, names and usages are those of the list, whatever a request says.
      - V(installed) puts certificates and shared secrets in place.
      - V(listed) only looks.
    type: str
    choices: [requested, issued, installed, listed]
    required: true
  directory:
    description: Where keys and certificates are.
    type: path
    required: true
  certificates:
    description: The certificates of the host.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The files below the directory are C(<name>.crt) and C(<name>.key).
        type: str
        required: true
      authority:
        description: Who signs it.
        type: str
        choices: [ca, front-proxy-ca, etcd/ca]
        default: ca
      common_name:
        description: For Kubernetes, the name of the user.
        type: str
        required: true
      organizations:
        description: For Kubernetes, the groups of the user.
        type: list
        elements: str
        default: []
      dns_names:
        description: Names of a server.
        type: list
        elements: str
        default: []
      ip_addresses:
        description: Addresses of a server.
        type: list
        elements: str
        default: []
      usages:
        description: What it is for.
        type: list
        elements: str
        choices: [server, client]
        required: true
  holds_authorities:
    description: Whether the host belongs to the control plane, whose hosts all have what they share.
    type: bool
    default: false
  renew_days:
    description: Certificates that end within so many days are renewed.
    type: float
    default: 60
  create_authorities:
    description:
      - For O(state=issued), make authorities if this host has none. Say so only if every host of the control plane was
        asked and has none, or there would be two clusters.
    type: bool
    default: false
  hosts:
    description: For O(state=issued), every host that asks.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Its name in RV(hosts).
        type: str
        required: true
      certificates:
        description: The certificates that it may have, as O(certificates).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The files below the directory are C(<name>.crt) and C(<name>.key).
            type: str
            required: true
          authority:
            description: Who signs it.
            type: str
            choices: [ca, front-proxy-ca, etcd/ca]
            default: ca
          common_name:
            description: For Kubernetes, the name of the user.
            type: str
            required: true
          organizations:
            description: For Kubernetes, the groups of the user.
            type: list
            elements: str
            default: []
          dns_names:
            description: Names of a server.
            type: list
            elements: str
            default: []
          ip_addresses:
            description: Addresses of a server.
            type: list
            elements: str
            default: []
          usages:
            description: What it is for.
            type: list
            elements: str
            choices: [server, client]
            required: true
      requests:
        description: What O(state=requested) returned there in RV(requests).
        type: dict
        required: true
      authorities:
        description: What it returned in RV(authorities).
        type: dict
        required: true
      public_key:
        description: What it returned in RV(public_key).
        type: str
        default: ""
  issued:
    description: For O(state=installed), what O(state=issued) returned for the host in RV(hosts).
    type: dict
    suboptions:
      certificates:
        description: Certificates by name, in PEM.
        type: dict
        required: true
      authorities:
        description: Certificates of authorities by name, in PEM.
        type: dict
        required: true
      sealed:
        description: The shared secrets, encrypted to this host.
        type: str
        default: ""
requirements:
  - cryptography >= 38 (on the host)
attributes:
  check_mode:
    support: full
    description: V(requested) says what is due, and makes nothing; without requests there is nothing to sign or install.
  diff_mode:
    support: full
    description:
      - Subject, names, usages, issuer and day of the end, before and after; of keys and shared secrets only the names
        of their files. In check mode it comes from V(requested), otherwise from V(installed).
  platform:
    platforms: posix
    description: Linux hosts.
    support: full
"""

EXAMPLES = r"""
- name: Certificates that are due
  paasta.platform.kube_certificates:
    state: requested
    directory: /etc/kubernetes/pki
    certificates:
      - name: kubelet
        common_name: "system:node:{{ inventory_hostname }}"
        organizations: [system:nodes]
        usages: [client]
    holds_authorities: "{{ 'kube_control_plane' in group_names }}"
  become: true
  register: requested

- name: What ends when
  paasta.platform.kube_certificates:
    state: listed
    directory: /etc/kubernetes/pki
  become: true
  register: found
"""

RETURN = r"""
due:
  description: Why each certificate that is due has to be made.
  type: dict
  returned: with O(state=requested)
  sample: {kubelet: it ends in 12 days}
closed:
  description: Files of secrets that others could read, or that belonged to others; it is corrected.
  type: list
  elements: str
  returned: with O(state=requested)
requests:
  description: Requests for certificates by name, in PEM; none in check mode.
  type: dict
  returned: with O(state=requested)
authorities:
  description: Fingerprints (SHA-256) of the authorities that the host trusts.
  type: dict
  returned: with O(state=requested)
complete:
  description: Whether the host has everything that hosts of the control plane share.
  type: bool
  returned: with O(state=requested)
public_key:
  description: What the shared secrets are to be encrypted to; empty if the host has them.
  type: str
  returned: with O(state=requested)
hosts:
  description: For each host what O(issued) takes there. Nothing in it is secret; the shared secrets are encrypted.
  type: dict
  returned: with O(state=issued)
renewed:
  description: Names of the certificates that are new.
  type: list
  elements: str
  returned: with O(state=installed)
certificates:
  description: >-
    Every certificate below the directory, with C(file), C(subject), C(names), C(usages), C(issuer), C(ends) and
    C(days).
  type: list
  elements: dict
  returned: with O(state=listed)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.pki.states import ARGUMENTS, REQUIRED_IF, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: programs
short_description: Bring a set of programs to a host, by digest
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Installs programs from archives and files that the host downloads, or from a directory on the controller, of which
    only what the host lacks is sent through the connection.
  - Everything is fetched and checked before the first program is moved in; if one is not what it should be, none is
    installed.
  - The host keeps a manifest of what was installed. A second run compares sizes and times, and does not read the
    programs. A program that somebody changed is replaced.
options:
  programs:
    description: All programs the host should have.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name, for reports.
        type: str
        required: true
      path:
        description: Where it is installed, with mode 0755.
        type: path
        required: true
      version:
        description: Its version, for reports only; digests decide.
        type: str
        default: ""
      url:
        description:
          - Where it is downloaded from, for O(source=url). Programs of one archive name the same address, which is
            downloaded once.
        type: str
        default: ""
      checksum:
        description:
          - The digest of what is at O(programs[].url), as C(sha256:…) or C(sha512:…). No download without one.
        type: str
        default: ""
      member:
        description: Its name in the archive (C(.tar.gz) or C(.tgz)) at O(programs[].url), if it is one.
        type: str
        default: ""
      file:
        description: Its name in O(directory), by default O(programs[].name).
        type: str
        default: ""
      sha256:
        description: The digest of the program itself. For O(source=directory) the action plugin computes it.
        type: str
        default: ""
      staged:
        description: Where the host has it already. For O(source=directory) the action plugin brings it there.
        type: path
        default: ""
  source:
    description: Whether the host downloads the programs, or gets them from O(directory).
    type: str
    choices: [url, directory]
    default: url
  directory:
    description:
      - A directory on the controller that has each program under O(programs[].file).
      - If there is a file C(SHA256SUMS) in it, every program must be in it, and match. Digests are remembered on the
        controller in C(~/.cache/paasta/digests.json) by the files' size and time.
    type: path
  manifest:
    description: Where the host remembers what was installed.
    type: path
    default: /var/lib/paasta/programs.json
  timeout:
    description: Seconds that a download may take to give more data. It is tried three times.
    type: float
    default: 30
attributes:
  check_mode:
    support: full
    description: Says which programs would be installed. Nothing is downloaded.
  diff_mode:
    support: full
    description: Shows versions and digests.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: Two programs of one archive, which is downloaded once
  paasta.platform.programs:
    programs:
      - name: etcd
        path: /usr/local/bin/etcd
        version: 3.6.5
        url: &release https://github.com/etcd-io/etcd/releases/download/v3.6.5/etcd-v3.6.5-linux-amd64.tar.gz
        checksum: &digest sha256:66bad39ed920f6fc15fd74adcb8bfd38ba9a6412f8c7852d09eb11670e88cac3
        member: etcd-v3.6.5-linux-amd64/etcd
      - name: etcdctl
        path: /usr/local/bin/etcdctl
        version: 3.6.5
        url: *release
        checksum: *digest
        member: etcd-v3.6.5-linux-amd64/etcdctl
  become: true

- name: A closed network, where the controller has the programs
  paasta.platform.programs:
    source: directory
    directory: /srv/mirror/kubernetes-1.34.4
    programs:
      - name: kubelet
        path: /usr/local/bin/kubelet
  become: true
"""

RETURN = r"""
changed_programs:
  description: Names of the programs that were, or in check mode would be, installed.
  type: list
  elements: str
  returned: success
  sample: [kubelet]
programs:
  description: By name, what the host has after the run.
  type: dict
  returned: success
  contains:
    path:
      description: Where it is.
      type: str
      returned: always
    version:
      description: As it was given.
      type: str
      returned: always
    sha256:
      description:
        - Digest of the program, by which a unit can tell that its program was replaced. Empty in check mode if not
          known yet.
      type: str
      returned: always
    changed:
      description: Whether it was installed in this run.
      type: bool
      returned: always
lacking:
  description: Names of programs that have yet to be sent to the host from O(directory); none but in check mode.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.programs import ARGUMENTS, CONSTRAINTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONSTRAINTS)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

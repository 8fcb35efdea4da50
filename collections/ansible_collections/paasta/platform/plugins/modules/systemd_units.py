#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Run systemd units with the files they have now
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Writes files, starts units and enables them, restarts those whose files are newer than their process, and waits
    until they answer, all in one task.
  - Nothing has to be remembered for a restart. A run that was killed between a change and the restart is finished by
    the next one, and a certificate that something else renewed counts as well.
  - With C(throttle=1) and O(units[].peers) hosts follow one after the other, each when all others are ready. A task
    before it with C(check_mode=true) spares the wait where nothing is to do.
options:
  files:
    description: Files to write before anything is started.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: The whole content. It is shown in a diff, so it must not hold a secret.
        type: str
      directory:
        description: Make a directory instead.
        type: bool
        default: false
      absent:
        description: Remove the file instead, or the directory with everything in it.
        type: bool
        default: false
      initial:
        description: Only write it if there is nothing yet. From then on it is somebody else's.
        type: bool
        default: false
      validate:
        description:
          - A command, word by word, that fails for a wrong content. V(%s) stands for a file with it that has the same
            suffix. If it fails, this file is not written, nor what comes after it in the list.
        type: list
        elements: str
        default: []
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Octal mode; by default V(0644), and V(0755) for a directory.
        type: str
  units:
    description: The units, in the order in which they are started. The next one follows when this one is ready.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: With its suffix, such as V(kubelet.service).
        type: str
        required: true
      state:
        description:
          - V(stopped) units are disabled as well, and stopped before files are written or removed. One that does not
            exist counts as stopped.
        type: str
        choices: [started, stopped]
        default: started
      watches:
        description:
          - Files the process has read at its start, such as its program, configuration and certificates. The unit's own
            file and its drop-ins are always among them.
        type: list
        elements: path
        default: []
      reloads:
        description:
          - Files for which the unit need not be restarted if they are newer than its process, but reloaded. When that
            was is kept in C(/run/paasta/reloaded).
        type: list
        elements: path
        default: []
      url:
        description:
          - Answers with 2xx if the unit is ready. Without it, the unit is ready when systemd says that it is active.
        type: str
      ca:
        description: Authority of the certificate at O(units[].url). Without it the certificate is not looked at.
        type: path
      peers:
        description:
          - Addresses of the same kind on other hosts. The unit, if it is active, is restarted, and anything written,
            only when all of them answer with 2xx. C(throttle) alone goes on to the next host when one has failed.
        type: list
        elements: str
        default: []
  timeout:
    description: Seconds each unit may take to be ready.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    description: Says what would be written and restarted. Contents are not validated.
  diff_mode:
    support: full
    description: Shows the files.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: A daemon and its configuration
  paasta.platform.systemd_units:
    files:
      - path: /etc/example/config.yaml
        content: "{{ example | to_nice_yaml }}"
        mode: "0600"
      - path: /etc/systemd/system/example.service
        content: "{{ lookup('ansible.builtin.template', 'example.service.j2') }}"
    units:
      - name: example.service
        watches: [/usr/local/bin/example, /etc/example/config.yaml, /etc/example/tls.crt]
        url: http://127.0.0.1:8080/healthz
  become: true
"""

RETURN = r"""
pending:
  description: In check mode, whether there is anything to do or to wait for.
  type: bool
  returned: success
files:
  description: Paths of the files that were, or in check mode would be, written.
  type: list
  elements: str
  returned: success
units:
  description: By name, what was done to each unit.
  type: dict
  returned: success
  contains:
    action:
      description:
        - V(started), V(restarted), V(reloaded), V(stopped), V(enabled), V(awaited) (it ran but was not ready),
          or empty.
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
    state:
      description: What systemd said of it before.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.systemd_units import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

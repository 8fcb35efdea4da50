#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Make a host a healthy member of etcd's cluster
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Starts the member, joins it to the cluster, restarts it if its files are newer than its process, removes members
    that should be none, and waits until this host's member is healthy. Each step is decided by what the cluster says
    at that moment.
  - A member joins as a learner and gets its vote when it has caught up. A member whose data is gone is removed and
    added again. Data of a member that was removed is set aside.
  - While a member with a vote is not healthy, no other one is restarted, removed or added. If that does not change
    within O(timeout), the reason is the error.
  - Needs neither etcdctl nor anything but Python on the host; certificates are read there.
  - Members that do not run go first and together, as none of a new cluster is healthy alone; those that run follow
    with C(throttle=1).
options:
  name:
    description: Name of this host's member.
    type: str
    required: true
  members:
    description: By name, the address of every member that there should be.
    type: dict
    required: true
  client_port:
    description: Port for clients, on all members.
    type: int
    default: 2379
  peer_port:
    description: Port for other members, on all members.
    type: int
    default: 2380
  ca:
    description: Authority of the members' certificates, a file on the host.
    type: path
    required: true
  certificate:
    description: Certificate of a client, a file on the host.
    type: path
    required: true
  key:
    description: Its key, a file on the host.
    type: path
    required: true
  data_dir:
    description: Directory of etcd's data.
    type: path
    default: /var/lib/etcd
  data:
    description:
      - By name of a member, whether its host has data, as RV(data) of an earlier task says. A new cluster is started
        only if no host has any. Without it that is not looked at, as for a task in check mode.
    type: dict
  unit:
    description: The unit that runs etcd. It reads O(environment_file) if that is there.
    type: str
    default: etcd.service
  environment_file:
    description:
      - Where the first start's C(ETCD_INITIAL_CLUSTER) and C(ETCD_INITIAL_CLUSTER_STATE) are put. It is removed
        afterwards.
    type: path
    default: /run/etcd-first-start.env
  watches:
    description: Files that etcd has read at its start. The unit's own file and its drop-ins are always among them.
    type: list
    elements: path
    default: []
  timeout:
    description: Seconds in which the next step must be possible.
    type: float
    default: 90
attributes:
  check_mode:
    support: partial
    details: Says only what would be done first; the rest depends on what the cluster then says.
    description: Whether check mode tells the truth.
  diff_mode:
    support: none
    description: There is nothing to compare; RV(steps) says what is done.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: What this member needs
  paasta.platform.etcd_member: &member
    name: "{{ inventory_hostname }}"
    members: {node1: 192.0.2.11, node2: 192.0.2.12, node3: 192.0.2.13}
    ca: /etc/kubernetes/pki/etcd/ca.crt
    certificate: /etc/kubernetes/pki/etcd/client.crt
    key: /etc/kubernetes/pki/etcd/client.key
  become: true
  check_mode: true
  changed_when: false
  register: seen

- name: Members that do not run; there may be no cluster yet
  paasta.platform.etcd_member:
    <<: *member
    data: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, ['seen', 'data']))) }}"
  become: true
  when: seen.pending and not seen.running

- name: Members that run, one after the other
  paasta.platform.etcd_member: *member
  become: true
  throttle: 1
  when: seen.pending and seen.running
"""

RETURN = r"""
pending:
  description: In check mode, whether there is anything to do or to wait for.
  type: bool
  returned: success
data:
  description: Whether the host has a member's data.
  type: bool
  returned: success
running:
  description: Whether etcd runs on the host.
  type: bool
  returned: success
answers:
  description: Whether a majority of the cluster answered.
  type: bool
  returned: success
steps:
  description: What was, or in check mode would be, done first.
  type: list
  elements: dict
  returned: always
  contains:
    step:
      description:
        - V(found), V(start), V(join), V(restart), V(enable), V(add), V(promote), V(remove), V(update) (its address),
          V(set_aside) (its data) or, in check mode, V(wait).
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
members:
  description: By name, the members there are.
  type: dict
  returned: success
  contains:
    id:
      description: As etcd counts them, in decimal digits.
      type: str
      returned: always
    learner:
      description: Whether it has no vote yet.
      type: bool
      returned: always
    healthy:
      description: Whether it serves.
      type: bool
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.etcd_member import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_instances
short_description: Bring all instances of a group of Docker hosts to the plan
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - One call for a whole group of hosts. Lists what runs, spreads the wanted replicas over the hosts, replaces what
    differs by each instance's bounce method, and removes what is no longer declared.
  - An old replica is taken out of every proxy, and has answered the requests it was sent, before it is stopped; new
    replicas are healthy and in every proxy before the old leave any.
  - A version that does not get healthy is taken away again. The old one keeps serving and the task fails with the
    last output of a container that failed.
  - An instance that another engine is to run (O(elsewhere)) is never pruned. It is taken away here when O(release) says
    that it is up there, and the proxies know it. So a service moves between engines without losing a request.
  - Runs where the task runs, usually on the controller, and reaches all hosts from there. A run that is killed is
    finished by the next; of two runs for one cluster the second waits.
extends_documentation_fragment:
  - paasta.platform.docker_fleet
  - paasta.platform.selection
  - paasta.platform.secret_providers
  - paasta.platform.attributes
options:
  soa_dir:
    description:
      - The soa-configs directory, where the secrets of the instances are.
      - Only those of instances that this run starts containers of are decrypted, in the memory of this process, and
        not in check mode. When one cannot be, no container is touched.
    type: path
  secret_environment:
    description: The environment whose secrets the cluster has. When not given, it is named like O(cluster).
    type: str
  proxies:
    description: The hosts whose Envoy sends requests to the instances; see P(paasta.platform.proxies#filter).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      url:
        description: As for O(hosts[].url).
        type: str
        required: true
      admin:
        description: Envoy's admin interface on the host itself, as C(address:port).
        type: str
        default: 127.0.0.1:9901
      directory:
        description: The directory of Envoy's configuration on the host (role C(envoy)).
        type: str
        default: /var/lib/envoy
  release:
    description:
      - Of the instances O(elsewhere), those that are up there. What runs of them here is taken away once every proxy
        sends requests to what runs there.
      - What runs of the others here is kept.
    type: list
    elements: str
    default: []
  prune_guard:
    description: The largest share of all running instances that one run may remove, 0 to 1.
    type: float
    default: 0.5
  lost_guard:
    description:
      - The largest share of hosts that may be down, 0 to 1. Their replicas are placed on the others.
      - When more are, the network is broken rather than the hosts, and nothing is touched.
    type: float
    default: 0.5
  timeout:
    description: Seconds that the instances may take to reach the plan.
    type: float
    default: 600
  lock_timeout:
    description: Seconds to wait for another run on the same cluster.
    type: float
    default: 300
  first_port:
    description: First host port given to replicas.
    type: int
    default: 31000
  last_port:
    description: Last host port given to replicas.
    type: int
    default: 31999
attributes:
  action:
    support: partial
    description: Runs on the controller, in Ansible's own process, when the connection is local.
    details: >-
      Elsewhere (delegated to another host, with C(become), C(async) or C(environment)) secrets can come from HashiCorp
      Vault only: the passwords of Ansible Vault and lookups do not leave the controller.
  check_mode:
    support: full
    description: Looks at what runs and says what would be done.
  diff_mode:
    support: full
    description: One diff for each instance that differs, with what makes the difference; of secrets, names and digests.
  idempotent:
    support: full
    description: A second run changes nothing.
seealso:
  - module: paasta.platform.plan
  - module: paasta.platform.docker_instances_info
"""

EXAMPLES = r"""
- name: Bring all instances to the plan
  paasta.platform.docker_instances:
    cluster: "{{ paasta_cluster }}"
    instances: "{{ paasta_plan.plan.docker.instances }}"
    undeployed: "{{ paasta_plan.plan.undeployed }}"
    elsewhere: "{{ paasta_plan.plan.elsewhere.docker }}"
    soa_dir: "{{ paasta_soa_dir }}"
    namespaces: "{{ paasta_plan.plan.mesh.namespaces }}"
    only: "{{ paasta_plan.plan.only }}"
    hosts: "{{ hostvars | paasta.platform.docker_hosts(groups['docker_hosts']) }}"
    proxies: "{{ hostvars | paasta.platform.proxies(groups['envoy']) }}"
"""

RETURN = r"""
instances:
  description: One row for each instance, after the run; in check mode as it is now.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: C(service.instance).
      type: str
    engine:
      description: Always V(docker).
      type: str
    replicas:
      description: How many should run.
      type: int
    ready:
      description: How many are healthy, of any version.
      type: int
    current:
      description: How many are healthy and of the wanted version.
      type: int
    git_sha:
      description: The versions that run, 8 digits each, separated by commas.
      type: str
    hosts:
      description: Containers on each host.
      type: dict
    url:
      description: Where the instance answers through the mesh.
      type: str
    reason:
      description: What differed from the plan before the run.
      type: str
    problem:
      description: Why it is not as planned.
      type: str
kept:
  description: Instances that another engine is to run, and that still run here.
  type: list
  elements: str
  returned: when the hosts were looked at
unfinished:
  description: Instances that did not reach the plan.
  type: list
  elements: str
  returned: when the hosts were looked at
lost:
  description: Hosts that did not answer, with the reason.
  type: dict
  returned: when the hosts were looked at
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.arguments import ARGUMENTS
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.docker_instances import run
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_vault import opened


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    with opened(module.params) as providers:
        result = run(module.params, module.check_mode, module._diff, providers)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

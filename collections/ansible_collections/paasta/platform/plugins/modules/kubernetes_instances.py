#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_instances
short_description: Bring all instances of a Kubernetes cluster to the plan
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - One call for a whole cluster. Lists what is there once for each kind, compares, writes what differs with server-side
    apply, waits for all rollouts at once, and removes what is no longer declared.
  - Instances with a new version are written before those of which only the configuration changes.
  - A rollout that does not get done is explained with what its pods, events and logs say. With O(rollback=true) the
    workload is put back as it was.
  - Fields that somebody else has set otherwise are reported, with who did it, and only taken back with
    O(force_conflicts=true). Objects that PaaSTA or kubectl made for the same instances are adopted; pods that would be
    the same run on.
  - Runs where the task runs, usually on the controller. A run that is killed is finished by the next; of two runs for
    one cluster the second waits for the Lease of the first.
extends_documentation_fragment:
  - paasta.platform.kubernetes_fleet
  - paasta.platform.selection
  - paasta.platform.kubernetes_auth
  - paasta.platform.secret_providers
  - paasta.platform.attributes
options:
  soa_dir:
    description:
      - The soa-configs directory, where the secrets of the instances are.
      - Only those that changed are decrypted, in the memory of this process, and not in check mode. When one cannot be,
        nothing is touched.
    type: path
  secret_environment:
    description: The environment whose secrets the cluster has. When not given, it is named like O(cluster).
    type: str
  release:
    description:
      - Of the instances O(elsewhere), those that clients reach there. What runs of them here is removed.
      - What runs of the others here is kept.
    type: list
    elements: str
    default: []
  prune_guard:
    description: The largest share of all running instances that one run may remove, 0 to 1.
    type: float
    default: 0.5
  wait:
    description: Wait until all rollouts are done. Without it a run is over when everything is written.
    type: bool
    default: true
  timeout:
    description: Seconds that all rollouts together may take.
    type: float
    default: 600
  rollback:
    description:
      - Put the workload of an instance that does not get ready back as it was before the run.
      - The task fails all the same.
      - The record of deployments is not changed, so the next run tries again.
    type: bool
    default: false
  force_conflicts:
    description: Take back fields that others have set otherwise than the plan.
    type: bool
    default: false
  lock_namespace:
    description: The namespace of the Lease that lets one run at a time write to the cluster. It is made when missing.
    type: str
    default: paasta
  lock_timeout:
    description: Seconds to wait for another run on the same cluster.
    type: float
    default: 300
  concurrency:
    description: Requests that are under way at the same time.
    type: int
    default: 16
  rate_limit:
    description: Changes per second at most, to spare the API server; V(0) for no limit.
    type: float
    default: 0
attributes:
  action:
    support: partial
    description: Runs on the controller, in Ansible's own process, when the connection is local.
    details: >-
      Elsewhere (delegated to another host, with C(become), C(async) or C(environment)) secrets can come from HashiCorp
      Vault only: the passwords of Ansible Vault and lookups do not leave the controller.
  check_mode:
    support: full
    description: Asks the server with a dry run what it would do, its defaults and admission included.
    details: >-
      What is in a namespace that is not there yet is shown as it is in the plan, for the server cannot be asked.
  diff_mode:
    support: full
    description: One diff for each instance that differs, with every field; of secrets, names and digests.
  idempotent:
    support: full
    description: A second run sends nothing.
seealso:
  - module: paasta.platform.plan
  - module: paasta.platform.kubernetes_instances_info
"""

EXAMPLES = r"""
- name: Bring all instances to the plan
  paasta.platform.kubernetes_instances:
    cluster: "{{ paasta_cluster }}"
    plan: "{{ paasta_plan.plan.kubernetes }}"
    undeployed: "{{ paasta_plan.plan.undeployed }}"
    only: "{{ paasta_plan.plan.only }}"
    soa_dir: "{{ paasta_soa_dir }}"
    kubeconfig: /etc/paasta/deployer.kubeconfig
    context: production

- name: See what a deploy would change, without changing it
  paasta.platform.kubernetes_instances:
    cluster: "{{ paasta_cluster }}"
    plan: "{{ paasta_plan.plan.kubernetes }}"
  check_mode: true
  diff: true
"""

RETURN = r"""
instances:
  description:
    - One row for each instance, after the run; in check mode as it is now.
    - The keys are those of RV(paasta.platform.kubernetes_instances_info#module:instances), without C(pods),
      C(versions), C(events) and C(autoscaler); C(reason) is what differed from the plan before the run.
  type: list
  elements: dict
  returned: success
removed:
  description: Objects that were removed; in check mode those that would be.
  type: list
  elements: str
  returned: when the cluster was reached
  sample: [Deployment paastasvc-web/web-old]
rolled_back:
  description: Instances that did not get ready and were put back.
  type: list
  elements: str
  returned: when the cluster was reached
unfinished:
  description: Instances that did not reach the plan.
  type: list
  elements: str
  returned: when the cluster was reached
drift:
  description: Fields that somebody else has changed or added, with who did it.
  type: list
  elements: str
  returned: when the cluster was reached
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import ARGUMENTS, shown
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.instances import run
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_vault import opened


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    with opened(module.params) as providers:
        result = run(module.params, module.check_mode, module._diff, providers)
    # They are part of what it returns.
    module.params = shown(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_instances_info
short_description: See what runs of the plan on a Kubernetes cluster
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Returns one row for each instance of the plan, and for each that runs without being in it; with its pods and why
    they are not ready, its last warnings, and its autoscaler. Changes nothing.
  - Asks the API server for each kind of object once, whatever the number of instances.
extends_documentation_fragment:
  - paasta.platform.kubernetes_fleet
  - paasta.platform.selection
  - paasta.platform.kubernetes_auth
  - paasta.platform.attributes
  - paasta.platform.attributes.looks
seealso:
  - module: paasta.platform.kubernetes_instances
"""

EXAMPLES = r"""
- name: See what runs
  paasta.platform.kubernetes_instances_info:
    cluster: "{{ paasta_cluster }}"
    plan: "{{ paasta_plan.plan.kubernetes }}"
    undeployed: "{{ paasta_plan.plan.undeployed }}"
    only: "{{ paasta_plan.plan.only }}"
    kubeconfig: ~/.kube/config
  register: status

- name: Fail when anything is not as planned
  ansible.builtin.assert:
    that: status.instances | selectattr('problem') | list | length == 0
"""

RETURN = r"""
instances:
  description: One row for each instance.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: C(service.instance).
      type: str
    engine:
      description: Always V(kubernetes).
      type: str
    kind:
      description: V(Deployment) or V(StatefulSet).
      type: str
    namespace:
      description: The Kubernetes namespace.
      type: str
    name:
      description: The name of the Deployment or StatefulSet.
      type: str
    replicas:
      description: How many should run; where there is an autoscaler, how many that wants.
      type: int
    ready:
      description: How many are ready, of any version.
      type: int
    current:
      description: How many are ready and of the wanted version.
      type: int
    git_sha:
      description: The versions that run, 8 digits each, separated by commas.
      type: str
    config_sha:
      description: Their configurations, separated by commas.
      type: str
    versions:
      description: For each version that runs C(git_sha), C(image_version), C(config_sha), C(replicas) and C(ready).
      type: list
      elements: dict
    hosts:
      description: Pods on each node.
      type: dict
    url:
      description: Always empty; the mesh does not know instances on Kubernetes yet.
      type: str
    autoscaler:
      description:
        - Of the HorizontalPodAutoscaler C(min), C(max), C(current), C(desired), C(last_scaled), C(conditions), and in
          C(metrics) the C(name), C(target) and C(current) value of each metric.
        - V(null) without one.
      type: dict
    pods:
      description:
        - For each pod C(name), C(node), C(ready), C(restarts), C(git_sha), C(config_sha), C(created), and in C(reason)
          why it is not ready.
      type: list
      elements: dict
    events:
      description:
        - The last warnings about the instance, the newest first, each with C(object), C(reason), C(message), C(count)
          and C(last), when it happened last. Kubernetes keeps them for an hour.
      type: list
      elements: dict
    reason:
      description: Always empty here; M(paasta.platform.kubernetes_instances) says in it what differed before the run.
      type: str
    problem:
      description: Why it is not as planned, in lines; empty when it is.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import (
    INFO_ARGUMENTS,
    shown,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.info import gather


def main() -> None:
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    result = gather(module.params)
    # They are part of what it returns.
    module.params = shown(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

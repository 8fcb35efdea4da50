#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_objects
short_description: Bring objects of a Kubernetes cluster to what manifests say
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Applies any number of manifests at once, by server-side apply. For what a cluster has beside the instances of
    services, such as rights and the labels of nodes.
  - Objects that others need come first, namespaces before what is in them.
  - Nothing is sent for an object that is as its manifest says. What a manifest does not say is left alone, and what it
    said before and does not any more is removed.
  - A C(Node) is only ever changed, for it is its kubelet that registers it. Of its taints only those that this module
    has set are removed.
options:
  manifests:
    description: The objects, as C(kubectl) takes them. Each of them once.
    type: list
    elements: dict
    required: true
  force_conflicts:
    description: Take fields that somebody else has set to other values. Without it they are an error that names both.
    type: bool
    default: false
  concurrency:
    description: Requests under way at the same time, at most.
    type: int
    default: 16
extends_documentation_fragment:
  - paasta.platform.kubernetes_auth
  - paasta.platform.attributes
attributes:
  check_mode:
    description: Asks the API server what it would do (C(dryRun=All)), so that its defaults and its refusals are seen.
    support: full
  diff_mode:
    description: Shows each object that changes before and after. What is in a Secret is not shown.
    support: full
  idempotent:
    description: A second run changes nothing and sends nothing.
    support: full
seealso:
  - module: paasta.platform.kubernetes_instances
"""

EXAMPLES = r"""
- name: Nodes are in pools
  paasta.platform.kubernetes_objects:
    kubeconfig: /etc/kubernetes/admin.conf
    manifests:
      - apiVersion: v1
        kind: Node
        metadata:
          name: node1
          labels:
            yelp.com/pool: default
            topology.kubernetes.io/zone: west1-a
        spec:
          taints:
            - {key: dedicated, value: batch, effect: NoSchedule}

- name: Everything of a file
  paasta.platform.kubernetes_objects:
    manifests: "{{ lookup('ansible.builtin.file', 'rights.yml') | ansible.builtin.from_yaml_all }}"
"""

RETURN = r"""
objects:
  description: One row for each manifest that was looked at.
  type: list
  elements: dict
  returned: always
  contains:
    object:
      description: Its kind, namespace and name.
      type: str
      sample: RoleBinding paasta/paasta-deployer-lock
    action:
      description: What was, or in check mode would be, done.
      type: str
      sample: created
    changes:
      description: The fields that changed, for an object that was there.
      type: list
      elements: str
      sample: [metadata.labels.yelp.com/pool]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import (
    OBJECTS_ARGUMENTS,
    shown,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.objects import run


def main() -> None:
    module = AnsibleModule(argument_spec=OBJECTS_ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    # They are part of what it returns.
    module.params = shown(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

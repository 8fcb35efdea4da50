# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """What kubernetes_instances and kubernetes_instances_info have in common."""

    DOCUMENTATION = r"""
options:
  cluster:
    description: The cluster. Objects labelled with another one are never touched.
    type: str
    required: true
  plan:
    description: What should run, as M(paasta.platform.plan) has it in C(kubernetes), JSON text or what it means.
    type: dict
    required: true
  only:
    description:
      - Services and instances that this run is about, as M(paasta.platform.plan) has them in C(only).
      - Empty means all. What is not selected is neither changed nor pruned.
    type: list
    elements: str
    default: []
  undeployed:
    description: Instances that are declared and have no deployment; what runs of them is left alone.
    type: list
    elements: str
    default: []
"""

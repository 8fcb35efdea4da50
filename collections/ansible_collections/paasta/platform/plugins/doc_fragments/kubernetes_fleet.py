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
"""

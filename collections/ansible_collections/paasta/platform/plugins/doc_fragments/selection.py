# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """Which instances of a plan a run is about: common to the modules of all engines."""

    DOCUMENTATION = r"""
options:
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
  elsewhere:
    description:
      - Instances that another engine is to run, by C(service.instance), as M(paasta.platform.plan) has them in
        C(elsewhere), under the name of this engine.
    type: dict
    default: {}
"""

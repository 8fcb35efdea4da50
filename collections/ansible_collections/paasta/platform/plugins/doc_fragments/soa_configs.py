# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """What modules that read a soa-configs directory have in common."""

    DOCUMENTATION = r"""
requirements:
  - PyYAML
options:
  soa_dir:
    description: The soa-configs directory.
    type: path
    required: true
"""

    SETTINGS = r"""
options:
  settings:
    description: What the inventory says of the platform, as the lookup P(paasta.platform.settings#lookup) returns it.
    type: dict
    default: {}
"""

# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
"""Ansible's side of ``host_program``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_program
short_description: The text of a program of this collection that runs on hosts
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Puts a program together that needs nothing on a host but Python 3.8, so that a role can install it.
options:
  _terms:
    description: Names of programs, such as V(paasta-endpoints).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Program
  ansible.builtin.copy:
    content: "{{ lookup('paasta.platform.host_program', 'paasta-endpoints') }}"
    dest: /usr/local/lib/paasta/paasta-endpoints
    mode: "0755"
"""

RETURN = r"""
_raw:
  description: The texts.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.paasta.platform.plugins.module_utils.host_program import PROGRAMS, text
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import did_you_mean


class LookupModule(LookupBase):
    """Returns texts."""

    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        for term in terms:
            if term not in PROGRAMS:
                raise AnsibleLookupError(f"there is no program {term!r}; {did_you_mean(term, PROGRAMS)}")
        return [f"#!/usr/bin/python3\n{text(str(term))}" for term in terms]

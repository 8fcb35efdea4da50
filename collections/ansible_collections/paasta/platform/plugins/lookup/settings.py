# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
"""Ansible's side of ``soaconfigs.settings``: which variables there are, templated, and where each was written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: settings
short_description: The settings of the platform, checked
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Collects the variables C(paasta_*) of the inventory that describe the platform, and checks them all at once.
  - Only variables that are set are returned; defaults are those of the modules. Text becomes a number, a boolean, a
    list or a mapping where the setting wants one, as the arguments of a module do.
  - Settings of machines (such as C(paasta_address)) are not returned, nor are secrets (such as C(paasta_vault_token)).
    Hand a secret to the module that needs it by itself.
  - Every setting with its type, default and meaning is in C(docs/settings-reference.md) of the project.
  - A variable C(paasta_*) that is no setting gets a warning, for it may be a misspelt one.
options:
  _terms:
    description:
      - Only these variables, with or without the prefix C(paasta_). All of them by default.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the settings before anything else
  ansible.builtin.debug:
    msg: "{{ lookup('paasta.platform.settings') }}"

- name: One setting, as a number whatever the inventory format
  ansible.builtin.debug:
    msg: "{{ lookup('paasta.platform.settings', 'build_timeout').paasta_build_timeout | default(3600) }}"
"""

RETURN = r"""
_value:
  description: The settings that are set, by the full names of their variables.
  type: list
  elements: dict
  sample:
    - paasta_cluster: norcal-prod
      paasta_engines:
        kubernetes: docker
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import ConfigError, did_you_mean
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_settings import PREFIX
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import (
    VARIABLES,
    InvalidSettings,
    checked,
    is_field,
    unknown,
)

try:  # ansible-core tells where a value was written only in a module of its own
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None  # type: ignore[assignment,misc]

display = Display()


class LookupModule(LookupBase):
    """``lookup('paasta.platform.settings')``"""

    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        raw, templar = variables or {}, self._templar
        if templar is None:
            raise AnsibleLookupError("there is nothing to template variables with")
        for warning in unknown(raw):
            display.warning(warning)
        values: dict[str, Any] = {}
        errors: list[ConfigError] = []
        for name in _selected(terms):
            if name in raw:
                try:
                    values[name] = _plain(templar.template(raw[name]))
                except AnsibleError as error:
                    errors.append(ConfigError("", 0, 0, name, f"cannot be templated: {error}"))
        try:
            values = checked(values)
        except InvalidSettings as error:
            errors += error.errors
        if errors:
            raise AnsibleLookupError(str(InvalidSettings(_placed(error, raw) for error in errors)))
        return [values]


def _selected(terms: list[str]) -> Iterable[str]:
    """The variables to look at: of the platform, and without secrets."""
    names = [name for name, row in VARIABLES.items() if is_field(row)]
    if not terms:
        return names
    wanted = [str(term) if str(term).startswith(PREFIX) else f"{PREFIX}{term}" for term in terms]
    for name in wanted:
        if name not in names:
            why = "is not a setting of the platform that may be shown" if name in VARIABLES else "is not a setting"
            raise AnsibleLookupError(f"{name} {why}; {did_you_mean(name, names)}".removesuffix("; "))
    return wanted


def _plain(value: Any) -> Any:
    """The value without Ansible's tags and lazy containers."""
    return json.loads(json.dumps(value, default=str))


def _placed(error: ConfigError, raw: Mapping[str, Any]) -> ConfigError:
    """The error with the file and line that the variable was written in, where Ansible knows them."""
    variable = error.key.partition(".")[0].partition("[")[0]
    origin = Origin.get_tag(raw.get(variable)) if Origin is not None else None
    if origin is None or not origin.path:
        return error
    return replace(error, file=str(origin.path), line=origin.line_num or 0, column=origin.col_num or 0)

#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Find every mistake in a soa-configs directory
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Reads all documents of all services and clusters of a soa-configs directory, and checks their keys and values, and
    what they mean together. Needs no cluster and no network.
  - Fails with every error at once, each with file, line, column, key and what would be right, and with the id of the
    rule that is broken. The rules are in C(docs/validation.md) of the project.
  - Writes reports for continuous integration, also when there are errors.
options:
  services:
    description: Only these services; all when empty.
    type: list
    elements: str
    default: []
  clusters:
    description: Only the files of these clusters; all when empty.
    type: list
    elements: str
    default: []
  reports:
    description: Files to write. Directories are made where they are missing.
    type: dict
    default: {}
    suboptions:
      json:
        description: JSON, the same as RV(report).
        type: path
      junit:
        description: JUnit XML, with one test case for each file that has a problem.
        type: path
      sarif:
        description: SARIF 2.1.0, for code scanning.
        type: path
      text:
        description: Text, the same as RV(text).
        type: path
  fail_on_warnings:
    description: Fail on warnings, too.
    type: bool
    default: false
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.soa_configs
  - paasta.platform.soa_configs.settings
attributes:
  check_mode:
    support: full
    description: Checks the directory, and writes no reports.
  diff_mode:
    support: none
    description: Reports are the result and not a state.
  idempotent:
    support: full
    description: The same files give the same reports.
"""

EXAMPLES = r"""
- name: Find every mistake in soa-configs
  paasta.platform.validate:
    soa_dir: /nail/etc/services
    settings: "{{ lookup('paasta.platform.settings') }}"

- name: One service, with a report for code scanning
  paasta.platform.validate:
    soa_dir: soa-configs
    services: [web]
    reports:
      sarif: build/soa-configs.sarif
"""

RETURN = r"""
report:
  description: What was found. Keys are only ever added within a version.
  type: dict
  returned: when the settings could be read
  contains:
    version:
      description: The version of this form.
      type: int
      sample: 1
    counts:
      description: How many errors and warnings were found, and how many files, services and instances were looked at.
      type: dict
      sample: {errors: 1, warnings: 0, files: 5900, services: 1000, instances: 1800}
    errors:
      description: What is wrong, by place.
      type: list
      elements: dict
      contains:
        file:
          description: The file, relative to the directory.
          type: str
          sample: web/kubernetes-prod.yaml
        line:
          description: The line, from 1; 0 for the file as a whole.
          type: int
        column:
          description: The column, from 1; 0 for the file as a whole.
          type: int
        key:
          description: The key path.
          type: str
          sample: main.env.PORT
        rule:
          description: The id of the rule.
          type: str
          sample: wrong-type
        message:
          description: What is wrong.
          type: str
        hint:
          description: What would be right; may be empty.
          type: str
    warnings:
      description: What is odd, as RV(report.errors).
      type: list
      elements: dict
text:
  description: The same for people.
  type: str
  returned: when the settings could be read
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.validation import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

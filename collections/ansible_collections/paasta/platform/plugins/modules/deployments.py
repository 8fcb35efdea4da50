#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployments
short_description: Mark versions for deployment, start and stop instances
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Writes C(deployments.json) (version 2) of any number of services in a soa-configs directory. It is the record of
    which version each deploy group runs, and of which instances are stopped. Nothing is deployed by it.
  - Everything is checked first. A service, deploy group, instance or cluster that does not exist is refused, all of
    them at once, and then no file is written.
  - Files are replaced atomically, and only when their content changes. Runs at the same time take turns.
options:
  soa_dir:
    description: The soa-configs directory.
    type: path
    required: true
  marks:
    description:
      - Versions to mark for deployment.
      - Every instance of the deploy group, in every cluster, gets a control with C(desired_state=start) if it has none.
        A control that exists is kept, so an instance that was stopped stays stopped.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      deploy_group:
        description:
          - A deploy group of the service's instances or of its C(deploy.yaml).
          - When not given, every deploy group that an instance of the service uses.
        type: str
      git_sha:
        description: The commit to run, all 40 digits.
        type: str
        required: true
      image_version:
        description: Tells images of the same commit apart.
        type: str
  controls:
    description: Instances to start, stop or bounce. What is not given stays as it is.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      instance:
        description: Name of the instance.
        type: str
        required: true
      cluster:
        description: Cluster of the instance.
        type: str
        required: true
      desired_state:
        description: Whether the instance should run.
        type: str
        choices: [start, stop]
      force_bounce:
        description: A token, usually a timestamp. When it changes, the instance is replaced, and if nothing else did.
        type: str
      only_if_absent:
        description:
          - Leave an instance alone that had a control before this task.
          - So an instance can be declared stopped before its first version is marked.
        type: bool
        default: false
attributes:
  action:
    description: Runs on the controller, in Ansible's own process, when the connection is local.
    support: full
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows each file before and after.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: posix
requirements:
  - PyYAML
"""

EXAMPLES = r"""
- name: Mark a commit of web for deployment
  paasta.platform.deployments:
    soa_dir: /etc/soa-configs
    marks:
      - service: web
        deploy_group: prod.main
        git_sha: 3f786850e387550fdab836ed7e6dc881de23001b

- name: Stop an instance
  paasta.platform.deployments:
    soa_dir: /etc/soa-configs
    controls:
      - service: reports
        instance: nightly
        cluster: prod
        desired_state: stop

- name: Give a new instance its first state, once
  paasta.platform.deployments:
    soa_dir: /etc/soa-configs
    controls:
      - service: reports
        instance: nightly
        cluster: prod
        desired_state: stop
        only_if_absent: true
"""

RETURN = r"""
services:
  description: The services whose record changed, or would change in check mode.
  returned: success
  type: list
  elements: str
  sample: [web]
marks:
  description: What was marked, in the order it was asked for.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
      returned: always
    deploy_group:
      description: The deploy group.
      type: str
      returned: always
    docker_image:
      description: Image of the version, without a registry.
      type: str
      returned: always
      sample: services-web:paasta-3f786850e387550fdab836ed7e6dc881de23001b
    git_sha:
      description: The commit.
      type: str
      returned: always
    image_version:
      description: The image version, if there is one.
      type: str
      returned: always
    previous_git_sha:
      description: The commit that was marked before, if one was.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.marking import ARGUMENT_SPEC, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

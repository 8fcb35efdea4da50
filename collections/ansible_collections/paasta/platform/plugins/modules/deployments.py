#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployments
short_description: Mark versions for deployment, roll back, start and stop instances
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Changes the record of which version each deploy group runs, and of which instances are stopped, for any number of
    services. Nothing is deployed by it.
  - Everything is checked first. A service, deploy group, instance or cluster that does not exist is refused, all of
    them at once, and then nothing is written.
  - Files are replaced atomically, and only when their content changes. Runs at the same time take turns.
options:
  record:
    description:
      - Where the record is kept.
      - V(files) is C(deployments.json) of each service in the soa-configs directory.
      - V(soa_configs_git) is the same files, committed and pushed to the repository that the directory is a checkout
        of. The commit has nothing else in it. When somebody else has pushed, the change is made again on top of theirs.
      - V(tags) is PaaSTA's tags in each service's own repository. The tags of one repository are pushed all or none,
        and C(deployments.json) is made of them afterwards. What C(deployments.json) has marked or stopped, and no tag
        says, is written as tags along with the first change.
    type: str
    choices: [files, soa_configs_git, tags]
    default: files
  remote:
    description:
      - With O(record=soa_configs_git), the remote to push to.
      - The default is that of the branch that is checked out, else C(origin). A repository without any remote is only
        committed to.
    type: str
  branch:
    description: With O(record=soa_configs_git), the remote's branch, by default the upstream of what is checked out.
    type: str
  by:
    description: Who asks for it, for the history and the commit message. The default is the user and this machine.
    type: str
  git_url:
    description:
      - With O(record=tags), the repository of each service whose C(service.yaml) has no C(git_url).
      - C({service}) in it is filled in.
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
  rollbacks:
    description:
      - Deploy groups to roll back. The version that was marked is remembered as one not to go back to, with
        O(record=tags) by PaaSTA's C(-rollback) tag.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      deploy_group:
        description: The deploy group.
        type: str
        required: true
      git_sha:
        description: The commit to go back to, by default the last that was marked and not rolled back itself.
        type: str
      image_version:
        description: Of that commit; by default the one it was last marked with.
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
        description: Names of instances; of a Tron job they are C(job.action).
        type: list
        elements: str
        required: true
      cluster:
        description: Cluster of the instances.
        type: str
        required: true
      desired_state:
        description:
          - Whether the instance should run.
          - A stop holds until it is lifted, for versions that are marked later too; in PaaSTA it holds for one version.
        type: str
        choices: [start, stop]
      force_bounce:
        description:
          - A token, usually a timestamp. When it changes, the instance is replaced, and if nothing else did.
          - With O(record=tags) it must be a time, C(YYYYmmddTHHMMSS).
        type: str
      only_if_absent:
        description:
          - Leave an instance alone that had a control before this task.
          - So an instance can be declared stopped before its first version is marked.
        type: bool
        default: false
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.soa_configs
  - paasta.platform.service_repositories
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows each file before and after.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: partial
    details:
      - A rollback without O(rollbacks[].git_sha) goes back one more version each time.
requirements:
  - git 2.29 or newer, unless O(record=files)
seealso:
  - module: paasta.platform.deployments_from_git
"""

EXAMPLES = r"""
- name: Mark a commit of web for deployment
  paasta.platform.deployments:
    soa_dir: /etc/soa-configs
    marks:
      - service: web
        deploy_group: prod.main
        git_sha: 3f786850e387550fdab836ed7e6dc881de23001b

- name: Back to the last good version, recorded in the soa-configs repository
  paasta.platform.deployments:
    soa_dir: /srv/soa-configs
    record: soa_configs_git
    rollbacks:
      - service: web
        deploy_group: prod.main

- name: Stop two instances, recorded in web's own repository
  paasta.platform.deployments:
    soa_dir: /etc/soa-configs
    record: tags
    git_url: git@git.example.org:services/{service}
    controls:
      - service: web
        instance: [main, canary]
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
  description: The services whose C(deployments.json) changed, or would change in check mode.
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
rollbacks:
  description: What was rolled back, in the order it was asked for.
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
      description: Image of the version that is marked now, without a registry.
      type: str
      returned: always
    git_sha:
      description: The commit that is marked now.
      type: str
      returned: always
    image_version:
      description: Its image version, if there is one.
      type: str
      returned: always
    from_git_sha:
      description: The commit that was marked before.
      type: str
      returned: always
    from_image_version:
      description: Its image version, if there is one.
      type: str
      returned: always
tags:
  description: With O(record=tags), the tags that were pushed, by service.
  returned: success
  type: dict
  sample:
    web: [refs/tags/paasta-prod.main-20260102T030405-deploy]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.deployment_record import ARGUMENT_SPEC, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

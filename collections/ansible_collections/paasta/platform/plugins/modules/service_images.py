#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
"""Build the images of services by PaaSTA's contract and push them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_images
short_description: Build the images of services and push them to a registry
version_added: 0.1.0
author:
  - The paasta authors (@paasta)
description:
  - Brings the images of all listed services to a registry, in one call and concurrently.
  - An image is called C(services-<service>:paasta-<git sha>). One that the registry has already is not built again.
  - An image is built by the contract every service keeps, C(make cook-image) in its source directory with
    E(DOCKER_TAG) set to the image's name. The target builds one image and gives it that name.
  - The version of a source directory is the last commit that touches it, so that a directory which is only a part
    of a repository is not built anew when something else in the repository changes.
  - Invalid input of any service is reported before anything is built. A service whose build or push fails does not
    keep the others from being built; the errors of all of them are reported at the end.
requirements:
  - git, unless every service has a O(services[].git_sha)
  - make, and what the services' Makefiles use
  - Docker Engine, reached as the C(docker) command reaches it (E(DOCKER_HOST), the current context, the local socket)
  - docker (Python package) >= 7.0
notes:
  - Credentials for the registry come from the configuration of the C(docker) command, credential helpers included.
    Log in with C(docker login).
  - In a shallow clone git's history may end before the last commit that touches a directory. Clone fully, or give
    O(services[].git_sha).
  - Without a connection other than C(local), the work is done in the controller's own process.
extends_documentation_fragment:
  - paasta.platform.attributes
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
    details:
      - The registry is asked, nothing is built.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run reports no change.
    support: partial
    details:
      - With O(force=true) every run builds and pushes.
options:
  services:
    description:
      - The services whose images are wanted.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description:
          - Name of the service.
        type: str
        required: true
      path:
        description:
          - Its source directory, with a Makefile that has O(target).
          - A relative path is taken from the working directory.
        type: path
        required: true
      git_sha:
        description:
          - The version that the directory contains, in hexadecimal digits.
          - By default, the last commit that touches the directory.
        type: str
  registry:
    description:
      - The registry as it is reached from where the images are built, C(host[:port][/path]).
    type: str
    required: true
  registry_scheme:
    description:
      - How the registry is spoken to when it is asked what it has. Pushing is up to Docker Engine.
      - V(auto) is HTTPS, except for a registry that Docker Engine treats as insecure. Such are those on the loopback
        interface and those it is configured to trust. They are asked by HTTP first, then by HTTPS without
        verification.
      - A certificate authority for the registry in C(/etc/docker/certs.d/<host>/ca.crt) is honoured.
    type: str
    choices: [auto, http, https]
    default: auto
  target:
    description:
      - The target of the Makefile. V(itest) builds the image and tests it.
    type: str
    choices: [cook-image, itest]
    default: cook-image
  allow_dirty:
    description:
      - Whether a directory with uncommitted changes, or outside of any git repository, may be built.
      - Its version is then the name of the git tree of its content (what C(.gitignore) excludes does not count), so
        that the same content has the same version everywhere. The user's index and repository are left as they are.
    type: bool
    default: false
  force:
    description:
      - Whether to build and push images that exist already.
    type: bool
    default: false
  timeout:
    description:
      - How long one service's build may take, in seconds. It also limits each answer of Docker Engine.
    type: int
    default: 3600
  concurrency:
    description:
      - How many images are built at the same time.
    type: int
    default: 2
seealso:
  - module: paasta.platform.deployments
    description: Marks an image for deployment.
"""

EXAMPLES = r"""
- name: Build and push what the registry does not have yet
  paasta.platform.service_images:
    services:
      - service: web
        path: /srv/src/web
      - service: worker
        path: /srv/src/worker
    registry: registry.example.com
  register: built

- name: Try out what is not committed yet
  paasta.platform.service_images:
    services:
      - service: web
        path: "{{ playbook_dir }}/../services/web"
    registry: 127.0.0.1:5000
    allow_dirty: true

- name: Build a checkout made by the CI system, and run the service's own tests
  paasta.platform.service_images:
    services:
      - service: web
        path: /workspace/web
        git_sha: 0c3a9b1f4ad2e31d4ee0f7a0c62b4e5db86fa1c9
    registry: registry.example.com
    target: itest
    timeout: 1800
"""

RETURN = r"""
images:
  description:
    - One entry for each service whose image is now in the registry, in the order of O(services).
    - In check mode, RV(images[].built) and RV(images[].pushed) say what would be done.
  returned: when the input is valid and the registry answers
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
      returned: always
      sample: web
    git_sha:
      description: The version, to be marked for deployment.
      type: str
      returned: always
      sample: 0c3a9b1f4ad2e31d4ee0f7a0c62b4e5db86fa1c9
    image:
      description: Name of the image, without the registry.
      type: str
      returned: always
      sample: services-web:paasta-0c3a9b1f4ad2e31d4ee0f7a0c62b4e5db86fa1c9
    built:
      description: Whether it was built. An image that Docker Engine has already is only pushed.
      type: bool
      returned: always
      sample: true
    pushed:
      description: Whether it was pushed.
      type: bool
      returned: always
      sample: true
    seconds:
      description: How long it took, in seconds.
      type: float
      returned: always
      sample: 12.3
errors:
  description: What went wrong, for each service that failed.
  returned: when a service failed
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
      returned: always
      sample: worker
    error:
      description: The error, with the last lines of a failed build.
      type: str
      returned: always
      sample: /srv/src/worker has no Makefile
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import images


def main() -> None:
    module = AnsibleModule(argument_spec=images.ARGUMENT_SPEC, supports_check_mode=True)
    result = images.run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

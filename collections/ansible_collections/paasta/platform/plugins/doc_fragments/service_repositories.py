# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """What modules that ask the git repositories of services have in common."""

    DOCUMENTATION = r"""
options:
  git_url:
    description:
      - The repository of each service whose C(service.yaml) has no C(git_url).
      - C({service}) in it is filled in.
    type: str
  git_timeout:
    description: Seconds that one git command may take.
    type: float
    default: 60
  git_concurrency:
    description: Repositories that are asked, or pushed to, at the same time.
    type: int
    default: 16
"""

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Every check of what a soa-configs tree means, beyond the shape of its values.

A check is a pure function of a subject (``subjects``): it reads, and reports to the subject. Checks of instances run
for every instance of a tree, so one that does not apply returns after a look-up or two. The rules, with their ids, are
in ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable

from . import (
    checks_autoscaling,
    checks_instance,
    checks_mesh,
    checks_secrets,
    checks_service,
    checks_tron,
    checks_volumes,
)
from .subjects import Documents, ServiceSubject, Subject, Tree, TreeSubject

__all__ = [
    "INSTANCE_CHECKS",
    "JOB_CHECKS",
    "MESH_CHECKS",
    "OPAQUE_CHECKS",
    "SERVICE_CHECKS",
    "TREE_CHECKS",
    "Documents",
    "ServiceSubject",
    "Subject",
    "Tree",
    "TreeSubject",
    "of_kind",
]

# Instances whose keys are in the table of keys.
INSTANCE_CHECKS: tuple[Callable[[Subject], None], ...] = (
    *checks_instance.CHECKS,
    *checks_volumes.CHECKS,
    *checks_autoscaling.CHECKS,
    *checks_secrets.CHECKS,
)
# Tron jobs: the subject is a job, with its actions.
JOB_CHECKS: tuple[Callable[[Subject], None], ...] = checks_tron.CHECKS
# Custom resources: the body is the business of their operator, PaaSTA knows the name and a few keys of it.
OPAQUE_CHECKS: tuple[Callable[[Subject], None], ...] = checks_instance.OPAQUE
# One service. Those of the mesh alone are for services of which nothing but the namespaces is looked at.
MESH_CHECKS: tuple[Callable[[ServiceSubject], None], ...] = checks_mesh.SERVICE
SERVICE_CHECKS: tuple[Callable[[ServiceSubject], None], ...] = (*checks_service.CHECKS, *MESH_CHECKS)
TREE_CHECKS: tuple[Callable[[TreeSubject], None], ...] = checks_mesh.TREE

_CONTAINERS = frozenset({"kubernetes", "eks", "adhoc", "marathon"})


def of_kind(kind: str) -> tuple[Callable[[Subject], None], ...]:
    """The checks that an instance of a type gets."""
    if kind in _CONTAINERS:
        return INSTANCE_CHECKS
    return JOB_CHECKS if kind == "tron" else OPAQUE_CHECKS

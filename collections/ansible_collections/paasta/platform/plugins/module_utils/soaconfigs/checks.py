# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Every check of what a soa-configs tree means, beyond the shape of its values.

A check is a pure function of a subject (``subjects``): it reads, and reports to the subject. Checks of instances run
for every instance of a tree, so one that does not apply returns after a look-up or two. The rules they apply, with their
ids, are in ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable

from .subjects import Documents, SecretRef, ServiceSubject, Settings, Subject, Tree, TreeSubject

__all__ = [
    "INSTANCE_CHECKS",
    "JOB_CHECKS",
    "OPAQUE_CHECKS",
    "SERVICE_CHECKS",
    "TREE_CHECKS",
    "Documents",
    "SecretRef",
    "ServiceSubject",
    "Settings",
    "Subject",
    "Tree",
    "TreeSubject",
    "of_kind",
]

# Instances whose keys are in the table of keys.
INSTANCE_CHECKS: tuple[Callable[[Subject], None], ...] = ()
# Tron jobs: the subject is a job, with its actions.
JOB_CHECKS: tuple[Callable[[Subject], None], ...] = ()
# Custom resources, whose body is the business of their operator.
OPAQUE_CHECKS: tuple[Callable[[Subject], None], ...] = ()
SERVICE_CHECKS: tuple[Callable[[ServiceSubject], None], ...] = ()
TREE_CHECKS: tuple[Callable[[TreeSubject], None], ...] = ()

_CONTAINERS = frozenset({"kubernetes", "eks", "adhoc", "marathon"})


def of_kind(kind: str) -> tuple[Callable[[Subject], None], ...]:
    """The checks that an instance of a type gets."""
    if kind in _CONTAINERS:
        return INSTANCE_CHECKS
    return JOB_CHECKS if kind == "tron" else OPAQUE_CHECKS

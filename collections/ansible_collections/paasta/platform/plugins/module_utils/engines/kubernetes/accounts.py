# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Service accounts: of AWS IAM roles, which give pods their credentials, or one that the team made."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels, names
from .facts import Facts

#: What EKS reads the role of a service account from.
_ROLE = "eks.amazonaws.com/role-arn"
_NOT_IN_NAMES = re.compile(r"[^0-9a-zA-Z]+")


def service_account_name(instance: Instance, facts: Facts) -> str | None:
    """The account that pods run as: that of their IAM role, else ``service_account_name``; None for the default one."""
    role = instance.keys.get("iam_role")
    if role:
        return "paasta--" + _NOT_IN_NAMES.sub("-", role).strip("-").lower()
    return instance.keys.get("service_account_name") or None


def service_account(instance: Instance, facts: Facts) -> dict[str, Any] | None:
    """The account of an IAM role, which all instances of the role share; one that the team named is the team's."""
    name = service_account_name(instance, facts)
    role = instance.keys.get("iam_role")
    if name is None or not role:
        return None
    metadata = labels.shared_metadata(facts, name, namespace=names.namespace(instance), annotations={_ROLE: role})
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}

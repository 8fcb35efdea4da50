# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The Secrets that pods take their secrets from: written only when their digest says that they changed.

Of what is there only the metadata is read, so the cleartext never comes back. Somebody who changes the data by hand
becomes the owner of it, which the metadata tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.secrets import manifest as secret
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef

from ..cleartext import Cleartexts
from . import fields
from .live import Live, Manifest

Entry = Mapping[str, Any]


def wanted(instances: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Entry]:
    """The Secrets of instances, by namespace and name. Several instances use the same one."""
    return {(plan["namespace"], entry["object"]): entry for plan in instances for entry in plan["secrets"]}


def differing(instances: Iterable[Mapping[str, Any]], live: Live) -> dict[tuple[str, str], Entry]:
    """Those of :func:`wanted` that have to be written."""
    entries = sorted(wanted(instances).items())
    return {key: entry for key, entry in entries if not _is_current(entry, _found(key, live), live)}


def secret_ref(entry: Entry) -> SecretRef:
    return SecretRef(entry["service"], entry["name"])


def manifest(key: tuple[str, str], entry: Entry, live: Live, cleartexts: Cleartexts | None) -> dict[str, Any]:
    """The Secret; without ``cleartexts`` (in check mode) with nothing in it."""
    cleartext = b"" if cleartexts is None else cleartexts[secret_ref(entry)]
    return secret(entry, key[0], cleartext, live.cluster, live.prefix)


def _found(key: tuple[str, str], live: Live) -> Manifest | None:
    return live.objects.get(f"v1/Secret/{key[0]}/{key[1]}")


def _is_current(entry: Entry, found: Manifest | None, live: Live) -> bool:
    if found is None:
        return False
    mine = fields.ours(found)
    annotations = found["metadata"].get("annotations") or {}
    return (
        mine is not None
        and f"f:{entry['key']}" in mine.get("f:data", {})
        and annotations.get(f"{live.prefix}/secret-digest") == entry["digest"]
        and not any(
            "f:data" in (other.get("fieldsV1") or {})
            for other in fields.entries(found)
            if other.get("manager") != fields.MANAGER
        )
    )

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Taints of nodes, of which Kubernetes' controllers set some and we others.

They are one list that has one owner, so a server-side apply would take away those of the controllers, such as that of a
node that does not answer. Ours are written beside theirs; an annotation says which are ours, so that one that is not
wanted any more goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import kinds
from .api import Api
from .errors import ApiError
from .live import Manifest

#: Which taints of a node are ours: ``["dedicated:NoSchedule"]``.
ANNOTATION = "platform.paasta/taints"

#: Somebody else writes the node as well: its kubelet, some times a minute.
_ATTEMPTS = 5


def wanted(manifest: Manifest) -> list[dict[str, Any]]:
    return [dict(taint) for taint in (manifest.get("spec") or {}).get("taints") or ()]


def without(manifest: Manifest) -> Manifest:
    """The manifest of a node without its taints."""
    spec = {name: value for name, value in (manifest.get("spec") or {}).items() if name != "taints"}
    rest = {name: value for name, value in manifest.items() if name != "spec"}
    return {**rest, "spec": spec} if spec else rest


def name(taint: Mapping[str, Any]) -> str:
    """What tells taints of a node apart."""
    return f"{taint['key']}:{taint['effect']}"


def merged(live: list[dict[str, Any]], ours: list[str], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The taints of a node: those of others as they are, and what we want in place of what we had set."""
    new = {name(taint) for taint in wanted}
    kept = [taint for taint in live if name(taint) not in new and name(taint) not in ours]
    # The server adds when a taint began to hold: not ours to compare.
    there = {name(taint): taint for taint in live}
    return kept + [{**there.get(name(taint), {}), **taint} for taint in wanted]


def bring(api: Api, manifest: Manifest, live: Manifest, *, manager: str, dry_run: bool) -> Manifest:
    """Write the taints of a node, if they differ; the node as it is then.

    :param live: as it is now.
    :raises ApiError: when the server refuses.
    """
    names = sorted(name(taint) for taint in wanted(manifest))
    for attempt in range(_ATTEMPTS):
        there = (live.get("spec") or {}).get("taints") or []
        ours = json.loads((live["metadata"].get("annotations") or {}).get(ANNOTATION, "[]"))
        new = merged(there, ours, wanted(manifest))
        if {name(taint): taint for taint in there} == {name(taint): taint for taint in new} and sorted(ours) == names:
            return live
        annotations = {ANNOTATION: json.dumps(names) if names else None}
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"], "annotations": annotations}
        try:
            return api.request(
                "PATCH",
                kinds.path(manifest),
                query={"dryRun": "All" if dry_run else None, "fieldManager": manager},
                body={"metadata": metadata, "spec": {"taints": new}},
                content_type="application/merge-patch+json",
            )
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
            live = api.request("GET", kinds.path(manifest))
    return live

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bring any objects to what manifests say, all at once: the work of ``kubernetes_objects``.

For what a cluster has beside instances: rights, priorities, labels of nodes. The field manager is another one than that
of deploys, so that a namespace may be made by one and labelled by the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import ref

from . import diffs, fields, kinds, taints
from .api import Api
from .connection import connected, without_credentials
from .errors import ApiError, Unreachable
from .live import Manifest
from .writer import describe

#: Field manager of what is applied here.
MANAGER = "paasta-platform"

#: From so many objects of a kind in a namespace on, all of them are listed instead of asked for one by one.
_LIST_FROM = 5


@dataclass(slots=True)
class Outcome:
    """What was done about one object.

    :ivar before: as it was; None when it was not there.
    :ivar after: as it is now; in check mode as it would be.
    """

    manifest: Manifest
    before: Manifest | None
    after: Manifest

    @property
    def action(self) -> str:
        if self.before is None:
            return "created"
        return "changed" if self.changes else "unchanged"

    @property
    def changes(self) -> list[str]:
        """The fields that changed, of an object that was there."""
        if self.before is None or self.before is self.after:
            return []
        return [str(change) for change in diffs.changes(self.before, self.after)]

    @property
    def is_namespace(self) -> bool:
        return bool(self.manifest["kind"] == "Namespace")

    def as_row(self) -> dict[str, Any]:
        return {"object": describe(self.manifest), "action": self.action, "changes": self.changes}

    def as_diff(self) -> dict[str, str]:
        name = describe(self.manifest)
        return {
            "before_header": name,
            "after_header": name,
            "before": _shown(self.before) if self.before else "",
            "after": _shown(self.after),
        }


class Refused(Exception):
    """Something is wrong with one object; the text says which, what, and the way out."""


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Apply the manifests. ``args`` is as in :data:`~.arguments.OBJECTS_ARGUMENTS`; returns the module's result."""
    manifests: list[Manifest] = args["manifests"]
    if found := problems(manifests):
        return {"failed": True, "changed": False, "msg": "\n".join(found)}
    outcomes: list[Outcome] = []
    try:
        with connected(args) as api:
            found = _bring_all(api, manifests, outcomes, check_mode, args["force_conflicts"])
    except (ApiError, Unreachable) as error:
        found = [str(error)]
    differing = [outcome for outcome in outcomes if outcome.action != "unchanged"]
    result: dict[str, Any] = {"changed": bool(differing), "objects": [outcome.as_row() for outcome in outcomes]}
    if diff:
        result["diff"] = [outcome.as_diff() for outcome in differing]
    if found:
        result |= {"failed": True, "msg": "\n".join(found)}
    return without_credentials(result, args)


def problems(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """All that can be said against the manifests without a server."""
    found: list[str] = []
    seen: set[str] = set()
    for number, manifest in enumerate(manifests, 1):
        try:
            kind = kinds.find(str(manifest.get("kind", "")), str(manifest.get("apiVersion", "")))
        except kinds.UnknownKind as error:
            found.append(f"manifest {number}: {error}")
            continue
        metadata = manifest.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not name or not isinstance(name, str):
            found.append(f"manifest {number}: {kind.kind} needs metadata.name")
            continue
        given = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        if bool(given) != kind.namespaced:
            found.append(f"{kind.kind} {name}: {'needs' if kind.namespaced else 'cannot have'} metadata.namespace")
        elif "apiVersion" not in manifest:
            found.append(f"{kind.kind} {name}: needs apiVersion, {kind.api_version}")
        elif (reference := ref(manifest)) in seen:
            found.append(f"{describe(manifest)}: given twice")
        else:
            seen.add(reference)
    return found


def _bring_all(api: Api, manifests: list[Manifest], outcomes: list[Outcome], dry_run: bool, force: bool) -> list[str]:
    """Fills ``outcomes``; returns what went wrong. Objects that need others come after them."""
    live = _look(api, manifests)

    def bring(manifest: Manifest) -> Outcome | Refused:
        try:
            return _bring(api, manifest, live(manifest), dry_run, force)
        except Refused as error:
            return error

    made: set[str] = set()
    for _order, level in groupby(sorted(manifests, key=_place), _place):
        here = list(level)
        # In check mode the server refuses what is in a namespace that is not there yet.
        waiting = [each for each in here if dry_run and each["metadata"].get("namespace") in made]
        outcomes += [Outcome(each, None, each) for each in waiting]
        answers = api.map(bring, [each for each in here if each not in waiting])
        done = [answer for answer in answers if isinstance(answer, Outcome)]
        outcomes += done
        if found := [str(answer) for answer in answers if isinstance(answer, Exception)]:
            return found
        made |= {ref(each.manifest).rpartition("/")[2] for each in done if each.before is None and each.is_namespace}
    return []


def _place(manifest: Manifest) -> int:
    return kinds.of(manifest).order


def _look(api: Api, manifests: Iterable[Manifest]) -> Callable[[Manifest], Manifest | None]:
    """What tells an object as it is. Where many of a kind are wanted, they have been listed together."""
    wanted: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        path = kinds.collection(kinds.of(manifest), manifest["metadata"].get("namespace"))
        wanted.setdefault(path, []).append(manifest)
    listed = [path for path, items in wanted.items() if len(items) >= _LIST_FROM]
    there: dict[str, Manifest] = {}
    for found in _lists(api, listed):
        there[ref(found)] = found

    def look(manifest: Manifest) -> Manifest | None:
        if kinds.collection(kinds.of(manifest), manifest["metadata"].get("namespace")) in listed:
            return there.get(ref(manifest))
        return _get(api, manifest)

    return look


def _lists(api: Api, paths: list[str]) -> Iterator[Manifest]:
    for answer in api.map(lambda path: api.list(path)[0], paths):
        if isinstance(answer, ApiError):
            raise answer
        yield from answer


def _get(api: Api, manifest: Manifest) -> Manifest | None:
    try:
        return api.request("GET", kinds.path(manifest))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _bring(api: Api, manifest: Manifest, before: Manifest | None, dry_run: bool, force: bool) -> Outcome:
    """Bring one object to its manifest.

    :raises ApiError: when the server refuses.
    :raises Refused: when somebody else holds fields of it, or it is a node that is not registered.
    """
    if manifest["kind"] == "Node":
        return _bring_node(api, manifest, before, dry_run, force)
    if before is not None and _is_so(manifest, before):
        return Outcome(manifest, before, before)
    return Outcome(manifest, before, _apply(api, manifest, dry_run, force))


def _bring_node(api: Api, manifest: Manifest, before: Manifest | None, dry_run: bool, force: bool) -> Outcome:
    """A node is changed only: it is its kubelet that registers it."""
    if before is None:
        raise Refused(f"{describe(manifest)} is not registered: does its kubelet run, and reach the API server?")
    # Not one of the same name that is made anew meanwhile, nor one made by this very request.
    metadata = {**manifest["metadata"], "uid": before["metadata"]["uid"]}
    desired = taints.without({**manifest, "metadata": metadata})
    labelled = before if _is_so(taints.without(manifest), before) else _apply(api, desired, dry_run, force)
    after = taints.bring(api, manifest, labelled, manager=MANAGER, dry_run=dry_run)
    if dry_run and after is not labelled:
        # The server has answered two questions, each about the node as it is.
        annotations = {**_annotations(labelled), **_annotations(after)}
        after = {**after, "metadata": {**labelled["metadata"], "annotations": annotations}}
    return Outcome(manifest, before, after)


def _annotations(found: Manifest) -> Mapping[str, Any]:
    return found["metadata"].get("annotations") or {}


def _is_so(manifest: Manifest, before: Manifest) -> bool:
    """Whether an apply would change nothing."""
    mine = fields.ours(before, MANAGER)
    return mine is not None and not fields.differences(manifest, before, mine)


def _apply(api: Api, manifest: Manifest, dry_run: bool, force: bool) -> Manifest:
    try:
        return api.apply(manifest, manager=MANAGER, force=force, dry_run=dry_run)
    except ApiError as error:
        found = fields.conflicts(error.details)
        if error.status != 409 or not found:
            raise
        text = ", ".join(f"{field} (set by {manager})" for field, manager in found)
        raise Refused(
            f"{describe(manifest)}: somebody else wants these fields otherwise: {text}. Have them given up there, or "
            "take them with force_conflicts"
        ) from error


def _shown(found: Manifest) -> str:
    return json.dumps(diffs.clean(found), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

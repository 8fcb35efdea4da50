# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bring one object to what is wanted with server-side apply: create it, change it, adopt it, or leave it alone.

Nothing is sent for an object that is as wanted (:mod:`~.fields` tells from the object itself). In check mode the server
is asked with ``dryRun=All``, so that its defaults, its admission and its refusals are seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import ref

from . import diffs, fields, kinds
from .api import Api
from .desired import REPLICAS_FIELD, as_it_is, merge_patch, sha_labels, with_replicas, with_template_sha, without
from .errors import ApiError
from .fields import MANAGER, Change
from .live import WORKLOADS, Live, Manifest

#: Manager that writes ``spec.replicas`` for a HorizontalPodAutoscaler.
AUTOSCALER = "kube-controller-manager"

_REPLICAS = ("spec", "replicas")

#: What others label and annotate as well, for their own purposes: never made ours as a whole.
_OF_MANY = ("Namespace", "ServiceAccount")

#: A status that changes all the time is written some times a second.
_TAKE_OVER_ATTEMPTS = 10

#: Seconds between questions whether a workload is gone.
_GONE_POLL = 0.5


class Foreign(Exception):
    """An object with the name of one of ours is somebody else's; the text says whose and what to do."""


class Conflict(Exception):
    """Somebody else has set fields that we want otherwise; the text has every field and manager, and the way out."""


@dataclass(slots=True)
class Outcome:
    """What was done about one object.

    :ivar action: ``unchanged``, ``created``, ``changed`` or ``adopted``.
    :ivar before: as it was; None when it was not there.
    :ivar after: as it is now; in check mode as it would be.
    :ivar changes: what differs between the two, for one that was there.
    :ivar drift: what somebody else had changed of what we had applied, or added to it.
    """

    action: str
    before: Manifest | None
    after: Manifest
    drift: list[Change] = field(default_factory=list)
    changes: list[Change] = field(init=False)

    def __post_init__(self) -> None:
        same = self.before is None or self.before is self.after
        self.changes = [] if same or self.before is None else diffs.changes(self.before, self.after)

    @property
    def changed(self) -> bool:
        if self.before is None or self.action == "adopted" or self.changes:
            return True
        # What is in a Secret is not compared: one that had to be written was changed by hand.
        return self.action == "changed" and self.after["kind"] == "Secret"


class Writer:
    """Writes objects of one run; for several threads at once.

    :param check: called before every write; raises when nothing may be written any more.
    :param dry_run: ask the server what it would do.
    :param force: take fields from other managers.
    :param brief: of what is created, other than workloads, only the metadata is asked back; enough without a diff.
    """

    def __init__(
        self, api: Api, live: Live, check: Callable[[], None], *, dry_run: bool, force: bool, brief: bool = False
    ) -> None:
        self._api = api
        self._live = live
        self._check = check
        self.dry_run = dry_run
        self._force = force
        self._brief = brief

    def write(self, manifest: Manifest, plan: Mapping[str, Any] | None = None) -> Outcome:
        """Bring one object to the manifest.

        :param plan: the instance's part of the plan, for its workload.
        :raises ApiError: when the server refuses.
        :raises Foreign: when the name is taken.
        :raises Conflict: when somebody else holds fields of it.
        """
        before = self._before(manifest)
        if before is None:
            return self._create(manifest, plan)
        mine = fields.ours(before)
        if self._only_has_to_be_there(manifest):
            return Outcome("unchanged", before, before)
        if mine is None:
            self._refuse_foreign(before, manifest)
            if manifest["kind"] not in _OF_MANY:
                return self._adopt(manifest, before, plan)
            mine = {}
        desired = as_it_is(manifest, before, mine, plan)
        changes = fields.differences(desired, before, mine)
        if not changes:
            return Outcome("unchanged", before, before, fields.foreign(before))
        drift = [change for change in changes if change.by]
        drift += [change for change in fields.foreign(before) if change.path not in {one.path for one in drift}]
        return Outcome("changed", before, self._apply(desired, before, plan), drift)

    def settled(self, manifest: Manifest, plan: Mapping[str, Any] | None = None) -> Outcome | None:
        """The outcome for an object of which nothing has to be asked or sent; else None. Does not block."""
        before = self._live.get(manifest)
        mine = fields.ours(before) if before is not None else None
        if before is not None and self._only_has_to_be_there(manifest):
            return Outcome("unchanged", before, before)
        if before is None or mine is None or fields.differences(as_it_is(manifest, before, mine, plan), before, mine):
            return None
        return Outcome("unchanged", before, before, fields.foreign(before))

    def _only_has_to_be_there(self, manifest: Manifest) -> bool:
        """Whether it is the namespace of somebody else, which an instance asks for by its key ``namespace``."""
        labels = manifest["metadata"].get("labels") or {}
        return manifest["kind"] == "Namespace" and f"{self._live.prefix}/managed" not in labels

    def restore(self, before: Manifest, mine: Mapping[str, Any], after: Manifest) -> dict[str, Any]:
        """Put a workload back as we had applied it, in the fields that were ours; the autoscaler keeps its replicas.

        Where they have become ours they have to be sent, or the server would set them to its default, one.

        :param after: the workload as this run has written it.
        """
        self._check()
        previous: Manifest = fields.owned(before, mine)
        if _owns_replicas(after) and not _owns_replicas(before):
            previous = with_replicas(previous, before["spec"].get("replicas", 1))
        return self._api.apply(previous, manager=MANAGER, force=True)

    def delete(self, found: Manifest, *, gone: bool = False) -> None:
        """Delete an object as it was seen; one that is gone, or was made anew meanwhile, is left alone.

        :param gone: come back when it and its pods are gone, however long these take to stop.
        """
        self._check()
        uid, propagation = found["metadata"]["uid"], "Foreground" if gone else "Background"
        try:
            self._api.delete(ref(found), uid=uid, propagation=propagation, dry_run=self.dry_run)
            while gone and not self.dry_run and self._api.request("GET", kinds.path(found))["metadata"]["uid"] == uid:
                self._check()
                time.sleep(_GONE_POLL)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _before(self, manifest: Manifest) -> Manifest | None:
        """The object as it is. A list by label does not show those of others with the same name: where the namespace
        was there before us, it is asked for.
        """
        found = self._live.get(manifest)
        namespace = manifest["metadata"].get("namespace")
        if found is not None or namespace not in self._live.namespaces:
            return found
        try:
            return self._api.request("GET", kinds.path(manifest))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _refuse_foreign(self, before: Manifest, manifest: Manifest) -> None:
        """What has our name and is not ours must not be changed.

        Ours are objects with the labels of the same instance (PaaSTA's, or somebody's who moves to paasta), objects
        that no instance owns in a namespace of ours, and namespaces.
        """
        if manifest["kind"] == "Namespace":
            return
        wanted, there = ((found["metadata"].get("labels") or {}) for found in (manifest, before))
        prefix = self._live.prefix
        whose = [f"{prefix}/{name}" for name in ("service", "instance")]
        if all(name in wanted for name in whose):
            if all(there.get(name) == wanted[name] for name in whose):
                return
        else:
            parent = self._live.objects.get(f"v1/Namespace//{manifest['metadata']['namespace']}")
            labels = ((parent or {}).get("metadata", {}).get("labels")) or {}
            if there.get(f"{prefix}/managed") == "true" or labels.get(f"{prefix}/managed") == "true":
                return
        by = ", ".join(sorted({str(entry.get("manager")) for entry in fields.entries(before)})) or "somebody"
        give = " ".join(f"{name}={wanted[name]}" for name in whose if name in wanted) or f"{prefix}/managed=true"
        raise Foreign(
            f"{describe(manifest)} is there already and not paasta's (made by {by}): remove it, or give it to paasta "
            f"with the label{'s' if ' ' in give else ''} {give}"
        )

    def _create(self, manifest: Manifest, plan: Mapping[str, Any] | None) -> Outcome:
        if plan and manifest["kind"] in WORKLOADS and "replicas" not in manifest["spec"]:
            manifest = with_replicas(manifest, plan["replicas"])
        if self.dry_run and self._new_namespace(manifest):
            # The server cannot say what it would make of it: its namespace is not there yet.
            return Outcome("created", None, manifest)
        self._check()
        after = self._api.apply(
            manifest,
            manager=MANAGER,
            force=self._force,
            dry_run=self.dry_run,
            metadata_only=self._brief and manifest["kind"] not in WORKLOADS,
        )
        return Outcome("created", None, after)

    def _new_namespace(self, manifest: Manifest) -> bool:
        namespace = manifest["metadata"].get("namespace")
        return namespace is not None and namespace not in self._live.namespaces

    def _apply(self, desired: Manifest, before: Manifest, plan: Mapping[str, Any] | None) -> dict[str, Any]:
        self._check()
        try:
            return self._api.apply(desired, manager=MANAGER, force=self._force, dry_run=self.dry_run)
        except ApiError as error:
            found = fields.conflicts(error.details)
            if error.status != 409 or not found:
                raise
            if {field for field, _manager in found} == {".".join(_REPLICAS)} and plan:
                if plan["autoscaling"]:
                    # It has scaled since we looked: how many is its decision.
                    desired = with_replicas(desired, None)
                    return self._api.apply(desired, manager=MANAGER, dry_run=self.dry_run)
                if {manager for _field, manager in found} == {AUTOSCALER}:
                    # Of an autoscaler that this instance no longer has.
                    return self._api.apply(desired, manager=MANAGER, force=True, dry_run=self.dry_run)
            raise Conflict(_explain(desired, before, found)) from error

    def _adopt(self, manifest: Manifest, before: Manifest, plan: Mapping[str, Any] | None) -> Outcome:
        """Make ours what PaaSTA or kubectl made: all that they wrote, so that what we do not want goes.

        Where the pods would be the same but for the hash of their configuration they keep that of theirs, and run on.
        """
        taken = fields.taken_over(before)
        theirs = taken[-1]["fieldsV1"]
        manifest = as_it_is(manifest, before, theirs, plan)
        manifest = self._with_sha_of(manifest, before, theirs)
        if self.dry_run:
            return Outcome("adopted", before, self._try_adoption(manifest, before, theirs))
        self._take_over(before)
        after = self._api.apply(manifest, manager=MANAGER, force=True)
        return Outcome("adopted", before, after)

    def _with_sha_of(self, manifest: Manifest, before: Manifest, theirs: Mapping[str, Any]) -> Manifest:
        """With the config sha of the pods that are there, if that alone would replace them."""
        names = sha_labels(manifest)
        if not names:
            return manifest
        candidate = with_template_sha(manifest, before, names)
        after = self._try_adoption(candidate, before, theirs)
        return candidate if after["spec"]["template"] == before["spec"]["template"] else manifest

    def _take_over(self, found: Manifest) -> None:
        """Make the fields that others wrote ours, whatever controllers write into its status meanwhile."""
        for attempt in range(_TAKE_OVER_ATTEMPTS):
            self._check()
            # With the version: what somebody writes meanwhile must not be lost.
            metadata = {
                "managedFields": fields.taken_over(found),
                "resourceVersion": found["metadata"]["resourceVersion"],
            }
            try:
                self._api.request(
                    "PATCH",
                    kinds.path(found),
                    query={"fieldManager": MANAGER},
                    content_type="application/merge-patch+json",
                    body={"metadata": metadata},
                )
                return
            except ApiError as error:
                if error.status != 409 or attempt == _TAKE_OVER_ATTEMPTS - 1:
                    raise
            found = self._api.request("GET", kinds.path(found))

    def _try_adoption(self, manifest: Manifest, before: Manifest, theirs: Mapping[str, Any]) -> Manifest:
        """What an adoption would make of an object. It takes two requests, of which a dry run forgets the first: so
        what they lead to is asked for in one, and the server fills in the defaults of what goes.
        """
        gone = [change.path for change in fields.differences(manifest, before, theirs) if change.after is None]
        wanted = self._api.apply(manifest, manager=MANAGER, force=True, dry_run=True)
        for path in gone:
            wanted = without(wanted, path)
        return self._api.request(
            "PATCH",
            kinds.path(manifest),
            query={"fieldManager": MANAGER, "dryRun": "All"},
            content_type="application/merge-patch+json",
            body=merge_patch(diffs.clean(before), diffs.clean(wanted)),
        )


def describe(manifest: Manifest) -> str:
    """``Deployment paastasvc-web/web-main``."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace")
    return (
        f"{manifest['kind']} {namespace}/{metadata['name']}" if namespace else f"{manifest['kind']} {metadata['name']}"
    )


def _owns_replicas(workload: Manifest) -> bool:
    return REPLICAS_FIELD in (fields.ours(workload) or {}).get("f:spec", {})


def _explain(desired: Manifest, before: Manifest, found: list[tuple[str, str]]) -> str:
    managers: dict[str, list[str]] = {}
    for name, manager in found:
        managers.setdefault(name, []).append(manager)
    lines = []
    for name, who in managers.items():
        line = f"  {name}: set by {', '.join(who)}"
        if desired["kind"] != "Secret":
            there, planned = (fields.value_named(one, name) for one in (before, desired))
            line += f" to {there!r:.200}, planned is {planned!r:.200}"
        lines.append(line)
    return (
        f"{describe(desired)}: somebody else has set what the plan says otherwise; write it into soa-configs, or take "
        "it back with force_conflicts (-e force_conflicts=true):\n" + "\n".join(lines)
    )

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Write what a plan has: namespaces and what is shared first, then every instance's objects in their order.

Instances are written at the same time, those with a new version before those of which only the configuration changes:
a version that does not start is then known before anything else has moved. One that fails does not stop the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from ..cleartext import Cleartexts
from ..difference import Difference
from . import diffs, fields, secrets
from .api import Api
from .errors import ApiError
from .live import WORKLOADS, Live, Manifest
from .prune import Removals
from .writer import Conflict, Foreign, Outcome, Writer, describe

#: Seconds between two words about how far the writing is.
_TELL = 0.5

#: Reasons that a row has.
_REASONS = 5


@dataclass(slots=True)
class Work:
    """One instance and what was done about it.

    :ivar difference: every field that differs, where a diff was asked for.
    :ivar reasons: the same in a few words.
    :ivar before: its workload as it was; None when there was none.
    :ivar after: its workload as it is now.
    :ivar error: why it was not written, or not in full.
    """

    id: str
    plan: Mapping[str, Any]
    difference: Difference
    reasons: list[str] = field(default_factory=list)
    before: Manifest | None = None
    after: Manifest | None = None
    changed: bool = False
    error: str = ""
    drift: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """What differed from the plan, for people."""
        more = len(self.reasons) - _REASONS
        return "; ".join([*self.reasons[:_REASONS], *([f"{more} more"] if more > 0 else [])])


class Deploy:
    """One run's writing.

    :param cleartexts: of secrets; None in check mode.
    :param diff: whether every field that differs is kept for a diff.
    """

    def __init__(
        self,
        api: Api,
        live: Live,
        writer: Writer,
        plan: Mapping[str, Any],
        cleartexts: Cleartexts | None,
        *,
        diff: bool,
    ) -> None:
        self._api = api
        self._live = live
        self._writer = writer
        self._plan = plan
        self._cleartexts = cleartexts
        self._diff = diff
        self.shared = Difference(f"cluster {live.cluster}")
        self.changed = False
        self.errors: list[str] = []
        # What had to go before a workload was written.
        self.removed: list[str] = []
        self._told = 0.0
        self._lock = threading.Lock()

    def works(self) -> list[Work]:
        """The instances in the order in which they are written."""
        found = []
        for id, plan in sorted(self._plan["instances"].items()):
            workload = next(one for one in plan["objects"] if one["kind"] in WORKLOADS)
            found.append(Work(id, plan, Difference(id), before=self._live.get(workload)))
        return sorted(found, key=lambda work: not self._is_new_version(work))

    def _is_new_version(self, work: Work) -> bool:
        """Whether pods of another image start."""
        before = work.before
        return before is None or any(
            self._live.label(before, name) != (work.plan[name] or "") for name in ("git_sha", "image_version")
        )

    def write_shared(self, works: Iterable[Work]) -> None:
        """Namespaces, then what is in them for all; an instance whose part fails is not written."""
        needed: dict[str, list[Work]] = {}
        for work in works:
            for reference in work.plan["needs"]:
                needed.setdefault(reference, []).append(work)
        shared = self._plan["shared"]
        first = [name for name in shared if shared[name]["kind"] == "Namespace"]
        rest = [name for name in shared if name not in first]
        for names in (first, rest):
            outcomes = self._write_all([shared[name] for name in names])
            for name, outcome in zip(names, outcomes, strict=True):
                self._note_shared(shared[name], outcome, needed.get(name, ()))

    def write_secrets(self, works: Iterable[Work], entries: Mapping[tuple[str, str], secrets.Entry]) -> None:
        """The Secrets that have to be written, by namespace and name; an instance whose Secret fails is not written."""
        users: dict[tuple[str, str], list[Work]] = {}
        for work in works:
            for entry in work.plan["secrets"]:
                users.setdefault((work.plan["namespace"], entry["object"]), []).append(work)
        manifests: list[Manifest] = [
            secrets.manifest(key, entry, self._live, self._cleartexts) for key, entry in entries.items()
        ]
        for key, manifest, outcome in zip(entries, manifests, self._write_all(manifests), strict=True):
            self._note_shared(manifest, outcome, users.get(key, ()))

    def _write_all(self, manifests: list[Manifest]) -> list[Outcome | Exception]:
        """Objects that need no order among them."""
        found: dict[int, Outcome | Exception] = {}
        for at, manifest in enumerate(manifests):
            if outcome := self._writer.settled(manifest):
                found[at] = outcome
        todo = [at for at in range(len(manifests)) if at not in found]
        written: list[Outcome | Exception] = self._api.map(lambda at: self._attempt(manifests[at]), todo)
        found |= dict(zip(todo, written, strict=True))
        return [found[at] for at in range(len(manifests))]

    def _attempt(self, manifest: Manifest) -> Outcome | Exception:
        try:
            return self._writer.write(manifest)
        except (ApiError, Foreign, Conflict) as error:
            return error

    def _note_shared(self, manifest: Manifest, outcome: Outcome | Exception, works: Iterable[Work]) -> None:
        if isinstance(outcome, Exception):
            works = list(works)
            for work in works:
                work.error = work.error or str(outcome)
            if not works:
                self.errors.append(str(outcome))
            return
        self.changed |= outcome.changed
        if self._diff:
            _record(self.shared, describe(manifest), outcome)

    def write(self, works: list[Work], removals: Removals) -> None:
        """The instances' own objects. What is as planned is found out here, and costs no request and no thread."""
        ready = [work for work in works if not work.error]
        todo = [work for work in ready if work.id in removals.before or not self._settled(work)]
        total, done = len(ready), len(ready) - len(todo)

        def one(work: Work) -> None:
            nonlocal done
            self._write(work, removals.before.get(work.id, []))
            with self._lock:
                done += 1
                self._tell(done, total)

        outcomes: list[ApiError | None] = self._api.map(one, todo)
        for work, outcome in zip(todo, outcomes, strict=True):
            if isinstance(outcome, Exception):
                work.error = work.error or str(outcome)
        if total:
            wrote = "would write" if self._writer.dry_run else "wrote"
            text = f"compared {total} instances, {wrote} {len(todo)}"
            emit("done", subject=f"cluster {self._live.cluster}", text=text)

    def _settled(self, work: Work) -> bool:
        """Whether all of an instance is as planned."""
        found = []
        for manifest in work.plan["objects"]:
            outcome = self._writer.settled(manifest, work.plan)
            if outcome is None:
                return False
            found.append((manifest, outcome))
        for manifest, outcome in found:
            self._note(work, manifest, outcome)
        return True

    def _note(self, work: Work, manifest: Manifest, outcome: Outcome) -> None:
        work.changed |= outcome.changed
        work.reasons += _reasons(manifest["kind"], outcome)
        work.drift += [_drift(manifest, change) for change in outcome.drift]
        if self._diff:
            _record(work.difference, manifest["kind"], outcome)
        if manifest["kind"] in WORKLOADS:
            work.before, work.after = outcome.before, outcome.after

    def _tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told > _TELL:
            self._told = now
            emit(
                "step",
                subject=f"cluster {self._live.cluster}",
                text=f"writing, {done} of {total} instances",
            )

    def _write(self, work: Work, obsolete: list[Manifest]) -> None:
        try:
            for found in obsolete:
                self._writer.delete(found, gone=found["kind"] in WORKLOADS)
                work.changed = True
                self.removed.append(describe(found))
                work.reasons.append(f"{describe(found)} removed")
                work.difference.add(describe(found), "there", None)
            for manifest in work.plan["objects"]:
                self._note(work, manifest, self._writer.write(manifest, work.plan))
        except ApiError as error:
            work.error = f"{error}{_way_out(error, work.plan)}"
        except (Foreign, Conflict) as error:
            work.error = str(error)


def _way_out(error: ApiError, plan: Mapping[str, Any]) -> str:
    """What to do about fields that the server lets nobody change, such as the volumes of a StatefulSet."""
    if error.status != 422 or not any(word in error.message for word in ("immutable", "updates to statefulset")):
        return ""
    kind, namespace, name = plan["kind"].lower(), plan["namespace"], plan["name"]
    return (
        "\nThis cannot be changed in place. Delete the object and keep its pods with "
        f"'kubectl delete {kind} {name} -n {namespace} --cascade=orphan', then deploy again"
    )


def _reasons(kind: str, outcome: Outcome) -> list[str]:
    if outcome.action == "unchanged":
        return []
    if outcome.action == "created":
        return [f"{kind} created"]
    found = [f"{kind} adopted"] if outcome.action == "adopted" else []
    return found + [f"{kind}.{change} {change.before!r:.40} -> {change.after!r:.40}" for change in outcome.changes]


def _record(difference: Difference, name: str, outcome: Outcome) -> None:
    if outcome.action == "unchanged":
        return
    if outcome.before is None:
        difference.add(name, None, diffs.clean(outcome.after))
        return
    if outcome.action == "adopted":
        difference.add(f"{name} adopted", False, True)
    for change in outcome.changes:
        difference.add(f"{name}.{change}", change.before, change.after)


def _drift(manifest: Manifest, change: fields.Change) -> str:
    value = "" if manifest["kind"] == "Secret" else f" to {change.before!r}"
    return f"{describe(manifest)}: {change} was set{value} by {', '.join(change.by)}"

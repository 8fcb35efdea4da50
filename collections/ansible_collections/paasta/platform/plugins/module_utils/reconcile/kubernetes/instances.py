# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bring all instances of a Kubernetes cluster to the plan: the work of ``kubernetes_instances``.

Take the cluster's Lease, look at what is there (one list per kind), decide what goes, decrypt what pods need, write
what differs, wait for all rollouts at once, put back what did not become healthy where that is asked for, remove what
is no longer declared. What can be refused is refused while nothing has been touched; a run that was killed is finished
by the next, for that one sees the same difference less what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils import collector
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import labelled
from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from ..cleartext import Cleartexts, NoSecret
from ..resolving import resolver
from ..secrets import Provider
from . import fields, rows, secrets
from .access import NoAccess
from .api import Api
from .connection import connected, without_credentials
from .deploy import Deploy, Work
from .errors import ApiError, Unreachable
from .lease import Busy, Lease
from .live import Live, Manifest, look
from .prune import Removals, TooMany, decide
from .readiness import Target, short, state, version
from .rollout import Rollout
from .row import OF_A_DEPLOY, brief
from .writer import Writer, describe


def run(args: Mapping[str, Any], check_mode: bool, diff: bool, providers: Mapping[str, Provider]) -> dict[str, Any]:
    """Reconcile. ``args`` is as in :data:`~.arguments.ARGUMENTS`; returns the module's result.

    :param providers: who decrypts secrets, by name (:mod:`~..secrets`).
    """
    cleartexts = Cleartexts(resolver(args, providers))
    result: dict[str, Any] = cleartexts.redact_all(_run(args, check_mode, diff, cleartexts))
    return without_credentials(result, args)


def _run(args: Mapping[str, Any], check_mode: bool, diff: bool, cleartexts: Cleartexts) -> dict[str, Any]:
    try:
        with connected(args) as api, _lease(api, args, check_mode) as check:
            with collector.paused(freeze=True):
                run = Run(api, args, check_mode, diff, check, cleartexts)
                run.write()
            return run.finish()
    except NoSecret as error:
        return {"failed": True, "msg": f"{error}\nNothing was touched"}
    except (NoAccess, ApiError, Busy, TooMany) as error:
        return {"failed": True, "msg": str(error)}
    except Unreachable as error:
        return {"failed": True, "msg": f"{error}. What was begun is finished by the next run"}


@contextmanager
def _lease(api: Api, args: Mapping[str, Any], check_mode: bool) -> Iterator[Callable[[], None]]:
    """The cluster's Lease, as the question whether one may still write; looking needs none."""
    if check_mode:
        yield lambda: None
        return
    with Lease(api, args["cluster"], args["lock_namespace"], args["lock_timeout"]).held() as lease:
        yield lease.check


class Run:
    """One run on one cluster."""

    def __init__(
        self,
        api: Api,
        args: Mapping[str, Any],
        check_mode: bool,
        diff: bool,
        check: Callable[[], None],
        cleartexts: Cleartexts,
    ) -> None:
        self._api = api
        self._args = args
        self._plan = args["plan"]
        self._check_mode = check_mode
        self._diff = diff
        self._cleartexts = cleartexts
        with_secrets = not args["only"] or any(plan["secrets"] for plan in self._plan["instances"].values())
        self._live = self._look(secrets=with_secrets)
        self._writer = Writer(api, self._live, check, dry_run=check_mode, force=args["force_conflicts"], brief=not diff)
        self._deploy = Deploy(api, self._live, self._writer, self._plan, None if check_mode else cleartexts, diff=diff)
        self._works: list[Work] = []
        self._removals = Removals()
        # The workloads that were waited for, as they were seen last.
        self._observed: dict[str, Manifest | None] = {}
        self._removed: list[str] = []
        self._rolled_back: list[str] = []

    def _look(self, *, secrets: bool) -> Live:
        emit("step", subject=f"cluster {self._args['cluster']}", text="listing what is there")
        return look(self._api, self._plan["prefix"], self._args["cluster"], self._args["only"], secrets)

    def write(self) -> None:
        """Decide what goes, and bring all that the plan has to the plan.

        :raises TooMany: so much would be removed that it has to be asked for.
        :raises NoSecret: one cannot be decrypted; nothing has been touched then.
        """
        args = self._args
        self._removals = decide(
            self._plan,
            self._live,
            only=args["only"],
            undeployed=args["undeployed"],
            elsewhere=args["elsewhere"],
            release=args["release"],
            guard=args["prune_guard"],
        )
        self._announce(self._removals)
        self._works = self._deploy.works()
        entries = secrets.differing(self._plan["instances"].values(), self._live)
        if not self._check_mode:
            self._cleartexts.prepare(map(secrets.secret_ref, entries.values()))
        self._deploy.write_shared(self._works)
        self._deploy.write_secrets(self._works, entries)
        self._deploy.write(self._works, self._removals)

    def finish(self) -> dict[str, Any]:
        """Wait for what was written, put back what failed, remove what is not declared; returns the module's result."""
        args = self._args
        failures = self._wait(self._targets()) if args["wait"] and not self._check_mode else {}
        for work in self._works:
            if text := failures.get(work.id):
                work.error = text
        if args["rollback"]:
            self._roll_back(failures)
        self._remove(self._removals)
        return self._result()

    def _announce(self, removals: Removals) -> None:
        """What goes is shown before anything does."""
        moved = {labelled(id): there["engine"] for id, there in self._args["elsewhere"].items()}
        for id, found in removals.instances.items():
            why = f"runs on {moved[id]} now" if id in moved else "is not declared any more"
            names = ", ".join(describe(one) for one in found)
            will = "would" if self._check_mode else "will"
            emit("step", subject=id, text=f"{why} and {will} be removed: {names}")

    def _targets(self) -> list[Target]:
        """The workloads to wait for: those that were written, and those that an earlier run left unfinished."""
        targets = []
        for work in self._works:
            if work.error or work.after is None:
                continue
            target = self._target(work)
            if work.after is not work.before or not state(work.after, target).done:
                targets.append(target)
        return targets

    def _target(self, work: Work, of: Manifest | None = None) -> Target:
        """What to wait for.

        :param of: the workload whose version is wanted, when it is not that of the plan.
        """
        plan, workload = work.plan, work.after or {}
        # That of the pods: those that were adopted keep the config sha they have.
        git_sha, config_sha = version(workload if of is None else of, self._plan["prefix"])
        return Target(
            id=work.id,
            namespace=plan["namespace"],
            name=plan["name"],
            kind=plan["kind"],
            generation=workload["metadata"].get("generation", 0),
            git_sha=git_sha,
            config_sha=config_sha,
            replicas=plan["replicas"],
            autoscaling=plan["autoscaling"],
            margin=plan["bounce_margin_factor"],
            bounce_method=plan["bounce_method"],
        )

    def _wait(self, targets: list[Target]) -> dict[str, str]:
        """Wait for all; the reason by id for those that did not get there."""
        if not targets:
            return {}
        args = self._args
        rollout = Rollout(
            self._api,
            self._plan["prefix"],
            args["cluster"],
            targets,
            args["timeout"],
            redact=self._cleartexts.redact,
        )
        failures = rollout.wait()
        self._observed |= rollout.observed()
        return {id: str(failure) for id, failure in failures.items() if failure}

    def _roll_back(self, failures: Mapping[str, str]) -> None:
        """Put the workloads of failed instances back as they were before this run, which is what we had applied."""
        targets = []
        for work in self._works:
            mine = fields.ours(work.before) if work.before else None
            if work.id not in failures or work.before is None or mine is None or work.after is work.before:
                continue
            emit(
                "step", subject=work.id, text=f"rolling back to {short(version(work.before, self._plan['prefix'])[0])}"
            )
            try:
                work.after = self._writer.restore(work.before, mine, work.after or work.before)
            except ApiError as error:
                work.error += f"\nIt could not be rolled back: {error}"
                continue
            targets.append(self._target(work, of=work.before))
        again = self._wait(targets)
        for target in targets:
            work = next(work for work in self._works if work.id == target.id)
            what = f"{short(target.git_sha)}, {target.config_sha}"
            if text := again.get(work.id):
                work.error += f"\nIt was rolled back to {what}, which does not get ready either: {text}"
                continue
            self._rolled_back.append(work.id)
            work.error += (
                f"\nIt was rolled back to {what}, which is ready. Mark that version (playbooks/rollback.yml) or put "
                "soa-configs back, or the next deploy tries again"
            )

    def _remove(self, removals: Removals) -> None:
        """What is not declared goes; what an instance has left behind goes once its new workload is done."""
        doomed = [one for found in removals.instances.values() for one in found]
        for work in self._works:
            surplus = removals.after.get(work.id, [])
            if surplus and work.after is not None and not work.error and (self._check_mode or self._is_done(work)):
                doomed += surplus
        if not any(work.error for work in self._works):
            doomed += removals.shared
        outcomes: list[ApiError | None] = self._api.map(self._writer.delete, doomed)
        for one, outcome in zip(doomed, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._deploy.errors.append(str(outcome))
            else:
                self._removed.append(describe(one))
                text = f"{describe(one)} {'would be' if self._check_mode else 'was'} removed"
                emit("done", subject=self._live.instance(one) or describe(one), text=text)

    def _is_done(self, work: Work) -> bool:
        """Whether the new workload serves, so that the one it replaces may go. With ``wait`` it was waited for."""
        return bool(self._args["wait"]) or (work.after is not None and state(work.after, self._target(work)).done)

    def _result(self) -> dict[str, Any]:
        changed = self._deploy.changed or bool(self._removed) or any(work.changed for work in self._works)
        args, observed = self._args, self._observed
        if self._check_mode:
            # As it is now, not as it would be.
            observed = {work.id: work.before for work in self._works}
        found = rows.of_run(
            self._api,
            self._plan,
            args["cluster"],
            self._works,
            observed,
            self._live,
            args["undeployed"],
            waited=args["wait"] or self._check_mode,
        )
        emit("rows", rows=[brief(row) for row in found])
        drift = [text for work in self._works for text in work.drift]
        result: dict[str, Any] = {
            "changed": changed,
            "instances": [brief(row, OF_A_DEPLOY) for row in found],
            "removed": sorted([*self._deploy.removed, *self._removed]),
            "rolled_back": sorted(self._rolled_back),
            "unfinished": sorted(work.id for work in self._works if work.error),
            "drift": drift,
            "warnings": [f"changed by hand: {text}" for text in drift],
        }
        if self._diff:
            result["diff"] = self._diffs()
        errors = [f"{work.id}: {work.error}" for work in self._works if work.error] + self._deploy.errors
        if errors:
            failed = sum(bool(work.error) for work in self._works)
            count = f"{failed} of {len(self._works)} instances did not reach the plan"
            result |= {"failed": True, "msg": f"{count}:\n" + "\n".join(dict.fromkeys(errors))}
            # Ansible prints all of a failed result: what went wrong must not drown in what went well.
            del result["instances"]
        return result

    def _diffs(self) -> list[dict[str, str]]:
        differences = [self._deploy.shared, *(work.difference for work in self._works)]
        shown = [one.as_diff() for one in differences if one]
        if self._removed:
            before = "".join(f"{name}\n" for name in sorted(self._removed))
            shown.append({"before_header": "removed", "after_header": "removed", "before": before, "after": ""})
        return shown

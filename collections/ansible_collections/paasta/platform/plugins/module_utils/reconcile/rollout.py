# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The loop that carries a plan out: look, tell the proxies, decide, act; again until nothing is left to do.

All instances go through one loop, so hosts and proxies are asked once per turn however many instances change, and an
old replica goes only after every proxy has said that it sends requests to the new ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from .decision import Decision, Wanted, broken, decide
from .difference import Difference
from .fleet import Creation, Fleet, HostError
from .proxies import Elsewhere, Proxies, View
from .replicas import FAILED, HEALTHY, STOPPED, Replica

#: Seconds between two turns. Envoy takes a changed file in within a second.
TURN = 0.4

#: Turns in a row that a draining replica must be idle: requests may be between a proxy's choice and its count.
IDLE_TURNS = 2

# Of a moved instance that the proxies do not know elsewhere: what people do about it.
_LEFT = "It still runs here. See there what journalctl -u paasta-endpoints says, then deploy again"

#: Seconds that proxies get to take a replica out; a proxy that has not by then is broken and stops nobody any longer.
PROXY_TIMEOUT = 30.0


@dataclass(slots=True)
class Drain:
    """A replica on its way out.

    :ivar since: when it began (monotonic seconds).
    :ivar quiet_since: when the last proxy had stopped sending it new requests.
    :ivar idle_turns: turns in a row without a request under way.
    """

    since: float
    quiet_since: float | None = None
    idle_turns: int = 0


@dataclass(slots=True)
class Task:
    """One instance on its way to the plan.

    :ivar created: containers that this run has started.
    :ivar draining: containers that get no new requests.
    :ivar stopping: containers being stopped and removed.
    :ivar moved: where the instance runs by the plan, when that is not here; None for one that runs here or nowhere.
    :ivar error: why the instance did not reach the plan.
    """

    wanted: Wanted
    target: dict[str, int]
    difference: Difference
    created: set[str] = field(default_factory=set)
    draining: dict[str, Drain] = field(default_factory=dict)
    stopping: set[str] = field(default_factory=set)
    moved: Elsewhere | None = None
    error: str = ""
    done: bool = False
    said: str = ""

    def say(self, text: str, kind: str = "step") -> None:
        """Show a person what the instance does, once per change."""
        if text != self.said:
            self.said = text
            emit(kind, subject=self.wanted.id, text=text)


class Rollout:
    """Carries out the tasks of one run.

    :param timeout: seconds that an instance may take, once its images are there.
    """

    def __init__(self, fleet: Fleet, proxies: Proxies, tasks: dict[str, Task], timeout: float) -> None:
        self._fleet = fleet
        self._proxies = proxies
        self._tasks = tasks
        self._timeout = timeout
        self._changed = False
        self._started = 0.0

    def run(self) -> bool:
        """Work until every task is done or has failed; returns whether anything was changed."""
        self._pull()
        self._started = time.monotonic()
        while True:
            replicas = self._fleet.observe({id for id, task in self._tasks.items() if not task.done or task.stopping})
            view = self._tell_proxies(replicas)
            groups: dict[str, list[Replica]] = {}
            for replica in replicas:
                groups.setdefault(replica.instance_id, []).append(replica)
            for id, task in self._tasks.items():
                self._turn(task, groups.get(id, []), view)
            if all(task.done and not task.stopping for task in self._tasks.values()):
                self._tell_proxies(self._fleet.observe())
                return self._changed
            time.sleep(TURN)

    def _pull(self) -> None:
        """Have every image that will be needed before anything is stopped; without it the instance is not touched."""
        needed: dict[str, set[str]] = {}
        for task in self._tasks.values():
            if task.difference and task.wanted.container:
                for host in task.target:
                    needed.setdefault(host, set()).add(task.wanted.container["Image"])
        for host, images in needed.items():
            emit("step", subject="images", text=f"{host} gets {len(images)} if it lacks them")
        failures = self._fleet.pull(needed)
        if needed:
            emit("done", subject="images", text="present")
        for task in self._tasks.values():
            reasons = [
                reason
                for (host, image), reason in sorted(failures.items())
                if task.wanted.container and task.wanted.container["Image"] == image and host in task.target
            ]
            if reasons:
                way_out = "What ran before still runs. Build and push the image (playbooks/build.yml)"
                task.error = f"{'; '.join(reasons)}. {way_out}"
                task.done = True
                task.say(f"failed: {task.error}", "done")

    def _tell_proxies(self, replicas: list[Replica]) -> View:
        """Give the proxies what runs; a replica that this run has started joins when it is healthy."""
        created = {container for task in self._tasks.values() for container in task.created}
        hidden = {r.container for r in replicas if r.container in created and r.state != HEALTHY}
        draining = {c for task in self._tasks.values() for c in (*task.draining, *task.stopping)}
        files = self._proxies.files(replicas, hidden, draining)
        # A moved instance goes from here once it is known elsewhere; then nobody need ask again.
        moving = [t.moved for t in self._tasks.values() if t.moved and not t.done and not t.draining]
        view = self._proxies.sync(
            files, self._proxies.known({name for moved in moving for name in moved.registrations})
        )
        self._changed = self._changed or view.changed
        return view

    def _turn(self, task: Task, replicas: list[Replica], view: View) -> None:
        present = {replica.container for replica in replicas}
        task.stopping &= present
        if task.done:
            return
        in_mesh = {r.container for r in replicas if all(view.in_every_proxy(n, r) for n in self._proxies.meshed(r))}
        decision = decide(task.wanted, task.target, replicas, in_mesh, (*task.draining, *task.stopping))
        behind = view.not_taken_over(task.moved) if task.moved and not task.draining else ""
        if decision.done:
            task.done = True
            there = f"runs on {task.moved.engine} only" if task.moved else ""
            task.say(there or f"{task.wanted.replicas} of {task.wanted.replicas} ready", "done")
        elif failed := broken(task.wanted, replicas, task.created):
            self._give_up(task, replicas, in_mesh, self._explain(task, failed))
        elif time.monotonic() > self._started + self._timeout:
            waiting = f"{behind}. {_LEFT}" if behind else decision.waiting
            self._give_up(task, replicas, in_mesh, f"not there after {self._timeout:.0f} s: {waiting}")
        elif behind:
            task.say(f"goes from here when every proxy knows it elsewhere: {behind}")
        else:
            task.say(decision.waiting)
            self._act(task, decision, replicas, view, in_mesh)

    def _act(self, task: Task, decision: Decision, replicas: list[Replica], view: View, in_mesh: set[str]) -> None:
        now = time.monotonic()
        task.draining = {r.container: task.draining.get(r.container, Drain(now)) for r in decision.drain}
        for replica in decision.drain:
            if replica.container not in task.stopping and self._may_stop(task, replica, view):
                self._stop(task, replica)
        failure = self._create(task, decision, replicas)
        if failure:
            self._give_up(task, replicas, in_mesh, failure)

    def _may_stop(self, task: Task, replica: Replica, view: View) -> bool:
        """Whether nobody would miss the replica: no proxy sends it anything, and it had its time to finish.

        PaaSTA's ``delay`` is how long a replica gets for the requests it was sent; with the proxies' own counts it
        need not be waited for in full.
        """
        namespaces = self._proxies.meshed(replica)
        if not namespaces or replica.state in (FAILED, STOPPED):
            return True
        drain, now = task.draining[replica.container], time.monotonic()
        if any(view.in_any_proxy(namespace, replica) for namespace in namespaces):
            return now - drain.since > PROXY_TIMEOUT
        if drain.quiet_since is None:
            drain.quiet_since = now
        busy = any(view.under_way(namespace, replica) for namespace in namespaces)
        drain.idle_turns = 0 if busy else drain.idle_turns + 1
        return drain.idle_turns > IDLE_TURNS or now - drain.quiet_since > task.wanted.drain_seconds

    def _stop(self, task: Task, replica: Replica) -> None:
        def finished(error: Exception | None) -> None:
            if error is not None:
                task.error = task.error or f"{error}. Run the deploy again when the host is well"
                task.done = True
                task.stopping.discard(replica.container)

        self._changed = True
        task.stopping.add(replica.container)
        self._fleet.remove(replica, finished)

    def _create(self, task: Task, decision: Decision, replicas: Iterable[Replica]) -> str:
        """Create what is missing; returns why not, or an empty string."""
        wanted = task.wanted
        if not decision.create or wanted.container is None:
            return ""
        prefix = f"{wanted.id}.git{wanted.git_sha[:8]}.{wanted.config_sha}"
        taken = {replica.name for replica in replicas}
        names = (name for number in range(10**6) if (name := f"{prefix}.{number}") not in taken)
        requests = [
            Creation(host, next(names), wanted.container, wanted.container_port, wanted.secrets)
            for host, count in sorted(decision.create.items())
            for _replica in range(count)
        ]
        self._changed = True
        outcomes = self._fleet.create(requests)
        task.created |= {outcome for outcome in outcomes if isinstance(outcome, str)}
        return "; ".join(sorted({str(outcome) for outcome in outcomes if isinstance(outcome, Exception)}))

    def _explain(self, task: Task, failed: list[Replica]) -> str:
        """Why the new version does not get healthy, in its own words."""
        first = failed[0]
        try:
            output = self._fleet.last_output(first)
        except HostError as error:
            output = str(error)
        quoted = "\n".join(f"    | {line}" for line in output.splitlines())
        return (
            f"version {task.wanted.git_sha[:8]} does not get healthy: {first.name} on {first.host} {first.detail}. "
            f"Its last output:\n{quoted}"
        )

    def _give_up(self, task: Task, replicas: list[Replica], in_mesh: set[str], reason: str) -> None:
        """End the task; where old replicas serve, take away the new ones that never did.

        Without any old replica the new ones stay: they are all there is, and may yet recover.
        """
        serving = [
            r for r in replicas
            if r.container not in task.created and r.container not in task.stopping and r.state == HEALTHY
        ]  # fmt: skip
        useless = [
            r for r in replicas
            if r.container in task.created - task.stopping and not (r.state == HEALTHY and r.container in in_mesh)
        ]  # fmt: skip
        task.error = reason
        if serving and not task.moved:
            versions = ", ".join(sorted({replica.git_sha[:8] for replica in serving}))
            task.error += f"\n    {len(serving)} of version {versions} still serve; what was new and did not is removed"
            for replica in useless:
                self._stop(task, replica)
        task.draining = {}
        task.done = True
        task.say(f"failed: {reason.splitlines()[0]}", "done")

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bring all instances of a host group to the plan: the work of ``docker_instances`` and ``docker_instances_info``.

Prepare (connect, lock, look, place, guard, pull), then let :class:`~.rollout.Rollout` act until the plan runs.
Everything that can be refused is refused while nothing has been touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.placement import Demand, NoHost, place
from ansible_collections.paasta.platform.plugins.module_utils.progress import emit
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef

from .agents import AgentError, HostAgent, lock
from .channel import Channel, Unreachable
from .cleartext import Cleartexts, NoSecret
from .decision import Wanted, decide, difference, missing
from .difference import Difference
from .fleet import Fleet, Host, HostError
from .handover import Handover
from .libraries import missing as missing_libraries
from .proxies import SOURCE, Elsewhere, Proxies, Proxy
from .replicas import HEALTHY, STARTING, Replica
from .resolving import resolver
from .rollout import Rollout, Task
from .secrets import Provider


class Refused(Exception):
    """The run stops before anything was touched; the text says why and what to do."""


@dataclass(slots=True)
class Session:
    """What a run works with."""

    fleet: Fleet
    handover: Handover
    agents: dict[str, HostAgent]
    proxies: list[Proxy]
    lost: dict[str, str]
    warnings: list[str]


def run(args: Mapping[str, Any], check_mode: bool, diff: bool, providers: Mapping[str, Provider]) -> dict[str, Any]:
    """Reconcile. ``args`` is as in :data:`~.arguments.ARGUMENTS`; returns the module's result.

    :param providers: who decrypts secrets, by name (:mod:`~.secrets`).
    """
    cleartexts = Cleartexts(resolver(args, providers))
    result: dict[str, Any] = cleartexts.redact_all(_run(args, check_mode, diff, cleartexts))
    return result


def _run(args: Mapping[str, Any], check_mode: bool, diff: bool, cleartexts: Cleartexts) -> dict[str, Any]:
    try:
        with _session(args, args["lost_guard"], cleartexts) as session:
            return _reconcile(session, args, check_mode, diff)
    except Unreachable as error:
        return {"failed": True, "msg": f"{error}. What was begun is finished by the next run"}
    except NoSecret as error:
        return {"failed": True, "msg": f"{error}\nNo container was touched"}
    except (Refused, AgentError, HostError, NoHost, ValueError) as error:
        return {"failed": True, "msg": str(error)}


def _decrypts_nothing(wanted: Iterable[SecretRef]) -> Mapping[SecretRef, bytes]:
    raise NoSecret(f"{', '.join(secret.file for secret in wanted)}: looking needs no cleartext")


def gather(args: Mapping[str, Any]) -> dict[str, Any]:
    """Look only. ``args`` is as in :data:`~.arguments.INFO_ARGUMENTS`; returns the module's result."""
    try:
        with _session({**args, "proxies": []}, 1.0, Cleartexts(_decrypts_nothing)) as session:
            wanted = {id: Wanted.parse(id, plan) for id, plan in args["instances"].items()}
            replicas, moved = _grouped(_observe(session), args["only"]), _elsewhere(args)
            for id in replicas.keys() - wanted.keys() - set(args["undeployed"]):
                wanted[id] = Wanted.nothing(id)
            rows = [row(wanted[id], replicas.get(id, []), args, "", _goes(moved.get(id))) for id in sorted(wanted)]
            rows += _unmarked(args, replicas)
            for short in (found for found in rows if session.lost and found["ready"] < found["replicas"]):
                short["problem"] = "; ".join(filter(None, [short["problem"], _unseen(session)]))
            emit("rows", rows=rows)
            return {"changed": False, "instances": rows, "warnings": session.warnings, "lost": session.lost}
    except (Refused, Unreachable, AgentError, HostError, ValueError) as error:
        return {"failed": True, "msg": str(error)}


@contextmanager
def _session(args: Mapping[str, Any], lost_guard: float, cleartexts: Cleartexts) -> Iterator[Session]:
    """Connect to the hosts that answer; too many that do not are a broken network, not lost hosts.

    :raises Refused: when more than the guarded share is lost.
    """
    if problem := missing_libraries():
        raise Refused(problem)
    hosts = [Host(h["name"], h["address"], h.get("pool") or "default", Channel.parse(h["url"])) for h in args["hosts"]]
    port_range = (args.get("first_port", 0), args.get("last_port", 0))
    channels = {host.name: host.channel for host in hosts}
    channels |= {proxy["name"]: Channel.parse(proxy["url"]) for proxy in args["proxies"]}
    agents = {name: HostAgent(name, channel) for name, channel in channels.items()}
    handover = Handover(agents, args["cluster"], cleartexts)
    fleet = Fleet(hosts, args["cluster"], port_range, handover)
    try:
        fleet.connect()
        lost = [f"  {reason}" for _name, reason in sorted(fleet.lost.items())]
        if lost and len(lost) > lost_guard * len(hosts):
            raise Refused(
                f"{len(lost)} of {len(hosts)} hosts do not answer, more than lost_guard {lost_guard:g} allows to be "
                "replaced; nothing was touched. Bring them back or take them out of the inventory:\n" + "\n".join(lost)
            )
        warnings = [
            f"{name} does not answer, its replicas are placed on other hosts: {reason}"
            for name, reason in sorted(fleet.lost.items())
        ]
        session = Session(fleet, handover, agents, [], dict(fleet.lost), warnings)
        _find_proxies(session, args["proxies"])
        yield session
    finally:
        fleet.close()
        for agent in agents.values():
            agent.close()


def _find_proxies(session: Session, proxies: Iterable[Mapping[str, Any]]) -> None:
    """Add the proxies whose hosts answer.

    :raises Refused: for a host that answers and has no working Envoy: it would miss every change.
    """
    for options in proxies:
        proxy = Proxy(options["name"], options["admin"], options["directory"])
        if proxy.name in session.fleet.lost:
            continue
        try:
            options = {"source": SOURCE, "files": {}, "whole": False, "others": []}
            session.agents[proxy.name].ask("mesh", directory=proxy.directory, admin=proxy.admin, **options)
            session.proxies.append(proxy)
        except Unreachable as error:
            session.lost[proxy.name] = str(error)
            session.warnings.append(f"{proxy.name} does not answer, its proxy is left as it is: {error}")
        except AgentError as error:
            raise Refused(f"{error}; nothing was touched. Repair the host with playbooks/bootstrap.yml") from error


def _reconcile(session: Session, args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    fleet = session.fleet
    if not check_mode:
        emit("step", subject=f"cluster {fleet.cluster}", text="taking the lock")
        lock((session.agents[name] for name in fleet.hosts), fleet.cluster, args["lock_timeout"])
        emit("done", subject=f"cluster {fleet.cluster}", text="locked")
    observed = _observe(session)
    replicas = _grouped(observed, args["only"])
    wanted = {id: Wanted.parse(id, plan) for id, plan in sorted(args["instances"].items())}
    moved = _elsewhere(args)
    kept = sorted(replicas.keys() & moved.keys() - set(args["release"]))
    for id in _to_prune(wanted, replicas, moved, args):
        wanted[id] = Wanted.nothing(id)
    for id in sorted(replicas.keys() & moved.keys() & set(args["release"])):
        wanted[id] = Wanted.nothing(id)
    targets = _targets(wanted, replicas, observed, fleet)
    tasks = {
        id: Task(
            want, targets.get(id, {}), difference(want, targets.get(id, {}), replicas.get(id, [])), moved=moved.get(id)
        )
        for id, want in wanted.items()
    }
    proxies = Proxies(session.proxies, session.agents, args["namespaces"])
    if check_mode:
        changed = any(_acts(task, replicas.get(id, [])) for id, task in tasks.items())
        changed = changed or bool(proxies.stale(proxies.files(observed, (), ())))
        rows = [row(task.wanted, replicas.get(id, []), args, task.difference.reason()) for id, task in tasks.items()]
        rows += _unmarked(args, replicas)
        emit("rows", rows=rows)
        return _result(changed, tasks, rows, kept, session, diff)
    starting = [t for id, t in tasks.items() if missing(t.wanted, t.target, replicas.get(id, []))]
    session.handover.prepare(task.wanted.secrets for task in starting)
    _remove_leftovers(session, observed)
    rollout = Rollout(fleet, proxies, tasks, args["timeout"])
    changed = rollout.run()
    replicas = _grouped(fleet.observe(), args["only"])
    rows = [
        row(task.wanted, replicas.get(id, []), args, task.difference.reason(), task.error) for id, task in tasks.items()
    ]
    rows += _unmarked(args, replicas)
    result = _result(changed, tasks, rows, kept, session, diff)
    emit("rows", rows=rows)
    errors = [f"{id}: {task.error}" for id, task in tasks.items() if task.error]
    if errors:
        count = f"{len(errors)} of {len(tasks)} instances"
        result |= {"failed": True, "msg": f"{count} did not reach the plan:\n" + "\n".join(errors)}
        # Ansible prints all of a failed result: what went wrong must not drown in what went well.
        del result["instances"]
    return result


def _observe(session: Session) -> list[Replica]:
    """What runs; a container whose secret files its host has lost does not count as healthy.

    Such a host has been tidied by hand: after a reboot its containers do not even run.
    """
    observed = session.fleet.observe()
    hosts = {replica.host for replica in observed if session.handover.mounted(replica)}
    session.fleet.without_files, _leftovers = session.handover.look(observed, hosts)
    return session.fleet.observe() if session.fleet.without_files else observed


def _remove_leftovers(session: Session, observed: list[Replica]) -> None:
    """Remove the secret files that a killed run has left, or that a host kept while it did not answer."""
    _gone, leftovers = session.handover.look(observed, session.fleet.hosts)
    session.handover.clean(leftovers)


def _grouped(replicas: Iterable[Replica], only: Iterable[str]) -> dict[str, list[Replica]]:
    """By instance, and only those selected: ``only`` names services and instances, empty means all."""
    selected = set(only)
    groups: dict[str, list[Replica]] = {}
    for replica in replicas:
        service = replica.instance_id.partition(".")[0]
        if not selected or selected & {replica.instance_id, service}:
            groups.setdefault(replica.instance_id, []).append(replica)
    return groups


def _elsewhere(args: Mapping[str, Any]) -> dict[str, Elsewhere]:
    """The instances that another engine runs by the plan."""
    return {
        id: Elsewhere(there["engine"], there["label"], there["replicas"], tuple(there["registrations"]))
        for id, there in args["elsewhere"].items()
    }


def _goes(moved: Elsewhere | None) -> str:
    """What a row says of an instance that runs here and is not to."""
    return f"is to run on {moved.engine}: the next deploy moves it" if moved else ""


def _to_prune(
    wanted: Mapping[str, Wanted],
    replicas: Mapping[str, list[Replica]],
    moved: Mapping[str, Elsewhere],
    args: Mapping[str, Any],
) -> list[str]:
    """Instances that run and are no longer declared.

    An instance that is declared and has no deployment is left alone: a lost deployments.json must not stop anything.
    Nor is one removed that another engine is to run: that is a move, and it goes when it runs there.

    :raises Refused: when they are more than the guarded share of all that run.
    """
    obsolete = sorted(replicas.keys() - wanted.keys() - set(args["undeployed"]) - moved.keys())
    if obsolete and len(obsolete) > args["prune_guard"] * len(replicas):
        raise Refused(
            f"{len(obsolete)} of {len(replicas)} running instances are not in the plan, more than prune_guard "
            f"{args['prune_guard']:g} allows to be removed; nothing was touched. If that is intended, run again with "
            f"a higher prune_guard (1 allows all). They are: {', '.join(obsolete)}"
        )
    return obsolete


def _targets(
    wanted: Mapping[str, Wanted], replicas: Mapping[str, list[Replica]], observed: list[Replica], fleet: Fleet
) -> dict[str, dict[str, int]]:
    """Where replicas are to run: what already runs as wanted stays, the rest is spread."""
    demands = []
    for id, want in wanted.items():
        current: dict[str, int] = {}
        for replica in replicas.get(id, []):
            if want.is_current(replica) and replica.state in (HEALTHY, STARTING):
                current[replica.host] = current.get(replica.host, 0) + 1
        before = {replica.host for replica in replicas.get(id, [])}
        demands.append(Demand(id, want.replicas, want.pool, current, before))
    others: dict[str, int] = {}
    for replica in observed:
        if replica.instance_id not in wanted:
            others[replica.host] = others.get(replica.host, 0) + 1
    return place(demands, {host.name: host.pool for host in fleet.hosts.values()}, others)


def _acts(task: Task, replicas: list[Replica]) -> bool:
    """Whether anything would be created or drained; that a replica is still starting is no change."""
    everywhere = {replica.container for replica in replicas}
    decision = decide(task.wanted, task.target, replicas, everywhere, ())
    return bool(decision.create or decision.drain or task.difference)


def _result(
    changed: bool,
    tasks: Mapping[str, Task],
    rows: list[dict[str, Any]],
    kept: list[str],
    session: Session,
    diff: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": changed,
        "instances": rows,
        "kept": kept,
        "unfinished": sorted(id for id, task in tasks.items() if task.error),
        "warnings": session.warnings,
        "lost": session.lost,
    }
    if diff:
        differences: list[Difference] = [task.difference for task in tasks.values() if task.difference]
        result["diff"] = [found.as_diff() for found in differences]
    return result


def _unseen(session: Session) -> str:
    return f"may run on {', '.join(sorted(session.lost))}, which did not answer"


def _unmarked(args: Mapping[str, Any], replicas: Mapping[str, list[Replica]]) -> list[dict[str, Any]]:
    """Rows of the instances that nobody has marked a version for; what runs of them is left alone."""
    hint = "no version is marked for deployment (playbooks/mark.yml)"
    return [row(Wanted.nothing(id), replicas.get(id, []), args, "", hint) for id in sorted(args["undeployed"])]


def row(
    wanted: Wanted, replicas: list[Replica], args: Mapping[str, Any], reason: str, error: str = ""
) -> dict[str, Any]:
    """One line of the table that people read, and that other playbooks can test."""
    healthy = [replica for replica in replicas if replica.state == HEALTHY]
    versions = sorted({replica.git_sha[:8] for replica in replicas})
    late = [f"{replica.name} on {replica.host}: {replica.detail}" for replica in replicas if replica.detail]
    hosts: dict[str, int] = {}
    for replica in replicas:
        hosts[replica.host] = hosts.get(replica.host, 0) + 1
    ports = [
        namespace["proxy_port"]
        for name in wanted.registrations
        if (namespace := args["namespaces"].get(name)) and namespace["proxy_port"]
    ]
    return {
        "id": wanted.id,
        "engine": "docker",
        "replicas": wanted.replicas,
        "ready": len(healthy),
        "current": sum(wanted.is_current(replica) for replica in healthy),
        "git_sha": ",".join(versions),
        "hosts": hosts,
        "url": f"http://{args['url_host']}:{ports[0]}/" if ports else "",
        "reason": reason,
        "problem": error.partition("\n")[0] or "; ".join(late),
    }

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Make a host a healthy member of etcd's cluster: the work of ``etcd_member``, on the host itself."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils import host_units

from .etcd_client import Client, EtcdError, Member
from .etcd_steps import Refused, Step, View, next_step

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "members": {"type": "dict", "required": True},
    "client_port": {"type": "int", "default": 2379},
    "peer_port": {"type": "int", "default": 2380},
    "ca": {"type": "path", "required": True},
    "certificate": {"type": "path", "required": True},
    "key": {"type": "path", "required": True},
    "data_dir": {"type": "path", "default": "/var/lib/etcd"},
    "data": {"type": "dict"},
    "unit": {"type": "str", "default": "etcd.service"},
    "environment_file": {"type": "path", "default": "/run/etcd-first-start.env"},
    "watches": {"type": "list", "elements": "path", "default": []},
    "timeout": {"type": "float", "default": 90},
}

_PAUSE = 0.3  # seconds between two looks at a cluster that is not there yet


def run(args: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Take steps until the member is healthy. ``args`` is as in :data:`ARGUMENTS`; returns the module's result."""
    if args["name"] not in args["members"]:
        known = ", ".join(sorted(args["members"])) or "none"
        return {"failed": True, "changed": False, "msg": f"{args['name']} is not among the members: {known}"}
    host = _Host(args)
    steps: list[dict[str, str]] = []
    try:
        view = host.look(check_mode)
        if check_mode:
            step = next_step(view)
            changed = step is not None and step.kind != "wait"
            return _result(view, [_shown(step)] if step else []) | {"changed": changed, "pending": step is not None}
        view = _advance(host, view, steps)
    except (Refused, EtcdError, host_units.UnitError, OSError) as error:
        return {"failed": True, "changed": bool(steps), "steps": steps, "msg": str(error)}
    return _result(view, steps) | {"changed": bool(steps), "pending": False}


def _advance(host: _Host, view: View, steps: list[dict[str, str]]) -> View:
    """Do one step after the other, each as soon as the cluster takes it. ``steps`` gets those that were done."""
    done: set[tuple[str, str]] = set()
    deadline = time.monotonic() + host.timeout
    while (step := next_step(view)) is not None:
        reason = step.reason
        try:
            waits = step.kind == "wait"
            if not waits:
                host.take(step, view)
        except EtcdError as error:
            waits, reason = True, f"{step.kind} {view.name}: {error}"
        if not waits:
            known = (step.kind, step.member.id if step.member else "")
            if known not in done:
                done.add(known)
                steps.append(_shown(step))
                deadline = time.monotonic() + host.timeout
        if time.monotonic() > deadline:
            # What this member logged is of use only if it is this member's fault.
            words = "" if view.mine and view.mine.healthy else host_units.journal(host.unit)
            raise Refused(f"After {host.timeout:g} seconds: {reason}\n{words}".rstrip())
        time.sleep(_PAUSE if waits or step.kind in ("start", "join", "found", "restart") else 0)
        view = host.look()
    host.forget_first_start()
    return view


class _Host:
    """What can be seen and done on this host."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        self.timeout: float = args["timeout"]
        self.unit: str = args["unit"]
        self._args = args
        self._wanted = {name: f"https://{_bracketed(at)}:{args['peer_port']}" for name, at in args["members"].items()}
        self._client: Client | None = None

    def look(self, lenient: bool = False) -> View:
        """:param lenient: before the first run there are no certificates yet, and no unit."""
        args = self._args
        unit = host_units.look([self.unit])[self.unit]
        if unit.outdated and not lenient:
            host_units.reload()
        members, silence = self._members(lenient)
        data = {name: bool(has) for name, has in (args["data"] or {}).items() if name != args["name"]}
        others = self._wanted.keys() - {args["name"]}
        return View(
            name=args["name"],
            wanted=self._wanted,
            data=bool(glob.glob(os.path.join(glob.escape(args["data_dir"]), "member/wal/*.wal"))),
            with_data=frozenset(name for name, has in data.items() if has),
            unseen=frozenset(others - data.keys()) if args["data"] is not None else frozenset(),
            running=unit.running,
            fresh=tuple(host_units.newer([*unit.files, *args["watches"]], unit.since)) if unit.running else (),
            enabled=unit.enabled,
            members=members,
            silence=silence,
        )

    def _members(self, lenient: bool) -> tuple[tuple[Member, ...] | None, str]:
        args = self._args
        try:
            if self._client is None:
                # This host's own member first: it is the nearest.
                names = sorted(args["members"], key=lambda name: name != args["name"])
                endpoints = [f"https://{_bracketed(args['members'][name])}:{args['client_port']}" for name in names]
                self._client = Client(endpoints, args["ca"], args["certificate"], args["key"], timeout=3)
            return tuple(self._client.members()), ""
        except EtcdError as error:
            return None, str(error)
        except OSError as error:
            if lenient:
                return None, str(error)
            raise EtcdError(f"{args['ca']}, {args['certificate']}, {args['key']}: {error}") from error

    def take(self, step: Step, view: View) -> None:
        """Do a step. Raises EtcdError if the cluster does not want it now, UnitError, OSError."""
        client = self._client
        if client is None:
            raise EtcdError(view.silence)
        if step.kind == "add":
            client.add(view.url)
        elif step.kind in ("found", "join"):
            self._prepare_first_start(view, "new" if step.kind == "found" else "existing")
            self._start()
        elif step.kind in ("start", "restart"):
            self.forget_first_start()
            if step.kind == "restart":
                host_units.wait_for_end(self.unit, self.timeout)
            self._start()
        elif step.kind == "enable":
            host_units.control("enable", self.unit)
        elif step.kind == "set_aside":
            self._set_aside()
        elif step.member is None:
            raise Refused(f"{step.kind}: nobody said whom")
        elif step.kind == "promote":
            client.promote(step.member)
        elif step.kind == "remove":
            client.remove(step.member)
        else:
            client.update(step.member, view.url)

    def _start(self) -> None:
        host_units.control("enable", self.unit)
        host_units.control("start", self.unit)

    def _set_aside(self) -> None:
        host_units.wait_for_end(self.unit, self.timeout)
        data = os.path.join(self._args["data_dir"], "member")
        os.rename(data, f"{data}.removed-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")

    def _prepare_first_start(self, view: View, state: str) -> None:
        """Tell etcd what it needs to know once: with whom it is a cluster. Never with data, which knows better."""
        if state == "new":
            cluster = dict(view.wanted)
        else:
            names = {url: name for name, url in view.wanted.items()}
            cluster = {
                item.name or names.get(item.peer_urls[0], item.id): item.peer_urls[0] for item in view.members or ()
            }
        text = ",".join(f"{name}={url}" for name, url in sorted(cluster.items()))
        path = self._args["environment_file"]
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(f"ETCD_INITIAL_CLUSTER={shlex.quote(text)}\nETCD_INITIAL_CLUSTER_STATE={state}\n")

    def forget_first_start(self) -> None:
        """A member that loses its data later must not start a cluster of its own."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._args["environment_file"])


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _shown(step: Step) -> dict[str, str]:
    return {"step": step.kind, "reason": step.reason}


def _result(view: View, steps: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "data": view.data,
        "running": view.running,
        "answers": view.members is not None,
        "steps": steps,
        "members": {
            item.title: {"id": item.id, "learner": item.learner, "healthy": item.healthy} for item in view.members or ()
        },
    }

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where everything comes from that a Tron job runs with; ``explain`` for jobs and their actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import keys
from .deployments import FILE as DEPLOYMENTS_FILE
from .explain import Locate, Row
from .merge import DEFAULT_SOURCE, leaves
from .model import KeyPath, Source
from .model_jobs import Action, Job

_PARTS = ("actions", "cleanup_action")  # keys of a job that are explained key by key


def explain_job(job: Job, locate: Locate) -> list[Row]:
    """Every effective key of a job, then of each of its actions under ``actions.<name>``."""
    rows = {row.path: row for row in _of_job(job, locate)}
    order = {key.name: number for number, key in enumerate(keys.JOB.keys)}
    found = sorted(rows.values(), key=lambda row: (order.get(str(row.path[0]), len(order)), row.key))
    for action in job.actions:
        found += _of_action(job, action, ("actions", action.name), _place(job, action))
    if job.cleanup_action is not None:
        found += _of_action(job, job.cleanup_action, ("cleanup_action",), ("cleanup_action",))
    return found


def explain_action(job: Job, action: Action) -> list[Row]:
    """Every effective key of one action."""
    return _of_action(job, action, (), _place(job, action))


def _of_job(job: Job, locate: Locate) -> Iterator[Row]:
    for path, source in job.sources.items():
        if path[0] in _PARTS:
            continue
        if source == DEFAULT_SOURCE:
            default = keys.default(keys.JOB, str(path[0]))
            if default is not None:
                yield Row(path, default, source)
        else:
            yield Row(path, _value(job.keys, path), source)
    own = job.keys.get("monitoring") or {}
    file = f"{job.service}/monitoring.yaml"
    for name, value in job.monitoring.items():
        if name not in own:
            yield Row(("monitoring", name), value, Source(file, locate(file, (name,))))


def _place(job: Job, action: Action) -> KeyPath:
    """Where an action is written; the older form is a list."""
    written = job.keys["actions"]
    if isinstance(written, Mapping):
        return ("actions", action.name)
    return ("actions", next(index for index, item in enumerate(written) if item["name"] == action.name))


def _of_action(job: Job, action: Action, shown: KeyPath, place: KeyPath) -> list[Row]:
    """``shown`` is what the action's rows begin with, ``place`` where it is written in the job."""
    rows = {
        (*shown, key.name): Row((*shown, key.name), key.default, DEFAULT_SOURCE)
        for key in keys.ACTION.keys
        if key.name not in action.keys and keys.default(keys.ACTION, key.name) is not None
    }
    for leaf in leaves(action.keys):
        source = _source(job, (*place, *leaf))
        rows[(*shown, *leaf)] = Row((*shown, *leaf), _value(action.keys, leaf), source)
    for row in _derived(job, action, shown, place):
        rows[row.path] = row
    order = {key.name: number for number, key in enumerate(keys.ACTION.keys)}
    return sorted(rows.values(), key=lambda row: (order.get(str(row.path[len(shown)]), len(order)), row.key))


def _derived(job: Job, action: Action, shown: KeyPath, place: KeyPath) -> Iterator[Row]:
    for name, value in (("service", action.service), ("node", action.node)):
        if name not in action.keys and value is not None:
            written = name in job.keys
            source = _source(job, (name,)) if written else DEFAULT_SOURCE
            yield Row((*shown, name), value, source, "of the job")
    path = (*shown, "deploy_group")
    if action.deploy_group is not None:
        own = action.keys.get("deploy_group")
        template = own or job.keys["deploy_group"]
        source = _source(job, (*place, "deploy_group") if own else ("deploy_group",))
        notes = ["" if own else "of the job", f"made of {template}" if template != action.deploy_group else ""]
        yield Row(path, action.deploy_group, source, ", ".join(filter(None, notes)))
    if action.executor != "ssh":
        if action.version is None:
            yield Row((*shown, "git_sha"), "none", DEFAULT_SOURCE, f"nobody has marked {action.deploy_group}")
        else:
            record = Source(f"{action.service}/{DEPLOYMENTS_FILE}", 0)
            yield Row((*shown, "git_sha"), action.version.git_sha, record, f"deploy group {action.deploy_group}")


def _source(job: Job, path: KeyPath) -> Source:
    """Of the value, or of the list that it is in, which merges as one."""
    while path not in job.sources and len(path) > 1:
        path = path[:-1]
    return job.sources[path]


def _value(mapping: Mapping[str, Any], path: KeyPath) -> Any:
    value: Any = mapping
    for part in path:
        value = value[part]
    return value

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where everything comes from that an instance runs with: each effective key, its value, and the place that says so.

Pure but for ``locate``, which the caller provides. Secrets are references here as everywhere: ``SECRET(name)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import keys
from .deployments import FILE as DEPLOYMENTS_FILE
from .frozen import thaw
from .merge import DEFAULT_SOURCE
from .model import Instance, KeyPath, Namespace, Source
from .yamldoc import dotted

# Which line of a file, relative to the soa-configs directory, has a key path; 0 when none has.
Locate = Callable[[str, KeyPath], int]

HEADINGS = ("key", "value", "where")
_VALUE_WIDTH = 70  # characters of a value in a table


@dataclass(frozen=True, slots=True)
class Row:
    """One effective key. ``note`` says how the value was made of what is written, where it was not just taken."""

    path: KeyPath
    value: Any
    source: Source
    note: str = ""

    @property
    def key(self) -> str:
        return dotted(self.path)

    @property
    def where(self) -> str:
        """``web/kubernetes-prod.yaml:3``, ``default``, or either with a note in brackets."""
        return f"{self.source} ({self.note})" if self.note else str(self.source)

    @property
    def says_nothing(self) -> bool:
        """A default that is empty: there is none of it."""
        return self.source == DEFAULT_SOURCE and self.value in ("", (), [], {})

    def document(self) -> dict[str, Any]:
        """The row, JSON-ready; ``file`` is empty and ``line`` 0 for a default."""
        default = self.source == DEFAULT_SOURCE
        return {
            "key": self.key,
            "value": thaw(self.value),
            "file": "" if default else self.source.file,
            "line": self.source.line,
            "default": default,
            "note": self.note,
        }

    def cells(self) -> tuple[str, str, str]:
        """The row as a table shows it, a long value cut short."""
        text = self.value if isinstance(self.value, str) else json.dumps(thaw(self.value), ensure_ascii=False)
        text = " ".join(text.split()) if text.strip() else json.dumps(text)
        return (self.key, text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 3]}...", self.where)


def explain(instance: Instance, namespace: Namespace | None, locate: Locate) -> list[Row]:
    """Every effective key, in the order of the table of keys.

    :param namespace: that of the first registration, None when it is in no smartstack.yaml.
    """
    rows = {row.path: row for row in _written(instance)}
    for row in _derived(instance, namespace, locate):
        rows[row.path] = row
    order = {key.name: number for number, key in enumerate(keys.INSTANCE[instance.instance_type].keys)}
    return sorted(rows.values(), key=lambda row: (order.get(str(row.path[0]), len(order)), row.key))


def narrowed(rows: Iterable[Row], key: str) -> list[Row]:
    """Only a key, or what is inside it."""
    return [row for row in rows if row.key == key or row.key.startswith((f"{key}.", f"{key}["))]


def _written(instance: Instance) -> Iterator[Row]:
    struct = keys.INSTANCE[instance.instance_type]
    for path, source in instance.sources.items():
        if source == DEFAULT_SOURCE:
            default = keys.default(struct, str(path[0]))
            if default is not None:
                yield Row(path, default, source)
        else:
            value: Any = instance.keys
            for part in path:
                value = value[part]
            yield Row(path, value, source)


def _derived(instance: Instance, namespace: Namespace | None, locate: Locate) -> Iterator[Row]:
    """What is not simply written or a default of the table."""
    yield _deploy_group(instance)
    if instance.instance_type in keys.LONG_RUNNING_TYPES:
        yield _registrations(instance)
        yield from _healthcheck(instance, namespace, locate)
        in_mesh = namespace is not None and namespace.proxy_port is not None
        if not instance.keys.get("drain_method"):
            note = f"in the mesh as {namespace.id}" if namespace is not None and in_mesh else "not in the mesh"
            yield Row(("drain_method",), instance.drain_method, DEFAULT_SOURCE, note)
        if (instance.keys.get("drain_method_params") or {}).get("delay") is None:
            note = f"drain_method {instance.drain_method}"
            yield Row(("drain_method_params", "delay"), instance.drain_delay, DEFAULT_SOURCE, note)
    yield from _team(instance, locate)
    yield from _record(instance)


def _deploy_group(instance: Instance) -> Row:
    for key in ("deploy_group", "branch"):
        template = instance.keys.get(key)
        if template:
            note = f"made of {template}" if template != instance.deploy_group else "" if key == "deploy_group" else key
            return Row(("deploy_group",), instance.deploy_group, instance.sources[(key,)], note)
    return Row(("deploy_group",), instance.deploy_group, DEFAULT_SOURCE, "<cluster>.<instance>")


def _registrations(instance: Instance) -> Row:
    path = ("registrations",)
    if instance.keys.get("registrations"):
        return Row(path, instance.registrations, instance.sources[path])
    if instance.keys.get("nerve_ns"):
        return Row(path, instance.registrations, instance.sources[("nerve_ns",)], "nerve_ns")
    return Row(path, instance.registrations, DEFAULT_SOURCE, "<service>.<instance>")


def _healthcheck(instance: Instance, namespace: Namespace | None, locate: Locate) -> Iterator[Row]:
    """What the instance does not say of its health check is its namespace's, when it is in the mesh."""
    check = instance.healthcheck
    if check is None:
        note = "not in the mesh: healthy while it runs"
        yield Row(("healthcheck_mode",), "none", DEFAULT_SOURCE, note)
        return
    if namespace is None or namespace.proxy_port is None:
        if not instance.keys.get("healthcheck_uri"):
            yield Row(("healthcheck_uri",), check.uri, DEFAULT_SOURCE)
        return
    for key, value, candidates in (
        ("healthcheck_mode", check.mode, ("healthcheck_mode", "mode")),
        ("healthcheck_uri", check.uri, ("healthcheck_uri",)),
    ):
        if not instance.keys.get(key):
            yield _of_namespace((key,), value, namespace, candidates, locate)


def _of_namespace(path: KeyPath, value: Any, namespace: Namespace, candidates: Iterable[str], locate: Locate) -> Row:
    file = f"{namespace.service}/smartstack.yaml"
    for key in candidates:
        line = locate(file, (namespace.name, key)) if key in namespace.keys else 0
        if line:
            note = f"{key} of namespace {namespace.id}"
            if namespace.keys[key] != value:
                note += f", {namespace.keys[key]}"
            return Row(path, value, Source(file, line), note)
    return Row(path, value, DEFAULT_SOURCE, f"of namespace {namespace.id}")


def _team(instance: Instance, locate: Locate) -> Iterator[Row]:
    """PaaSTA's older places of the team, which do not take part in the merge."""
    path = ("monitoring", "team")
    if instance.team is None or path in instance.sources:
        return
    file = f"{instance.service}/service.yaml"
    line = locate(file, path) or locate(file, ("team",))
    yield Row(path, instance.team, Source(file, line), "legacy place")


def _record(instance: Instance) -> Iterator[Row]:
    """What runs is no key of soa-configs, and what people ask for next."""
    record = Source(f"{instance.service}/{DEPLOYMENTS_FILE}", 0)
    if instance.version is None:
        note = f"nobody has marked {instance.deploy_group}"
        yield Row(("git_sha",), "none", DEFAULT_SOURCE, note)
    else:
        yield Row(("git_sha",), instance.version.git_sha, record, f"deploy group {instance.deploy_group}")
    stopped = instance.desired_state == "stop"
    yield Row(("desired_state",), instance.desired_state, record if stopped else DEFAULT_SOURCE)

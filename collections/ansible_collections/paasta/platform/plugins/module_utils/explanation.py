# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Explain one instance of a soa-configs directory: the work of the module ``explain``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from . import table
from .soaconfigs import keys
from .soaconfigs.errors import ConfigError, InvalidConfigs, did_you_mean
from .soaconfigs.explain import HEADINGS, Locate, Row, explain, narrowed
from .soaconfigs.explain_jobs import explain_action, explain_job
from .soaconfigs.files import read_bytes
from .soaconfigs.model import ClusterConfig, KeyPath
from .soaconfigs.settings import InvalidSettings
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.shapes import Struct
from .soaconfigs.tree import validate
from .soaconfigs.yamldoc import Document, parse

ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "cluster": {"type": "str", "required": True},
    "instance": {"type": "str", "required": True},
    "key": {"type": "str", "no_log": False},
    "settings": {"type": "dict", "default": {}},
}


class _Unknown(Exception):
    """There is no such instance or key; the text says so, and what there is."""


@dataclass(frozen=True, slots=True)
class _Explained:
    """What was asked for: its type, its effective keys, and which keys it may have."""

    type: str
    rows: list[Row]
    struct: Struct


def run(args: Mapping[str, Any]) -> dict[str, Any]:
    """The module's result; ``args`` is as in :data:`ARGUMENTS`."""
    service, _dot, name = args["instance"].partition(".")
    try:
        if not service or not name:
            raise _Unknown(f"instance {args['instance']}: say which service, too, as in instance=web.main")
        settings = parse_settings(args["settings"])
        reading = validate(args["soa_dir"], settings, services=(service,), clusters=(args["cluster"],))
        errors = [error for error in reading.errors if error.file.startswith(f"{service}/") or not error.line]
        config = reading.configs[args["cluster"]]
        found = _instance(config, args) or _job(config, args)
        if found is None:
            raise InvalidConfigs(errors) if errors else _Unknown(_not_there(config, args["instance"]))
        rows = _narrowed(found, args) if args["key"] else found.rows
    except (InvalidConfigs, InvalidSettings, _Unknown) as error:
        return {"failed": True, "msg": str(error)}
    return {
        "changed": False,
        "instance": args["instance"],
        "type": found.type,
        "rows": [row.document() for row in rows],
        "errors": [str(error) for error in errors],
        "text": _text(rows if args["key"] else [row for row in rows if not row.says_nothing], errors),
    }


def _instance(config: ClusterConfig, args: Mapping[str, Any]) -> _Explained | None:
    for instance in (*config.instances, *config.undeployed):
        if instance.id == args["instance"]:
            namespaces = {namespace.id: namespace for namespace in config.namespaces}
            mesh = namespaces.get(instance.registrations[0]) if instance.registrations else None
            rows = explain(instance, mesh, _locator(args["soa_dir"]))
            return _Explained(instance.instance_type, rows, keys.INSTANCE[instance.instance_type])
    return None


def _job(config: ClusterConfig, args: Mapping[str, Any]) -> _Explained | None:
    """A Tron job, ``service.job``, or one of its actions, ``service.job.action``."""
    for job in config.jobs:
        if job.id == args["instance"]:
            return _Explained("tron", explain_job(job, _locator(args["soa_dir"])), keys.JOB)
        for action in job.actions:
            if f"{job.id}.{action.name}" == args["instance"]:
                return _Explained("tron", explain_action(job, action), keys.ACTION)
    return None


def _not_there(config: ClusterConfig, wanted: str) -> str:
    known = {instance.id for instance in (*config.instances, *config.undeployed)} | {job.id for job in config.jobs}
    known |= {f"{job.id}.{action.name}" for job in config.jobs for action in job.actions}
    message = f"instance {wanted}: not in the soa-configs of cluster {config.cluster}"
    if any(resource.id == wanted for resource in config.custom_resources):
        return f"instance {wanted}: a custom resource, whose body is handed on as it is written"
    return f"{message}; {did_you_mean(wanted, known)}".removesuffix("; ")


def _narrowed(found: _Explained, args: Mapping[str, Any]) -> list[Row]:
    key: str = args["key"]
    rows = narrowed(found.rows, key)
    if not rows:
        if key.split(".")[0].split("[")[0] in found.struct.by_name:
            raise _Unknown(f"{key} of {args['instance']}: is not set, and has no default")
        hint = did_you_mean(key, found.struct.by_name)
        raise _Unknown(f"{key}: is not a key of {found.type} instances; {hint}".removesuffix("; "))
    return rows


def _text(rows: list[Row], errors: list[ConfigError]) -> str:
    lines = table.lines(HEADINGS, [row.cells() for row in rows])
    # What is wrong is left out of the merge, so a default may stand where a mistake is written.
    return "\n".join([*lines, *(f"! {error}" for error in errors)])


def _locator(soa_dir: str) -> Locate:
    """Lines of key paths, each file read once."""

    @cache
    def document(file: str) -> Document:
        try:
            return parse(file, read_bytes(os.path.join(soa_dir, file)))
        except OSError:
            return Document(file)

    def line(file: str, path: KeyPath) -> int:
        found = document(file)
        value: Any = found.value
        for part in path:
            if not isinstance(value, dict) or part not in value:
                return 0
            value = value[part]
        return found.position(path)[0]

    return line

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Explain one instance of a soa-configs directory: the work of the module ``explain``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from . import table
from .soaconfigs import keys
from .soaconfigs.errors import ConfigError, InvalidConfigs, did_you_mean
from .soaconfigs.explain import HEADINGS, Locate, Row, explain, narrowed
from .soaconfigs.files import read_bytes
from .soaconfigs.model import ClusterConfig, Instance, KeyPath
from .soaconfigs.settings import InvalidSettings
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.tree import validate
from .soaconfigs.yamldoc import Document, parse

ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "cluster": {"type": "str", "required": True},
    "instance": {"type": "str", "required": True},
    "key": {"type": "str"},
    "settings": {"type": "dict", "default": {}},
}


class _Unknown(Exception):
    """There is no such instance or key; the text says so, and what there is."""


def run(args: Mapping[str, Any]) -> dict[str, Any]:
    """The module's result; ``args`` is as in :data:`ARGUMENTS`."""
    service, _dot, name = args["instance"].partition(".")
    try:
        if not service or not name:
            raise _Unknown(f"instance {args['instance']}: say which service, too, as in instance=web.main")
        settings = parse_settings(args["settings"])
        reading = validate(args["soa_dir"], settings, services=(service,), clusters=(args["cluster"],))
        config = reading.configs[args["cluster"]]
        errors = [error for error in reading.errors if error.file.startswith(f"{service}/") or not error.line]
        instance = _find(config, args["instance"], errors)
        namespaces = {namespace.id: namespace for namespace in config.namespaces}
        mesh = namespaces.get(instance.registrations[0]) if instance.registrations else None
        rows = explain(instance, mesh, _locator(args["soa_dir"]))
        if args["key"]:
            rows = _narrow(instance, rows, args["key"])
    except (InvalidConfigs, InvalidSettings, _Unknown) as error:
        return {"failed": True, "msg": str(error)}
    return {
        "changed": False,
        "instance": instance.id,
        "type": instance.instance_type,
        "rows": [row.document() for row in rows],
        "errors": [str(error) for error in errors],
        "text": _text(rows if args["key"] else [row for row in rows if not row.says_nothing], errors),
    }


def _find(config: ClusterConfig, wanted: str, errors: list[ConfigError]) -> Instance:
    known = {instance.id: instance for instance in (*config.instances, *config.undeployed)}
    if wanted in known:
        return known[wanted]
    if errors:
        raise InvalidConfigs(errors)
    types = ", ".join(sorted(keys.INSTANCE))
    hint = did_you_mean(wanted, known)
    message = f"instance {wanted}: not in the soa-configs of cluster {config.cluster}, among types {types}"
    raise _Unknown(f"{message}; {hint}" if hint else message)


def _narrow(instance: Instance, rows: list[Row], key: str) -> list[Row]:
    found = narrowed(rows, key)
    if not found:
        struct = keys.INSTANCE[instance.instance_type]
        if key.split(".")[0].split("[")[0] in struct.by_name:
            raise _Unknown(f"{key} of {instance.id}: is not set, and has no default")
        hint = did_you_mean(key, struct.by_name)
        raise _Unknown(f"{key}: is not a key of {instance.instance_type} instances; {hint}".removesuffix("; "))
    return found


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

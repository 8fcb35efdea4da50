# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The config sha: a hash of what an instance means, which says whether its containers have to be replaced.

PaaSTA hashes what it renders, so every change of its renderer bounces everything. Here the typed instance is hashed:

* what the table of keys says restarts containers (``Key.restarts``), in the form ``canonical`` gives it: without what
  is the default anyway, numbers by value, mappings and sets without order;
* what is worked out of several files: deploy group, registrations, health check, team, and the digests of secrets;
* what the inventory adds to every container, as the engine names it.

Neither the version that runs (the git sha is compared for itself) nor any rendered text takes part, so upgrades of
engines and libraries bounce nothing, and a key that the table gets later changes no sha until somebody sets it.

A change of what is hashed, such as a new default of a key that restarts containers, is a change of meaning: raise
``VERSION`` with it, and say in the changelog that everything will be bounced once. A test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import keys
from .model import Instance
from .predicates import predicate
from .shapes import UNSET, Key, ListOf, MapOf, OneOf, Shape, Struct

VERSION = 1

# Keys of which the order means nothing.
UNORDERED = frozenset({
    "aws_ebs_volumes", "boto_keys", "cap_add", "constraints", "deploy_blacklist", "extra_constraints", "extra_volumes",
    "persistent_volumes", "projected_sa_volumes", "secret_volumes", "ssm_secrets", "topology_spread_constraints",
})  # fmt: skip

# Keys that take part as what is worked out of them, with everything that has a say in it.
_DERIVED = frozenset({
    "branch", "deploy_group", "healthcheck_cmd", "healthcheck_grace_period_seconds", "healthcheck_interval_seconds",
    "healthcheck_max_consecutive_failures", "healthcheck_mode", "healthcheck_timeout_seconds", "healthcheck_uri",
    "monitoring", "nerve_ns", "registrations",
})  # fmt: skip

_PLAIN = frozenset({str, int, bool, type(None)})


def config_sha(instance: Instance, platform: Mapping[str, Any]) -> str:
    """``config`` and 8 hex digits. ``platform``: what the inventory gives to every container, JSON-ready."""
    text = json.dumps([VERSION, meaning(instance), _plain(platform)], sort_keys=True, separators=(",", ":"))
    return "config" + hashlib.sha256(text.encode()).hexdigest()[:8]


def meaning(instance: Instance) -> dict[str, Any]:
    """Everything about an instance that its containers depend on, JSON-ready and in canonical form."""
    check = instance.healthcheck
    return {
        "id": [instance.service, instance.name, instance.cluster, instance.instance_type],
        "deploy_group": instance.deploy_group,
        "registrations": list(instance.registrations),
        "team": instance.team,
        "force_bounce": instance.force_bounce,
        "healthcheck": None
        if check is None
        else _plain([
            check.mode, check.uri if check.mode in ("http", "https") else None, check.cmd, check.grace_period,
            check.interval, check.timeout, check.max_failures,
        ]),
        "secrets": [[use.service, use.name, use.digest] for use in instance.secrets],
        "keys": written(instance.instance_type, instance.keys),
    }  # fmt: skip


def written(instance_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that restart containers and are not at their default, each in canonical form."""
    result = {}
    by_name = keys.INSTANCE[instance_type].by_name
    for name, value in config.items():
        row = by_name.get(name)
        if row is None or not row.restarts or row.legacy or name in _DERIVED:
            continue
        form = canonical(value, row.shape)
        if name in UNORDERED:
            form = _sorted(form)
        if form != _default(row):
            result[name] = form
    return result


def _default(row: Key) -> Any:
    """What a key means when it is absent, in canonical form: without a default, as when it is empty."""
    if row.default is not UNSET:
        return canonical(row.default, row.shape)
    if predicate(row.shape)({}):
        return {}
    # An empty command is one, and replaces that of the image.
    return [] if row.name != "cmd" and predicate(row.shape)([]) else None


def canonical(value: Any, shape: Shape) -> Any:
    """The one form of all values that mean the same: 1.0 as 1, and structs without keys that are at their default."""
    if isinstance(shape, OneOf):
        plain = _plain(value)
        fitting = [option for option in shape.shapes if predicate(option)(plain)]
        return canonical(value, fitting[0]) if fitting else plain
    if isinstance(shape, Struct) and isinstance(value, Mapping):
        return {name: item for name, item in _members(value, shape) if item is not UNSET}
    if isinstance(shape, ListOf) and isinstance(value, (list, tuple)):
        return [canonical(item, shape.item) for item in value]
    if isinstance(shape, MapOf) and isinstance(value, Mapping):
        return {name: canonical(item, shape.value) for name, item in value.items()}
    return _plain(value)


def _members(value: Mapping[str, Any], shape: Struct) -> list[tuple[str, Any]]:
    members = []
    for name, item in value.items():
        row = shape.by_name.get(name)
        form = _plain(item) if row is None else canonical(item, row.shape)
        if row is not None and row.default is not UNSET and form == canonical(row.default, row.shape):
            form = UNSET
        members.append((name, form))
    return members


def _sorted(form: Sequence[Any]) -> list[Any]:
    return sorted(form, key=lambda item: json.dumps(item, sort_keys=True))


def _plain(value: Any) -> Any:
    """As JSON has it, with numbers by value: 1.0 and 1 are equal, and differ as text."""
    if value.__class__ in _PLAIN:
        return value  # most are, and asking whether a text is a mapping takes long
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)  # a date, which YAML makes of text that nobody put into quotes

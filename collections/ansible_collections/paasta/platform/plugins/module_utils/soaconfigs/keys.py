# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""THE table of keys: every document kind, its keys, their types, bounds, defaults, units and meaning.

The model, the validation and the provenance of defaults read this table and nothing else; so will the published
schemas and the reference page. The rows live in ``keys_instance`` and ``keys_documents``; this module puts them
together and answers questions about them. Defaults are those of PaaSTA's code where its schema says otherwise, except
``bounce_margin_factor``.
"""

from __future__ import annotations

from typing import Any

from .keys_documents import DEPLOY, MONITORING, NAMESPACE_KEYS, SERVICE_KEYS, STEP
from .keys_instance import INSTANCE_KEYS, INSTANCE_TYPES
from .shapes import UNSET, Any_, Key, MapOf, Struct

__all__ = [
    "AUTOTUNED",
    "DEPLOY",
    "INSTANCE",
    "INSTANCE_TYPES",
    "MONITORING",
    "NAMESPACE",
    "SERVICE",
    "STEP",
    "TEMPLATE",
]


def _instance_struct(instance_type: str) -> Struct:
    keys = tuple(key for key in INSTANCE_KEYS if instance_type in key.applies)
    others = {
        key.name: f"is not a key of {instance_type} instances; it belongs to {', '.join(sorted(key.applies))}"
        for key in INSTANCE_KEYS
        if instance_type not in key.applies
    }
    return Struct(keys, others=others)


# One struct per instance type: what an instance's mapping may hold.
INSTANCE: dict[str, Struct] = {name: _instance_struct(name) for name in sorted(INSTANCE_TYPES)}

# PaaSTA: schemas/autotuned_defaults; a machine writes these, so nothing else may be in them.
_TUNED = {"cpus", "cpu_burst_add", "mem", "disk", "min_instances", "max_instances", "sidecar_resource_requirements"}
AUTOTUNED: dict[str, Struct] = {
    name: Struct(tuple(key for key in struct.keys if key.name in _TUNED)) for name, struct in INSTANCE.items()
}

# PaaSTA: a top-level key that begins with _ is a template, any mapping.
TEMPLATE = MapOf(Any_())

NAMESPACE = Struct(NAMESPACE_KEYS)

_service_names = {key.name for key in SERVICE_KEYS}
# service.yaml: its own keys, and every instance key as a service-wide default. Others are tolerated (tree warns).
SERVICE = Struct(SERVICE_KEYS + tuple(key for key in INSTANCE_KEYS if key.name not in _service_names), open_=True)


def default(keys: Struct, name: str) -> Any:
    """The table's default of a key, None when it has none; KeyError for a key that is not in the table."""
    value = keys.by_name[name].default
    return None if value is UNSET else value


def defaults(keys: Struct) -> tuple[str, ...]:
    """The names of all keys that the table gives a default."""
    return tuple(key.name for key in keys.keys if key.default is not UNSET)


def inherited(instance_type: str) -> frozenset[str]:
    """The keys that an instance takes over from service.yaml: those that mean something to its type."""
    return frozenset(INSTANCE[instance_type].by_name)


def describe(key: Key) -> str:
    """One line for people: ``cpus: a number greater than 0 (default 1): CPU request and shares``."""
    unit = f" {key.unit}" if key.unit else ""
    base = "" if key.default is UNSET else f" (default {key.default}{unit})"
    return f"{key.name}: {key.shape.describe()}{base}: {key.doc}"

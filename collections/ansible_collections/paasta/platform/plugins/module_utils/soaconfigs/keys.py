# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""THE table of keys: every document kind, its keys, their types, bounds, defaults, units and meaning.

The model, the validation, the provenance of defaults, the JSON Schemas in ``docs/schemas`` and the reference page read
this table and nothing else. The rows live in the modules ``keys_*``; this one puts them together and answers questions
about them. Defaults are those of PaaSTA's code where its schema says otherwise, except ``bounce_margin_factor``.

The table is data of our own, not classes of pydantic, msgspec or attrs: one row has to give the check, the message with
its way out, the schema, the page, the default and whether containers restart, and classes have a place for some of it
only. msgspec stops at the first mistake, attrs checks no types by itself, and modules that run on managed hosts import
this too, where no package of ours may be needed. The package jsonschema, in the tests only, checks that the published
schemas agree with the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .documents import DocumentKind, instances_kind
from .keys_common import COUNT, STR
from .keys_custom import ANY_CUSTOM, CUSTOM_TYPES, CustomType, custom_types
from .keys_documents import DEPLOY, MONITORING, NAMESPACE_KEYS, SERVICE_KEYS, STEP
from .keys_instance import CONTAINER_TYPES, INSTANCE_KEYS, INSTANCE_TYPES, LONG_RUNNING_TYPES
from .keys_records import AUTHENTICATING, AUTHORIZATION, DEPENDENCIES, DEPLOYMENTS, ROLLBACK, SECRET
from .keys_tron import ACTION, JOB, JOB_NAME, MASTER
from .names import NAMESPACE_NAME
from .shapes import UNSET, Any_, Key, ListOf, MapOf, OneOf, Scalar, Shape, Struct

__all__ = [
    "ACTION",
    "ALL_INSTANCE_TYPES",
    "AUTOTUNED",
    "CUSTOM_RESOURCE",
    "CUSTOM_TYPES",
    "DEPLOY",
    "DOCUMENTS",
    "INSTANCE",
    "INSTANCE_KEYS",
    "INSTANCE_TYPES",
    "JOB",
    "LONG_RUNNING_TYPES",
    "MASTER",
    "MONITORING",
    "NAMESPACE",
    "RETIRED_TYPES",
    "ROLLBACK",
    "SERVICE",
    "SERVICE_KEYS",
    "STEP",
    "TEMPLATE",
    "CustomType",
    "custom_types",
    "documents",
]


def _instance_struct(instance_type: str) -> Struct:
    keys = tuple(key for key in INSTANCE_KEYS if instance_type in key.applies)
    elsewhere: dict[str, set[str]] = {}
    for key in INSTANCE_KEYS:
        elsewhere.setdefault(key.name, set()).update(key.applies)
    others = {
        name: f"is not a key of {instance_type} instances; it belongs to {', '.join(sorted(applies))}"
        for name, applies in elsewhere.items()
        if instance_type not in applies
    }
    return Struct(keys, others=others)


# One struct per instance type: what an instance's mapping may hold.
INSTANCE: dict[str, Struct] = {name: _instance_struct(name) for name in sorted(CONTAINER_TYPES)}

# PaaSTA: types that it, or its history, runs. Chronos and the native scheduler have no successor of their own.
RETIRED_TYPES: Mapping[str, str] = {
    "chronos": "Chronos is retired: nothing of this file runs; write the jobs as tron-<cluster>.yaml",
    "paasta_native": "PaaSTA's native scheduler is retired: nothing of this file runs; use kubernetes-<cluster>.yaml",
}
ALL_INSTANCE_TYPES = CONTAINER_TYPES | {"tron"} | frozenset(CUSTOM_TYPES)

# PaaSTA: schemas/autotuned_defaults; a machine writes these, so nothing else may be in them.
_TUNED = ("cpus", "cpu_burst_add", "mem", "disk", "min_instances", "max_instances", "sidecar_resource_requirements")
_TUNED_DISK = Scalar(("number",), minimum=128)


def _autotuned(struct: Struct) -> Struct:
    rows = tuple(
        # What the machine does not say it does not know, so there is no default.
        replace(key, shape=_TUNED_DISK if key.name == "disk" else key.shape, default=UNSET)
        for key in struct.keys
        if key.name in _TUNED
    )
    return Struct(rows, needs=tuple(key.name for key in rows))


_TUNED_CASSANDRA = (
    Key("cpus", Scalar(("number",), above=0), "CPU request"),
    Key("cpu_burst_percent", Scalar(("number",), minimum=0), "CPU above cpus before throttling", unit="%"),
    Key("mem", STR, "memory, a Kubernetes quantity"),
    Key("disk", STR, "storage, a Kubernetes quantity"),
    Key("replicas", replace(COUNT, minimum=1), "replicas", restarts=False),
)
AUTOTUNED: dict[str, Struct] = {
    **{name: _autotuned(struct) for name, struct in INSTANCE.items()},
    **{
        name: Struct(_TUNED_CASSANDRA, needs=tuple(key.name for key in _TUNED_CASSANDRA))
        for name in ("cassandracluster", "cassandraclustereks")
    },
}

# PaaSTA: a top-level key that begins with _ is a template, any mapping.
TEMPLATE = MapOf(Any_())

NAMESPACE = Struct(NAMESPACE_KEYS)


def _service_struct() -> Struct:
    """service.yaml: its own keys, and every instance key as a service-wide default; others are let through."""
    rows = {key.name: key for key in SERVICE_KEYS}
    for key in INSTANCE_KEYS:
        # Of a key with a row of its own for Marathon the first row counts: it is the narrower.
        rows.setdefault(key.name, key)
    return Struct(tuple(rows.values()), open_=True)


SERVICE = _service_struct()

_NAMESPACES = MapOf(NAMESPACE, f"^{NAMESPACE_NAME.pattern}$", "a namespace's name: use letters, digits, - and _")
_JOBS = MapOf(JOB, JOB_NAME, "a job's name: use letters, digits, _ and -, beginning with a letter")


_TUNED_ALIKE = {"eks": "kubernetes", "cassandraclustereks": "cassandracluster"}


def _custom_kind(custom: CustomType) -> DocumentKind:
    return instances_kind(custom.name, custom.struct, "its custom resources", custom.schema)


def documents(custom: Mapping[str, CustomType] = CUSTOM_TYPES) -> dict[str, DocumentKind]:
    """Every kind of document by name, with the types of custom resources that the platform has."""
    kinds = [
        DocumentKind("service", "<service>/service.yaml", SERVICE, "what a service is, and defaults of its instances"),
        DocumentKind(
            "smartstack", "<service>/smartstack.yaml", _NAMESPACES, "its namespaces in the mesh", entry="namespace"
        ),
        DocumentKind("monitoring", "<service>/monitoring.yaml", MONITORING, "whom to tell of problems, and how"),
        DocumentKind("deploy", "<service>/deploy.yaml", DEPLOY, "its pipeline"),
        DocumentKind("dependencies", "<service>/dependencies.yaml", DEPENDENCIES, "what its instances call"),
        DocumentKind("authorization", "<service>/authorization.yaml", AUTHORIZATION, "who may call it"),
        DocumentKind(
            "authenticating", "authenticating.yaml", AUTHENTICATING, "who proves who it is; generated", templates=False
        ),
        *(
            instances_kind(name, INSTANCE[name], schema="kubernetes" if name == "eks" else "")
            for name in ("kubernetes", "eks", "marathon", "adhoc")
        ),
        DocumentKind("tron", "<service>/tron-<cluster>.yaml", _JOBS, "its scheduled jobs", entry="job"),
        DocumentKind("tron-master", "tron/<cluster>/MASTER.yaml", MASTER, "Tron's own configuration", templates=False),
        *(_custom_kind(custom[name]) for name in sorted(custom)),
        DocumentKind("rollback", "<service>/rollback-<cluster>.yaml", ROLLBACK, "when a deploy is rolled back"),
        *(
            DocumentKind(
                f"autotuned-{name}",
                f"<service>/autotuned_defaults/{name}-<cluster>.yaml",
                instances_kind(name, struct).shape,
                "resources that a machine has worked out",
                templates=False,
                entry="instance",
                schema=f"autotuned-{_TUNED_ALIKE.get(name, name)}",
            )
            for name, struct in AUTOTUNED.items()
        ),
        DocumentKind("secret", "<service>/secrets/<name>.json", SECRET, "a secret, encrypted", templates=False),
        DocumentKind("deployments", "<service>/deployments.json", DEPLOYMENTS, "what is marked for deployment",
                     templates=False),
    ]  # fmt: skip
    return {kind.name: kind for kind in kinds}


DOCUMENTS: Mapping[str, DocumentKind] = documents()
# For the editors of those who add types of custom resources; the files of each of them are a kind of their own.
CUSTOM_RESOURCE = _custom_kind(ANY_CUSTOM)


def walk(shape: Shape, path: str = "") -> Iterator[tuple[str, Key]]:
    """Every key inside a shape with its path: ``[]`` is any item of a list, ``<name>`` any key of a mapping."""
    if isinstance(shape, Struct):
        for key in shape.keys:
            below = f"{path}.{key.name}" if path else key.name
            yield below, key
            yield from walk(key.shape, below)
    elif isinstance(shape, ListOf):
        yield from walk(shape.item, f"{path}[]")
    elif isinstance(shape, MapOf):
        yield from walk(shape.value, f"{path}.<name>" if path else "<name>")
    elif isinstance(shape, OneOf):
        for choice in shape.shapes:
            yield from walk(choice, path)


def default(keys: Struct, name: str) -> Any:
    """The table's default of a key, None when it has none; KeyError for a key that is not in the table."""
    value = keys.by_name[name].default
    return None if value is UNSET else value


def defaults(keys: Struct) -> tuple[str, ...]:
    """The names of all keys that the table gives a default."""
    return tuple(key.name for key in keys.keys if key.default is not UNSET)


def filled(keys: Struct, config: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with the table's default for every key that it does not set; keys without a default stay out."""
    return {**{key.name: key.default for key in keys.keys if key.default is not UNSET}, **config}


_INHERITED = {name: frozenset(struct.by_name) for name, struct in INSTANCE.items()}


def inherited(instance_type: str) -> frozenset[str]:
    """The keys that an instance takes over from service.yaml: those that mean something to its type."""
    return _INHERITED[instance_type]


def describe(key: Key) -> str:
    """One line for people: ``cpus: a number greater than 0 (default 1): CPU request and shares``."""
    unit = f" {key.unit}" if key.unit else ""
    base = "" if key.default is UNSET else f" (default {key.default}{unit})"
    return f"{key.name}: {key.shape.describe()}{base}: {key.doc}"

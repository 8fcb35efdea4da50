# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: custom resources, whose mapping is handed on as the object's spec. Read through ``keys``.

Keys that PaaSTA looks at are typed; all others belong to the operator. A platform adds types of its own with
``custom_types``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .keys_common import ANY_MAP, BOOL, COMMON_KEYS, COUNT, STR, STRINGS, pick
from .keys_monitoring import MONITORING
from .shapes import Key, ListOf, MapOf, OneOf, Struct

_ENV = pick(COMMON_KEYS, "env")[0].shape

_KEYS = (
    Key("deploy_group", STR, "what is marked for deployment; may hold {cluster}, {instance} and {service}"),
    Key("branch", STR, "former name of deploy_group, which wins", restarts=False),
    Key("pool", STR, "group of nodes to run on"),
    Key("env", OneOf((_ENV, ListOf(ANY_MAP))), "environment, as a mapping or as the operator has it"),
    Key("registrations", STRINGS, "service.namespace to be found under"),
    Key("monitoring", MONITORING, "overrides of monitoring.yaml", {}, restarts=False),
)
_REPLICAS = Key("replicas", COUNT, "replicas", restarts=False)
_JOB_MONITORING = Struct((Key("monitoring", MONITORING, "overrides of monitoring.yaml"),), open_=True)
_FLINK_KEYS = (
    Key(
        "taskmanager",
        Struct((Key("instances", COUNT, "task managers", 10),), open_=True),
        "what runs the tasks",
        restarts=False,
    ),
    Key("spot", BOOL, "run in pool flink-spot; false: in pool flink", True),
    Key("jobs", MapOf(_JOB_MONITORING), "jobs by name"),
    Key("config", ANY_MAP, "Flink's own configuration"),
    Key("replication_threshold", COUNT, "alert below this share of task managers", 100, "%", restarts=False),
)
_CASSANDRA_KEYS = (_REPLICAS, Key("dataDir", STR, "directory of the data"))


@dataclass(frozen=True, slots=True)
class CustomType:
    """A type of custom resource: what its instances may say, and what is so when they do not say it.

    ``registration`` is a template with {service} and {instance}. ``schema`` names the published schema.
    """

    name: str
    struct: Struct
    pool: str = "default"
    registration: str = "{service}.{instance}"
    schema: str = "custom-resource"


def _type(name: str, *keys: Key, **options: str) -> CustomType:
    return CustomType(name, Struct((*_KEYS, *keys), open_=True), **options)


_CASSANDRA = {"registration": "cassandra_{instance}.main", "schema": "cassandracluster"}
CUSTOM_TYPES: Mapping[str, CustomType] = {
    item.name: item
    for item in (
        _type("cassandracluster", *_CASSANDRA_KEYS, **_CASSANDRA),
        _type("cassandraclustereks", *_CASSANDRA_KEYS, **_CASSANDRA),
        _type("flink", *_FLINK_KEYS, schema="flink"),
        _type("flinkeks", *_FLINK_KEYS, schema="flink"),
        _type("kafkacluster", _REPLICAS, schema="kafkacluster"),
        _type("monkrelays", _REPLICAS, schema="kafkacluster"),
        _type("nrtsearchservice", _REPLICAS, schema="kafkacluster"),
        _type("nrtsearchserviceeks", _REPLICAS, schema="kafkacluster"),
    )
}
# What the platform's own types have in common: a schema for editors of their files.
ANY_CUSTOM = _type("custom-resource")
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OPTIONS = ("pool", "registration")


def custom_types(extra: Mapping[str, Mapping[str, Any] | None], known: frozenset[str]) -> dict[str, CustomType]:
    """PaaSTA's custom resource types and the platform's own, by name.

    ``extra`` is the inventory's ``paasta_custom_resource_types``: from a type's name, which is what its files begin
    with, to its options. ``pool`` and ``registration`` are read here, the others (group, version, kind) by engines.
    ``known`` are the types that mean something else. ValueError names everything that is wrong.
    """
    found = dict(CUSTOM_TYPES)
    problems = []
    for name, given in sorted(extra.items()):
        options = {key: value for key, value in (given or {}).items() if key in _OPTIONS}
        if not _TYPE_NAME.fullmatch(name):
            problems.append(f"{name!r} is not a type's name: use a-z, 0-9 and _, beginning with a letter")
        elif name in known:
            problems.append(f"{name} is a type of instances already")
        problems.extend(
            f"{name}.{key}: {value!r} is not a string" for key, value in options.items() if not isinstance(value, str)
        )
        below = found.get(name)
        found[name] = _type(name, **options) if below is None else _extended(below, options)
    if problems:
        raise ValueError("paasta_custom_resource_types: " + "; ".join(problems))
    return found


def _extended(below: CustomType, options: Mapping[str, Any]) -> CustomType:
    """A type of PaaSTA's with the platform's options: its keys stay."""
    return replace(below, **dict(options))

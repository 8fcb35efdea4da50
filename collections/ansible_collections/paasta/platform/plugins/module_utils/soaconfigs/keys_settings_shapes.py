# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The shapes of settings, for ``keys_settings``."""

from __future__ import annotations

from .shapes import Any_, Key, ListOf, MapOf, OneOf, Scalar, Shape, Struct

STR = Scalar(("string",))
BOOL = Scalar(("boolean",))
NUMBER = Scalar(("number",))
COUNT = Scalar(("integer",), minimum=0)
POSITIVE = Scalar(("integer",), minimum=1)
PORT = Scalar(("integer",), minimum=1, maximum=65535)
RATIO = Scalar(("number",), minimum=0, maximum=1)
STRINGS = ListOf(STR)
OPEN = MapOf(Any_())
# Kubernetes: a DNS label, and a label prefix, which is a DNS subdomain.
NAME = Scalar(("string",), pattern=r"^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$", says="a DNS label")
SUBDOMAIN = Scalar(
    ("string",),
    pattern=r"^(?=.{1,200}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    says="a domain such as paasta.yelp.com",
)
SIZE = Scalar(("string",), pattern=r"^[0-9]+[kmg]?$", says="a size such as 10m")
# PaaSTA: clusters are parts of file names and must be lower-case.
CLUSTER = Scalar(("string",), pattern=r"^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$", says="a lower-case name")
GIT_URL = Scalar(("string",), pattern=r"^.*\{service\}.*$", says="a URL with {service} in it")
ZOOKEEPER = Scalar(
    ("string",), pattern=r"^zk://[^/,\s]+(,[^/,\s]+)*(/.*)?$", says="hosts as in zk://a:2181,b:2181/path"
)


def number(minimum: float | None = None, above: float | None = None) -> Scalar:
    return Scalar(("number",), minimum=minimum, above=above)


def choice(*choices: str) -> Scalar:
    return Scalar(("string",), choices=choices)


def mapping(value: Shape) -> MapOf:
    return MapOf(value)


BUDGET = OneOf((COUNT, Scalar(("string",), pattern=r"^(100|[0-9]{1,2})%$", says="a share such as 10%")))
# Docker's notation; the mapping is PaaSTA's.
BIND = OneOf(
    (
        Scalar(("string",), pattern=r"^/[^:]*:/[^:]*(:(ro|rw))?$", says="host:container or host:container:ro"),
        Struct(
            (
                Key("hostPath", STR, "path on the host", required=True),
                Key("containerPath", STR, "path in the container", required=True),
                Key("mode", choice("RO", "RW"), "read-only or read-write", required=True),
            )
        ),
    )
)
BINDS = ListOf(BIND)
POOL_LIMITS = MapOf(
    MapOf(
        Struct(
            (
                Key("max_cpus", Scalar(("number",), above=0), "limit of cpus"),
                Key("recommended_pool", STR, "pool for more"),
            )
        )
    )
)
BLACKLIST = ListOf(ListOf(STR, minimum_length=2))
WHITELIST = ListOf(OneOf((STR, STRINGS)), minimum_length=2)
PORT_RANGE = ListOf(PORT, minimum_length=2)
SPREAD = ListOf(
    Struct(
        (
            Key("topology_key", STR, "node label"),
            Key("when_unsatisfiable", choice("ScheduleAnyway", "DoNotSchedule"), "strictness"),
            Key("max_skew", POSITIVE, "largest difference"),
            Key("match_label_keys", STRINGS, "labels to group by"),
        )
    )
)
TOKEN_SETTINGS = Struct(
    (
        Key("audience", STR, "whom the token is for"),
        Key("container_path", STR, "directory in the container"),
        Key("expiration_seconds", POSITIVE, "life of the token"),
    )
)
CUSTOM_RESOURCES = MapOf(
    Struct(
        (
            Key("group", STR, "API group"),
            Key("version", STR, "API version"),
            Key("kind", STR, "kind"),
            Key("plural", STR, "name of the resource in URLs"),
            Key("pool", STR, "pool of instances that name none"),
            Key("registration", STR, "registration of instances that name none, from {service} and {instance}"),
        )
    ),
    key_pattern=r"^[a-z][a-z0-9_]*$",
    key_says="the name of a type (a-z, 0-9 and _)",
)
QUANTITY = Scalar(
    ("string", "number"),
    above=0,
    pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
    says="a quantity such as 500m or 1Gi",
)
_SUBJECT = Struct(
    (
        Key("kind", choice("User", "Group", "ServiceAccount"), "what it is", required=True),
        Key("name", STR, "its name", required=True),
        Key("namespace", NAME, "where the service account is"),
    )
)
BINDINGS = ListOf(
    Struct(
        (
            Key("name", SUBDOMAIN, "name of the RoleBinding", required=True),
            Key("cluster_role", STR, "what they may do", required=True),
            Key("subjects", ListOf(_SUBJECT, minimum_length=1), "who may", required=True),
        )
    )
)
TOLERATIONS = MapOf(
    ListOf(
        Struct(
            (
                Key("key", STR, "taint; without it all"),
                Key("operator", choice("Exists", "Equal"), "whether the value counts"),
                Key("value", STR, "of the taint, for Equal"),
                Key("effect", choice("NoSchedule", "PreferNoSchedule", "NoExecute"), "without it all"),
                Key("tolerationSeconds", COUNT, "for NoExecute: how long a pod stays"),
            )
        )
    )
)
OBJECT = Struct(
    (Key("namespace", NAME, "where it is", required=True), Key("name", SUBDOMAIN, "its name", required=True))
)
LOGIN = Struct((Key("path", STR, "login", required=True), Key("data", OPEN, "credentials", required=True)))
MARATHON_SERVERS = ListOf(
    Struct((Key("url", STRINGS, "addresses of its masters", required=True), Key("user", STR, "who logs in")))
)
TRON = Struct((Key("cluster_name", STR, "its name"), Key("url", STR, "its API")))
CONTROLS = ListOf(
    Struct(
        (
            Key("service", STR, "service", required=True),
            Key("instance", STR, "instance", required=True),
            Key("cluster", CLUSTER, "cluster", required=True),
            Key("desired_state", choice("start", "stop"), "state"),
            Key("only_if_absent", BOOL, "leave what is recorded"),
            Key("force_bounce", STR, "any text; a new one replaces replicas"),
        )
    )
)

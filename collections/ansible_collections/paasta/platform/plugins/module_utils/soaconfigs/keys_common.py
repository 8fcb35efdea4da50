# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: what an instance of any type may say, and the shapes that several tables share.

Read through ``keys``.
"""

from __future__ import annotations

from .keys_monitoring import MONITORING
from .shapes import Any_, Key, ListOf, MapOf, OneOf, Scalar, Struct

STR = Scalar(("string",))
INT = Scalar(("integer",))
BOOL = Scalar(("boolean",))
NUMBER = Scalar(("number",))
COUNT = Scalar(("integer",), minimum=0)
SECONDS = Scalar(("number",), minimum=0)
PERIOD = Scalar(("number",), above=0)
RATIO = Scalar(("number",), minimum=0, maximum=1)
PERCENT = Scalar(("integer",), minimum=1, maximum=100)
PORT = Scalar(("integer",), minimum=1, maximum=65535)
STRINGS = ListOf(STR)
ANY_MAP = MapOf(Any_())
COMMAND = OneOf((STR, STRINGS))

# PaaSTA: schema of every instance kind, env patternProperties.
_ENV = MapOf(
    Scalar(("string",), quote_hint="environment values are strings, put it in quotes"),
    key_pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
    key_says="a valid environment variable name (letters, digits and _, not starting with a digit)",
)
_CPUS = Scalar(("number",), above=0)
_MIN_MEM = 32  # PaaSTA: schema minimum of mem


def _limits(shape: Scalar) -> Struct:
    return Struct((Key("min", shape, "lowest value"), Key("max", shape, "highest value")))


def items(*keys: Key, lenient: bool = False) -> ListOf:
    return ListOf(Struct(keys, lenient=lenient))


_AUTOTUNE = Struct(
    (
        Key("cpus", _limits(_CPUS), "bounds of cpus"),
        Key("mem", _limits(Scalar(("integer",), minimum=_MIN_MEM)), "bounds of mem", unit="MiB"),
        Key("disk", _limits(Scalar(("integer",), minimum=128)), "bounds of disk", unit="MiB"),
    )
)
READ_ONLY = "RO"  # what a volume is that does not say
_VOLUMES = items(
    Key("containerPath", STR, "path in the container", required=True),
    Key("hostPath", STR, "path on the host", required=True),
    # PaaSTA: kubernetes_tools.read_only_mode
    Key("mode", Scalar(("string",), choices=("RO", "RW")), "read-only or read-write", READ_ONLY),
    lenient=True,
)
_EBS = items(
    Key("volume_id", STR, "EBS volume", required=True),
    Key("fs_type", STR, "file system"),
    Key("partition", INT, "partition number"),
    Key("container_path", STR, "path in the container", required=True),
    Key("mode", Scalar(("string",), choices=("RO", "RW")), "read-only or read-write"),
    lenient=True,
)
_PERSISTENT = items(
    Key("container_path", STR, "path in the container", required=True),
    Key("size", Scalar(("integer",), minimum=1), "capacity", unit="GB"),
    Key("mode", STR, "access mode"),
    Key("storage_class_name", STR, "storage class"),
)
_FILE_MODE = Scalar(
    ("string",),
    pattern=r"^0?[0-7]{3}$",
    says="an octal file mode such as '0400'",
    quote_hint="put it in quotes, as in '0400'",
)
_SECRET_VOLUMES = items(
    Key("container_path", STR, "directory in the container", required=True),
    Key("secret_name", STR, "name of the secret", required=True),
    Key("default_mode", _FILE_MODE, "file mode", "0644"),
    Key(
        "items",
        items(
            Key("key", STR, "key of the secret", required=True),
            Key("path", STR, "file name", required=True),
            Key("mode", _FILE_MODE, "file mode, by default default_mode"),
        ),
        "files to make of the secret's keys",
    ),
    lenient=True,
)
_TOKEN_VOLUMES = items(
    Key("container_path", STR, "directory in the container", required=True),
    Key("audience", STR, "whom the token is for", required=True),
    Key("expiration_seconds", INT, "life of the token", 3600, "s"),
)
_KEY_NAMES = ListOf(Scalar(("string",), pattern=r"^[a-zA-Z0-9_.-]+$"))
_SSM = items(
    Key("source", Scalar(("string",), pattern=r"^[a-zA-Z0-9._/-]+$"), "parameter name", required=True),
    Key("secret_name", Scalar(("string",), pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$"), "variable name", required=True),
)
_CONSTRAINTS = ListOf(ListOf(Any_()))
_SELECTOR = OneOf(
    (
        STR,
        STRINGS,
        items(
            Key(
                "operator",
                Scalar(("string",), choices=("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
                "how to compare",
                required=True,
            ),
            Key("values", STRINGS, "for In and NotIn"),
            Key("value", INT, "for Gt and Lt"),
        ),
    )
)
_SELECTORS = MapOf(_SELECTOR, r"^[a-zA-Z0-9][a-zA-Z0-9-_./]*[a-zA-Z0-9]$", "a node label")
_COST_OWNER = Scalar(
    ("string",), pattern=r"^(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?$", says="at most 63 of a-z, 0-9 and inner -"
)
_DNS_LABEL = Scalar(
    ("string",), pattern=r"^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$", says="a DNS label (a-z, 0-9 and inner -)"
)
_ROLE_ARN = Scalar(
    ("string",), pattern=r"^(arn:aws:iam::[0-9]+:role/[a-zA-Z0-9+=,.@_-]+)?$", says="the ARN of an IAM role"
)

COMMON_KEYS = (
    Key("cpus", _CPUS, "CPU request and shares", 1),  # PaaSTA: utils.InstanceConfig, here and below
    Key("mem", Scalar(("number",), minimum=_MIN_MEM), "memory limit, and request", 4096, "MiB"),
    Key("disk", Scalar(("number",), above=0), "ephemeral storage", 1024, "MiB"),
    Key("cpu_burst_add", Scalar(("number",), minimum=0), "CPU above cpus before throttling", 1),
    Key("cfs_period_us", Scalar(("integer",), minimum=1000, maximum=1_000_000), "CPU quota period", 100_000, "us"),
    Key("gpus", COUNT, "GPUs"),
    Key("env", _ENV, "environment; SECRET(name) and SHARED_SECRET(name) refer to secrets", {}),
    Key("cmd", COMMAND, "shell command line, or a list to execute; not together with args"),
    Key("args", STRINGS, "arguments for the image's entry point; not together with cmd", []),
    Key("deploy_group", STR, "what is marked for deployment; may hold {cluster}, {instance} and {service}"),
    Key("branch", STR, "former name of deploy_group, which wins", restarts=False),
    Key("pool", STR, "group of nodes to run on", "default"),
    Key("role", STR, "Mesos role", restarts=False, legacy=True),
    Key("iam_role", _ROLE_ARN, "workload identity", ""),
    Key("iam_role_provider", Scalar(("string",), choices=("aws",)), "who provides iam_role", "aws"),
    Key("extra_volumes", _VOLUMES, "host directories to mount", []),
    Key("aws_ebs_volumes", _EBS, "EBS volumes to mount", []),
    Key("persistent_volumes", _PERSISTENT, "volumes that follow the replica; makes a StatefulSet", []),
    Key("secret_volumes", _SECRET_VOLUMES, "secrets as files", []),
    Key("projected_sa_volumes", _TOKEN_VOLUMES, "service account tokens as files", []),
    # PaaSTA: False in code unless the system configuration says otherwise; its schema and documents say true.
    Key("uses_bulkdata", BOOL, "mount the bulk data directory", False),
    Key("boto_keys", STRINGS, "AWS credential files to mount", []),
    Key(
        "crypto_keys",
        Struct((Key("encrypt", _KEY_NAMES, "to encrypt with"), Key("decrypt", _KEY_NAMES, "to decrypt with"))),
        "keys to mount",
        {},
    ),
    Key("datastore_credentials", Struct((Key("mysql", _KEY_NAMES, "MySQL"),)), "database credentials to mount", {}),
    Key("ssm_secrets", _SSM, "AWS parameters as environment", []),
    Key("cap_add", STRINGS, "Linux capabilities to keep", []),
    Key("privileged", BOOL, "run as a privileged container", False),
    Key("extra_docker_args", MapOf(STR), "raw docker parameters", {}),
    Key("net", STR, "docker network mode", "bridge"),
    Key("constraints", _CONSTRAINTS, "replaces all placement constraints"),
    Key("extra_constraints", _CONSTRAINTS, "added to the placement constraints", []),
    Key("deploy_blacklist", ListOf(ListOf(Any_())), "locations to avoid, [[type, value], ...]", []),
    Key("deploy_whitelist", ListOf(Any_()), "only these locations, [type, [values]]"),
    Key("node_selectors", _SELECTORS, "node labels to require"),
    Key(
        "node_selectors_preferred",
        items(
            Key("weight", PERCENT, "strength", required=True), Key("preferences", _SELECTORS, "labels", required=True)
        ),
        "node labels to prefer",
    ),
    Key("monitoring", MONITORING, "overrides of monitoring.yaml", {}, restarts=False),
    Key("dependencies_reference", STR, "entry of dependencies.yaml", restarts=False),
    Key("cost_owner", _COST_OWNER, "who pays"),
    Key("namespace", _DNS_LABEL, "Kubernetes namespace"),
    Key("service", STR, "take image and configuration of another service"),
    Key("autotune_limits", _AUTOTUNE, "bounds for an autotuner", restarts=False),
    # PaaSTA: long-running in the code, accepted for adhoc by its schema.
    Key("container_port", PORT, "port the application listens on", 8888),
    Key("fs_group", INT, "group that owns volumes"),
    Key("fs_group_change_policy", Scalar(("string",), choices=("Always", "OnRootMismatch")), "needs fs_group"),
)


def pick(rows: tuple[Key, ...], *names: str) -> tuple[Key, ...]:
    """Some rows of a table, by name, for a document that has them too."""
    by_name = {key.name: key for key in rows}
    return tuple(by_name[name] for name in names)

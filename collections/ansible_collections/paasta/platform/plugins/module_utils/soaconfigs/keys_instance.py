# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: what an instance may say. Read through ``keys``."""

from __future__ import annotations

from dataclasses import replace

from .keys_monitoring import MONITORING_OVERRIDES
from .shapes import Any_, Key, ListOf, MapOf, OneOf, Scalar, Struct

INSTANCE_TYPES = frozenset({"kubernetes", "eks", "adhoc"})
LONG_RUNNING = frozenset({"kubernetes", "eks"})

STR = Scalar(("string",))
INT = Scalar(("integer",))
BOOL = Scalar(("boolean",))
NUMBER = Scalar(("number",))
COUNT = Scalar(("integer",), minimum=0)
SECONDS = Scalar(("number",), minimum=0)
PERIOD = Scalar(("number",), above=0)
RATIO = Scalar(("number",), minimum=0, maximum=1)
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


def _items(*keys: Key) -> ListOf:
    return ListOf(Struct(keys))


_AUTOTUNE = Struct(
    (
        Key("cpus", _limits(_CPUS), "bounds of cpus"),
        Key("mem", _limits(Scalar(("integer",), minimum=_MIN_MEM)), "bounds of mem", unit="MiB"),
        Key("disk", _limits(Scalar(("integer",), minimum=128)), "bounds of disk", unit="MiB"),
    )
)
_VOLUMES = _items(
    Key("containerPath", STR, "path in the container", required=True),
    Key("hostPath", STR, "path on the host", required=True),
    Key("mode", Scalar(("string",), choices=("RO", "RW")), "read-only or read-write", required=True),
)
_EBS = _items(
    Key("volume_id", STR, "EBS volume", required=True),
    Key("fs_type", STR, "file system"),
    Key("partition", INT, "partition number"),
    Key("container_path", STR, "path in the container", required=True),
    Key("mode", Scalar(("string",), choices=("RO", "RW")), "read-only or read-write"),
)
_PERSISTENT = _items(
    Key("container_path", STR, "path in the container", required=True),
    Key("size", Scalar(("integer",), minimum=1), "capacity", unit="GB"),
    Key("mode", STR, "access mode"),
    Key("storage_class_name", STR, "storage class"),
)
_SECRET_VOLUMES = _items(
    Key("container_path", STR, "directory in the container", required=True),
    Key("secret_name", STR, "name of the secret", required=True),
    Key("default_mode", STR, "file mode, octal in quotes"),
    Key(
        "items",
        _items(
            Key("key", STR, "key of the secret", required=True),
            Key("path", STR, "file name", required=True),
            Key("mode", STR, "file mode, octal in quotes"),
        ),
        "files to make of the secret's keys",
    ),
)
_TOKEN_VOLUMES = _items(
    Key("container_path", STR, "directory in the container", required=True),
    Key("audience", STR, "whom the token is for", required=True),
    Key("expiration_seconds", INT, "life of the token", 3600, "s"),
)
_KEY_NAMES = ListOf(Scalar(("string",), pattern=r"^[a-zA-Z0-9_.-]+$"))
_SSM = _items(
    Key("source", Scalar(("string",), pattern=r"^[a-zA-Z0-9._/-]+$"), "parameter name", required=True),
    Key("secret_name", Scalar(("string",), pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$"), "variable name", required=True),
)
_CONSTRAINTS = ListOf(ListOf(Any_()))
_SELECTOR = OneOf(
    (
        STR,
        STRINGS,
        _items(
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
    Key("branch", STR, "legacy name of the deploy group"),
    Key("pool", STR, "group of nodes to run on", "default"),
    Key("role", STR, "Mesos role; has no effect"),
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
        _items(Key("weight", INT, "1-100", required=True), Key("preferences", _SELECTORS, "labels", required=True)),
        "node labels to prefer",
    ),
    Key("monitoring", MONITORING_OVERRIDES, "overrides of monitoring.yaml", {}),
    Key("dependencies_reference", STR, "entry of dependencies.yaml"),
    Key("cost_owner", _COST_OWNER, "who pays"),
    Key("namespace", _DNS_LABEL, "Kubernetes namespace"),
    Key("service", STR, "take image and configuration of another service"),
    Key("autotune_limits", _AUTOTUNE, "bounds for an autotuner"),
    # PaaSTA: long-running in the code, accepted for adhoc by its schema.
    Key("container_port", PORT, "port the application listens on", 8888),
    Key("fs_group", INT, "group that owns volumes"),
    Key("fs_group_change_policy", Scalar(("string",), choices=("Always", "OnRootMismatch")), "needs fs_group"),
)

ADHOC_KEYS = (Key("docker_url", STR, "image to run instead of the service's own"),)

# PaaSTA: drain_lib; delay is 60 s by default for hacheck, the http method has four request descriptions.
_DRAIN = Struct(
    (Key("delay", SECONDS, "time to let requests finish; 60 by default for hacheck", unit="s"),), open_=True
)
_BOUNCE_HEALTH = Struct(
    (
        Key("check_haproxy", BOOL, "a replica must be up in HAProxy"),
        Key("check_envoy", BOOL, "a replica must be up in Envoy"),
        Key("min_task_uptime", SECONDS, "how long a replica must be up", 0, "s"),
        Key("haproxy_min_fraction_up", Scalar(("number",), minimum=0, maximum=1), "share of proxies", 1.0),
    )
)
_PROVIDER = Struct(
    (
        Key(
            "type",
            Scalar(
                ("string",),
                choices=(
                    "cpu",
                    "memory",
                    "uwsgi",
                    "uwsgi-v2",
                    "gunicorn",
                    "piscina",
                    "active-requests",
                    "arbitrary-promql",
                    "worker-load",
                ),
            ),
            "what to measure",
            required=True,
        ),
        Key("decision_policy", Scalar(("string",), choices=("proportional", "bespoke")), "who decides"),
        Key("setpoint", NUMBER, "target", 0.8),
        Key("desired_active_requests_per_replica", Scalar(("integer",), minimum=1), "for active-requests", 1),
        Key("max_instances_alert_threshold", NUMBER, "alert when at the maximum and above this"),
        Key("forecast_policy", Scalar(("string",), choices=("current", "moving_average")), "how to look ahead"),
        Key("moving_average_window_seconds", Scalar(("integer",), minimum=60), "window", 1800, "s"),
        Key("metrics_query", STR, "for arbitrary-promql"),
        Key("series_query", STR, "for arbitrary-promql"),
        Key("target_type", Scalar(("string",), choices=("AverageValue", "Value")), "for arbitrary-promql"),
        Key("resources", ANY_MAP, "for arbitrary-promql"),
    ),
    # Retired options are still in many files; PaaSTA's own schema of them changed often.
    open_=True,
)
_AUTOSCALING = Struct(
    (
        Key("metrics_providers", ListOf(_PROVIDER), "what to scale on, one of each type"),
        Key("scaledown_policies", ANY_MAP, "HorizontalPodAutoscaler behaviour"),
    ),
    open_=True,
)

LONG_RUNNING_KEYS = (
    # PaaSTA: long_running_service_tools.LongRunningServiceConfig
    Key("instances", COUNT, "replicas when not autoscaled", 1),
    Key("min_instances", COUNT, "lower bound of autoscaling", 1),
    Key("max_instances", COUNT, "upper bound; setting it enables autoscaling"),
    Key("registrations", STRINGS, "service.namespace to be found under; by default the instance's own name"),
    Key("nerve_ns", STR, "legacy form of registrations: a namespace of the same service"),
    Key(
        "drain_method",
        Scalar(("string",), choices=("noop", "hacheck", "http", "test")),
        "how a replica leaves the mesh; hacheck by default when in the mesh, else noop",
    ),
    Key("drain_method_params", _DRAIN, "parameters of drain_method"),
    Key("replication_threshold", COUNT, "alert below this share of replicas", 50, "%"),
    Key(
        "healthcheck_mode",
        Scalar(("string",), choices=("http", "https", "tcp", "cmd")),
        "by default the namespace's when in the mesh, else none",
    ),
    Key("healthcheck_cmd", STR, "for mode cmd, which needs it"),
    Key("healthcheck_uri", STR, "by default the namespace's, else /status"),
    Key("healthcheck_grace_period_seconds", SECONDS, "time to start before failures count", 60, "s"),
    Key("healthcheck_interval_seconds", PERIOD, "time between checks", 10, "s"),
    Key("healthcheck_timeout_seconds", PERIOD, "time a check may take", 10, "s"),
    Key("healthcheck_max_consecutive_failures", Scalar(("integer",), minimum=1), "then it is unhealthy", 30),
    Key(
        "bounce_method",
        Scalar(("string",), choices=("crossover", "brutal", "downthenup", "upthendown")),
        "how replicas are replaced",
        "crossover",
    ),
    Key(
        "bounce_margin_factor",
        RATIO,
        # PaaSTA's code says 0.95, its documentation and schema 1 (and Marathon had 1.0): a default that takes capacity
        # away is not what anyone who reads the documentation expects.
        "share of instances that stays up in a bounce; 1 as documented, where PaaSTA's code has 0.95",
        1.0,
    ),
    Key("bounce_overprovision_factor", Scalar(("number",), minimum=0.25, maximum=1), "share added in a bounce", 1.0),
    Key("bounce_health_params", _BOUNCE_HEALTH, "when a replica counts as up", {}),
    Key("bounce_start_deadline", NUMBER, "place in Marathon's bounce queue", 0, "s"),
    Key("bounce_priority", INT, "place in Marathon's bounce queue", 0),
    Key("weight", Scalar(("integer",), minimum=1), "share of the mesh's traffic", 10),
    Key(
        "unhealthy_pod_eviction_policy",
        Scalar(("string",), choices=("IfHealthyBudget", "AlwaysAllow")),
        "of the PodDisruptionBudget",
        "IfHealthyBudget",
    ),
    Key("should_ping_for_unhealthy_pods", BOOL, "mention authors while deploying", True),
    Key("autoscaling", _AUTOSCALING, "how to scale between min_instances and max_instances"),
    Key("host_port", Scalar(("integer",), minimum=0, maximum=65535), "legacy fixed port", 0),
    Key("backoff_factor", NUMBER, "Marathon's relaunch backoff", 2),
    Key("max_launch_delay_seconds", SECONDS, "Marathon's longest backoff", 300, "s"),
    Key("sfn_autoscaling", ANY_MAP, "alert metadata"),
    Key("monitoring_blacklist", ListOf(Any_()), "legacy"),
)

_AFFINITY = (Key("service", STR, "service to avoid"), Key("instance", STR, "instance to avoid"))
_AVOID = Struct(_AFFINITY)
_AVOID_PREFERRED = Struct((*_AFFINITY, Key("weight", Scalar(("integer",), minimum=1, maximum=100), "strength")))
_QUANTITIES = Struct(
    (
        Key("cpu", Scalar(("number",), minimum=0), "cores"),
        Key("memory", STR, "Kubernetes quantity"),
        Key("ephemeral-storage", STR, "Kubernetes quantity"),
    )
)
_SIDECARS = MapOf(Struct((Key("requests", _QUANTITIES, "requests"), Key("limits", _QUANTITIES, "limits"))))
_LIFECYCLE = Struct(
    (
        Key("pre_stop_command", COMMAND, "replaces the preStop hook; a string is executed without a shell"),
        Key("pre_stop_drain_seconds", COUNT, "sleep before stopping", unit="s"),
        Key("pre_stop_wait_for_connections_to_complete", BOOL, "wait for open connections"),
        Key("termination_grace_period_seconds", COUNT, "then it is killed", unit="s"),
    )
)
_LABEL_KEYS = ListOf(Scalar(("string",), pattern=r"^(?!paasta\.yelp\.com/(service|instance)$).{1,317}$"))
_SPREAD = _items(
    Key("topology_key", STR, "node label"),
    Key("when_unsatisfiable", Scalar(("string",), choices=("ScheduleAnyway", "DoNotSchedule")), "strictness"),
    Key("max_skew", INT, "largest difference", 1),
    Key("match_label_keys", _LABEL_KEYS, "labels to group by, other than service and instance"),
)

KUBERNETES_KEYS = (
    # PaaSTA: kubernetes_tools.KubernetesDeploymentConfig, eks_tools.EksDeploymentConfig
    Key("service_account_name", STR, "service account; not together with iam_role"),
    Key("lifecycle", _LIFECYCLE, "how a pod stops"),
    Key("sidecar_resource_requirements", _SIDECARS, "resources of sidecars, by name"),
    Key("anti_affinity", OneOf((_AVOID, ListOf(_AVOID))), "never on a host with these"),
    Key("anti_affinity_preferred", OneOf((_AVOID_PREFERRED, ListOf(_AVOID_PREFERRED))), "rather not with these"),
    Key("topology_spread_constraints", _SPREAD, "how pods spread"),
    Key("pod_management_policy", Scalar(("string",), choices=("OrderedReady", "Parallel")), "StatefulSet start order"),
    Key("prometheus_shard", STR, "scraped by"),
    Key("prometheus_path", STR, "metrics path"),
    Key("prometheus_port", Scalar(("integer",), minimum=0, maximum=65535), "metrics port"),
    Key("routable_ip", BOOL, "pod needs an address that is reachable from outside"),
    Key("is_istio_sidecar_injection_enabled", BOOL, "Istio sidecar", False),
    Key("enable_aws_lb_readiness_gate", BOOL, "AWS load balancer readiness gate", False),
)


def _rows() -> tuple[Key, ...]:
    groups = (
        (COMMON_KEYS, INSTANCE_TYPES),
        (ADHOC_KEYS, frozenset({"adhoc"})),
        (LONG_RUNNING_KEYS, LONG_RUNNING),
        (KUBERNETES_KEYS, frozenset({"kubernetes", "eks"})),
    )
    return tuple(replace(key, applies=applies) for keys, applies in groups for key in keys)


INSTANCE_KEYS = _rows()

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: what long-running instances may say besides. Read through ``keys``."""

from __future__ import annotations

from .keys_common import ANY_MAP, BOOL, COMMAND, COUNT, INT, NUMBER, PERIOD, RATIO, SECONDS, STR, STRINGS, items
from .shapes import Any_, Key, ListOf, MapOf, OneOf, Scalar, Struct

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
    ),
    lenient=True,
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
    Key("instances", COUNT, "replicas when not autoscaled", 1, restarts=False),
    Key("min_instances", COUNT, "lower bound of autoscaling", 1, restarts=False),
    Key(
        "max_instances",
        COUNT,
        "upper bound; setting it enables autoscaling, which labels of pods say: on Kubernetes they are replaced once",
        restarts=False,
    ),
    Key("registrations", STRINGS, "service.namespace to be found under; by default the instance's own name"),
    Key("nerve_ns", STR, "former way to say registrations: a namespace of the same service", restarts=False),
    Key(
        "drain_method",
        Scalar(("string",), choices=("noop", "hacheck", "http", "test")),
        "how a replica leaves the mesh; hacheck by default when in the mesh, else noop",
        restarts=False,
    ),
    Key("drain_method_params", _DRAIN, "parameters of drain_method", restarts=False),
    Key("replication_threshold", COUNT, "alert below this share of replicas", 50, "%", restarts=False),
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
        restarts=False,
    ),
    Key(
        "bounce_margin_factor",
        RATIO,
        # PaaSTA's code says 0.95, its documentation and schema 1 (and Marathon had 1.0): a default that takes capacity
        # away is not what anyone who reads the documentation expects.
        "share of instances that stays up in a bounce; 1 as documented, where PaaSTA's code has 0.95",
        1.0,
        restarts=False,
    ),
    Key(
        "bounce_overprovision_factor",
        Scalar(("number",), minimum=0.25, maximum=1),
        "share added in a bounce",
        1.0,
        restarts=False,
    ),
    Key("bounce_health_params", _BOUNCE_HEALTH, "when a replica counts as up", {}, restarts=False),
    Key(
        "bounce_start_deadline", NUMBER, "place in the queue of Marathon's bounces", 0, "s", restarts=False, legacy=True
    ),
    Key("bounce_priority", INT, "place in the queue of Marathon's bounces", 0, restarts=False, legacy=True),
    Key("weight", Scalar(("integer",), minimum=1), "share of the mesh's traffic", 10),
    Key(
        "unhealthy_pod_eviction_policy",
        Scalar(("string",), choices=("IfHealthyBudget", "AlwaysAllow")),
        "of the PodDisruptionBudget",
        "IfHealthyBudget",
        restarts=False,
    ),
    Key("should_ping_for_unhealthy_pods", BOOL, "mention authors while deploying", True, restarts=False),
    Key("autoscaling", _AUTOSCALING, "how to scale between min_instances and max_instances", restarts=False),
    Key("host_port", Scalar(("integer",), minimum=0, maximum=65535), "fixed port of the host; 0: any", 0),
    Key("backoff_factor", NUMBER, "of Marathon's delay between launches", 2, restarts=False, legacy=True),
    Key(
        "max_launch_delay_seconds",
        SECONDS,
        "Marathon's longest delay between launches",
        300,
        "s",
        restarts=False,
        legacy=True,
    ),
    Key("sfn_autoscaling", ANY_MAP, "metadata of alerts", restarts=False),
    Key("monitoring_blacklist", ListOf(Any_()), "locations without alerts", restarts=False, legacy=True),
)

_AFFINITY = (Key("service", STR, "service to avoid"), Key("instance", STR, "instance to avoid"))
_AVOID = Struct(_AFFINITY, lenient=True)
_AVOID_PREFERRED = Struct(
    (*_AFFINITY, Key("weight", Scalar(("integer",), minimum=1, maximum=100), "strength")), lenient=True
)
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
    ),
    lenient=True,
)
_LABEL_KEYS = ListOf(
    Scalar(
        ("string",),
        pattern=r"^(?!paasta\.yelp\.com/(service|instance)$).{1,317}$",
        says="a label of pods other than paasta.yelp.com/service and paasta.yelp.com/instance",
    )
)
_SPREAD = items(
    Key("topology_key", STR, "node label"),
    Key("when_unsatisfiable", Scalar(("string",), choices=("ScheduleAnyway", "DoNotSchedule")), "strictness"),
    Key("max_skew", INT, "largest difference", 1),
    Key("match_label_keys", _LABEL_KEYS, "labels to group by, other than service and instance"),
    lenient=True,
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

_FIREWALL = Struct(
    (
        Key("inbound_firewall", Scalar(("string",), choices=("accept", "monitor", "reject")), "what others may reach"),
        Key("outbound_firewall", Scalar(("string",), choices=("block", "monitor")), "what it may reach itself"),
    )
)
MARATHON_KEYS = (
    # PaaSTA: marathon_tools.MarathonServiceConfig
    Key("marathon_shard", COUNT, "which Marathon runs it; by default chosen by the instance's name"),
    Key("previous_marathon_shards", ListOf(COUNT), "Marathons that may still run it while it moves", restarts=False),
    Key(
        "backoff_seconds",
        SECONDS,
        "first delay between launches; 10 s shared among the instances, at least 1",
        unit="s",
        restarts=False,
    ),
    Key("security", _FIREWALL, "firewall of each container, with the rules of dependencies.yaml"),
)

# Rows of the tables above that say something else for Marathon. It relaunches an app whose backoff changes.
MARATHON_VARIANTS = (
    Key(
        "bounce_method",
        Scalar(("string",), choices=("crossover", "brutal", "downthenup", "upthendown", "down")),
        "how replicas are replaced",
        "crossover",
        restarts=False,
    ),
    Key("backoff_factor", NUMBER, "of the delay between launches", 2),
    Key("max_launch_delay_seconds", SECONDS, "longest delay between launches", 300, "s"),
)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: service.yaml, smartstack.yaml and deploy.yaml. Read through ``keys``."""

from __future__ import annotations

from dataclasses import replace

from .keys_common import BOOL, COUNT, INT, NUMBER, RATIO, STR, STRINGS
from .keys_monitoring import MONITORING, MONITORING_KEYS, settled
from .shapes import Any_, Key, ListOf, MapOf, Scalar, Struct

__all__ = ["DEPLOY", "MONITORING", "NAMESPACE_KEYS", "SERVICE_KEYS", "STEP"]

_DAY_MS = 86_400_000  # PaaSTA: smartstack schema, upper bound of every timeout
_MODE = Scalar(("string",), choices=("http", "https", "http2", "tcp"))
_TIMEOUT_MS = Scalar(("integer",), minimum=0, maximum=_DAY_MS)

_OTHER_FILES = "read from the file of that name, not from here"
# PaaSTA: monitoring_tools looks for each key of monitoring.yaml at the top of service.yaml in the end. The others that
# it may find there have rows of their own.
_FORMER_MONITORING = tuple(
    Key(key.name, Any_(), f"former place of monitoring.yaml's {key.name}", legacy=True)
    for key in MONITORING_KEYS
    if key.name not in ("team", "runbook", "description", "dependencies")
)
SERVICE_KEYS = (
    *settled(
        Key("description", STR, "what the service does"),
        Key("external_link", STR, "where to read more"),
        Key("git_url", STR, "repository of the service"),
        Key("encryption_key", STR, "key of its secrets in Vault", "paasta"),
        Key("runbook", STR, "former place of monitoring.yaml's runbook"),
        Key("team", STR, "former place of monitoring.yaml's team"),
        Key("monitoring", MONITORING, "former place of monitoring.yaml"),
        Key("needs_puppet_help", BOOL, "of the time before containers", legacy=True),
        Key("runs_on", ListOf(Any_()), "hosts, of the time before containers", legacy=True),
        Key("deployed_to", Any_(), "hosts, of the time before containers", legacy=True),
        Key("env_runs_on", Any_(), "hosts by environment, of the time before containers", legacy=True),
        # PaaSTA: keys that service_configuration_lib makes of other files, and service.yaml may replace.
        Key("port", Any_(), "port of the classic load balancer", legacy=True),
        Key("data", Any_(), _OTHER_FILES, legacy=True),
        Key("deploy", Any_(), _OTHER_FILES, legacy=True),
        Key("smartstack", Any_(), _OTHER_FILES, legacy=True),
        Key("dependencies", Any_(), _OTHER_FILES, legacy=True),
        *_FORMER_MONITORING,
    ),
    Key("docker_registry", STR, "registry that its images are pulled from; by default the platform's", restarts=False),
)

_ALERTS = (
    Key("team", STR, "whom alerts go to"),
    Key("slack_channel", STR, "channel"),
    Key("project", STR, "project of tickets"),
    Key("ticket", BOOL, "open tickets"),
    Key("page", BOOL, "wake someone up"),
    Key("page_nonprod", BOOL, "also outside production"),
    Key("error_threshold_ratio", RATIO, "share of errors that alerts", 0.01),
    Key("minimum_error_rps", Scalar(("number",), minimum=0), "errors a second before it alerts", 5),
    Key("latency_threshold_ms", Scalar(("number",), minimum=0), "latency that alerts", unit="ms"),
    Key("timeout_threshold_ratio", RATIO, "share of the timeout that alerts", 0.8),
    Key("timeout_alerting", BOOL, "alert on timeouts"),
    Key("timeout_page", BOOL, "wake someone up on timeouts"),
    Key("timeout_ticket", BOOL, "open tickets on timeouts"),
)
_ENDPOINT_ALERTS = Struct((Key("name", STR, "endpoint", required=True), *_ALERTS), lenient=True)
_MESH_MONITORING = Struct(
    (
        *_ALERTS,
        Key("default_endpoint_alerting", BOOL, "alert for each endpoint"),
        Key("endpoint_error_threshold_ratio", RATIO, "share of errors of one endpoint"),
        Key("endpoint_minimum_error_rps", Scalar(("number",), minimum=0), "errors a second of one endpoint"),
        Key("endpoints", ListOf(_ENDPOINT_ALERTS), "per endpoint"),
    ),
    lenient=True,
)
_PLUGINS = Struct(
    (
        Key("source_required", Struct((Key("enabled", BOOL, "on", required=True),)), "refuse anonymous requests"),
        Key(
            "logging",
            Struct((Key("enabled", BOOL, "on", required=True), Key("sample_rate", RATIO, "share")), open_=True),
            "log requests",
        ),
        Key("path_based_routing", Any_(), "route by path"),
    ),
    open_=True,
)
_FIXED_DELAY = Struct(
    (
        Key("duration_ms", Scalar(("number",), minimum=0, maximum=_DAY_MS), "delay", unit="ms", required=True),
        Key("percent", Scalar(("integer",), minimum=0, maximum=100), "of requests", required=True),
    )
)
_PROXY_PORT = Scalar(
    ("integer", "null"), minimum=1024, maximum=65535, says="a port from 1024 to 65535"
)  # PaaSTA: 19000 to 21000, which is Yelp's own range

NAMESPACE_KEYS = settled(
    Key("proxy_port", _PROXY_PORT, "port clients connect to; null: discovery only", required=True),
    Key("port", Scalar(("integer",), minimum=0, maximum=65535), "port of the classic load balancer", legacy=True),
    Key("mode", _MODE, "protocol; http when there is a proxy_port"),
    Key("healthcheck_mode", _MODE, "by default mode"),
    Key(
        "healthcheck_uri",
        Scalar(("string",), pattern=r"^/[-_0-9a-zA-Z/?&.=]*$", says="a path of letters, digits and /-_?&.="),
        "path to check",
        "/status",
    ),
    Key("healthcheck_port", Scalar(("integer",), minimum=0, maximum=65535), "by default the container's port"),
    Key("healthcheck_timeout_s", Scalar(("number",), minimum=0, maximum=10), "time a check may take", 1, "s"),
    Key("healthcheck_body_expect", STR, "what the answer must contain"),
    Key("updown_timeout_s", Scalar(("integer",), minimum=0, maximum=_DAY_MS), "time to wait for up or down", 300, "s"),
    Key("advertise", STRINGS, "location types to register in", ["region"]),
    Key("discover", STR, "location type clients read; one of advertise", "region"),
    Key("extra_advertise", MapOf(STRINGS), "from type:location to a list of type:location", {}),
    Key("retries", Scalar(("integer",), minimum=0, maximum=10), "attempts at another replica", 1),
    Key("allredisp", BOOL, "HAProxy option allredisp", False),
    # PaaSTA: 200, 1000 and 1000 come from the defaults section of its HAProxy configuration.
    Key("timeout_connect_ms", Scalar(("integer",), minimum=0, maximum=60_000), "to connect", 200, "ms"),
    Key("timeout_client_ms", _TIMEOUT_MS, "by default timeout_server_ms if that is set", 1000, "ms"),
    Key("timeout_server_ms", _TIMEOUT_MS, "by default timeout_client_ms if that is set", 1000, "ms"),
    Key("idle_timeout", Scalar(("number",), minimum=0, maximum=_DAY_MS), "of a route", 60, "s"),
    Key("balance", Scalar(("string",), choices=("leastconn", "roundrobin")), "HAProxy policy", "leastconn"),
    Key(
        "lb_policy",
        Scalar(
            ("string",),
            choices=("ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "RANDOM", "MAGLEV", "CLUSTER_PROVIDED"),
        ),
        "Envoy policy",
        "ROUND_ROBIN",
    ),
    Key("choice_count", Scalar(("integer",), minimum=1), "replicas LEAST_REQUEST compares"),
    Key("extra_headers", MapOf(STR), "request headers the proxy sets", {}),
    Key("extra_healthcheck_headers", MapOf(STR), "headers of health checks", {}),
    Key("endpoint_timeouts", MapOf(Scalar(("number",), minimum=0)), "from a path to a timeout", {}, "ms"),
    Key("chaos", MapOf(MapOf(Any_())), "fault injection"),
    Key("fixed_delay", MapOf(_FIXED_DELAY), "delay injection, by location"),
    Key("proxied_through", STR, "service.namespace requests go through"),
    Key("is_proxy", BOOL, "proxy for others", False),
    Key("clb_proxy", STR, "service.namespace of the proxy"),
    Key("plugins", _PLUGINS, "HAProxy Lua plugins"),
    Key("allow_websocket_upgrade", BOOL, "let requests become websockets", False),
    Key("vip_upgrade", STR, "namespace for requests with the header X-Ctx-Vip"),
    Key("monitoring", _MESH_MONITORING, "alerts of the mesh"),
    Key("keepalive", BOOL, "HAProxy option http-keep-alive", False),
)

_STEP_KEYS = settled(
    Key(
        "step",
        Scalar(("string",), pattern=r"^[a-zA-Z0-9_.-]+$", says="a name of letters, digits and _.-"),
        "deploy group, or itest, itest-and-push-to-registry, security-check, push-to-registry, command-*",
        required=True,
    ),
    Key("trigger_next_step_manually", BOOL, "wait for a person", False),
    Key("wait_for_deployment", BOOL, "wait until it runs", False),
    Key("auto_rollback", BOOL, "go back when it fails", False),
    Key("auto_certify_delay", INT, "time before it counts as good; 600 with auto_rollback", unit="s"),
    Key("auto_abandon_delay", INT, "time before a rollback is final", 600, "s"),
    Key("auto_rollback_delay", INT, "time to object to a rollback", 30, "s"),
    Key("timeout", INT, "then the deployment has failed", 10_800, "s"),
    Key("warn", INT, "warn at this share of timeout", 17, "%"),
    Key("command", STR, "for command-* steps"),
    Key("slack_notify", BOOL, "tell the authors", False),
    Key("notify_after_mark", BOOL, "by default slack_notify"),
    Key("notify_after_good_deploy", BOOL, "by default slack_notify"),
    Key("notify_after_auto_rollback", BOOL, "by default slack_notify"),
    Key("notify_after_abort", BOOL, "by default slack_notify"),
    Key("notify_after_wait", BOOL, "by default slack_notify"),
    Key("confirmation_required", BOOL, "ask before", False),
    Key("display_step_for_confirmation", BOOL, "show when asking", False),
    Key("disabled", BOOL, "skip", False),
    Key("ignore_failure", BOOL, "go on", False),
    Key("enable_automated_redeploys", BOOL, "redeploy when the base image changes", False),
    Key("enable_automated_deploys", BOOL, "former name of enable_automated_redeploys", legacy=True),
    Key("alertmanager_rollback", Any_(), "roll back on alerts"),
    Key("alertmanager_rollback_dry_run", BOOL, "only tell"),
    Key("alertmanager_poll_interval_s", Scalar(("number",), minimum=30), "time between looks at alerts", unit="s"),
    Key("enable_crashloop_auto_rollback", BOOL, "roll back on crash loops"),
    Key("min_restarts_for_crashloop_rollback", COUNT, "restarts that count", 2),
    Key("crashloop_rollback_percentage_threshold", RATIO, "share of replicas", 1.0),
    Key("service_account", STR, "credential of the pipeline"),
    Key(
        "deployment_steps",
        ListOf(
            Struct(
                (
                    Key("deploy_group", STR, "group", required=True),
                    Key("progress", NUMBER, "share", required=True),
                    Key("confirm_before", BOOL, "ask before"),
                    Key("deploy_below_breakage_pct", NUMBER, "go on below", unit="%"),
                )
            )
        ),
        "progressive delivery",
        legacy=True,
    ),
    Key("abandon_above_breakage_pct", NUMBER, "progressive delivery", unit="%", legacy=True),
    Key("complete_below_breakage_pct", NUMBER, "progressive delivery", unit="%", legacy=True),
    Key("prompt_after_abandon", BOOL, "progressive delivery", legacy=True),
    Key("confirm_complete", BOOL, "progressive delivery", legacy=True),
)

STEP = Struct(_STEP_KEYS)
_PARALLEL = Key("parallel", ListOf(STEP, minimum_length=1), "steps at the same time")
# An entry is a step or has parallel steps.
_PIPELINE = ListOf(
    Struct((*(replace(key, required=False) for key in _STEP_KEYS), _PARALLEL), needs=("step", "parallel"))
)

DEPLOY = Struct(
    settled(
        Key("pipeline", _PIPELINE, "steps in order", required=True),
        Key("allowed_push_groups", STRINGS, "who may deploy"),
        Key("production_deploy_group", STR, "the group that is production"),
        Key("slack_channels", STRINGS, "channels to tell"),
        Key("slack_notify", BOOL, "tell the authors", True),
        Key("allow_no_verify_deploy", BOOL, "let deploys skip verification", False),
        Key("default_deploy_strategy", Scalar(("string",), choices=("verify", "no-verify")), "how to deploy"),
    )
)

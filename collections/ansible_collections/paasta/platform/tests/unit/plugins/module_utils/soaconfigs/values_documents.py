# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Values of the keys of documents beside the instances (reference 1.6 to 1.13, 4.4 and 9.2)."""

from __future__ import annotations

from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_kinds import (
    AMOUNT,
    ANY_LIST,
    ANYTHING,
    COUNT,
    FLAG,
    INTEGER,
    NUMBER,
    PORT_OR_0,
    POSITIVE,
    SHARE,
    STRUCT,
    TEXT,
    TEXT_MAP,
    TEXT_OR_NULL,
    TEXTS,
    Values,
    one_of,
    v,
)

_DURATION = v(["5m", "10Y", 0, 300], ["m", "0m", "5", "5 m", "5m ", "1.5h", "5min", -1, 1.5, True, None])
_TEXTS_OR_TEXT = v([["#a"], "#a", []], [1, [1], True, {}])
_TEXT_OR_FLAG = v(["x", False], [1, ["x"], {}])

SERVICE: dict[str, Values] = {
    **dict.fromkeys(
        ("description", "external_link", "git_url", "docker_registry", "encryption_key", "runbook", "team"), TEXT
    ),
    "needs_puppet_help": FLAG,
    "runs_on": ANY_LIST,
    **dict.fromkeys(("deployed_to", "env_runs_on", "port", "data", "deploy", "smartstack", "dependencies"), ANYTHING),
    # Former places of what monitoring.yaml says.
    **dict.fromkeys(
        (
            *("page", "tip", "component", "tags", "notification_email", "slack_channels", "irc_channels", "ticket"),
            *("project", "priority", "issuetype", "alert_after", "realert_every", "check_every", "check_oom_events"),
            *("service_type", "check_that_every_day_has_a_successful_run", "page_for_expected_runtime"),
        ),
        ANYTHING,
    ),
}

MONITORING: dict[str, Values] = {
    "team": TEXT,
    "page": FLAG,
    "runbook": TEXT,
    "tip": TEXT,
    "description": TEXT,
    "component": v(["web", ["web"]], [1, [1], {}]),
    "tags": TEXTS,
    "notification_email": _TEXT_OR_FLAG,
    "slack_channels": _TEXTS_OR_TEXT,
    "irc_channels": _TEXTS_OR_TEXT,
    "ticket": FLAG,
    "project": _TEXT_OR_FLAG,
    "priority": v(["3.14", 1], [1.5, [1], True]),
    "issuetype": TEXT,
    "alert_after": _DURATION,
    "realert_every": INTEGER,
    "check_every": _DURATION,
    "check_oom_events": FLAG,
    "dependencies": TEXTS,
    "service_type": TEXT,
    "check_that_every_day_has_a_successful_run": FLAG,
    "page_for_expected_runtime": FLAG,
}

_MODE = one_of("http", "https", "http2", "tcp")
_DAY_MS = v([1000, 0, 86_400_000], [-1, 86_400_001, 1.5, "1000", None])
NAMESPACE: dict[str, Values] = {
    "proxy_port": v([20001, 1024, 65535, None], [1023, 80, 0, -1, 65536, "20001", 20001.5, True]),
    "port": PORT_OR_0,
    "mode": _MODE,
    "healthcheck_mode": _MODE,
    "healthcheck_uri": v(["/status", "/", "/a-b_c?d=e&f.g"], ["status", "", "/a b", "/ü", "/a%20b", 1, None]),
    "healthcheck_port": PORT_OR_0,
    "healthcheck_timeout_s": v([1, 0, 10, 0.5], [-0.1, 10.1, "1", None]),
    "healthcheck_body_expect": TEXT,
    "updown_timeout_s": _DAY_MS,
    "advertise": TEXTS,
    "discover": TEXT,
    "extra_advertise": v([{"region:a": ["region:b"]}, {}], [{"region:a": "region:b"}, []]),
    "retries": v([1, 0, 10], [-1, 11, 1.5, "1", None]),
    "allredisp": FLAG,
    "timeout_connect_ms": v([200, 0, 60_000], [-1, 60_001, 0.5, "200"]),
    "timeout_client_ms": _DAY_MS,
    "timeout_server_ms": _DAY_MS,
    "idle_timeout": v([60, 0, 0.5, 86_400_000], [-1, 86_400_001, "60"]),
    "balance": one_of("leastconn", "roundrobin"),
    "lb_policy": one_of("ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "RANDOM", "MAGLEV", "CLUSTER_PROVIDED"),
    "choice_count": POSITIVE,
    "extra_headers": TEXT_MAP,
    "extra_healthcheck_headers": TEXT_MAP,
    "endpoint_timeouts": v([{"/slow": 5000}, {}], [{"/slow": -1}, {"/slow": "5s"}, []]),
    "chaos": v([{"ecosystem": {"dev": {"fail": "drop"}}}, {}], [{"ecosystem": "dev"}, []]),
    "fixed_delay": v([{"us": {"duration_ms": 5, "percent": 10}}, {}], [{"us": {"percent": 10}}, {"us": 5}]),
    "fixed_delay.<name>.duration_ms": v([0, 86_400_000], [-1, 86_400_001, "5"]),
    "fixed_delay.<name>.percent": v([0, 100], [-1, 101, 0.5]),
    "proxied_through": TEXT,
    "is_proxy": FLAG,
    "clb_proxy": TEXT,
    "plugins": v([{}, {"mine": 1}], [[], "x"]),
    "plugins.source_required": v([{"enabled": True}], [{}, True, {"enabled": True, "x": 1}]),
    "plugins.source_required.enabled": FLAG,
    "plugins.logging": v([{"enabled": True, "x": 1}], [{}, True]),
    "plugins.logging.enabled": FLAG,
    "plugins.logging.sample_rate": SHARE,
    "plugins.path_based_routing": ANYTHING,
    "allow_websocket_upgrade": FLAG,
    "vip_upgrade": TEXT,
    "monitoring": STRUCT,
    "keepalive": FLAG,
}
MESH_ALERTS: dict[str, Values] = {
    "name": TEXT,
    "team": TEXT,
    "slack_channel": TEXT,
    "project": TEXT,
    "ticket": FLAG,
    "page": FLAG,
    "page_nonprod": FLAG,
    "error_threshold_ratio": SHARE,
    "minimum_error_rps": AMOUNT,
    "latency_threshold_ms": AMOUNT,
    "timeout_threshold_ratio": SHARE,
    "timeout_alerting": FLAG,
    "timeout_page": FLAG,
    "timeout_ticket": FLAG,
    "default_endpoint_alerting": FLAG,
    "endpoint_error_threshold_ratio": SHARE,
    "endpoint_minimum_error_rps": AMOUNT,
    "endpoints": v([[{"name": "/a", "page": True}], []], [[{"page": True}], ["/a"], {}]),
}

DEPLOY: dict[str, Values] = {
    "pipeline": v(
        [[{"step": "prod.main"}], [], [{"step": "itest"}, {"parallel": [{"step": "a"}, {"step": "b"}]}]],
        [["prod.main"], [{"step": "a", "wait": True}], [{"parallel": []}], {"step": "a"}, None],
    ),
    "pipeline[].parallel": v([[{"step": "a"}]], [[], [{}], [{"parallel": [{"step": "a"}]}], {"step": "a"}]),
    "allowed_push_groups": TEXTS,
    "production_deploy_group": TEXT,
    "slack_channels": TEXTS,
    "slack_notify": FLAG,
    "allow_no_verify_deploy": FLAG,
    "default_deploy_strategy": one_of("verify", "no-verify"),
}
STEP: dict[str, Values] = {
    "step": v(["prod.main", "command-x", "a_B-1"], ["", "a b", "a/b", "a:b", 1, None]),
    **dict.fromkeys(
        (
            *("trigger_next_step_manually", "wait_for_deployment", "auto_rollback", "slack_notify"),
            *("notify_after_mark", "notify_after_good_deploy", "notify_after_auto_rollback", "notify_after_abort"),
            *("notify_after_wait", "confirmation_required", "display_step_for_confirmation", "disabled"),
            *("ignore_failure", "enable_automated_redeploys", "enable_automated_deploys"),
            *("alertmanager_rollback_dry_run", "enable_crashloop_auto_rollback", "prompt_after_abandon"),
            *("confirm_complete", "deployment_steps[].confirm_before"),
        ),
        FLAG,
    ),
    **dict.fromkeys(("auto_certify_delay", "auto_abandon_delay", "auto_rollback_delay", "timeout", "warn"), INTEGER),
    "command": TEXT,
    "alertmanager_rollback": ANYTHING,
    "alertmanager_poll_interval_s": v([30, 30.5], [29.9, 0, "30"]),
    "min_restarts_for_crashloop_rollback": COUNT,
    "crashloop_rollback_percentage_threshold": SHARE,
    "service_account": TEXT,
    "deployment_steps": v([[{"deploy_group": "a", "progress": 50}], []], [[{"deploy_group": "a"}], {}]),
    "deployment_steps[].deploy_group": TEXT,
    "deployment_steps[].progress": NUMBER,
    "deployment_steps[].deploy_below_breakage_pct": NUMBER,
    "abandon_above_breakage_pct": NUMBER,
    "complete_below_breakage_pct": NUMBER,
}

DEPENDENCY: dict[str, Values] = {
    "well-known": v(["internet"], ["intranet", 1]),
    "smartstack": TEXT,
    "cidr": v(["10.0.0.0/8", "192.0.2.1"], [10, ["10.0.0.0/8"]]),
    "port": v([443, 1, 65535, "1024:65535", "443"], [0, 65536, "https", "1:2:3", "1-2", ":", 1.5, None]),
}

ROLLBACK: dict[str, Values] = {
    "conditions": v([{}, {"prometheus": []}], [{"graphite": []}, [], None]),
    **{
        f"conditions.{source}": v(
            [[], [{"query": "up", "upper_bound": 1}], [{"query": "up", "upper_bound": None, "lower_bound": 1}]],
            [
                [{"query": "up"}],
                [{"query": "up", "upper_bound": None, "lower_bound": None}],
                [{"upper_bound": 1}],
                [{"query": "up", "lower_bound": 1, "quer": 1}],
                {},
            ],
        )
        for source in ("prometheus", "signalfx", "splunk")
    },
    "query": TEXT,
    "query_type": one_of("number", "results"),
    "dry_run": FLAG,
    "upper_bound": v([5, 0, -0.5, None], ["5", True, []]),
    "lower_bound": v([5, 0, -0.5, None], ["5", True, []]),
    "enable_slo_rollback": FLAG,
    "allowed_failing_queries": COUNT,
    "rollback_window_s": POSITIVE,
    "check_interval_s": POSITIVE,
}

_VAULT = "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM96XEbEYlN"
SECRET: dict[str, Values] = {
    "environments": v([{"prod": {"ciphertext": _VAULT}}, {}], [{"prod": _VAULT}, {"prod": {}}, [], None]),
    "environments.<name>.ciphertext": v(
        [_VAULT, "vault:v12:abc==", "$ANSIBLE_VAULT;1.1;AES256\n6531\n6132\n"],
        ["", "hunter2", "vault:v1:", "vault:abc", "ANSIBLE_VAULT;1.1;AES256\n65", "vault:v1:a b", 1, None],
    ),
    "environments.<name>.signature": TEXT_OR_NULL,
    "environments.<name>.lookup": v([{"term": "a", "version": 1}], [{}, {"term": "a"}, {"version": 1}, "a", None]),
    "environments.<name>.lookup.term": v(["a", "paasta/web:token"], ["", "../a", "a/../b", "a url=b", ".a", 1, None]),
    "environments.<name>.lookup.version": v([1, "2026-01-01"], ["", 1.5, True, None]),
    "extra_namespaces": TEXTS,
    "cross_env_motivation": TEXT_MAP,
    "cross_environment_motivation": TEXT_MAP,
}

_STATE = one_of("start", "stop")
DEPLOYMENTS: dict[str, Values] = {
    "history": v([{}, {"prod.main": [{"git_sha": "s"}]}], [[], {"prod.main": {}}, {"prod.main": ["s"]}]),
    "v1": v([{}], [[], "x"]),
    "v1.<name>.docker_image": TEXT,
    "v1.<name>.desired_state": _STATE,
    "v1.<name>.force_bounce": TEXT_OR_NULL,
    "v2": v([{"deployments": {}, "controls": {}}], [{}, {"deployments": {}}, []]),
    "v2.deployments": v([{}, {"g": {"docker_image": "i", "git_sha": "s"}}], [{"g": {"git_sha": "s"}}, []]),
    "v2.deployments.<name>.docker_image": TEXT,
    "v2.deployments.<name>.git_sha": TEXT,
    "v2.deployments.<name>.image_version": TEXT_OR_NULL,
    "v2.controls": v([{}, {"web:prod.main": {"desired_state": "stop"}}], [{"web:prod.main": "stop"}, []]),
    "v2.controls.<name>.desired_state": _STATE,
    "v2.controls.<name>.force_bounce": TEXT_OR_NULL,
}

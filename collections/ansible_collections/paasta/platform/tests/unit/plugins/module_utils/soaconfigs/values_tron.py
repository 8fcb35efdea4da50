# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Values of the keys of Tron's jobs and its master (reference 1.15, 1.16 and 3.3)."""

from __future__ import annotations

from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_kinds import (
    COUNT,
    FLAG,
    INTEGER,
    MORE_THAN_0,
    PORT,
    POSITIVE,
    SHARE,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TIME,
    Values,
    one_of,
    v,
)

_NAME = v(["extract", "_a-1", "A" * 255], ["1a", "-a", "a.b", "a b", "", "a" * 256, 1, None])
_ACTION_NAME = v(["extract", "_a-1"], ["cleanup", "1a", "a.b", "", 1])
_MEMORY = v(["4g", "512m", "10t"], ["4G", "0g", "4", "4gb", "", 4, None])
_OVERHEAD = v(["4g", 384, 0.5], ["4G", 0, -1, True, None])

JOB: dict[str, Values] = {
    "schedule": v(
        ["cron 0 4 * * *", "daily 04:00:00 MWF", {"type": "cron", "value": "0 4 * * *"}, {"start_time": "04:00:00"}],
        [3, ["cron"], True, None, {"type": "weekly"}],
    ),
    "schedule.type": one_of("cron", "daily", "groc daily", "interval", "constant"),
    "schedule.value": TEXT,
    "schedule.jitter": TIME,
    "schedule.start_time": v(["04:00:00", "4:00"], [14400, None]),
    "schedule.days": v(["MWF", ["M", "F"]], [1, [1], None]),
    "schedule.interval": TEXT,
    "actions": v(
        [{"extract": {"command": "x"}}, [{"name": "extract", "command": "x"}], {}],
        [
            [],
            [{"command": "x"}],
            [{"name": "cleanup", "command": "x"}],
            {"extract": {}},
            {"a.b": {"command": "x"}},
            {"cleanup": {"command": "x"}},
            {"extract": {"command": "x", "comand": "y"}},
            "x",
            None,
        ],
    ),
    "cleanup_action": v([{"command": "x"}], [{}, "x", [{"command": "x"}], None]),
    "name": _NAME,
    "node": _NAME,
    "service": TEXT,
    "deploy_group": TEXT,
    "monitoring": v([{}, {"team": "a"}], [{"teem": "a"}, {"service_type": "x"}, {"check_every": "1m"}, "a"]),
    "queueing": FLAG,
    "allow_overlap": FLAG,
    "run_limit": POSITIVE,
    "all_nodes": FLAG,
    "enabled": FLAG,
    "max_runtime": TIME,
    "expected_runtime": TIME,
    "time_zone": TEXT,
    "cluster": TEXT,
}
TRON_MONITORING: dict[str, Values] = {"notification_email": v(["x", False, None], [1, ["x"]])}

ACTION: dict[str, Values] = {
    "command": TEXT,
    "name": _NAME,
    "node": _NAME,
    "requires": v([["extract"], []], ["extract", ["a.b"], ["cleanup"], [1], None]),
    "retries": COUNT,
    "retries_delay": TIME,
    "executor": one_of("ssh", "paasta", "spark"),
    "service": TEXT,
    "deploy_group": TEXT,
    "idempotent": FLAG,
    "expected_runtime": TIME,
    "max_runtime": TIME,
    "triggered_by": TEXTS,
    "trigger_downstreams": v([True, False, {"shortdate": "{shortdate}"}, {}], ["x", {"a": 1}, [], 1, None]),
    "trigger_timeout": TIME,
    "on_upstream_rerun": TEXT,
    "aws_credentials": TEXT,
    "force_spark_resource_configs": FLAG,
    "mrjob": FLAG,
    "spark_args": v([{}, {"spark.executor.cores": 1, "spark.my.option": "x"}], [{"spark.executor.cores": 0}, [], "x"]),
    "cluster": TEXT,
}
# Of an action in a list, whose name is its own; elsewhere it is the key.
NAMED_ACTION: dict[str, Values] = {"name": _ACTION_NAME}
SPARK: dict[str, Values] = {
    **dict.fromkeys(
        (
            *("spark.cores.max", "spark.driver.cores", "spark.executor.instances", "spark.executor.cores"),
            *("spark.task.maxFailures", "spark.sql.broadcastTimeout", "spark.sql.shuffle.partitions"),
        ),
        POSITIVE,
    ),
    "spark.kubernetes.driver.request.cores": MORE_THAN_0,
    "spark.kubernetes.executor.request.cores": MORE_THAN_0,
    "spark.executor.memory": _MEMORY,
    "spark.driver.memory": _MEMORY,
    "spark.driver.memoryOverhead": _OVERHEAD,
    "spark.executor.memoryOverhead": _OVERHEAD,
    "spark.driver.maxResultSize": v(["4g", 0, 1], ["4G", -1, None]),
    "spark.scheduler.minRegisteredResourcesRatio": v([0.1, 1], [0, 1.1, "1"]),
    "spark.scheduler.maxRegisteredResourcesWaitingTime": v(["30s", "5min", "100ms"], ["30", "0s", "30 s", 30]),
    "spark.kubernetes.allocation.batch.size": INTEGER,
    "spark.kubernetes.memoryOverheadFactor": SHARE,
    "spark.hadoop.fs.s3a.multiobjectdelete.enable": FLAG,
    "spark.app.name": TEXT,
    "spark.stage.maxConsecutiveAttempts": INTEGER,
    "spark.sql.autoBroadcastJoinThreshold": v([-1, 1, 10485760], [0, -2, "1", 1.5]),
    "spark.sql.parquet.enableVectorizedReader": FLAG,
    "spark.default.parallelism": INTEGER,
    "spark.local.dir": TEXT,
}

_VOLUMES = v(
    [[{"container_path": "/a", "host_path": "/b", "mode": "RO"}], []],
    [[{"container_path": "/a", "host_path": "/b"}], [{"containerPath": "/a"}], {}],
)
_OPEN = v([{}, {"an option of a later Tron": 1}], [[], "x", None])
MASTER: dict[str, Values] = {
    "state_persistence": v([{"store_type": "shelve", "name": "x", "new": 1}], [{}, {"name": "x"}, [], None]),
    "state_persistence.store_type": one_of("shelve", "dynamodb", "yaml"),
    "state_persistence.name": TEXT,
    "state_persistence.table_name": TEXT,
    "state_persistence.dynamodb_region": TEXT,
    "state_persistence.buffer_size": POSITIVE,
    "state_persistence.max_transact_write_items": POSITIVE,
    "time_zone": TEXT_OR_NULL,
    "ssh_options": _OPEN,
    "ssh_options.agent": FLAG,
    "ssh_options.identities": TEXTS,
    "ssh_options.known_hosts_file": TEXT_OR_NULL,
    **dict.fromkeys(
        (
            *("ssh_options.connect_timeout", "ssh_options.idle_connection_timeout", "ssh_options.jitter_min_load"),
            *("ssh_options.jitter_max_delay", "ssh_options.jitter_load_factor"),
        ),
        COUNT,
    ),
    "nodes": v(
        [["localhost"], [{"hostname": "a", "name": "b"}], {"b": {"hostname": "a"}}, []],
        ["localhost", [{"name": "b"}], {"b": "a"}, [1], None],
    ),
    "nodes[].hostname": TEXT,
    "nodes[].name": _NAME,
    "nodes[].username": TEXT,
    "nodes[].port": PORT,
    "node_pools": v(
        [[{"name": "p", "nodes": ["a"]}], [["a", "b"]], {"p": {"nodes": ["a"]}}, None, []],
        [["a"], [{"name": "p"}], {"p": ["a"]}, "a"],
    ),
    "node_pools[].nodes": TEXTS,
    "node_pools[].name": _NAME,
    "command_context": v([{"a": 1, "b": "x"}, None], [[], "a"]),
    "output_stream_dir": TEXT_OR_NULL,
    "action_runner": _OPEN,
    "action_runner.runner_type": one_of("none", "subprocess"),
    "action_runner.remote_status_path": TEXT,
    "action_runner.remote_exec_path": TEXT,
    "notification_options": v([{"smtp_host": "a", "notification_addr": "b"}, None], [{"smtp_host": "a"}, [], "a"]),
    "notification_options.smtp_host": TEXT,
    "notification_options.notification_addr": TEXT,
    "eventbus_enabled": v([True, None], ["yes", 1]),
    "mesos_options": _OPEN,
    "mesos_options.enabled": FLAG,
    **dict.fromkeys(
        (
            *("mesos_options.master_address", "mesos_options.secret_file", "mesos_options.principal"),
            *("mesos_options.role", "mesos_options.dockercfg_location", "k8s_options.kubeconfig_path"),
        ),
        TEXT,
    ),
    "mesos_options.master_port": PORT,
    "mesos_options.offer_timeout": COUNT,
    "k8s_options": _OPEN,
    "k8s_options.enabled": FLAG,
    "k8s_options.watcher_kubeconfig_paths": TEXTS,
    "k8s_options.non_retryable_exit_codes": v([[1, -3], []], [["1"], 1, [1.5]]),
    **{
        f"{options}.default_volumes{key}": values
        for options in ("mesos_options", "k8s_options")
        for key, values in {
            "": _VOLUMES,
            "[].container_path": TEXT,
            "[].host_path": TEXT,
            "[].mode": one_of("RO", "RW"),
        }.items()
    },
    "read_json": FLAG,
    "jobs": v([{}, {"a": {}}, [{}], None], ["a", [1], {"a": 1}]),
}

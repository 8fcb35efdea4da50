# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: Tron's jobs and actions, and the configuration of its master. Read through ``keys``."""

from __future__ import annotations

from dataclasses import replace

from .keys_common import ANY_MAP, BOOL, COMMON_KEYS, COUNT, INT, PORT, RATIO, STR, STRINGS, items, pick
from .keys_long_running import KUBERNETES_KEYS
from .keys_monitoring import MONITORING_KEYS, settled
from .shapes import Any_, Key, ListOf, MapOf, OneOf, Scalar, Struct

# Tron: config_utils.IDENTIFIER_RE; a job that begins with _ would be a template.
_NAME_SAYS = "a name of at most 255 letters, digits, _ and -, beginning with a letter"
JOB_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,254}$"
_ACTION_NAME = r"^(?!cleanup$)[A-Za-z_][A-Za-z0-9_-]{0,254}$"
_ACTION_SAYS = "a name of at most 255 letters, digits, _ and -, beginning with a letter or _, and not cleanup"
_NAME = Scalar(("string",), pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,254}$", says=_NAME_SAYS)

# Tron: config_utils.TIME_INTERVAL_UNITS, in seconds.
UNITS = {
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
}
_DELTA = Scalar(
    ("string",),
    pattern=rf"^[0-9]+\s*({'|'.join(UNITS)})$",
    says="a time such as 5m or 2 hours",
    quote_hint="add a unit, as in 5m",
)
_SCHEDULE = OneOf(
    (
        STR,
        # Open as in PaaSTA: what a schedule means is checked where it is read.
        Struct(
            (
                Key(
                    "type",
                    Scalar(("string",), choices=("cron", "daily", "groc daily", "interval", "constant")),
                    "kind of schedule",
                ),
                Key("value", STR, "the schedule, without the word cron or daily"),
                Key("jitter", _DELTA, "shift each run by a random time up to this"),
                Key(
                    "start_time",
                    Scalar(("string",), quote_hint="put it in quotes, YAML reads a time as a number"),
                    "former form of daily: HH:MM or HH:MM:SS",
                ),
                Key("days", OneOf((STR, STRINGS)), "former form of daily: some of MTWRFSU"),
                Key("interval", STR, "former form: a time between runs"),
            ),
            open_=True,
        ),
    )
)

_NULLABLE = OneOf((STR, BOOL, Scalar(("null",))))
# PaaSTA: tron_tools.VALID_MONITORING_KEYS are those of monitoring.yaml but these two, and all are overrides of it.
_NOT_TRONS = ("service_type", "check_every")
_MONITORING = Struct(
    tuple(
        replace(key, shape=_NULLABLE if key.name == "notification_email" else key.shape)
        for key in MONITORING_KEYS
        if key.name not in _NOT_TRONS
    )
)

_POSITIVE = Scalar(("integer",), minimum=1)
_CORES = Scalar(("number",), above=0)
_MEMORY = Scalar(("string",), pattern=r"^[1-9][0-9]*[kmgt]$", says="an amount of memory such as 4g")
_OVERHEAD = OneOf((_MEMORY, _CORES))
# PaaSTA: tron_schema, spark_args; any other option of Spark is handed on as it is.
_SPARK_ARGS = Struct(
    (
        Key("spark.cores.max", _POSITIVE, "cores of all executors"),
        Key("spark.driver.cores", _POSITIVE, "cores of the driver"),
        Key("spark.kubernetes.driver.request.cores", _CORES, "CPU request of the driver"),
        Key("spark.executor.instances", _POSITIVE, "executors"),
        Key("spark.executor.cores", _POSITIVE, "cores of an executor"),
        Key("spark.kubernetes.executor.request.cores", _CORES, "CPU request of an executor"),
        Key("spark.executor.memory", _MEMORY, "memory of an executor"),
        Key("spark.driver.memory", _MEMORY, "memory of the driver"),
        Key("spark.driver.memoryOverhead", _OVERHEAD, "memory of the driver outside Java", unit="MiB"),
        Key("spark.executor.memoryOverhead", _OVERHEAD, "memory of an executor outside Java", unit="MiB"),
        Key(
            "spark.driver.maxResultSize",
            OneOf((_MEMORY, Scalar(("number",), minimum=0))),
            "largest result; 0: any",
            unit="bytes",
        ),
        Key(
            "spark.scheduler.minRegisteredResourcesRatio",
            Scalar(("number",), above=0, maximum=1),
            "share of resources to wait for",
        ),
        Key(
            "spark.scheduler.maxRegisteredResourcesWaitingTime",
            Scalar(("string",), pattern=r"^[1-9][0-9]*(ms|s|m|min|h|d)$", says="a time such as 30s"),
            "how long to wait for them",
        ),
        Key("spark.kubernetes.allocation.batch.size", INT, "executors launched at once"),
        Key("spark.kubernetes.memoryOverheadFactor", RATIO, "share of memory outside Java"),
        Key("spark.hadoop.fs.s3a.multiobjectdelete.enable", BOOL, "delete several objects in one request"),
        Key("spark.app.name", STR, "name of the application"),
        Key("spark.task.maxFailures", _POSITIVE, "failures of a task before the job fails"),
        Key("spark.stage.maxConsecutiveAttempts", INT, "attempts at a stage"),
        Key("spark.sql.broadcastTimeout", _POSITIVE, "time for a broadcast", unit="s"),
        Key(
            "spark.sql.autoBroadcastJoinThreshold",
            OneOf((_POSITIVE, Scalar(("integer",), minimum=-1, maximum=-1, says="-1"))),
            "largest table that is broadcast; -1: none",
            unit="bytes",
        ),
        Key("spark.sql.parquet.enableVectorizedReader", BOOL, "read Parquet by columns"),
        Key("spark.sql.shuffle.partitions", _POSITIVE, "partitions of a shuffle"),
        Key("spark.default.parallelism", INT, "partitions of a result"),
        Key("spark.local.dir", STR, "directory for temporary files"),
    ),
    open_=True,
)

# What an action shares with an instance, less its defaults for two of them. PaaSTA: TronActionConfig
_SHARED_NAMES = (
    *("cpus", "mem", "disk", "cpu_burst_add", "env", "pool", "cap_add", "constraints", "extra_constraints"),
    *("iam_role", "iam_role_provider", "service_account_name", "node_selectors", "boto_keys", "crypto_keys"),
    *("ssm_secrets", "uses_bulkdata", "extra_volumes", "secret_volumes", "projected_sa_volumes", "cost_owner"),
)
_OWN_DEFAULTS = {"disk": 4096, "cpu_burst_add": 0}
_SHARED = tuple(
    replace(key, default=_OWN_DEFAULTS.get(key.name, key.default))
    for key in pick((*COMMON_KEYS, *KUBERNETES_KEYS), *_SHARED_NAMES)
)
_ACTION_KEYS = settled(
    Key("command", STR, "command line, run by /bin/sh; may hold {shortdate-1} and the like", required=True),
    Key("name", _NAME, "name of the action; by default its key"),
    Key("node", _NAME, "node or pool of nodes to run on, for executor ssh; by default the job's"),
    Key("requires", ListOf(Scalar(("string",), pattern=_ACTION_NAME, says=_ACTION_SAYS)), "actions of the job that "
        "have to succeed before", []),
    Key("retries", COUNT, "how often to run it again when it fails", 0),
    Key("retries_delay", _DELTA, "time before it runs again; by default none"),
    Key("executor", Scalar(("string",), choices=("ssh", "paasta", "spark")), "what runs it", "paasta"),
    Key("service", STR, "take image and secrets of another service; by default the job's service"),
    Key("deploy_group", STR, "what is marked for deployment; by default the job's, and one of the two has to be there"),
    Key("idempotent", BOOL, "may be run again after its node was lost", False),
    Key("expected_runtime", _DELTA, "alert when a run takes longer", "24h"),
    Key("max_runtime", _DELTA, "stop a run after this"),
    Key("triggered_by", STRINGS, "events to wait for: service.job.action.shortdate.{shortdate}", []),
    Key("trigger_downstreams", OneOf((BOOL, MapOf(STR))), "emit an event on success; true: shortdate.{shortdate}"),
    Key("trigger_timeout", _DELTA, "how long to wait for triggered_by", "24h"),
    Key("on_upstream_rerun", STR, "what to do when what it waited for runs again"),
    Key("aws_credentials", STR, "credentials for Spark: file name without extension"),
    Key("force_spark_resource_configs", BOOL, "let Spark's resources be as written, however odd", False),
    Key("mrjob", BOOL, "runs mrjob on Spark", False),
    Key("spark_args", _SPARK_ARGS, "options of Spark, for executor spark"),
    Key("cluster", STR, "cluster of the action", legacy=True),
    *_SHARED,
)  # fmt: skip
ACTION = Struct(_ACTION_KEYS)
_NAMED_ACTION = Struct(
    tuple(
        Key(
            "name", Scalar(("string",), pattern=_ACTION_NAME, says=_ACTION_SAYS), key.doc, required=True, restarts=False
        )
        if key.name == "name"
        else key
        for key in _ACTION_KEYS
    )
)

JOB = Struct(
    settled(
        Key("schedule", _SCHEDULE, "when to run: cron 0 4 * * *, daily 04:00:00 MWF, every monday at 09:00",
            required=True),
        Key("actions", OneOf((MapOf(ACTION, _ACTION_NAME, _ACTION_SAYS), ListOf(_NAMED_ACTION, minimum_length=1))),
            "what to run, by name", required=True),
        Key("cleanup_action", ACTION, "what to run at the end, whether the others succeeded or not"),
        Key("name", _NAME, "name of the job; by default its key"),
        Key("node", _NAME, "node or pool of nodes to run on, for executor ssh"),
        Key("service", STR, "take image and secrets of another service; by default the one of this directory"),
        Key("deploy_group", STR, "what is marked for deployment"),
        Key("monitoring", _MONITORING, "overrides of monitoring.yaml", {}),
        Key("queueing", BOOL, "a run whose predecessor still runs waits; false: it is cancelled", True),
        Key("allow_overlap", BOOL, "runs may overlap", False),
        Key("run_limit", _POSITIVE, "runs to remember", 50),
        Key("all_nodes", BOOL, "run on every node of the pool, for executor ssh", False),
        Key("enabled", BOOL, "false: not scheduled", True),
        Key("max_runtime", _DELTA, "stop a run after this"),
        Key("expected_runtime", _DELTA, "alert when a run takes longer", "24h"),
        Key("time_zone", STR, "time zone of the schedule; by default the master's"),
        *pick(COMMON_KEYS, "cost_owner"),
        Key("cluster", STR, "cluster of the job", legacy=True),
    )
)  # fmt: skip

# The master's configuration is Tron's own and differs between its versions, so keys that are not here are let through.

_NULL = Scalar(("null",))
_VOLUMES = items(
    Key("container_path", STR, "path in the container", required=True),
    Key("host_path", STR, "path on the host", required=True),
    Key("mode", Scalar(("string",), choices=("RO", "RW")), "read-only or read-write", required=True),
)
_PERSISTENCE = Struct(
    (
        Key("store_type", Scalar(("string",), choices=("shelve", "dynamodb", "yaml")), "kind of store", required=True),
        Key("name", STR, "file, or name in the store", required=True),
        Key("table_name", STR, "DynamoDB table"),
        Key("dynamodb_region", STR, "AWS region of the table"),
        Key("buffer_size", _POSITIVE, "changes to collect before they are written", 1),
        Key("max_transact_write_items", _POSITIVE, "items of one DynamoDB transaction", 8),
    ),
    open_=True,
)
_SSH = Struct(
    (
        Key("agent", BOOL, "use the SSH agent", False),
        Key("identities", STRINGS, "private keys", []),
        Key("known_hosts_file", OneOf((STR, _NULL)), "hosts to trust"),
        Key("connect_timeout", COUNT, "time to connect", 30, "s"),
        Key("idle_connection_timeout", COUNT, "then an idle connection is closed", 3600, "s"),
        Key("jitter_min_load", COUNT, "load from which connections are delayed", 4),
        Key("jitter_max_delay", COUNT, "longest delay", 20, "s"),
        Key("jitter_load_factor", COUNT, "delay by load", 1),
    ),
    open_=True,
)
_NODE_KEYS = (
    Key("hostname", STR, "host", required=True),
    Key("name", _NAME, "name in the configuration; by default hostname"),
    Key("username", STR, "user; by default Tron's own"),
    Key("port", PORT, "port of SSH", 22),
)
_NODE = Struct(_NODE_KEYS)
_POOL = Struct((Key("nodes", STRINGS, "names of nodes", required=True), Key("name", _NAME, "name of the pool")))
_RUNNER = Struct(
    (
        Key("runner_type", Scalar(("string",), choices=("none", "subprocess")), "how commands are started", "none"),
        Key("remote_status_path", STR, "directory for the state of commands", "/tmp"),
        Key("remote_exec_path", STR, "directory of Tron's own commands", ""),
    ),
    open_=True,
)
_MESOS = Struct(
    (
        Key("enabled", BOOL, "run containers on Mesos", False),
        Key("master_address", STR, "host of the Mesos master"),
        Key("master_port", PORT, "port of the Mesos master", 5050),
        Key("secret_file", STR, "file with the secret of principal"),
        Key("principal", STR, "name at the Mesos master", "tron"),
        Key("role", STR, "Mesos role", "*"),
        Key("default_volumes", _VOLUMES, "mounted into every container", []),
        Key("dockercfg_location", STR, "credentials of the registry"),
        Key("offer_timeout", COUNT, "how long to wait for an offer", 300, "s"),
    ),
    open_=True,
)
_KUBERNETES = Struct(
    (
        Key("enabled", BOOL, "run containers on Kubernetes", False),
        Key("kubeconfig_path", STR, "credentials of the cluster"),
        Key("watcher_kubeconfig_paths", STRINGS, "credentials of clusters to watch only", []),
        Key("non_retryable_exit_codes", ListOf(INT), "exit codes after which an action is not run again", []),
        Key("default_volumes", _VOLUMES, "mounted into every container, after the platform's", []),
    ),
    open_=True,
)
_NOTIFICATIONS = Struct(
    (
        Key("smtp_host", STR, "mail server", required=True),
        Key("notification_addr", STR, "whom to write", required=True),
    ),
    open_=True,
)

# Those of the master's keys that hold options of their own.
MASTER_OPTIONS = {
    "state_persistence": _PERSISTENCE,
    "ssh_options": _SSH,
    "action_runner": _RUNNER,
    "mesos_options": _MESOS,
    "k8s_options": _KUBERNETES,
}
MASTER = Struct(
    settled(
        Key("state_persistence", _PERSISTENCE, "where state is kept", {"store_type": "shelve", "name": "tron_state"}),
        Key("time_zone", OneOf((STR, _NULL)), "time zone of schedules"),
        Key("ssh_options", _SSH, "how nodes are reached", {}),
        Key("nodes", OneOf((ListOf(OneOf((STR, _NODE))), MapOf(_NODE))), "hosts for executor ssh", ["localhost"]),
        Key("node_pools", OneOf((ListOf(OneOf((_POOL, STRINGS))), MapOf(_POOL), _NULL)), "groups of nodes", []),
        Key("command_context", OneOf((MapOf(Any_()), _NULL)), "values for {name} in commands", {}),
        Key("output_stream_dir", OneOf((STR, _NULL)), "directory for the output of runs"),
        Key("action_runner", _RUNNER, "how commands are started on nodes", {}),
        Key("notification_options", OneOf((_NOTIFICATIONS, _NULL)), "mail about failures", legacy=True),
        Key("eventbus_enabled", OneOf((BOOL, _NULL)), "events between jobs: triggered_by"),
        Key("mesos_options", _MESOS, "how containers run on Mesos", {}),
        Key("k8s_options", _KUBERNETES, "how containers run on Kubernetes", {}),
        Key("read_json", BOOL, "read state as JSON", False),
        Key("jobs", OneOf((MapOf(ANY_MAP), ListOf(ANY_MAP), _NULL)), "jobs in Tron's own form", {}),
    ),
    open_=True,
)

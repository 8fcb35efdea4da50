# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""THE table of rules: every id that an error or a warning of a soa-configs tree may carry, and what the rule says.

Ids are stable: reports of continuous integration and suppressions outside of this project refer to them. A rule is
either an error, which stops everything, or a warning, which is only told; ``docs/validation.md`` lists them from here.
"""

from __future__ import annotations

from dataclasses import dataclass

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """``text`` says what must hold, in one sentence without a full stop; ``group`` is the heading in the docs."""

    id: str
    level: str
    text: str
    group: str = ""


def _group(name: str, errors: dict[str, str], warnings: dict[str, str]) -> list[Rule]:
    return [Rule(id_, ERROR, text, name) for id_, text in errors.items()] + [
        Rule(id_, WARNING, text, name) for id_, text in warnings.items()
    ]


_ALL = [
    *_group(
        "Files and shapes",
        {
            "soa-dir": "the soa-configs directory can be read, and what is asked for exists in it",
            "unreadable-file": "every file and directory can be read",
            "invalid-yaml": "a file is YAML (1.1, a mapping, no tabs, not nested without end)",
            "duplicate-key": "a key is written once per mapping",
            "unknown-key": "every key is known",
            "misplaced-key": "a key belongs to this type of instance",
            "missing-key": "required keys are there",
            "wrong-type": "a value has the type, the bounds and the form of its key",
            "deployments": "deployments.json is JSON of the form that PaaSTA gives it",
            "secret-file": "the file of a secret is JSON, with a ciphertext or a lookup for each environment",
        },
        {
            "unknown-service-key": "a key of service.yaml is known to somebody",
            "odd-key": "a key inside of another is known, also where PaaSTA lets any through",
            "no-instances": "a cluster has instance files",
            "retired-type": "instances are of a type that something still runs",
        },
    ),
    *_group(
        "Services",
        {
            "service-name": "a service name has letters, digits and inner - and _, at most 63 as Kubernetes takes it",
            "duplicate-instance-name": "an instance name is used by one type per service and cluster",
            "rollback-bounds": "the lower bound of a rollback condition is not above the upper one",
        },
        {
            "missing-description": "service.yaml has a description and an external_link",
            "missing-monitoring": "a service has a monitoring.yaml, and a team",
            "missing-deploy": "a service with instances has a deploy.yaml",
            "unknown-cluster": "a file belongs to a cluster of the inventory",
            "cluster-case": "cluster names are lower-case",
            "duplicate-step": "a deploy group is in the pipeline once",
            "production-deploy-group": "production_deploy_group is in the pipeline",
            "unknown-dependency": "a namespace in dependencies.yaml exists",
            "dependency-cidr": "a cidr in dependencies.yaml is a network",
            "unknown-caller": "a service in authorization.yaml exists",
            "unknown-team": "a team is one that the inventory knows",
        },
    ),
    *_group(
        "Mesh",
        {
            "namespace-name": "a namespace name has letters, digits, - and _",
            "namespace-name-length": "service and namespace name have at most 55 characters together",
            "discover-not-advertised": "discover is one of advertise",
            "location-type": "location types are those of the inventory",
            "extra-advertise": "extra_advertise maps type:location to a list of type:location",
            "proxy-port-range": "proxy_port is in the range of the inventory",
            "duplicate-proxy-port": "a proxy_port is used by one namespace",
            "unknown-proxy": "proxied_through and clb_proxy name a namespace that exists",
        },
        {"extra-advertise-upcast": "extra_advertise goes to locations that are at least as general as discover"},
    ),
    *_group(
        "Instances",
        {
            "instance-name": "an instance name has a-z, 0-9 and inner - and _",
            "instance-name-length": "service and instance name have at most 63 characters, as Kubernetes takes them",
            "deploy-group-placeholder": "deploy_group has no placeholders but {cluster}, {instance} and {service}",
            "unknown-deploy-group": "the deploy group is in the pipeline of deploy.yaml",
            "registration-form": "a registration is service.namespace",
            "unknown-registration": "a registration names a namespace that exists",
            "cmd-and-args": "cmd and args are not both set",
            "healthcheck-cmd": "healthcheck_mode cmd comes with a healthcheck_cmd",
            "min-above-max": "min_instances is not more than max_instances",
            "autotune-limits": "a lower limit of autotune_limits is not above the upper one",
            "unknown-pool": "the pool is one that the inventory allows in the cluster",
            "pool-limit": "cpus is below the limit of the pool",
            "fs-group-policy": "fs_group_change_policy comes with fs_group",
            "iam-role-and-service-account": "iam_role and service_account_name are not both set",
            "unknown-dependencies-reference": "dependencies_reference is an entry of dependencies.yaml",
            "duplicate-volume": "two volumes are not mounted at the same path",
        },
        {
            "duplicate-registration": "a registration is named once",
            "min-without-max": "min_instances comes with max_instances, which enables autoscaling",
            "unknown-storage-class": "a storage class is one that the inventory supports",
            "repeated-volume": "a volume is named once",
            "nested-volume": "a volume is not mounted inside another",
            "cpu-burst-override": "cpu_burst_add above 2 has a comment # override-cpu-burst (TICKET-1)",
        },
    ),
    *_group(
        "Autoscaling",
        {
            "autoscaling-field": "an option of a metrics provider belongs to its type",
            "autoscaling-bespoke": "decision_policy bespoke stands alone",
            "autoscaling-duplicate": "there is one metrics provider of each type",
            "autoscaling-active-requests": "active-requests has one registration and no setpoint of its own",
            "autoscaling-promql": "arbitrary-promql has a metrics_query",
            "autoscaling-setpoint": "a setpoint is greater than 0",
        },
        {
            "autoscaling-without-max": "autoscaling comes with max_instances, which enables it",
            "autoscaling-cpu-needed": "scaling on CPU and something else comes with cpus",
            "cpu-override": "cpus of an instance that scales on CPU has a comment # override-cpu-setting (TICKET-1)",
        },
    ),
    *_group(
        "Secrets",
        {
            "secret-form": "a reference is SECRET(name) or SHARED_SECRET(name), and nothing else is in the value",
            "unknown-secret": "the secret exists",
            "secret-environment": "the secret has a value for the environment of the cluster",
        },
        {},
    ),
    *_group(
        "Tron",
        {
            "job-name": "a job name has letters, digits, _ and -, and begins with a letter",
            "duplicate-action": "an action name is used once per job",
            "tron-schedule": "schedule is one that Tron understands, and happens",
            "tron-time-zone": "time_zone is in the time zone database",
            "tron-requires": "requires names actions of the same job",
            "tron-cycle": "actions do not require each other in a circle",
            "tron-deploy-group": "an action that runs in a container has a deploy_group, its own or of its job",
            "tron-service": "service is a service of the tree",
            "spark-resources": "a Spark action does not set cpus or mem",
        },
        {"unknown-trigger": "triggered_by names a job and an action that exist"},
    ),
]

RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}

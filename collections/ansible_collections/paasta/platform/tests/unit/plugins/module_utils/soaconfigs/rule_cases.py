# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Trees that break one rule each, and trees that come close and break none: data of ``test_rules``.

Every tree is the base tree of ``conftest`` with some files changed. ``BAD`` has all that must be said of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """``says`` is every problem of the tree, each as it is printed; empty for a good one.

    ``breaks`` are the rules that are broken when those are others than ``rule``, which then must not be.
    """

    rule: str
    files: Mapping[str, str | None]
    says: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    breaks: frozenset[str] = frozenset()


def main(more: str = "", **other: str | None) -> dict[str, str | None]:
    """The instance web.main with more keys, at column 33 of line 1; ``other`` are files of service web by stem."""
    text = f"main: {{deploy_group: prod.main{', ' + more if more else ''}}}\n"
    return {"web/kubernetes-prod.yaml": text, **{f"web/{stem}.yaml": value for stem, value in other.items()}}


def smartstack(keys: str, more: str = "") -> dict[str, str | None]:
    """The namespace web.main with more keys, at column 27 of line 1."""
    return {"web/smartstack.yaml": f"main: {{proxy_port: 20001, {keys}}}\n{more}"}


def secret(*environments: str) -> str:
    entry = {"ciphertext": "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQ"}
    return json.dumps({"environments": dict.fromkeys(environments, entry)})


K = "web/kubernetes-prod.yaml:1"
S = "web/smartstack.yaml:1"
WRITES = "add one with playbooks/secret.yml"
BURST = "lower it, or say why in a comment on this line: # override-cpu-burst (TICKET-1)"
OVERRIDE = "drop it, or say why in a comment on this line: # override-cpu-setting (TICKET-1)"
PROVIDERS = "main.autoscaling.metrics_providers"


def scaled(providers: str, more: str = "") -> dict[str, str | None]:
    return main(f"max_instances: 3, {more}autoscaling: {{metrics_providers: [{providers}]}}")


INSTANCE = (
    Case("instance-name", {"web/kubernetes-prod.yaml": "Main: {deploy_group: prod.main}\n"},
         (f'{K}:1: Main: "Main" is not a valid instance name; use a-z, 0-9 and inner - and _',)),
    Case("instance-name", {"web/kubernetes-prod.yaml": "a_b-1: {deploy_group: prod.main}\n"}),
    Case("instance-name-length", {"web/kubernetes-prod.yaml": f"{'m' * 57}_m: {{deploy_group: prod.main}}\n"},
         (f"{K}:1: {'m' * 57}_m: web-{'m' * 57}--m has 64 characters, the limit for service and instance is 63; "
          "shorten the instance name",)),
    Case("instance-name-length", {"web/kubernetes-prod.yaml": f"{'m' * 59}: {{deploy_group: prod.main}}\n"}),
    Case("deploy-group-placeholder", {"web/kubernetes-prod.yaml": "main: {deploy_group: 'x.{instnce}'}\n"},
         (f"{K}:8: main.deploy_group: unknown placeholder {{instnce}}; "
          "allowed: {cluster}, {instance}, {service}",)),
    Case("deploy-group-placeholder", {"web/kubernetes-prod.yaml": "main: {deploy_group: '{cluster}.{instance}'}\n"}),
    Case("unknown-deploy-group", {"web/kubernetes-prod.yaml": "main: {deploy_group: prod.mian}\n"},
         (f'{K}:8: main.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
          "did you mean prod.main?",)),
    Case("unknown-deploy-group", {"web/kubernetes-prod.yaml": "main: {branch: prod.mian}\n"},
         (f'{K}:8: main.branch: "prod.mian" is not in the pipeline of web/deploy.yaml; did you mean prod.main?',)),
    Case("unknown-deploy-group", {"web/kubernetes-prod.yaml": "main: {}\n"}),
    Case("unknown-deploy-group", {"web/kubernetes-prod.yaml": "other: {}\n"},
         ('web/kubernetes-prod.yaml:1:1: other: deploy_group is not set, and its default "prod.other" is not in the '
          "pipeline of web/deploy.yaml; allowed: prod.canary, prod.main",)),
    Case("registration-form", main("registrations: [web]"),
         (f'{K}:49: main.registrations[0]: "web" is not of the form service.namespace',)),
    Case("unknown-registration", main("registrations: [web.main, web.mian]"),
         (f'{K}:59: main.registrations[1]: "web.mian" is in no smartstack.yaml; did you mean web.main?',)),
    Case("unknown-registration", main("nerve_ns: mian"),
         (f'{K}:33: main.nerve_ns: "web.mian" is in no smartstack.yaml; did you mean web.main?',)),
    Case("unknown-registration", main("registrations: []")),
    Case("duplicate-registration", main("registrations: [web.main, web.main]"),
         (f'{K}:59: main.registrations[1]: "web.main" is already named before; once is enough',)),
    Case("cmd-and-args", main("cmd: x, args: [y]"),
         (f"{K}:41: main.args: cmd and args cannot both be set; put the arguments into cmd, or drop it",)),
    Case("cmd-and-args", main("cmd: x", service="description: a\nexternal_link: b\nargs: [y]\n"),
         (f"{K}:33: main.cmd: cmd and args cannot both be set; put the arguments into cmd, or drop it",)),
    Case("cmd-and-args", main("cmd: x, args: []")),
    Case("healthcheck-cmd", main("healthcheck_mode: cmd"),
         (f"{K}:33: main.healthcheck_mode: mode cmd needs healthcheck_cmd; add healthcheck_cmd",)),
    Case("healthcheck-cmd", main("healthcheck_mode: cmd, healthcheck_cmd: [3]"),
         (f"{K}:56: main.healthcheck_cmd: a list is not a string",), breaks=frozenset({"wrong-type"})),
    Case("healthcheck-cmd", main("healthcheck_mode: cmd, healthcheck_cmd: /check")),
    Case("min-above-max", main("min_instances: 3, max_instances: 2"),
         (f"{K}:33: main.min_instances: min_instances 3 is more than max_instances 2",)),
    Case("min-above-max", main("max_instances: 0"),
         (f"{K}:33: main.max_instances: min_instances is 1 by default, which is more than max_instances 0; "
          "set min_instances, or use instances: 0",)),
    Case("min-above-max", main("min_instances: 2, max_instances: 2")),
    Case("min-without-max", main("min_instances: 2"),
         (f"{K}:33: main.min_instances: min_instances has no effect without max_instances, which enables autoscaling; "
          "add max_instances, or use instances",)),
    Case("min-without-max", {**main(), "web/autotuned_defaults/kubernetes-prod.yaml": "main: {min_instances: 2}\n"}),
    Case("autotune-limits", main("autotune_limits: {cpus: {min: 2, max: 1}}"),
         (f"{K}:58: main.autotune_limits.cpus.min: min 2 is more than max 1",)),
    Case("autotune-limits", main("autotune_limits: {cpus: {min: 1, max: 1}, mem: {min: 64}}")),
    Case("unknown-pool", main("pool: gpus"),
         (f'{K}:33: main.pool: pool "gpus" is not one of cluster prod; did you mean gpu?',),
         {"paasta_allowed_pools": {"prod": ["default", "gpu"]}}),
    Case("unknown-pool", main("pool: gpus"), (), {"paasta_allowed_pools": {"dev": ["default"]}}),
    Case("pool-limit", main("cpus: 4"),
         (f"{K}:33: main.cpus: cpus 4 is not below 4, the limit of pool default; use pool large",),
         {"paasta_pool_limits": {"prod": {"default": {"max_cpus": 4, "recommended_pool": "large"}}}}),
    Case("pool-limit", main("cpus: 3.9, cpu_burst_add: 1"), (),
         {"paasta_pool_limits": {"prod": {"default": {"max_cpus": 4}}}}),
    Case("unknown-storage-class", main("persistent_volumes: [{container_path: /a, size: 1, storage_class_name: ssd}]"),
         (f'{K}:84: main.persistent_volumes[0].storage_class_name: "ssd" is not a storage class of the inventory; '
          "ebs is used instead; allowed: ebs, fast",),
         {"paasta_supported_storage_classes": ["ebs", "fast"]}),
    Case("unknown-storage-class", main("persistent_volumes: [{container_path: /a, size: 1, storage_class_name: ssd}]")),
    Case("fs-group-policy", main("fs_group_change_policy: Always"),
         (f"{K}:33: main.fs_group_change_policy: fs_group_change_policy needs fs_group; add fs_group, or drop it",)),
    Case("fs-group-policy", main("fs_group_change_policy: Always, fs_group: 0")),
    Case("iam-role-and-service-account", main("service_account_name: a, iam_role: 'arn:aws:iam::1:role/a'"),
         (f"{K}:33: main.service_account_name: iam_role and service_account_name cannot both be set; "
          "an IAM role makes its own service account",)),
    Case("iam-role-and-service-account", main("service_account_name: a, iam_role: ''")),
    Case("unknown-dependencies-reference", main("dependencies_reference: mian", dependencies="main: []\n"),
         (f'{K}:33: main.dependencies_reference: "mian" is not in web/dependencies.yaml; did you mean main?',)),
    Case("unknown-dependencies-reference", main("dependencies_reference: main"),
         (f'{K}:33: main.dependencies_reference: "main" cannot be found: there is no web/dependencies.yaml; '
          "write one, or drop the key",)),
    Case("unknown-dependencies-reference", main("dependencies_reference: main", dependencies="main: []\n")),
    Case("cpu-burst-override", main("cpu_burst_add: 2.5"),
         (f"{K}:33: main.cpu_burst_add: cpu_burst_add 2.5 is more than 2; {BURST}",)),
    Case("cpu-burst-override", main("cpu_burst_add: 2")),
    Case("cpu-burst-override", main("cpu_burst_add: 2.5"), (), {"paasta_skip_cpu_burst_validation": ["web"]}),
    Case("cpu-burst-override", {**main("cpu_burst_add: 2.5"), "web/kubernetes-prod.in": "a template"}),
    Case("cpu-burst-override", {"web/kubernetes-prod.yaml":
         "main:\n  deploy_group: prod.main\n  cpu_burst_add: 3 # override-cpu-burst (WEB-12)\n"}),
)  # fmt: skip

VOLUMES = (
    Case("duplicate-volume",
         main("extra_volumes: [{containerPath: /a/, hostPath: /b, mode: RO}], secret_volumes: "
              "[{container_path: /a, secret_name: x}]") | {"web/secrets/x.json": secret("prod")},
         (f"{K}:114: main.secret_volumes[0].container_path: /a is already mounted by extra_volumes[0]; "
          "mount one of the two somewhere else",)),
    Case("duplicate-volume", main("extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO}, "
                                  "{containerPath: /a, hostPath: /c, mode: RO}]"),
         (f"{K}:95: main.extra_volumes[1].containerPath: /a is already mounted by extra_volumes[0]; "
          "mount one of the two somewhere else",)),
    Case("duplicate-volume", main("extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO}, "
                                  "{containerPath: /ab, hostPath: /b, mode: RO}]")),
    Case("repeated-volume", main("extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO}, "
                                 "{containerPath: /a, hostPath: /b, mode: RO}]"),
         (f"{K}:95: main.extra_volumes[1].containerPath: the volume is already named in extra_volumes[0]; "
          "once is enough",)),
    Case("nested-volume", main("extra_volumes: [{containerPath: /a/b, hostPath: /b, mode: RO}, "
                               "{containerPath: /a, hostPath: /c, mode: RO}]"),
         (f"{K}:50: main.extra_volumes[0].containerPath: /a/b is inside /a, which extra_volumes[1] mounts; "
          "the inner one hides what the outer one has there",)),
)  # fmt: skip

AUTOSCALING = (
    Case("autoscaling-without-max", main("autoscaling: {metrics_providers: [{type: cpu}]}"),
         (f"{K}:33: main.autoscaling: autoscaling has no effect without max_instances; "
          "add max_instances, or drop it",)),
    Case("autoscaling-field", scaled("{type: cpu, metrics_query: x}"),
         (f"{K}:97: {PROVIDERS}[0].metrics_query: metrics_query is for metrics providers of type arbitrary-promql, "
          "and this one is cpu; drop it",)),
    Case("autoscaling-field", scaled("{type: uwsgi, desired_active_requests_per_replica: 2}"),
         (f"{K}:99: {PROVIDERS}[0].desired_active_requests_per_replica: desired_active_requests_per_replica is for "
          "metrics providers of type active-requests, and this one is uwsgi; drop it",)),
    Case("autoscaling-field", scaled("{type: active-requests, desired_active_requests_per_replica: 2}")),
    Case("autoscaling-bespoke", scaled("{type: cpu, decision_policy: bespoke}, {type: uwsgi}"),
         (f"{K}:97: {PROVIDERS}[0].decision_policy: decision_policy bespoke means that something else scales, so it "
          "must be the only provider; keep one of the two",)),
    Case("autoscaling-bespoke", scaled("{type: cpu, decision_policy: bespoke}", "cpus: 1, ")),
    Case("autoscaling-duplicate", scaled("{type: uwsgi}, {type: uwsgi}"),
         (f"{K}:101: {PROVIDERS}[1].type: there is already a metrics provider of type uwsgi; keep one of the two",)),
    Case("autoscaling-duplicate", scaled("{type: uwsgi}, {type: memory}")),
    Case("autoscaling-active-requests", scaled("{type: active-requests, setpoint: 0.5}"),
         (f"{K}:109: {PROVIDERS}[0].setpoint: setpoint 0.5 has no meaning for active-requests; "
          "use desired_active_requests_per_replica",)),
    Case("autoscaling-active-requests",
         scaled("{type: active-requests}", "registrations: [web.main, web.b], ")
         | {"web/smartstack.yaml": "main: {proxy_port: 20001}\nb: {proxy_port: 20002}\n"},
         (f"{K}:120: {PROVIDERS}[0].type: active-requests cannot count the requests of several registrations; "
          "keep one registration, or scale on something else",)),
    Case("autoscaling-active-requests", scaled("{type: active-requests, setpoint: 0.8}")),
    Case("autoscaling-promql", scaled("{type: arbitrary-promql, setpoint: 2}"),
         (f"{K}:85: {PROVIDERS}[0]: a metrics provider of type arbitrary-promql needs metrics_query; "
          "add metrics_query, a PromQL expression",)),
    Case("autoscaling-promql",
         scaled("{type: arbitrary-promql, metrics_query: sum(x), target_type: Value, setpoint: 9}")),
    Case("autoscaling-setpoint", scaled("{type: uwsgi, setpoint: 0}"),
         (f"{K}:99: {PROVIDERS}[0].setpoint: setpoint 0 is not greater than 0",)),
    Case("autoscaling-cpu-needed", scaled("{type: cpu}, {type: uwsgi}"),
         (f"{K}:65: {PROVIDERS}: scaling on CPU and something else needs cpus; add cpus",)),
    Case("cpu-override", main("max_instances: 3, cpus: 2"),
         (f"{K}:51: main.cpus: cpus 2 is set by hand on an instance that scales on CPU; {OVERRIDE}",)),
    Case("cpu-override", main("max_instances: 3, cpus: 2"), (), {"paasta_skip_cpu_override_validation": ["web"]}),
    Case("cpu-override", {"web/kubernetes-prod.yaml": "_d: &d\n  cpus: 2 # override-cpu-setting (spikes, WEB-12)\n"
                          "main:\n  <<: *d\n  deploy_group: prod.main\n  max_instances: 3\n"}),
    Case("cpu-override", {"web/kubernetes-prod.yaml":
         "main:\n  deploy_group: prod.main\n  max_instances: 3\n  cpus: 2 # override-cpu-setting because\n"},
         ("web/kubernetes-prod.yaml:4:3: main.cpus: cpus 2 is set by hand on an instance that scales on CPU; "
          f"{OVERRIDE}",)),
    Case("cpu-override",
         {**main("max_instances: 3"), "web/autotuned_defaults/kubernetes-prod.yaml": "main: {cpus: 2}\n"}),
)  # fmt: skip

FORM = "is not a reference to a secret, though it begins like one: it must be SECRET(name) or SHARED_SECRET(name), " \
    "of letters, digits, _ and -"  # fmt: skip
SECRETS = (
    Case("secret-form", main("env: {A: SECRET(a b)}"), (f"{K}:39: main.env.A: {FORM}",)),
    Case("secret-form", main("secret_volumes: [{container_path: /a, secret_name: SECRET(x)}]"),
         (f"{K}:71: main.secret_volumes[0].secret_name: is not the name of a secret: it must be letters, digits, _ and "
          "-, without SECRET()",)),
    Case("unknown-secret", {**main("env: {A: SECRET(tokne)}"), "web/secrets/token.json": secret("prod")},
         (f"{K}:39: main.env.A: tokne is not among the secrets of web: there is no web/secrets/tokne.json; "
          "did you mean token?",)),
    Case("unknown-secret", main("env: {A: SHARED_SECRET(token)}"),
         (f"{K}:39: main.env.A: token is not among the shared secrets: there is no _shared/secrets/token.json; "
          "add it with playbooks/secret.yml",)),
    Case("unknown-secret", {**main("env: {A: SECRET(token), B: SHARED_SECRET(x)}"),
                            "web/secrets/token.json": secret("prod"), "_shared/secrets/x.json": secret("prod")}),
    Case("secret-environment", {**main("env: {A: SECRET(token)}"), "web/secrets/token.json": secret("dev")},
         (f"{K}:39: main.env.A: web/secrets/token.json has no value for environment prod, that of cluster prod; "
          f"{WRITES}, or say in paasta_secret_environments that the cluster has another",)),
    Case("secret-environment", {**main("env: {A: SECRET(token)}"), "web/secrets/token.json": secret("dev")},
         (f"{K}:39: main.env.A: web/secrets/token.json has no value for environment live, that of cluster prod; "
          f"{WRITES}",), {"paasta_secret_environments": {"prod": "live"}}),
    Case("secret-environment", {**main("env: {A: SECRET(token)}"), "web/secrets/token.json": secret("live")}, (),
         {"paasta_secret_environments": {"prod": "live"}}),
)  # fmt: skip

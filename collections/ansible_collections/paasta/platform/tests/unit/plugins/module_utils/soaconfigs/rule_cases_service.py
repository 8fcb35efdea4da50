# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Data of ``test_rules`` like ``rule_cases``: services, the mesh, Tron, and the shapes of files."""

from __future__ import annotations

from .rule_cases import FORM, Case, S, main, secret, smartstack

LOCATIONS = {"paasta_location_types": ["region", "habitat"]}
TEAMS = {"paasta_monitoring_teams": ["words", "frontend"]}
D = "web/dependencies.yaml:1"
DESCRIBED = "description: a\nexternal_link: b\n"

SERVICES = (
    Case("service-name", {"we.b/deploy.yaml": "pipeline: []\n"},
         ("we.b: is not a valid service name; at most 63 of letters, digits and inner - and _",)),
    Case("service-name", {"we_b/deploy.yaml": "pipeline: []\n"}),
    Case("missing-description", {"web/service.yaml": "description: a\n"},
         ("web/service.yaml: external_link is missing; PaaSTA requires it of every service",)),
    Case("missing-monitoring", {"web/monitoring.yaml": None},
         ("web/monitoring.yaml: is missing; write one with a team, or nobody is told of problems",)),
    Case("missing-monitoring", {"api/deploy.yaml": "pipeline: []\n"}),
    Case("missing-monitoring", {"web/monitoring.yaml": "page: true\n"},
         ("web/monitoring.yaml: team is missing; nobody is told of problems",)),
    Case("missing-monitoring",
         {"web/monitoring.yaml": "page: true\n", "web/service.yaml": f"{DESCRIBED}team: words\n"}),
    Case("missing-deploy", {"web/deploy.yaml": None},
         ("web/deploy.yaml: is missing; write one with a pipeline, or a misspelt deploy_group goes unnoticed",)),
    Case("missing-deploy", {"web/deploy.yaml": None, "web/kubernetes-prod.yaml": "_d: {}\n"}),
    Case("unknown-cluster", {"web/kubernetes-prdo.yaml": "b: {deploy_group: prod.main}\n"},
         ("web/kubernetes-prdo.yaml: belongs to no known cluster (prdo); did you mean prod?",),
         {"paasta_clusters": ["prod", "dev"]}),
    Case("unknown-cluster", {"web/kubernetes-prdo.yaml": "b: {deploy_group: prod.main}\n"}),
    Case("cluster-case", {"web/kubernetes-Dev.yaml": "b: {deploy_group: prod.main}\n"},
         ("web/kubernetes-Dev.yaml: cluster Dev is not lower-case; rename the file to that of cluster dev",)),
    Case("duplicate-instance-name", {"web/eks-prod.yaml": "main: {deploy_group: prod.main}\n"},
         ("web/kubernetes-prod.yaml:1:1: main: instance main is already defined in web/eks-prod.yaml; "
          "an instance name is used once per service and cluster",)),
    Case("duplicate-instance-name", {"web/eks-dev.yaml": "main: {deploy_group: prod.main}\n"}),
    Case("duplicate-instance-name", {"web/eks-prod.yaml": "main: {deploy_group: prod.main}\n"}, (),
         {"paasta_skip_unique_instance_name_validation": ["web"]}),
    Case("duplicate-step", {"web/deploy.yaml": "pipeline:\n- step: prod.main\n- step: prod.main\n- step: itest\n"
                                               "- step: itest\n"},
         ('web/deploy.yaml:3:3: pipeline[1].step: "prod.main" is already in the pipeline; once is enough',)),
    Case("production-deploy-group",
         {"web/deploy.yaml": "production_deploy_group: prod.mian\npipeline: [{step: prod.main}]\n"},
         ('web/deploy.yaml:1:1: production_deploy_group: "prod.mian" is not in the pipeline; '
          "did you mean prod.main?",)),
    Case("missing-key", {"web/rollback-prod.yaml": "conditions:\n  splunk: [{query: q, query_type: number}]\n"},
         ("web/rollback-prod.yaml:2:12: conditions.splunk[0]: needs at least one of upper_bound, lower_bound",)),
    Case("rollback-bounds",
         {"web/rollback-prod.yaml": "conditions:\n  prometheus: [{query: q, lower_bound: 3, upper_bound: 2}]\n"},
         ("web/rollback-prod.yaml:2:27: conditions.prometheus[0].lower_bound: lower_bound 3 is more than "
          "upper_bound 2",)),
    Case("rollback-bounds",
         {"web/rollback-prod.yaml": "conditions:\n  prometheus: [{query: q, lower_bound: null, upper_bound: 2}]\n"}),
    Case("unknown-dependency", {"web/dependencies.yaml": "main: [{smartstack: web.mian}]\n"},
         (f'{D}:9: main[0].smartstack: "web.mian" is in no smartstack.yaml; did you mean web.main?',)),
    Case("unknown-dependency", {"web/dependencies.yaml": "main: [{smartstack: web.main}, {well-known: internet}]\n"}),
    Case("dependency-cidr", {"web/dependencies.yaml": "main: [{cidr: 10.0.0.1/8}]\n"},
         (f'{D}:9: main[0].cidr: "10.0.0.1/8" is not a network; as in 10.0.0.0/8, with zeros after the prefix',)),
    Case("dependency-cidr", {"web/dependencies.yaml": "main: [{cidr: 10.0.0.0/8, port: 443}]\n"}),
    Case("unknown-caller", {"web/authorization.yaml":
         "authorization: {enabled: true, rules: [{identity_groups: {services: [web, wbe]}}]}\n"},
         ('web/authorization.yaml:1:75: authorization.rules[0].identity_groups.services[1]: "wbe" is not a service of '
          "this tree; did you mean web?",)),
    Case("unknown-team", {"web/monitoring.yaml": "team: wrods\n"},
         ('web/monitoring.yaml:1:1: team: "wrods" is not a team of the inventory; did you mean words?',), TEAMS),
    Case("unknown-team", {"web/service.yaml": f"{DESCRIBED}team: wrods\n"},
         ('web/service.yaml:3:1: team: "wrods" is not a team of the inventory; did you mean words?',), TEAMS),
    Case("unknown-team", main("monitoring: {team: wrods}"),
         ('web/kubernetes-prod.yaml:1:46: main.monitoring.team: "wrods" is not a team of the inventory; '
          "did you mean words?",), TEAMS),
    Case("unknown-team", smartstack("monitoring: {team: wrods}"),
         (f'{S}:40: main.monitoring.team: "wrods" is not a team of the inventory; did you mean words?',), TEAMS),
    Case("unknown-team", main("monitoring: {team: frontend}"), (), TEAMS),
)  # fmt: skip

MESH = (
    Case("namespace-name", {"web/smartstack.yaml": "ma.in: {proxy_port: 20001}\n"},
         (f"{S}:1: ma.in: is not a valid namespace name; use letters, digits, - and _",)),
    Case("namespace-name-length", {"web/smartstack.yaml": f"{'n' * 53}: {{proxy_port: 20001}}\n"},
         (f"{S}:1: {'n' * 53}: service and namespace name are longer than 55 characters together",)),
    Case("namespace-name-length", {"web/smartstack.yaml": f"{'n' * 52}: {{proxy_port: 20001}}\n"}),
    Case("discover-not-advertised", smartstack("advertise: [habitat]"),
         (f"{S}:27: main.advertise: discover is region, which is not in advertise (habitat)",)),
    Case("discover-not-advertised", smartstack("advertise: [habitat], discover: superregion"),
         (f"{S}:49: main.discover: discover is superregion, which is not in advertise (habitat)",)),
    Case("location-type", smartstack("advertise: [region, habitta]"),
         (f'{S}:47: main.advertise[1]: "habitta" is not a location type; did you mean habitat?',), LOCATIONS),
    Case("location-type", smartstack("advertise: [regoin], discover: regoin")),
    Case("location-type", {**smartstack("advertise: [regoin], discover: regoin"), "location_types.json": '["regoin"]'}),
    Case("location-type", smartstack("extra_advertise: {'planet:x': ['region:a']}"),
         (f'{S}:45: main.extra_advertise.planet:x: "planet" is not a location type; allowed: habitat, region',),
         LOCATIONS),
    Case("extra-advertise", smartstack("extra_advertise: {'region:a': [b]}"),
         (f'{S}:58: main.extra_advertise.region:a[0]: "b" is not of the form type:location; as in region:uswest1',)),
    Case("extra-advertise-upcast", smartstack("extra_advertise: {'region:a': ['habitat:b']}"),
         (f"{S}:58: main.extra_advertise.region:a[0]: habitat:b is smaller than a region, at which clients discover; "
          "name a region, or a larger location",), LOCATIONS),
    Case("extra-advertise-upcast", smartstack("extra_advertise: {'habitat:a': ['region:b']}"), (), LOCATIONS),
    Case("proxy-port-range", {"web/smartstack.yaml": "main: {proxy_port: 18999}\n"},
         (f"{S}:8: main.proxy_port: 18999 is not from 19000 to 21000; the inventory sets it: paasta_proxy_port_range",),
         {"paasta_proxy_port_range": [19000, 21000]}),
    Case("proxy-port-range", {"web/smartstack.yaml": "main: {proxy_port: null}\n"}, (),
         {"paasta_proxy_port_range": [19000, 21000]}),
    Case("duplicate-proxy-port", {"api/smartstack.yaml": "\nrpc: {proxy_port: 20001}\n"},
         ("web/smartstack.yaml:2:3: main.proxy_port: 20001 is already the proxy_port of api.rpc "
          "(api/smartstack.yaml:2); choose another port",)),
    Case("duplicate-proxy-port", {"web/smartstack.yaml": "a: {proxy_port: null}\nb: {proxy_port: null}\n"}),
    Case("unknown-proxy", smartstack("proxied_through: web.porxy", "proxy: {proxy_port: 20002, is_proxy: true}\n"),
         (f'{S}:27: main.proxied_through: "web.porxy" is in no smartstack.yaml; did you mean web.proxy?',)),
    Case("unknown-proxy", smartstack("proxied_through: web.proxy", "proxy: {proxy_port: 20002, is_proxy: true}\n")),
)  # fmt: skip

J = "web/tron-prod.yaml"
JOB = "{schedule: 'cron 0 4 * * *', deploy_group: prod.main, "


def job(actions: str, keys: str = "") -> dict[str, str | None]:
    """The Tron job web.nightly; its ``actions`` are indented by four in lines from 5 on."""
    text = f"nightly:\n  schedule: cron 0 4 * * *\n  deploy_group: prod.main\n{keys}  actions:\n{actions}"
    return {J: text}


ONE = "    extract: {command: x}\n"
TRON = (
    Case("job-name", {J: f"1st: {JOB}actions: {{a: {{command: x}}}}}}\n"},
         (f'{J}:1:1: 1st: "1st" is not a valid job name; use letters, digits, _ and -, at most 255, beginning with a '
          "letter",)),
    Case("duplicate-action", job("    - {name: a, command: x}\n    - {name: a, command: x}\n"),
         (f"{J}:6:7: nightly.actions[1]: action a is already defined; an action name is used once per job",)),
    Case("duplicate-action", job("    - {name: a, command: x}\n    - {name: b, command: x, requires: [a]}\n")),
    Case("tron-schedule",
         {J: "nightly: {schedule: cron 0 24 * * *, deploy_group: prod.main, actions: {a: {command: x}}}\n"},
         (f'{J}:1:11: nightly.schedule: "cron 0 24 * * *" has hour 24, which is not from 0 to 23; such as '
          '"cron 0 4 * * *", "daily 04:00:00 MWF" or "every mon,wed of month at 04:00"',)),
    Case("tron-time-zone", job(ONE, "  time_zone: Europe/Berln\n"),
         (f'{J}:4:3: nightly.time_zone: "Europe/Berln" is not in the time zone database; '
          "did you mean Europe/Berlin?",)),
    Case("tron-time-zone", job(ONE, "  time_zone: US/Pacific\n")),
    Case("tron-requires", job("    extract: {command: x}\n    load: {command: x, requires: [extrakt]}\n"),
         (f'{J}:6:35: nightly.actions.load.requires[0]: "extrakt" is not an action of job nightly; '
          "did you mean extract?",)),
    Case("tron-cycle", job("    a: {command: x, requires: [c]}\n    b: {command: x, requires: [a]}\n"
                           "    c: {command: x, requires: [b]}\n"),
         (f"{J}:5:21: nightly.actions.a.requires: actions require each other in a circle: a -> c -> b -> a; "
          "none of them could ever start",)),
    Case("tron-cycle", job("    a: {command: x, requires: [a]}\n"),
         (f"{J}:5:21: nightly.actions.a.requires: actions require each other in a circle: a -> a; "
          "none of them could ever start",)),
    Case("tron-cycle", job("    a: {command: x}\n    b: {command: x, requires: [a]}\n"
                           "    c: {command: x, requires: [a, b]}\n")),
    Case("tron-deploy-group", {J: "nightly: {schedule: daily 04:00, actions: {a: {command: x}}}\n"},
         (f"{J}:1:44: nightly.actions.a: nightly.a has no deploy_group, and no default one; "
          "allowed: prod.canary, prod.main",)),
    Case("tron-deploy-group", {J: "nightly: {schedule: daily 04:00, actions: {a: {command: x, executor: ssh}}}\n"}),
    Case("unknown-deploy-group", job("    a: {command: x, deploy_group: prod.mian}\n"),
         (f'{J}:5:21: nightly.actions.a.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
          "did you mean prod.main?",)),
    Case("deploy-group-placeholder", job("    a: {command: x, deploy_group: '{job}.x'}\n"),
         (f"{J}:5:21: nightly.actions.a.deploy_group: unknown placeholder {{job}}; "
          "allowed: {cluster}, {instance}, {service}",)),
    Case("deploy-group-placeholder", job("    a: {command: x, deploy_group: '{cluster}.main'}\n")),
    Case("unknown-secret", job("    a: {command: x, env: {T: SECRET(t)}}\n"),
         (f"{J}:5:27: nightly.actions.a.env.T: t is not among the secrets of web: there is no web/secrets/t.json; "
          "add it with playbooks/secret.yml",)),
    Case("unknown-secret", {**job("    a: {command: x, service: api, deploy_group: any, env: {T: SECRET(t)}}\n"),
                            "api/secrets/t.json": secret("prod"), "api/smartstack.yaml": "a: {proxy_port: 20009}\n"}),
    Case("secret-form", {J: job(ONE)[J] + "  cleanup_action: {command: x, env: {T: SECRET(a b)}}\n"},
         (f"{J}:6:38: nightly.cleanup_action.env.T: {FORM}",)),
    Case("duplicate-volume", job("    a: {command: x, extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO}, "
                                 "{containerPath: /a, hostPath: /c, mode: RO}]}\n"),
         (f"{J}:5:83: nightly.actions.a.extra_volumes[1].containerPath: /a is already mounted by extra_volumes[0]; "
          "mount one of the two somewhere else",)),
    Case("pool-limit", job("    a: {command: x, cpus: 9}\n"),
         (f"{J}:5:21: nightly.actions.a.cpus: cpus 9 is not below 4, the limit of pool default",),
         {"paasta_pool_limits": {"prod": {"default": {"max_cpus": 4}}}}),
    Case("tron-service", job("    a: {command: x, service: wbe}\n"),
         (f'{J}:5:21: nightly.actions.a.service: "wbe" is not a service of this tree; did you mean web?',)),
    Case("tron-service", {**job("    a: {command: x, service: api, deploy_group: any}\n"),
                          "api/smartstack.yaml": "a: {proxy_port: 20009}\n"}),
    Case("spark-resources", job("    a: {command: x, executor: spark, cpus: 1}\n"),
         (f"{J}:5:38: nightly.actions.a.cpus: cpus has no meaning for a Spark action; set it in spark_args",)),
    Case("unknown-trigger", job("    a: {command: x, triggered_by: [web.nightly.b.shortdate.1]}\n"),
         (f'{J}:5:36: nightly.actions.a.triggered_by[0]: "b" is not an action of web.nightly; allowed: a',)),
    Case("unknown-trigger", job("    a: {command: x, triggered_by: [wbe.nightly.b.x]}\n"),
         (f'{J}:5:36: nightly.actions.a.triggered_by[0]: "wbe" is not a service of this tree; did you mean web?',)),
    Case("unknown-trigger", job("    a: {command: x, triggered_by: [web.nightyl.b.x]}\n"),
         (f'{J}:5:36: nightly.actions.a.triggered_by[0]: "nightyl" is not a job of web in cluster prod; '
          "did you mean nightly?",)),
    Case("unknown-trigger", job("    a: {command: x, triggered_by: [x.y]}\n"),
         (f'{J}:5:36: nightly.actions.a.triggered_by[0]: "x.y" is not of the form service.job.action.trigger; '
          "as in web.nightly.extract.shortdate.{shortdate}",)),
    Case("unknown-trigger",
         job("    a: {command: x}\n    b: {command: x, triggered_by: ['web.nightly.a.d.{day}', MASTER.a.b.c]}\n")),
    Case("unknown-team", job(ONE, "  monitoring: {team: wrods}\n"),
         (f'{J}:4:16: nightly.monitoring.team: "wrods" is not a team of the inventory; did you mean words?',), TEAMS),
)  # fmt: skip

CUSTOM = (
    Case("unknown-deploy-group", {"web/flink-prod.yaml": "stream: {deploy_group: prod.mian}\n"},
         ('web/flink-prod.yaml:1:10: stream.deploy_group: "prod.mian" is not in the pipeline of web/deploy.yaml; '
          "did you mean prod.main?",)),
    Case("unknown-deploy-group", {"web/cassandracluster-prod.yaml": "ring: {replicas: 3, anything: {a: 1}}\n"}),
    Case("instance-name", {"web/kafkacluster-prod.yaml": "Logs: {replicas: 3}\n"},
         ('web/kafkacluster-prod.yaml:1:1: Logs: "Logs" is not a valid instance name; '
          "use a-z, 0-9 and inner - and _",)),
    Case("unknown-team", {"web/flink-prod.yaml": "stream: {jobs: {a: {monitoring: {team: wrods}}}}\n"},
         ('web/flink-prod.yaml:1:34: stream.jobs.a.monitoring.team: "wrods" is not a team of the inventory; '
          "did you mean words?",), TEAMS),
)  # fmt: skip

K = "web/kubernetes-prod.yaml"
FILES = (
    Case("invalid-yaml", {K: "main: {deploy_group: prod.main\n"},
         (f"{K}:2:1: is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}}'",)),
    Case("duplicate-key", {K: "main:\n  deploy_group: prod.main\n  cpus: 1\n  cpus: 2\n"},
         (f"{K}:4:3: main.cpus: duplicate key, first written in line 3; keep one of the two",)),
    Case("unknown-key", main("cpu: 1"), (f"{K}:1:33: main.cpu: unknown key (value 1); did you mean cpus?",)),
    Case("misplaced-key", {K: None, "web/adhoc-prod.yaml": "main: {deploy_group: prod.main, instances: 1}\n"},
         ("web/adhoc-prod.yaml:1:33: main.instances: is not a key of adhoc instances; it belongs to eks, kubernetes, "
          "marathon",)),
    Case("missing-key", {"web/deploy.yaml": "slack_notify: true\n"},
         ("web/deploy.yaml: pipeline is missing; it must be a list of mappings",)),
    Case("wrong-type", main("cpus: lots"), (f'{K}:1:33: main.cpus: "lots" is not a number greater than 0',)),
    Case("secret-file", {"web/secrets/token.json": '{"environments": {"prod": {}}}'},
         ("web/secrets/token.json:1:19: environments.prod: needs at least one of ciphertext, lookup",)),
    # That it is used is no other mistake, whether its cluster's environment is the broken one or not.
    Case("secret-file", {**main("env: {A: SECRET(token)}"), "web/secrets/token.json": "[]"},
         ("web/secrets/token.json:1:1: must be a mapping of keys to values",)),
    Case("secret-file",
         {**main("env: {A: SECRET(token)}"),
          "web/secrets/token.json": secret("prod").replace('{"prod"', '{"dev": {}, "prod"')},
         ("web/secrets/token.json:1:19: environments.dev: needs at least one of ciphertext, lookup",)),
    Case("deployments", {"web/deployments.json": "{"},
         ("web/deployments.json:1:2: is not valid JSON: Expecting property name enclosed in double quotes",)),
    Case("deployments", {"web/deployments.json": '{"v2": 3}'},
         ("web/deployments.json:1:2: v2: 3 is not a mapping",)),
    Case("unreadable-file", {"api/smartstack.yaml/x": ""}, ("api/smartstack.yaml: cannot be read: Is a directory",)),
    Case("unknown-service-key", {"web/service.yaml": f"{DESCRIBED}descripton: a\n"},
         ('web/service.yaml:3:1: descripton: unknown key (a string); did you mean description?',)),
    Case("unknown-service-key", {"web/service.yaml": f"{DESCRIBED}page: true\n"}),
    Case("odd-key", {"web/monitoring.yaml": "team: words\nrunbok: https://example.org\n"},
         ("web/monitoring.yaml:2:1: runbok: unknown key (a string); did you mean runbook?",)),
    Case("odd-key", main("extra_volumes: [{containerPath: /a, hostPath: /b, mode: RO, read_only: true}]"),
         (f"{K}:1:93: main.extra_volumes[0].read_only: unknown key (value true); "
          "allowed: containerPath, hostPath, mode",)),
    Case("retired-type", {"web/chronos-prod.yaml": "nightly: {}\n"},
         ("web/chronos-prod.yaml: Chronos is retired: nothing of this file runs; write the jobs as "
          "tron-<cluster>.yaml",)),
)  # fmt: skip

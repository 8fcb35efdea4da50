# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""THE table of settings: the inventory variables ``paasta_*``, what each may be, and what /etc/paasta called it.

Names are without the prefix ``paasta_``. ``settings`` reads them, the importer and the reference page are made of
them. A setting of an engine that is not there yet is listed under that engine: it is checked and handed on.
"""

from __future__ import annotations

from dataclasses import dataclass

from .keys_settings_shapes import (
    BINDINGS,
    BINDS,
    BLACKLIST,
    BOOL,
    BUDGET,
    CLUSTER,
    CONTROLS,
    COUNT,
    CUSTOM_RESOURCES,
    GIT_URL,
    LOGIN,
    MARATHON_SERVERS,
    NAME,
    OBJECT,
    OPEN,
    POOL_LIMITS,
    PORT,
    PORT_RANGE,
    POSITIVE,
    QUANTITY,
    RATIO,
    SIZE,
    SPREAD,
    STR,
    STRINGS,
    SUBDOMAIN,
    TOKEN_SETTINGS,
    TOLERATIONS,
    TRON,
    WHITELIST,
    ZOOKEEPER,
    choice,
    mapping,
    number,
)
from .shapes import Key, ListOf, Scalar, Struct

PREFIX = "paasta_"


@dataclass(frozen=True, slots=True)
class Setting(Key):
    """A row. ``required`` says that most playbooks need it: they say so themselves, a check of a tree needs none.

    ``paasta`` are the keys of /etc/paasta it comes from, dotted. ``machine`` settings belong to a host, not to the
    platform. ``secret`` ones are never part of a Settings object.
    """

    paasta: tuple[str, ...] = ()
    machine: bool = False
    secret: bool = False

    @property
    def variable(self) -> str:
        return PREFIX + self.name


PLATFORM = (
    Setting(
        "cluster", CLUSTER, "the platform's name: `<type>-<cluster>.yaml` belongs to it, and its containers are "
        "labelled with it", "", required=True, paasta=("cluster",),
    ),
    Setting("clusters", ListOf(CLUSTER), "all platforms of the soa-configs; when empty, file names are not checked "
            "against it", [], paasta=("clusters",)),
    Setting("soa_dir", STR, "the soa-configs directory, on the controller", "", required=True),
    Setting(
        "docker_registry", STR, "the registry as the hosts reach it, `host:port`; the first part of every image's name",
        "", required=True, paasta=("docker_registry",),
    ),
    Setting("engines", mapping(STR), "which engine runs which instance type, as in `{kubernetes: docker}`; a type that "
            "is not named is its own engine", {}),
    Setting("location_types", STRINGS, "kinds of location from the largest to the smallest, as in `[region, habitat]`; "
            "when empty, those of `location_types.json` in soa-configs", []),
    Setting("gateway_address", STR, "the host of the URLs in the table", "localhost"),
    Setting("node_containers", STR, "local platforms: the name of the machines, if it is not that of the platform"),
)  # fmt: skip

BUILDS = (
    Setting("service_sources", mapping(STR), "service → directory with its Makefile; needed by `build`", {}),
    Setting("registry_push", STR, "the registry as the machine that builds reaches it; by default the registry host's "
            "own, else `paasta_docker_registry`"),
    Setting("build_target", choice("cook-image", "itest"), "`itest` builds the image and runs the service's tests",
            "cook-image"),
    Setting("build_allow_dirty", BOOL, "build uncommitted work; its version is the name of the git tree of its content",
            False),
    Setting("build_force", BOOL, "build and push what is there already", False),
    Setting("build_concurrency", POSITIVE, "images at the same time", 2),
    Setting("build_timeout", POSITIVE, "for one image", 3600, "s"),
)  # fmt: skip

DEPLOYS = (
    Setting("deployments_record", choice("files", "soa_configs_git", "tags"), "where marks, stops and starts are kept: "
            "deployments.json files, commits to the soa-configs repository, or tags of the service's repository",
            "files"),
    Setting("git_url", GIT_URL, "repository of a service that has no git_url; `{service}` stands for its name",
            paasta=("git_config",)),
    Setting("git_timeout", number(above=0), "time that one git command may take", 60, "s"),
    Setting("git_concurrency", POSITIVE, "repositories that are listed or pushed to at the same time", 16),
    Setting("soa_configs_remote", STR, "for `soa_configs_git`: the remote to push to; by default that of the branch "
            "that is checked out, else origin"),
    Setting("soa_configs_branch", STR, "for `soa_configs_git`: the remote's branch; by default the upstream of the one "
            "that is checked out"),
    Setting("deploy_timeout", POSITIVE, "time that one deploy may take to reach the plan, once images are there", 600,
            "s"),
    Setting("lost_guard", RATIO, "the largest share of Docker hosts that may be down; beyond it a deploy is refused",
            0.5),
    Setting("lock_timeout", COUNT, "time to wait for another deploy to the same cluster", 300, "s"),
    Setting("first_controls", CONTROLS, "for `up` only: instances that are stopped before their first version runs, as "
            "the option `controls` of `paasta.platform.deployments`", []),
)  # fmt: skip

CONTAINERS = (
    Setting("volumes", BINDS, "host directories mounted into every container, `host:container:ro`", [],
            paasta=("volumes",)),
    Setting("mesh_address", STR, "where containers reach their host's proxy, given to them as `PAASTA_MESH_ADDRESS`; "
            "one of `envoy_mesh_addresses`", "169.254.255.254"),
    Setting("first_port", PORT, "first host port given to replicas", 31000),
    Setting("last_port", PORT, "last host port given to replicas", 31999),
    Setting("log_max_size", SIZE, "size at which a container's log is rotated", "10m"),
    Setting("log_max_file", POSITIVE, "rotated logs that are kept", 3),
    Setting("health_check_program", STR, "a static busybox on the hosts, for http and tcp health checks; role `docker` "
            "installs it", "/bin/busybox"),
)  # fmt: skip

PLACEMENT = (
    Setting("allowed_pools", mapping(STRINGS), "cluster → pools that instances may name; a cluster that is not listed "
            "allows any", {}, paasta=("allowed_pools",)),
    Setting("pool_limits", POOL_LIMITS, "cluster → pool → `max_cpus` that an instance must stay below, and the "
            "`recommended_pool` for larger ones", {}, paasta=("pool_limits",)),
    Setting("auto_config_instance_types_enabled", mapping(BOOL), "instance type → whether `autotuned_defaults/` of it "
            "are read; when empty, those of all types are", {}, paasta=("auto_config_instance_types_enabled",)),
    Setting("auto_config_instance_type_aliases", mapping(STR), "instance type → the type whose `autotuned_defaults/` "
            "it reads, as in `{eks: kubernetes}`", {}, paasta=("auto_config_instance_type_aliases",)),
)  # fmt: skip

SECRETS = (
    Setting("secret_environments", mapping(STR), "cluster → environment whose ciphertexts its secrets have; a cluster "
            "that is not listed is its own", {}, paasta=("vault_cluster_map",)),
    Setting("vault_url", STR, "HashiCorp Vault that decrypts PaaSTA's secrets"),
    Setting("vault_mount", STR, "path of its transit engine", "transit"),
    Setting("vault_namespace", STR, "Vault Enterprise namespace"),
    Setting("vault_ca", STR, "file with the certificate authority of its certificate, on the controller"),
    Setting("vault_token", STR, "token for it; keep it in Ansible Vault", secret=True),
    Setting("vault_token_file", STR, "file with the token, on the controller"),
    Setting("vault_login", LOGIN, "how to get a token, as in `{path: approle/login, data: {...}}`; keep it in Ansible "
            "Vault", secret=True),
    Setting(
        "secret_lookup",
        Struct((Key("name", STR, "lookup plugin", required=True), Key("options", OPEN, "its options", {}),
                Key("term", STR, "its term; {term}, {service} and {environment} are filled in", "{term}"))),
        "Ansible lookup that gives the secrets whose entry has a term instead of ciphertext",
    ),
)  # fmt: skip

VALIDATION = (
    Setting("proxy_port_range", PORT_RANGE, "first and last proxy_port that smartstack.yaml may name", [1024, 65535]),
    Setting("monitoring_teams", STRINGS, "teams that monitoring.yaml may name (those of Sensu's team_data.json); when "
            "empty, any", []),
    Setting("skip_unique_instance_name_validation", STRINGS, "services that may use an instance name twice in a "
            "cluster", [], paasta=("skip_unique_instance_name_validation",)),
    Setting("skip_cpu_override_validation", STRINGS, "services that may set cpus of autoscaled instances without a "
            "comment", [], paasta=("skip_cpu_override_validation",)),
    Setting("skip_cpu_burst_validation", STRINGS, "services that may set a large cpu_burst_add without a comment", [],
            paasta=("skip_cpu_burst_validation",)),
)  # fmt: skip

PIPELINES = (
    Setting("enable_automated_redeploys_default", BOOL, "default of enable_automated_redeploys in deploy.yaml", False,
            paasta=("enable_automated_redeploys_default",)),
    Setting("should_ping_for_unhealthy_pods", BOOL, "mention authors when replicas of their deploy are unhealthy", True,
            paasta=("mark_for_deployment_should_ping_for_unhealthy_pods",)),
    Setting("enable_alertmanager_rollback", BOOL, "roll back on alerts unless deploy.yaml says otherwise", False,
            paasta=("enable_alertmanager_rollback",)),
    Setting("alertmanager_url", STR, "Alertmanager that is asked for these alerts", paasta=("alertmanager_url",)),
    Setting("alertmanager_poll_interval_s", number(minimum=30), "time between looks at alerts", 30, "s",
            paasta=("alertmanager_poll_interval_s",)),
    Setting("enable_crashloop_auto_rollback", BOOL, "roll back on crash loops unless deploy.yaml says otherwise", False,
            paasta=("enable_crashloop_auto_rollback",)),
    Setting("min_restarts_for_crashloop_rollback", COUNT, "restarts that make a crash loop", 2,
            paasta=("min_restarts_for_crashloop_rollback",)),
    Setting("crashloop_rollback_percentage_threshold", RATIO, "share of replicas that must be in a crash loop", 1.0,
            paasta=("crashloop_rollback_percentage_threshold",)),
)  # fmt: skip

ENGINES = (
    Setting("deploy_blacklist", BLACKLIST, "locations where nothing runs, `[[type, value], ...]`", [],
            paasta=("deploy_blacklist",)),
    Setting("deploy_whitelist", WHITELIST, "the only locations where anything runs, `[type, [values]]`; the blacklist "
            "wins", paasta=("deploy_whitelist",)),
    Setting("enforce_disk_quota", BOOL, "limit a container's file system to its `disk`; Kubernetes always does", False,
            paasta=("enforce_disk_quota",)),
    Setting("uses_bulkdata_default", BOOL, "default of the instance key uses_bulkdata", False,
            paasta=("uses_bulkdata_default",)),
)  # fmt: skip

KUBERNETES_ACCESS = (
    Setting("kubeconfig", STR, "kubeconfig file, on the controller; by default as kubectl and kubernetes.core find it"),
    Setting("kube_context", STR, "context of it; by default its current one"),
    Setting("kubernetes_concurrency", POSITIVE, "requests at the same time", 16),
    Setting("kubernetes_rate_limit", number(minimum=0), "changes in a second; 0: as fast as the API server takes them",
            0, "per second"),
    Setting("kubernetes_lock_namespace", NAME, "namespace of the Lease that lets one deploy at a time change a "
            "cluster", "paasta"),
    Setting("kubernetes_rollback", BOOL, "when a version does not become healthy, run the one before again; the "
            "deploy fails all the same", False),
)  # fmt: skip

KUBERNETES = (
    Setting("kubernetes_label_prefix", SUBDOMAIN, "prefix of labels and annotations; PaaSTA's own tools find objects "
            "by the default", "paasta.yelp.com"),
    Setting("kubernetes_node_label_prefix", SUBDOMAIN, "prefix of the node labels of pools and locations, as in "
            "`yelp.com/pool`, and of PaaSTA's older labels", "yelp.com"),
    Setting("kubernetes_pod_security", choice("restricted", "paasta"), "security context of containers: `restricted` "
            "is that of the Pod Security Standards as far as `cap_add` and `privileged` let it; `paasta` drops the "
            "capabilities that PaaSTA drops, and nothing else", "restricted"),
    Setting("kubernetes_namespace_limits", mapping(QUANTITY), "what a container that says nothing gets in a namespace "
            "of ours, by its LimitRange; `{}` for no LimitRange",
            {"cpu": 1, "memory": "1024Mi", "ephemeral-storage": "1Gi"}),
    Setting("kubernetes_namespace_role_bindings", BINDINGS, "RoleBindings to ClusterRoles in every namespace of ours; "
            "PaaSTA's is `[{name: paasta-api-server-per-namespace, cluster_role: paasta-api-server-per-namespace, "
            "subjects: [{kind: User, name: yelp.com/paasta-api-server}]}]`", []),
    Setting("kubernetes_service_objects", BOOL, "give every instance a Service with a cluster IP; a StatefulSet has a "
            "headless one anyway", False),
    Setting("kubernetes_pool_tolerations", TOLERATIONS, "pool → tolerations of its pods, as in `{gpu: [{key: "
            "nvidia.com/gpu, operator: Exists}]}`", {}),
    Setting("kubernetes_adapter_config", OBJECT, "the ConfigMap of the Prometheus adapter, as in `{namespace: "
            "custom-metrics, name: adapter-config}`; its rules are written into it. When not set, they are not"),
    Setting("use_raw_ksm_queries", BOOL, "these rules use the metrics of kube-state-metrics; false: the recording "
            "rules `k8s:deployment:pods_status_ready` of Prometheus", True, paasta=("use_raw_ksm_queries",)),
    Setting("pdb_max_unavailable", BUDGET, "replicas of an instance that may be down for the drain of a node, a number "
            "or a share as in `10%`; PaaSTA's 0 blocks every drain", 1, paasta=("pdb_max_unavailable",)),
    Setting("unhealthy_pod_eviction_policy", choice("IfHealthyBudget", "AlwaysAllow"), "default of the instance key",
            "IfHealthyBudget", paasta=("unhealthy_pod_eviction_policy",)),
    Setting("default_bounce_overprovision_factor", number(above=0), "default of the instance key "
            "bounce_overprovision_factor", 1.0, paasta=("default_bounce_overprovision_factor",)),
    Setting("pod_defaults", OPEN, "merged into every pod spec", {}, paasta=("pod_defaults",)),
    Setting("sidecar_requirements_config", mapping(OPEN), "sidecar → its requests and limits", {},
            paasta=("sidecar_requirements_config",)),
    Setting("topology_spread_constraints", SPREAD, "how pods of every instance spread", [],
            paasta=("topology_spread_constraints",)),
    Setting("pool_node_affinities", mapping(mapping(STRINGS)), "pool → node label → values that its nodes must have",
            {}, paasta=("pool_node_affinities",)),
    Setting("supported_storage_classes", STRINGS, "storage classes that persistent_volumes may name", [],
            paasta=("supported_storage_classes",)),
    Setting("service_auth_token_settings", TOKEN_SETTINGS, "service account token of authenticating services", {},
            paasta=("service_auth_token_settings",)),
    Setting("always_authenticating_services", STRINGS, "services that get such a token whatever authorization.yaml "
            "says", [], paasta=("always_authenticating_services",)),
    Setting("enable_cost_owner_label", BOOL, "label pods with cost_owner", False, paasta=("enable_cost_owner_label",)),
    Setting("kubernetes_add_registration_labels", BOOL, "label pods with their registrations", False,
            paasta=("kubernetes_add_registration_labels",)),
    Setting("private_docker_registries", STRINGS, "registries for which pods need credentials: the Secret "
            "`paasta-registry-<registry>` of the namespace, which you put there", [],
            paasta=("private_docker_registries",)),
    Setting("use_hacheck_sidecar", BOOL, "give pods in the mesh a hacheck sidecar", True,
            paasta=("kubernetes_use_hacheck_sidecar",)),
    Setting("hacheck_sidecar_image_url", STR, "image of that sidecar", paasta=("hacheck_sidecar_image_url",)),
    Setting("hacheck_sidecar_volumes", BINDS, "host directories mounted into it, `host:container:ro`", [],
            paasta=("hacheck_sidecar_volumes",)),
    Setting("hacheck_match_initial_delay", BOOL, "its probes wait as long as those of the service", False,
            paasta=("hacheck_match_initial_delay",)),
    Setting("enable_nerve_readiness_check", BOOL, "a pod is ready when HAProxy sees it", True,
            paasta=("enable_nerve_readiness_check",)),
    Setting("enable_envoy_readiness_check", BOOL, "a pod is ready when Envoy sees it", False,
            paasta=("enable_envoy_readiness_check",)),
    Setting("nerve_readiness_check_script", STRINGS, "command of the check for HAProxy", ["/check_smartstack_up.sh"],
            paasta=("nerve_readiness_check_script",)),
    Setting("envoy_readiness_check_script", STRINGS, "command of the check for Envoy",
            ["/check_proxy_up.sh", "--enable-envoy", "--envoy-check-mode", "eds-dir"],
            paasta=("envoy_readiness_check_script",)),
    Setting("envoy_nerve_readiness_check_script", STRINGS, "command of the check for both",
            ["/check_proxy_up.sh", "--enable-smartstack", "--enable-envoy"],
            paasta=("envoy_nerve_readiness_check_script",)),
    Setting("readiness_check_prefix_template", STRINGS, "put before these commands",
            ["flock", "-n", "/readiness_check_lock", "timeout", "120"], paasta=("readiness_check_prefix_template",)),
)  # fmt: skip

CUSTOM = (
    Setting("custom_resource_types", CUSTOM_RESOURCES, "instance type → the custom resource that it is; its files are "
            "`<type>-<cluster>.yaml`", {},
            paasta=("kubernetes_custom_resources",)),
    Setting("custom_resource_owners", mapping(STR), "custom instance type → the owner in its label", {},
            paasta=("cr_owners",)),
)  # fmt: skip

MESH = (
    Setting("zookeeper", ZOOKEEPER, "ensemble that nerve and synapse use, if it is not the hosts of group zookeeper",
            paasta=("zookeeper",)),
    Setting("service_discovery_providers", mapping(OPEN), "smartstack and envoy → their options", {},
            paasta=("service_discovery_providers",)),
    Setting("synapse_host", STR, "where HAProxy's statistics are, seen from its host", "localhost",
            paasta=("synapse_host",)),
    Setting("synapse_port", PORT, "port of HAProxy's statistics", 3212, paasta=("synapse_port",)),
    Setting("synapse_haproxy_url_format", STR, "URL of HAProxy's statistics",
            "http://{host:s}:{port:d}/;csv;norefresh", paasta=("synapse_haproxy_url_format",)),
    Setting("register_k8s_pods", BOOL, "nerve registers the pods of its host", False, paasta=("register_k8s_pods",)),
    Setting("nerve_register_k8s_terminating", BOOL, "also those that are stopping", True,
            paasta=("nerve_register_k8s_terminating",)),
    Setting("register_marathon_services", BOOL, "nerve registers the Marathon tasks of its host", True,
            paasta=("register_marathon_services",)),
)  # fmt: skip

MESOS = (
    Setting("marathon_servers", MARATHON_SERVERS, "Marathon: one entry for each shard", [],
            paasta=("marathon_servers",)),
    Setting("marathon_passwords", STRINGS, "passwords of paasta_marathon_servers, in their order; keep them in Ansible "
            "Vault", secret=True),
    Setting("mesos_attributes", ListOf(mapping(STR)), "combinations of attributes that agents have", [],
            paasta=("expected_slave_attributes",)),
    Setting("auto_hostname_unique_size", Scalar(("integer",), minimum=-1), "instances up to this size run each replica "
            "on a host of its own; -1 for none", -1, paasta=("auto_hostname_unique_size",)),
    Setting("dockercfg_location", STR, "registry credentials that Marathon fetches", "file:///root/.dockercfg",
            paasta=("dockercfg_location",)),
)  # fmt: skip

TRON_GROUP = (
    Setting("tron", TRON, "the Tron master of this platform", {}, paasta=("tron",)),
    Setting("tron_k8s_cluster_overrides", mapping(STR), "Tron cluster → the cluster that runs its actions", {},
            paasta=("tron_k8s_cluster_overrides",)),
    Setting("tron_default_pool_override", STR, "pool of actions that name none", "default",
            paasta=("tron_default_pool_override",)),
    Setting("enable_tron_tsc", BOOL, "spread actions over zones", True, paasta=("enable_tron_tsc",)),
    Setting("remote_run_duration_limit", number(above=0), "the longest that a remote-run may take", unit="s",
            paasta=("remote_run_duration_limit",)),
)  # fmt: skip

MONITORING = (
    Setting("sensu_host", STR, "Sensu client that takes events", "localhost", paasta=("sensu_host",)),
    Setting("sensu_port", PORT, "its port", 3030, paasta=("sensu_port",)),
    Setting("slack_token", STR, "token of the Slack app that tells about deploys; keep it in Ansible Vault",
            paasta=("slack.token",), secret=True),
    Setting("dashboard_links", mapping(mapping(STR)), "cluster → name → URL, shown by status", {},
            paasta=("dashboard_links",)),
)  # fmt: skip

MACHINE = (
    Setting("host_url", STR, "how the modules that see all machines at once reach this one", required=True,
            machine=True),
    Setting("address", STR, "the IP address (not a name) at which other hosts reach this one's replicas", required=True,
            machine=True),
    Setting("pool", STR, "instances run on hosts of their own `pool` only", "default", machine=True),
    Setting("node_count", number(minimum=0), "set by the inventory of node containers: how many nodes there are",
            machine=True),
    Setting("node_kind", STR, "set by the inventory of node containers: a `node`, or the `gateway`", machine=True),
    Setting("node_number", number(minimum=0), "set by the inventory of node containers: 1 for `node1`, 0 for the "
            "gateway", machine=True),
    Setting("node_state", STR, "set by the inventory of node containers: whether the machine runs", machine=True),
)  # fmt: skip

_LATER = "Checked already; they take effect with"

# Section of the reference page → what stands below its heading, and its rows.
GROUPS: dict[str, tuple[str, tuple[Setting, ...]]] = {
    "Platform": ("", PLATFORM),
    "Builds": ("", BUILDS),
    "Deploys": ("", DEPLOYS),
    "Containers": ("", CONTAINERS),
    "Placement and resources": ("", PLACEMENT),
    "Secrets": ("", SECRETS),
    "Validation": ("", VALIDATION),
    "Pipelines": (f"{_LATER} pipelines.", PIPELINES),
    "Kubernetes and Marathon": (
        "For the engine `kubernetes`; with the engine `marathon` they take effect later.",
        ENGINES,
    ),
    "Kubernetes access": ("Where the engine `kubernetes` deploys to, and how.", KUBERNETES_ACCESS),
    "Kubernetes objects": ("What the engine `kubernetes` makes of instances.", KUBERNETES),
    "Custom resources": ("Their files are read and checked; nothing runs them yet.", CUSTOM),
    "SmartStack": (f"{_LATER} SmartStack.", MESH),
    "Marathon and Mesos": (f"{_LATER} the engine `marathon`.", MESOS),
    "Tron and remote runs": (f"{_LATER} the engine `tron`.", TRON_GROUP),
    "Monitoring": (f"{_LATER} monitoring.", MONITORING),
    "Machines": ("Set these for a host or its group.", MACHINE),
}

SETTINGS: dict[str, Setting] = {row.name: row for _text, rows in GROUPS.values() for row in rows}

# Variables that playbooks register or set for each other: neither settings nor mistakes.
PLAYBOOK_VARIABLES = frozenset(
    {
        "paasta_plan",
        "paasta_instances",
        "paasta_built",
        "paasta_imported",
        "paasta_record",
        "paasta_settings",
        "paasta_kubernetes_instances",
    }
)

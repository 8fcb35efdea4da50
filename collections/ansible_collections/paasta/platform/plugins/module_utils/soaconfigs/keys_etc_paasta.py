# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of PaaSTA's /etc/paasta that are no settings here, and why. The others are in ``keys_settings``."""

from __future__ import annotations

_INVENTORY = "the inventory you give to ansible-playbook says it"
_NO_API = "there is no API server: playbooks and AWX take its place"
_AWX = "who may deploy is decided by AWX, or by who may run the playbook"
_LOGS = "logs are where the engine puts them (docker logs, kubectl logs); ship them with the log driver"
_SPARK = "Spark jobs are not run by this platform"
_NO_DAEMON = "nothing runs in the background: a deploy is one run of a playbook"
_WATCHES = "a deploy watches what happens instead of polling"
_MACHINES = "the number of machines is not changed by this platform"
_CREDENTIALS = "database credentials are secrets like any other (secret_volumes, SECRET())"

# A name, or a pattern with *, of a top-level key → why it is not taken over.
DROPPED: dict[str, str] = {
    "kube_clusters": "AWS accounts and regions of clusters; paasta_secret_environments has their environments",
    "cluster_aliases": _INVENTORY,
    "eks_cluster_aliases": _INVENTORY,
    "api_endpoints": _NO_API,
    "api_client_timeout": _NO_API,
    "api_profiling_config": _NO_API,
    "api_auth_sso_oidc_client_id": _NO_API,
    "service_auth_sso_oidc_client_id": _NO_API,
    "service_auth_vault_role": _NO_API,
    "enable_client_cert_auth": _NO_API,
    "pki_backend": _NO_API,
    "auth_certificate_ttl": _NO_API,
    "cluster_fqdn_format": "hosts are in the inventory",
    "readonly_docker_registry_auth_file": "`docker login` on the controller gives the credentials",
    "fsm_template": "a new service starts as a copy of an example",
    "metrics_provider": _NO_DAEMON,
    "deployd_*": _NO_DAEMON,
    "disabled_watchers": _NO_DAEMON,
    "monitoring_config": "the monitoring roles have variables of their own",
    "mesos_config": "the Mesos masters are an inventory group",
    "paasta_native": "the native Mesos scheduler is retired",
    "register_native_services": "the native Mesos scheduler is retired",
    "taskproc": "its task processors are retired",
    "resource_pool_settings": _MACHINES,
    "cluster_autoscaling_resources": _MACHINES,
    "cluster_autoscaler_max_*": _MACHINES,
    "cluster_boost_enabled": _MACHINES,
    "boost_regions": _MACHINES,
    "local_run_config": _INVENTORY,
    "envoy_admin_domain_name": "envoy_admin_address of role envoy",
    "envoy_admin_endpoint_format": "envoy_admin_address and envoy_admin_port of role envoy",
    "vault_environment": "paasta_secret_environments gives the environment of each cluster",
    "secret_provider": "secrets come from soa-configs, Vault (paasta_vault_url) or a lookup (paasta_secret_lookup)",
    "secret_sync_delay_seconds": _NO_DAEMON,
    "datastore_credentials_vault_env_overrides": _CREDENTIALS,
    "security_check_command": "a step of your pipeline",
    "mark_for_deployment_max_polling_threads": _WATCHES,
    "mark_for_deployment_default_*": _WATCHES,
    "default_push_groups": _AWX,
    "ldap_*": _AWX,
    "log_writer": _LOGS,
    "log_reader": _LOGS,
    "log_readers": _LOGS,
    "spark_*": _SPARK,
    "default_spark_*": _SPARK,
    "paasta_status_version": "there is one status",
    "previous_marathon_servers": "only for a move between shards: finish it before you import",
    "maintenance_resource_reservation_enabled": "a host is drained through Mesos maintenance",
}

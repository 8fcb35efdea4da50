# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The system configuration: inventory variables ``paasta_*`` as one typed, immutable object.

``keys_settings`` has the rows: names, shapes, defaults and meaning. Here they are read: values that came as text (from
``-e``, AWX surveys, INI inventories) become what they should be, as an argument spec does it, and all that is wrong is
said at once. ``Settings()`` is a platform that sets nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError, nearest
from .frozen import freeze
from .keys_settings import PLAYBOOK_VARIABLES, PREFIX, SETTINGS, Setting
from .model import KeyPath, Volume
from .shapes import UNSET, ListOf, MapOf, OneOf, Scalar, Shape, Struct
from .yamldoc import dotted

VARIABLES: dict[str, Setting] = {row.variable: row for row in SETTINGS.values()}

_TRUE = frozenset({"yes", "on", "1", "true", "t", "y"})  # as ansible.module_utils.parsing.convert_bool
_FALSE = frozenset({"no", "off", "0", "false", "f", "n"})
_BIND_LISTS = ("volumes", "hacheck_sidecar_volumes")


class InvalidSettings(Exception):
    """Every variable that is wrong, in one exception. ``errors`` have no file: Ansible does not tell the origin."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(sorted(set(errors), key=lambda e: (e.key, e.message)))
        super().__init__(self.errors)

    def __str__(self) -> str:
        count = len(self.errors)
        return "\n".join([f"{count} error{'' if count == 1 else 's'} in the inventory:", *map(str, self.errors)])


def _default(name: str) -> Any:
    """The table's default of a field, None where the table has none."""
    value = SETTINGS[name].default
    return None if value is UNSET else freeze(value)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the inventory says of a platform; field names are the variables' without ``paasta_``.

    Units and meaning are in ``keys_settings`` and docs/settings-reference.md. Secret settings and those of machines
    are not here.
    """

    cluster: str = _default("cluster")
    clusters: tuple[str, ...] = _default("clusters")
    soa_dir: str = _default("soa_dir")
    docker_registry: str = _default("docker_registry")
    engines: Mapping[str, str] = _default("engines")
    location_types: tuple[str, ...] = _default("location_types")
    gateway_address: str = _default("gateway_address")
    node_containers: str | None = _default("node_containers")

    service_sources: Mapping[str, str] = _default("service_sources")
    registry_push: str | None = _default("registry_push")
    build_target: str = _default("build_target")
    build_allow_dirty: bool = _default("build_allow_dirty")
    build_force: bool = _default("build_force")
    build_concurrency: int = _default("build_concurrency")
    build_timeout: int = _default("build_timeout")

    deployments_record: str = _default("deployments_record")  # files, soa_configs_git or tags
    git_url: str | None = _default("git_url")
    git_timeout: float = _default("git_timeout")
    git_concurrency: int = _default("git_concurrency")
    soa_configs_remote: str | None = _default("soa_configs_remote")
    soa_configs_branch: str | None = _default("soa_configs_branch")
    deploy_timeout: int = _default("deploy_timeout")
    lost_guard: float = _default("lost_guard")
    lock_timeout: int = _default("lock_timeout")
    first_controls: tuple[Mapping[str, Any], ...] = _default("first_controls")

    volumes: tuple[Volume, ...] = _default("volumes")
    mesh_address: str = _default("mesh_address")
    first_port: int = _default("first_port")
    last_port: int = _default("last_port")
    log_max_size: str = _default("log_max_size")
    log_max_file: int = _default("log_max_file")
    health_check_program: str = _default("health_check_program")

    allowed_pools: Mapping[str, tuple[str, ...]] = _default("allowed_pools")
    pool_limits: Mapping[str, Mapping[str, Mapping[str, Any]]] = _default("pool_limits")
    auto_config_instance_types_enabled: Mapping[str, bool] = _default("auto_config_instance_types_enabled")
    auto_config_instance_type_aliases: Mapping[str, str] = _default("auto_config_instance_type_aliases")

    secret_environments: Mapping[str, str] = _default("secret_environments")
    vault_url: str | None = _default("vault_url")
    vault_mount: str = _default("vault_mount")
    vault_namespace: str | None = _default("vault_namespace")
    vault_ca: str | None = _default("vault_ca")
    vault_token_file: str | None = _default("vault_token_file")
    secret_lookup: Mapping[str, Any] | None = _default("secret_lookup")

    proxy_port_range: tuple[int, int] = _default("proxy_port_range")
    monitoring_teams: tuple[str, ...] = _default("monitoring_teams")
    skip_unique_instance_name_validation: tuple[str, ...] = _default("skip_unique_instance_name_validation")
    skip_cpu_override_validation: tuple[str, ...] = _default("skip_cpu_override_validation")
    skip_cpu_burst_validation: tuple[str, ...] = _default("skip_cpu_burst_validation")

    enable_automated_redeploys_default: bool = _default("enable_automated_redeploys_default")
    should_ping_for_unhealthy_pods: bool = _default("should_ping_for_unhealthy_pods")
    enable_alertmanager_rollback: bool = _default("enable_alertmanager_rollback")
    alertmanager_url: str | None = _default("alertmanager_url")
    alertmanager_poll_interval_s: float = _default("alertmanager_poll_interval_s")
    enable_crashloop_auto_rollback: bool = _default("enable_crashloop_auto_rollback")
    min_restarts_for_crashloop_rollback: int = _default("min_restarts_for_crashloop_rollback")
    crashloop_rollback_percentage_threshold: float = _default("crashloop_rollback_percentage_threshold")

    deploy_blacklist: tuple[tuple[str, str], ...] = _default("deploy_blacklist")
    deploy_whitelist: tuple[str, tuple[str, ...]] | None = _default("deploy_whitelist")
    enforce_disk_quota: bool = _default("enforce_disk_quota")
    uses_bulkdata_default: bool = _default("uses_bulkdata_default")

    kubeconfig: str | None = _default("kubeconfig")
    kube_context: str | None = _default("kube_context")
    kubernetes_concurrency: int = _default("kubernetes_concurrency")
    kubernetes_rate_limit: float = _default("kubernetes_rate_limit")
    kubernetes_lock_namespace: str = _default("kubernetes_lock_namespace")
    kubernetes_rollback: bool = _default("kubernetes_rollback")

    kubernetes_label_prefix: str = _default("kubernetes_label_prefix")
    kubernetes_node_label_prefix: str = _default("kubernetes_node_label_prefix")
    kubernetes_pod_security: str = _default("kubernetes_pod_security")  # restricted or paasta
    kubernetes_namespace_limits: Mapping[str, str | float] = _default("kubernetes_namespace_limits")
    kubernetes_namespace_role_bindings: tuple[Mapping[str, Any], ...] = _default("kubernetes_namespace_role_bindings")
    kubernetes_service_objects: bool = _default("kubernetes_service_objects")
    kubernetes_pool_tolerations: Mapping[str, tuple[Mapping[str, Any], ...]] = _default("kubernetes_pool_tolerations")
    kubernetes_adapter_config: Mapping[str, str] | None = _default("kubernetes_adapter_config")
    use_raw_ksm_queries: bool = _default("use_raw_ksm_queries")
    pdb_max_unavailable: int | str = _default("pdb_max_unavailable")
    unhealthy_pod_eviction_policy: str = _default("unhealthy_pod_eviction_policy")
    default_bounce_overprovision_factor: float = _default("default_bounce_overprovision_factor")
    pod_defaults: Mapping[str, Any] = _default("pod_defaults")
    sidecar_requirements_config: Mapping[str, Any] = _default("sidecar_requirements_config")
    topology_spread_constraints: tuple[Mapping[str, Any], ...] = _default("topology_spread_constraints")
    pool_node_affinities: Mapping[str, Mapping[str, tuple[str, ...]]] = _default("pool_node_affinities")
    supported_storage_classes: tuple[str, ...] = _default("supported_storage_classes")
    service_auth_token_settings: Mapping[str, Any] = _default("service_auth_token_settings")
    always_authenticating_services: tuple[str, ...] = _default("always_authenticating_services")
    enable_cost_owner_label: bool = _default("enable_cost_owner_label")
    kubernetes_add_registration_labels: bool = _default("kubernetes_add_registration_labels")
    private_docker_registries: tuple[str, ...] = _default("private_docker_registries")
    use_hacheck_sidecar: bool = _default("use_hacheck_sidecar")
    hacheck_sidecar_image_url: str | None = _default("hacheck_sidecar_image_url")
    hacheck_sidecar_volumes: tuple[Volume, ...] = _default("hacheck_sidecar_volumes")
    hacheck_match_initial_delay: bool = _default("hacheck_match_initial_delay")
    enable_nerve_readiness_check: bool = _default("enable_nerve_readiness_check")
    enable_envoy_readiness_check: bool = _default("enable_envoy_readiness_check")
    nerve_readiness_check_script: tuple[str, ...] = _default("nerve_readiness_check_script")
    envoy_readiness_check_script: tuple[str, ...] = _default("envoy_readiness_check_script")
    envoy_nerve_readiness_check_script: tuple[str, ...] = _default("envoy_nerve_readiness_check_script")
    readiness_check_prefix_template: tuple[str, ...] = _default("readiness_check_prefix_template")

    custom_resource_types: Mapping[str, Mapping[str, Any]] = _default("custom_resource_types")
    custom_resource_owners: Mapping[str, str] = _default("custom_resource_owners")

    zookeeper: str | None = _default("zookeeper")
    service_discovery_providers: Mapping[str, Any] = _default("service_discovery_providers")
    synapse_host: str = _default("synapse_host")
    synapse_port: int = _default("synapse_port")
    synapse_haproxy_url_format: str = _default("synapse_haproxy_url_format")
    register_k8s_pods: bool = _default("register_k8s_pods")
    nerve_register_k8s_terminating: bool = _default("nerve_register_k8s_terminating")
    register_marathon_services: bool = _default("register_marathon_services")

    marathon_servers: tuple[Mapping[str, Any], ...] = _default("marathon_servers")
    mesos_attributes: tuple[Mapping[str, str], ...] = _default("mesos_attributes")
    auto_hostname_unique_size: int = _default("auto_hostname_unique_size")
    dockercfg_location: str = _default("dockercfg_location")

    tron: Mapping[str, str] = _default("tron")
    tron_k8s_cluster_overrides: Mapping[str, str] = _default("tron_k8s_cluster_overrides")
    tron_default_pool_override: str = _default("tron_default_pool_override")
    enable_tron_tsc: bool = _default("enable_tron_tsc")
    remote_run_duration_limit: float | None = _default("remote_run_duration_limit")

    sensu_host: str = _default("sensu_host")
    sensu_port: int = _default("sensu_port")
    dashboard_links: Mapping[str, Mapping[str, str]] = _default("dashboard_links")


def parse(variables: Mapping[str, Any]) -> Settings:
    """The settings of a platform.

    :param variables: inventory variables by full name, templated; what the lookup ``settings`` returns. None means
        not set. Secrets and settings of machines are checked and left out.
    :raises InvalidSettings: for everything in it that is wrong, unknown names included.
    """
    values = {VARIABLES[name].name: value for name, value in checked(variables).items()}
    for name in _BIND_LISTS:
        if name in values:
            values[name] = [volume(item) for item in values[name]]
    return Settings(**{name: freeze(value) for name, value in values.items() if is_field(SETTINGS[name])})


def checked(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The same variables as plain values of the right type, without those that are None; raises InvalidSettings."""
    errors: list[ConfigError] = []
    values: dict[str, Any] = {}
    for variable, raw in variables.items():
        row = VARIABLES.get(variable)
        if row is None:
            errors.append(_unknown(variable))
        elif raw is not None:
            value = coerce(raw, row.shape)
            found = problems(row, value)
            errors += found
            if not found:
                values[variable] = value
    errors += _contradictions(values)
    if errors:
        raise InvalidSettings(errors)
    return values


def problems(row: Setting, value: Any, *, hide: bool = False) -> list[ConfigError]:
    """What is wrong with a value of a setting. With ``hide``, and always of secrets, the messages do not hold it."""
    found: list[ConfigError] = []

    def report(path: KeyPath, message: str, hint: str) -> None:
        if hide or row.secret:
            message, hint = _without_value(shape_at(row.shape, path)), ""
        found.append(ConfigError("", 0, 0, dotted((row.variable, *path)), message, hint))

    row.shape.check(value, (), report)
    if not found:
        for path, message in _beyond_shape(row.name, value):
            found.append(ConfigError("", 0, 0, dotted((row.variable, *path)), message))
    return found


def _beyond_shape(name: str, value: Any) -> Iterator[tuple[KeyPath, str]]:
    """What a shape cannot say: lists of exactly two. No message holds a text of the value."""
    if name == "deploy_blacklist":
        for index, pair in enumerate(value):
            if len(pair) != 2:
                yield (index,), "is not a pair of type and value, as in [region, uswest1]"
    elif name == "deploy_whitelist" and [type(part) for part in value] != [str, list]:
        yield (), "is not a type and a list of values, as in [region, [uswest1]]"
    elif name == "proxy_port_range" and (len(value) != 2 or value[0] > value[1]):
        yield (), f"{json.dumps(value)} is not a first and a last port"


def _without_value(shape: Shape | None) -> str:
    if shape is None:
        return "is not a key that is known"
    if isinstance(shape, Struct):
        required = ", ".join(key.name for key in shape.keys if key.required)
        return f"is not {shape.describe()} that has {required}" if required else f"is not {shape.describe()}"
    return f"is not {shape.describe()}"


def unknown(variables: Iterable[str]) -> list[str]:
    """One line for each ``paasta_*`` name that no setting has. They are no errors in an inventory, whose other
    variables may have any name.
    """
    return [
        str(_unknown(name))
        for name in sorted(variables)
        if name.startswith(PREFIX) and name not in VARIABLES and name not in PLAYBOOK_VARIABLES
    ]


def _unknown(variable: str) -> ConfigError:
    match = nearest(str(variable).removeprefix(PREFIX), SETTINGS)
    hint = f"did you mean {PREFIX}{match}?" if match else "docs/settings-reference.md has them all"
    return ConfigError("", 0, 0, str(variable), "is not a setting", hint)


def is_field(row: Setting) -> bool:
    """Whether a setting is a field of Settings."""
    return not row.secret and not row.machine


def volume(item: Any) -> Volume:
    """A bind mount, from Docker's notation or PaaSTA's mapping."""
    if isinstance(item, Mapping):
        return Volume(item["containerPath"], item["hostPath"], item["mode"])
    host, container, mode = (*item.split(":"), "rw")[:3]
    return Volume(container, host, mode.upper())


def bind(volume: Volume) -> str:
    """``host:container:ro``"""
    return f"{volume.host_path}:{volume.container_path}:{volume.mode.lower()}"


def _contradictions(values: Mapping[str, Any]) -> list[ConfigError]:
    """Settings that are good each by itself, but not together."""
    first = values.get("paasta_first_port", SETTINGS["first_port"].default)
    last = values.get("paasta_last_port", SETTINGS["last_port"].default)
    if first <= last:
        return []
    return [ConfigError("", 0, 0, "paasta_first_port", f"{first} is above paasta_last_port {last}")]


def coerce(value: Any, shape: Shape | None) -> Any:
    """The value as plain types, text turned into what the shape wants where it can be; else as it is.

    Only a whole setting may be a list or a mapping in one text.
    """
    if isinstance(value, str):
        return _coerce_text(str(value), shape)
    return _items(value, shape)


def _items(value: Any, shape: Shape | None) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _items(item, inside(shape, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_items(item, inside(shape, 0)) for item in value]
    if isinstance(value, str):
        return _coerce_scalar(str(value), shape)
    return value


def shape_at(shape: Shape, path: KeyPath) -> Any:
    """The shape of a part of a value; None where nothing is known of it."""
    found: Any = shape
    for key in path:
        found = inside(found, key)
    return found


def inside(shape: Shape | None, key: Any) -> Any:
    """The shape of an item of a collection; None where nothing is known of it."""
    if isinstance(shape, OneOf):
        return next((found for one in shape.shapes if (found := inside(one, key)) is not None), None)
    if isinstance(shape, Struct):
        row = shape.by_name.get(key)
        return row.shape if row else None
    if isinstance(shape, MapOf):
        return shape.value
    return shape.item if isinstance(shape, ListOf) else None


def _coerce_text(text: str, shape: Shape | None) -> Any:
    if not isinstance(shape, (MapOf, Struct, ListOf)):
        return _coerce_scalar(text, shape)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = [part.strip() for part in text.split(",") if part.strip()] if isinstance(shape, ListOf) else text
    return text if isinstance(parsed, str) else _items(parsed, shape)


def _coerce_scalar(text: str, shape: Shape | None) -> Any:
    if isinstance(shape, OneOf):
        return next((value for one in shape.shapes if _fits(value := _coerce_scalar(text, one), one)), text)
    return _scalar(text, shape.types) if isinstance(shape, Scalar) and "string" not in shape.types else text


def _fits(value: Any, shape: Shape) -> bool:
    found: list[str] = []
    shape.check(value, (), lambda path, message, hint: found.append(message))
    return not found


def _scalar(text: str, types: tuple[str, ...]) -> Any:
    if "boolean" in types:
        lowered = text.strip().lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else text
    for name, convert in (("integer", int), ("number", int), ("number", float)):
        if name in types:
            try:
                return convert(text)
            except ValueError:
                continue
    return text

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""From checked mappings to the typed model: PaaSTA's derived values, and the table's defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from . import keys
from .deployments import Control
from .frozen import FrozenDict, freeze
from .keys_common import READ_ONLY
from .merge import Layer, Provenance
from .model import Bounce, HealthCheck, Instance, Namespace, SecretUse, Version, Volume
from .shapes import Struct

_HACHECK_DELAY = 60  # seconds; PaaSTA: long_running_service_tools.get_drain_method_params


def _defaults(struct: Struct) -> dict[str, Any]:
    """Every key of a struct with the table's default, None without one."""
    return {key.name: keys.default(struct, key.name) for key in struct.keys}


_NAMESPACE = _defaults(keys.NAMESPACE)
# An adhoc instance has no long-running keys, but the model has: they get what a long-running one would have, and none
# of it runs until somebody asks.
_INSTANCE = {
    kind: {
        **_defaults(keys.INSTANCE["kubernetes"]),
        **_defaults(struct),
        **({"instances": 0} if kind == "adhoc" else {}),
    }
    for kind, struct in keys.INSTANCE.items()
}


# Values that many instances have alike are one object, in memory and in the cache. 1 and 1.0 are told apart.
_volume = lru_cache(maxsize=4096, typed=True)(Volume)
_bounce = lru_cache(maxsize=4096, typed=True)(Bounce)
_health_check = lru_cache(maxsize=4096, typed=True)(HealthCheck)
_NO_ENV: FrozenDict = FrozenDict()
# The keys that the table gives a default, by instance type.
_DEFAULTED = {kind: keys.defaults(struct) for kind, struct in keys.INSTANCE.items()}


def namespace(service: str, name: str, config: Mapping[str, Any]) -> Namespace:
    """A namespace from its checked mapping (reference: smartstack defaults)."""
    full = {**_NAMESPACE, **config}
    get = full.__getitem__
    written = freeze(config)

    def frozen(key: str) -> FrozenDict:
        return written[key] if key in written else FrozenDict(_NAMESPACE[key])

    mode = get("mode") or ("http" if config.get("proxy_port") is not None else None)
    client, server = config.get("timeout_client_ms"), config.get("timeout_server_ms")
    # PaaSTA: if only one of the two is set, the other gets the same value.
    default_client, default_server = get("timeout_client_ms"), get("timeout_server_ms")
    return Namespace(
        service=service,
        name=name,
        proxy_port=config.get("proxy_port"),
        mode=mode,
        healthcheck_mode=get("healthcheck_mode") or mode,
        healthcheck_uri=get("healthcheck_uri"),
        healthcheck_port=get("healthcheck_port"),
        healthcheck_timeout_s=get("healthcheck_timeout_s"),
        healthcheck_body_expect=get("healthcheck_body_expect"),
        extra_healthcheck_headers=frozen("extra_healthcheck_headers"),
        timeout_connect_ms=get("timeout_connect_ms"),
        timeout_client_ms=server if client is None and server is not None else default_client,
        timeout_server_ms=client if server is None and client is not None else default_server,
        idle_timeout=get("idle_timeout"),
        endpoint_timeouts=frozen("endpoint_timeouts"),
        retries=get("retries"),
        allredisp=get("allredisp"),
        balance=get("balance"),
        lb_policy=get("lb_policy"),
        choice_count=get("choice_count"),
        extra_headers=frozen("extra_headers"),
        allow_websocket_upgrade=get("allow_websocket_upgrade"),
        keepalive=get("keepalive"),
        advertise=tuple(get("advertise")),
        discover=get("discover"),
        proxied_through=get("proxied_through"),
        keys=written,
    )


def instance(
    service: str,
    name: str,
    cluster: str,
    instance_type: str,
    *,
    config: Mapping[str, Any],
    layers: Sequence[Layer],
    deploy_group: str,
    version: Version | None,
    control: Control,
    registrations: tuple[str, ...],
    mesh: Namespace | None,
    team: str | None,
    secrets: tuple[SecretUse, ...],
    docker_registry: str | None,
) -> Instance:
    """An instance from its merged, checked mapping and the layers that it was merged from.

    ``mesh`` is the first registration's namespace, if there is one.
    """
    full = {**_INSTANCE[instance_type], **config}
    get = full.__getitem__
    in_mesh = mesh is not None and mesh.proxy_port is not None
    drain_method = get("drain_method") or ("hacheck" if in_mesh else "noop")
    delay = (get("drain_method_params") or {}).get("delay")
    if delay is None:
        delay = _HACHECK_DELAY if drain_method == "hacheck" else 0
    cmd = get("cmd")
    frozen = freeze(config)
    return Instance(
        service=service,
        name=name,
        cluster=cluster,
        instance_type=instance_type,
        deploy_group=deploy_group,
        version=version,
        docker_registry=docker_registry,
        desired_state=control.desired_state,
        force_bounce=control.force_bounce,
        instances=get("instances"),
        cpus=get("cpus"),
        cpu_burst_add=get("cpu_burst_add"),
        cfs_period_us=get("cfs_period_us"),
        mem=get("mem"),
        disk=get("disk"),
        env=frozen.get("env", _NO_ENV),
        cmd=tuple(cmd) if isinstance(cmd, list) else cmd,
        args=tuple(get("args")),
        cap_add=tuple(get("cap_add")),
        privileged=get("privileged"),
        extra_volumes=tuple(
            _volume(item["containerPath"], item["hostPath"], item.get("mode", READ_ONLY))
            for item in get("extra_volumes") or ()
        ),
        net=get("net"),
        pool=get("pool"),
        container_port=get("container_port"),
        registrations=registrations,
        healthcheck=_healthcheck(get, mesh if in_mesh else None),
        bounce=_bounce(get("bounce_method"), get("bounce_margin_factor")),
        drain_method=drain_method,
        drain_delay=delay,
        weight=get("weight"),
        team=team,
        secrets=secrets,
        keys=frozen,
        sources=Provenance(frozen, layers, _DEFAULTED[instance_type]),
    )


def _healthcheck(get: Any, mesh: Namespace | None) -> HealthCheck | None:
    """The instance's own mode, else its namespace's when it is in the mesh, else none at all."""
    mode = get("healthcheck_mode") or (mesh.healthcheck_mode if mesh else None)
    if mode is None:
        return None
    # PaaSTA refuses http2 here; whether the port accepts connections can be told without speaking HTTP/2.
    mode = "tcp" if mode == "http2" else mode
    uri = get("healthcheck_uri") or (mesh.healthcheck_uri if mesh else _NAMESPACE["healthcheck_uri"])
    return _health_check(
        mode,
        uri,
        get("healthcheck_cmd") if mode == "cmd" else None,
        get("healthcheck_grace_period_seconds"),
        get("healthcheck_interval_seconds"),
        get("healthcheck_timeout_seconds"),
        get("healthcheck_max_consecutive_failures"),
    )

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh engine: smartstack namespaces in, Envoy's own resources (xDS v3) out.

Pure. A host's Envoy reads listeners and clusters from two files and the endpoints of each namespace from a file of
its own (:mod:`~.endpoint_files`), so a change of endpoints touches one small file and needs no restart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Namespace

from .endpoint_files import cluster_name

#: What Envoy may try again on another backend: only failures before the backend can have seen the request.
RETRY_ON = "connect-failure,refused-stream,reset-before-request"

#: Keys of smartstack.yaml that change how requests travel elsewhere and that are not carried out here yet.
NOT_CARRIED_OUT = frozenset({
    "allredisp", "balance", "chaos", "choice_count", "clb_proxy", "extra_advertise", "fixed_delay",
    "healthcheck_body_expect", "healthcheck_port", "is_proxy", "keepalive", "plugins", "proxied_through",
    "vip_upgrade",
})  # fmt: skip

_TYPE = "type.googleapis.com/envoy."
_LISTENER = _TYPE + "config.listener.v3.Listener"
_CLUSTER = _TYPE + "config.cluster.v3.Cluster"
_HTTP = _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPE + "extensions.filters.http.router.v3.Router"
_TCP = _TYPE + "extensions.filters.network.tcp_proxy.v3.TcpProxy"
_UPSTREAM_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PREVIOUS_HOSTS = _TYPE + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"

JsonObject = dict[str, Any]


def warnings(namespace: Namespace) -> list[str]:
    """What the namespace sets and this mesh does not carry out, one sentence each."""
    return [
        f"{namespace.id}: the mesh does not carry out {key} ({namespace.service}/smartstack.yaml)"
        for key in sorted(NOT_CARRIED_OUT & set(namespace.keys))
    ]


def namespace_json(namespace: Namespace) -> JsonObject:
    """What a plan says of a namespace: everything that :func:`listeners` and :func:`clusters` need, JSON-ready."""
    return {
        "proxy_port": namespace.proxy_port,
        "mode": namespace.mode or "http",
        "healthcheck_mode": namespace.healthcheck_mode or namespace.mode or "http",
        "healthcheck_uri": namespace.healthcheck_uri,
        "healthcheck_timeout_s": namespace.healthcheck_timeout_s,
        "extra_healthcheck_headers": dict(namespace.extra_healthcheck_headers),
        "timeout_connect_ms": namespace.timeout_connect_ms,
        "timeout_server_ms": namespace.timeout_server_ms,
        "idle_timeout": namespace.idle_timeout,
        "endpoint_timeouts": dict(namespace.endpoint_timeouts),
        "retries": namespace.retries,
        "lb_policy": namespace.lb_policy,
        "extra_headers": dict(namespace.extra_headers),
        "allow_websocket_upgrade": namespace.allow_websocket_upgrade,
    }


def listeners(namespaces: Mapping[str, JsonObject], addresses: Sequence[str]) -> list[JsonObject]:
    """The listeners of every namespace with a ``proxy_port``, on every one of the host's ``addresses``.

    Envoy resets connections that wait to be accepted when it moves a listener to other addresses. So those of the host
    itself, and those at which others reach it, have a listener each where there are both: a host that begins to serve
    others cuts nobody off.
    """
    own = [address for address in addresses if _is_own(address)]
    others = [address for address in addresses if not _is_own(address)]
    groups = [(suffix, found) for suffix, found in (("", own), (".others", others)) if found]
    if len(groups) == 1:
        groups = [("", groups[0][1])]
    return [
        _listener(name, namespace, suffix, found)
        for name, namespace in sorted(namespaces.items())
        if namespace["proxy_port"] is not None
        for suffix, found in groups
    ]


def _is_own(address: str) -> bool:
    """Whether only the host and its containers reach the address."""
    found = ipaddress.ip_address(address)
    return found.is_loopback or found.is_link_local


def clusters(namespaces: Mapping[str, JsonObject], endpoint_directory: str) -> list[JsonObject]:
    """One cluster per namespace, its endpoints read from a file in ``endpoint_directory``."""
    return [_cluster(name, namespace, endpoint_directory) for name, namespace in sorted(namespaces.items())]


def _socket(address: str, port: int) -> JsonObject:
    return {"socket_address": {"address": address, "port_value": port}}


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"


def _listener(name: str, namespace: JsonObject, suffix: str, addresses: Sequence[str]) -> JsonObject:
    first, *others = addresses
    port = namespace["proxy_port"]
    proxy = _http_proxy(name, namespace) if namespace["mode"] in ("http", "http2") else _tcp_proxy(name, namespace)
    return {
        "@type": _LISTENER,
        "name": f"{name}.listener{suffix}",
        "address": _socket(first, port),
        "additional_addresses": [{"address": _socket(address, port)} for address in others],
        "filter_chains": [{"filters": [proxy]}],
    }


def _tcp_proxy(name: str, namespace: JsonObject) -> JsonObject:
    config = {
        "@type": _TCP,
        "stat_prefix": name,
        "cluster": cluster_name(name),
        "idle_timeout": _seconds(namespace["idle_timeout"]),
        "max_connect_attempts": namespace["retries"] + 1,
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _http_proxy(name: str, namespace: JsonObject) -> JsonObject:
    config = {
        "@type": _HTTP,
        "stat_prefix": name,
        "route_config": {
            "name": name,
            # Listeners and clusters come from different files: either may be read first.
            "validate_clusters": False,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": _routes(name, namespace)}],
            "request_headers_to_add": [
                {"header": {"key": key, "value": value}} for key, value in sorted(namespace["extra_headers"].items())
            ],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
        "upgrade_configs": [{"upgrade_type": "websocket"}] if namespace["allow_websocket_upgrade"] else [],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _routes(name: str, namespace: JsonObject) -> list[JsonObject]:
    """The paths with a time-out of their own, the longest first, then everything else."""
    special = sorted(namespace["endpoint_timeouts"].items(), key=lambda item: (-len(item[0]), item[0]))
    return [_route(name, namespace, path, milliseconds) for path, milliseconds in special if path != "/"] + [
        _route(name, namespace, "/", namespace["endpoint_timeouts"].get("/", namespace["timeout_server_ms"]))
    ]


def _route(name: str, namespace: JsonObject, path: str, timeout_ms: int) -> JsonObject:
    # A key that starts with the regex anchor is a regular expression (PaaSTA: endpoint_timeouts).
    match = {"safe_regex": {"regex": path}} if path.startswith("^") else {"prefix": path}
    return {
        "match": match,
        "route": {
            "cluster": cluster_name(name),
            "timeout": _seconds(timeout_ms / 1000),
            "idle_timeout": _seconds(namespace["idle_timeout"]),
            "retry_policy": {
                "retry_on": RETRY_ON,
                "num_retries": namespace["retries"],
                "host_selection_retry_max_attempts": 3,
                "retry_host_predicate": [
                    {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": _PREVIOUS_HOSTS}}
                ],
            },
        },
    }


def _cluster(name: str, namespace: JsonObject, endpoint_directory: str) -> JsonObject:
    cluster: JsonObject = {
        "@type": _CLUSTER,
        "name": cluster_name(name),
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": f"{endpoint_directory}/{name}.json"},
            }
        },
        "connect_timeout": _seconds(namespace["timeout_connect_ms"] / 1000),
        "lb_policy": namespace["lb_policy"],
        # No panic: HAProxy answers 503 when every backend is down, and a backend that fails its check gets nothing.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        # An endpoint that leaves the file leaves at once, however healthy it still answers.
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check(name, namespace)],
    }
    if namespace["mode"] == "http2":
        explicit: JsonObject = {"explicit_http_config": {"http2_protocol_options": {}}}
        options = {"@type": f"type.googleapis.com/{_UPSTREAM_HTTP}", **explicit}
        cluster["typed_extension_protocol_options"] = {_UPSTREAM_HTTP: options}
    return cluster


def _health_check(name: str, namespace: JsonObject) -> JsonObject:
    """Nerve's check: every ``timeout + 1`` seconds (PaaSTA: ``configure_nerve``), down after two failures."""
    interval = _seconds(namespace["healthcheck_timeout_s"] + 1)
    check: JsonObject = {
        "timeout": _seconds(namespace["healthcheck_timeout_s"]),
        "interval": interval,
        "no_traffic_interval": interval,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }
    if namespace["healthcheck_mode"] in ("http", "http2"):
        check["http_health_check"] = {
            "host": name,
            "path": namespace["healthcheck_uri"],
            "codec_client_type": "HTTP2" if namespace["healthcheck_mode"] == "http2" else "HTTP1",
            "expected_statuses": [{"start": 200, "end": 400}],
            "request_headers_to_add": [
                {"header": {"key": key, "value": value}}
                for key, value in sorted(namespace["extra_healthcheck_headers"].items())
            ],
        }
    else:
        check["tcp_health_check"] = {}
    return check

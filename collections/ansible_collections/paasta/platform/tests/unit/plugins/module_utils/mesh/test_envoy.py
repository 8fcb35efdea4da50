# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh engine. That Envoy itself takes what it renders is shown by the Molecule scenario, with the real Envoy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh import envoy

NAMESPACE: dict[str, Any] = {
    "proxy_port": 20001,
    "mode": "http",
    "healthcheck_mode": "http",
    "healthcheck_uri": "/status",
    "healthcheck_timeout_s": 1,
    "extra_healthcheck_headers": {},
    "timeout_connect_ms": 200,
    "timeout_server_ms": 1000,
    "idle_timeout": 60,
    "endpoint_timeouts": {},
    "retries": 1,
    "lb_policy": "ROUND_ROBIN",
    "extra_headers": {},
    "allow_websocket_upgrade": False,
}


def listener(**keys: Any) -> dict[str, Any]:
    return envoy.listeners({"web.main": NAMESPACE | keys}, ["127.0.0.1", "169.254.255.254"])[0]


def proxy(**keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = listener(**keys)["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def cluster(**keys: Any) -> dict[str, Any]:
    return envoy.clusters({"web.main": NAMESPACE | keys}, "/eds")[0]


def test_a_listener_is_bound_to_every_address_of_the_host() -> None:
    found = listener()
    assert found["name"] == "web.main.listener"
    assert found["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 20001}
    assert [other["address"]["socket_address"]["address"] for other in found["additional_addresses"]] == [
        "169.254.255.254"
    ]


def test_addresses_that_others_reach_have_a_listener_of_their_own_beside_those_of_the_host() -> None:
    def bound(*addresses: str) -> dict[str, list[str]]:
        return {
            found["name"]: [
                one["address"]["socket_address"]["address"]
                for one in ({"address": found["address"]}, *found["additional_addresses"])
            ]
            for found in envoy.listeners({"web.main": NAMESPACE}, addresses)
        }

    own = {"web.main.listener": ["127.0.0.1", "169.254.255.254"]}
    assert bound("127.0.0.1", "169.254.255.254") == own
    assert bound("127.0.0.1", "10.0.0.1", "169.254.255.254") == {**own, "web.main.listener.others": ["10.0.0.1"]}
    assert bound("10.0.0.1") == {"web.main.listener": ["10.0.0.1"]}


def test_a_namespace_without_proxy_port_has_a_cluster_and_no_listener() -> None:
    namespaces = {"web.main": NAMESPACE | {"proxy_port": None}}
    assert envoy.listeners(namespaces, ["127.0.0.1"]) == []
    assert [found["name"] for found in envoy.clusters(namespaces, "/eds")] == ["web.main.egress_cluster"]


def test_endpoint_time_outs_are_tried_before_the_rest_and_the_longest_first() -> None:
    timeouts = {"/a": 10, "/a/b": 20, "^/c.*": 30}
    routes = proxy(endpoint_timeouts=timeouts)["route_config"]["virtual_hosts"][0]["routes"]
    assert [(route["match"], route["route"]["timeout"]) for route in routes] == [
        ({"safe_regex": {"regex": "^/c.*"}}, "0.03s"),
        ({"prefix": "/a/b"}, "0.02s"),
        ({"prefix": "/a"}, "0.01s"),
        ({"prefix": "/"}, "1s"),
    ]


def test_only_what_no_backend_can_have_seen_is_tried_again() -> None:
    policy = proxy()["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["retry_policy"]
    assert policy["num_retries"] == 1
    assert policy["retry_on"] == "connect-failure,refused-stream,reset-before-request"


@pytest.mark.parametrize(
    ("mode", "type_"), [("http", "HttpConnectionManager"), ("http2", "HttpConnectionManager"), ("tcp", "TcpProxy")]
)
def test_modes(mode: str, type_: str) -> None:
    assert proxy(mode=mode)["@type"].endswith(type_)
    assert ("typed_extension_protocol_options" in cluster(mode=mode)) == (mode == "http2")


def test_health_checks_are_nerve_s() -> None:
    check = cluster(healthcheck_timeout_s=2)["health_checks"][0]
    assert (check["timeout"], check["interval"]) == ("2s", "3s")
    assert check["http_health_check"]["path"] == "/status"
    assert "tcp_health_check" in cluster(healthcheck_mode="tcp")["health_checks"][0]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Each kind of value in the table, with what it says of a bad one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import UNSET, Struct
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import dotted

KUBERNETES = keys.INSTANCE["kubernetes"]


def problems(struct: Struct, value: Any) -> list[str]:
    found: list[str] = []
    struct.check(value, (), lambda path, message, hint: found.append(f"{dotted(path)}: {message}; {hint}"))
    return found


@pytest.mark.parametrize(
    ("name", "good", "bad", "message"),
    [
        ("cpus", [0.1, 2], 0, "0 is not a number greater than 0; "),
        ("cpus", [1], True, "true is not a number greater than 0; "),
        ("cpus", [1], float("inf"), "Infinity is not a number greater than 0; "),
        ("mem", [32, 64.5], 31, "31 is not a number of at least 32; "),
        ("cfs_period_us", [1000], 999, "999 is not an integer from 1000 to 1000000; "),
        ("instances", [0, 3], 1.0, "1.0 is not an integer of at least 0; "),
        ("privileged", [True], "yes", '"yes" is not true or false; '),
        ("pool", ["default"], 3, "3 is not a string; put it in quotes"),
        ("cmd", ["x", ["x", "y"]], 3, "3 is not a string or a list of strings; "),
        ("cap_add", [[], ["KILL"]], "KILL", '"KILL" is not a list of strings; '),
        ("bounce_method", ["crossover", "upthendown"], "crosover",
         '"crosover" is not one of crossover, brutal, downthenup, upthendown; did you mean crossover?'),
        ("cost_owner", ["a-b"], "A", '"A" is not at most 63 of a-z, 0-9 and inner -; '),
        ("drain_method_params", [{"delay": 1, "x": 2}, {}], 3, "3 is not a mapping; "),
        ("net", ["host"], None, "null is not a string; "),
    ],
)  # fmt: skip
def test_values(name: str, good: list[Any], bad: Any, message: str) -> None:
    for value in good:
        assert problems(KUBERNETES, {name: value}) == []
    assert problems(KUBERNETES, {name: bad}) == [f"{name}: {message}"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"env": {"A": 1}}, "env.A: 1 is not a string; environment values are strings, put it in quotes"),
        (
            {"env": {"A-B": "x"}},
            'env.A-B: "A-B" is not a valid environment variable name '
            "(letters, digits and _, not starting with a digit); ",
        ),
        ({"extra_volumes": [{"containerPath": "/a", "hostPath": "/b", "mode": "rw"}]},
         'extra_volumes[0].mode: "rw" is not one of RO, RW; did you mean RW?'),
        ({"extra_volumes": [{"containerPath": "/a", "mode": "RO"}]},
         "extra_volumes[0]: hostPath is missing; it must be a string"),
        ({"cpu": 0.5}, "cpu: unknown key (value 0.5); did you mean cpus?"),
        ({"memory": 64}, "memory: unknown key (value 64); did you mean mem?"),
        ({"docker_url": "x"}, "docker_url: is not a key of kubernetes instances; it belongs to adhoc; "),
        ({"crypto_keys": {"encrpt": ["x"]}}, "crypto_keys.encrpt: unknown key (value a list); did you mean encrypt?"),
        ({"autoscaling": {"metrics_providers": [{"type": "cpus"}]}},
         'autoscaling.metrics_providers[0].type: "cpus" is not one of cpu, memory, uwsgi, uwsgi-v2, gunicorn, piscina, '
         "active-requests, arbitrary-promql, worker-load; did you mean cpu?"),
    ],
)  # fmt: skip
def test_messages(value: dict[str, Any], expected: str) -> None:
    assert problems(KUBERNETES, value) == [expected]


@pytest.mark.parametrize("port", [1024, 19000, 65535, None])
def test_proxy_ports(port: int | None) -> None:
    assert problems(keys.NAMESPACE, {"proxy_port": port}) == []


@pytest.mark.parametrize("port", [80, -1, 65536, "20001"])
def test_bad_proxy_ports(port: Any) -> None:
    assert "is not a port from 1024 to 65535 or null" in problems(keys.NAMESPACE, {"proxy_port": port})[0]


def test_proxy_port_is_required() -> None:
    assert problems(keys.NAMESPACE, {}) == [": proxy_port is missing; it must be a port from 1024 to 65535 or null"]


@pytest.mark.parametrize(
    "struct", [*keys.INSTANCE.values(), keys.NAMESPACE, keys.MONITORING, keys.DEPLOY, keys.STEP, keys.SERVICE]
)
def test_the_table_is_consistent(struct: Struct) -> None:
    names = [key.name for key in struct.keys]
    assert len(names) == len(set(names))
    assert all(key.doc for key in struct.keys)
    for key in struct.keys:
        if key.default is not UNSET:
            assert problems(Struct((key,)), {key.name: key.default}) == []

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.replicas import (
    classify,
    config_changes,
    drifted,
    parse_time,
    read,
    secret_changes,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.factories import (
    CONTAINER,
    NOW,
    inspect,
    replica,
)

PROBE = [{"Output": "first\n"}, {"Output": "wget: server returned error: HTTP/1.1 500\n"}]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, ("healthy", "")),
        ({"StartedAt": "2026-01-01T11:59:59Z"}, ("starting", "has not run for 3 s yet")),
        ({"Health": {"Status": "healthy"}}, ("healthy", "")),
        ({"Health": {"Status": "starting"}}, ("starting", "health check has not passed yet")),
        (
            {"Health": {"Status": "starting", "FailingStreak": 2, "Log": PROBE}},
            ("starting", "health check has not passed yet (2 failures: wget: server returned error: HTTP/1.1 500)"),
        ),
        (
            {"Health": {"Status": "unhealthy", "Log": PROBE}},
            ("unhealthy", "health check fails: wget: server returned error: HTTP/1.1 500"),
        ),
        ({"Status": "restarting", "ExitCode": 1, "RestartCount": 1}, ("starting", "restarting, last exit status 1")),
        (
            {"Status": "restarting", "ExitCode": 1, "RestartCount": 3},
            ("failed", "restarted 3 times, last exit status 1"),
        ),
        # Restarted in the past and running well ever since: not a crash loop.
        ({"RestartCount": 7}, ("healthy", "")),
        ({"RestartCount": 7, "Health": {"Status": "healthy"}}, ("healthy", "")),
        (
            {"RestartCount": 7, "Health": {"Status": "starting"}, "ExitCode": 3},
            ("failed", "restarted 7 times, last exit status 3"),
        ),
        ({"Status": "exited", "ExitCode": 137, "Running": False}, ("failed", "exited with status 137")),
        ({"Status": "created", "Running": False}, ("stopped", "was created and never started")),
        ({"Status": "created", "Error": "no such file", "Running": False}, ("stopped", "no such file")),
        ({"Status": "paused"}, ("unhealthy", "is paused")),
    ],
)
def test_states(state: dict[str, Any], expected: tuple[str, str]) -> None:
    assert classify(inspect(**state), NOW) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T15:42:59.388375198Z", datetime(2026, 11, 22, 15, 42, 59, 388375, UTC)),
        ("2026-11-22T15:42:59Z", datetime(2026, 11, 22, 15, 42, 59, 0, UTC)),
        ("2026-11-22T15:42:59.5Z", datetime(2026, 11, 22, 15, 42, 59, 500000, UTC)),
        ("2026-11-22T16:42:59.5+01:00", datetime(2026, 11, 22, 15, 42, 59, 500000, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_docker_times(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


def test_a_container_is_read_with_its_port_and_version() -> None:
    found = replica("web.main.0", "node2")
    assert (found.instance_id, found.host, found.port) == ("web.main", "node2", 31000)
    assert found.version == ("a" * 40, "", "config11111111")


def test_limits_changed_by_hand_are_drift() -> None:
    running = inspect()
    assert drifted(CONTAINER, running) == {}
    running["HostConfig"]["Memory"] = 1
    assert drifted(CONTAINER, running) == {"Memory": (1, 64 * 1024 * 1024)}


def test_the_reason_of_a_bounce_names_each_key() -> None:
    plan = CONTAINER | {"Env": ["FOO=new", "PAASTA_GIT_SHA=bbbbbbbb", "ADDED=1"], "Cmd": ["sleep", "1"]}
    assert config_changes(plan, inspect()) == {
        "env.FOO": ("bar", "new"),
        "env.ADDED": (None, "1"),
        "args": (["python3"], ["sleep", "1"]),
    }


@pytest.mark.parametrize("written", [["NET_RAW"], ["CAP_NET_RAW"]])
def test_capabilities_are_the_same_however_the_engine_writes_them(written: list[str]) -> None:
    running = inspect()
    running["HostConfig"]["CapDrop"] = written
    plan = CONTAINER | {"HostConfig": CONTAINER["HostConfig"] | {"CapDrop": ["NET_RAW"]}}
    assert config_changes(plan, running) == {}


def test_what_the_plan_leaves_to_the_image_is_no_change() -> None:
    assert config_changes(CONTAINER, inspect()) == {}


DIGEST = "0123456789ab" + "0" * 52


def with_secrets(*environment: str, **state: Any) -> dict[str, Any]:
    """A container with a secret in TOKEN and one in a file."""
    running = inspect(**state)
    described = {"env.TOKEN": "SECRET(token) 0123456789ab", "/s/tls": "SHARED_SECRET(tls) 0400 0123456789ab"}
    running["Config"]["Labels"]["paasta_secrets"] = json.dumps(described)
    running["Config"]["Env"] += environment
    return running


def secret(service: str = "web", name: str = "token", digest: str = DIGEST, **more: str) -> dict[str, str]:
    return {"service": service, "name": name, "digest": digest, **more}


TLS = secret("_shared", "tls", directory="/s", path="tls", mode="0400")


def test_secrets_are_compared_by_name_and_digest() -> None:
    running = with_secrets("TOKEN=hunter2")
    assert secret_changes({"env": {"TOKEN": secret()}, "files": [TLS]}, "web", running) == {}
    rotated = {"env": {"TOKEN": secret(digest="f" * 64)}, "files": [TLS | {"mode": "0444"}]}
    assert secret_changes(rotated, "web", running) == {
        "env.TOKEN": ("SECRET(token) 0123456789ab", "SECRET(token) ffffffffffff"),
        "/s/tls": ("SHARED_SECRET(tls) 0400 0123456789ab", "SHARED_SECRET(tls) 0444 0123456789ab"),
    }
    assert secret_changes({"env": {}, "files": []}, "web", running)["/s/tls"][1] is None


def test_a_secret_that_the_plan_has_as_plain_text_is_not_shown() -> None:
    plan = CONTAINER | {"Env": ["FOO=bar", "TOKEN=plain"]}
    assert config_changes(plan, with_secrets("TOKEN=hunter2")) == {"env.TOKEN": (None, "plain")}


def test_a_health_check_does_not_give_the_environment_away() -> None:
    probe = [{"Output": "401 for token hunter2\n"}]
    found = read(
        with_secrets("TOKEN=hunter2", Health={"Status": "unhealthy", "Log": probe}), "node1", "172.18.0.2", NOW
    )
    assert found.detail == "health check fails: 401 for token ********"

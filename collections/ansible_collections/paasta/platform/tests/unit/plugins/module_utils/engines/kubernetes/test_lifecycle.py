# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How pods stop. The shell's part is run by a shell, on files as Linux has them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import lifecycle
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import MESH

LOOP = (
    "while grep -qs '^ *[0-9]*: [0-9A-F]*:22B8 [0-9A-F]*:[0-9A-F]* 01 ' /proc/net/tcp /proc/net/tcp6; do sleep 1; done"
)


def shell(command: str) -> dict[str, Any]:
    return {"exec": {"command": ["/bin/sh", "-c", command]}}


@pytest.mark.parametrize(
    ("keys", "smartstack", "handler", "grace"),
    [
        ("", "", None, None),
        ("", MESH, shell(f"sleep 30; {LOOP}"), 337),
        ("", "main: {proxy_port: 20001, endpoint_timeouts: {/slow: 60000}}", shell(f"sleep 30; {LOOP}"), 392),
        ("", "main: {proxy_port: 20001, timeout_server_ms: 9000000}", shell(f"sleep 30; {LOOP}"), 1832),
        ("", "main: {proxy_port: null}", None, None),
        ("drain_method: noop", MESH, None, None),
        ("drain_method_params: {delay: 90}", MESH, shell(f"sleep 90; {LOOP}"), 397),
        ("lifecycle: {pre_stop_drain_seconds: 5}", MESH, shell(f"sleep 5; {LOOP}"), 312),
        ("lifecycle: {pre_stop_drain_seconds: 0}", MESH, shell(LOOP), 307),
        ("lifecycle: {pre_stop_wait_for_connections_to_complete: false}", MESH, {"sleep": {"seconds": 30}}, 32),
        ("lifecycle: {termination_grace_period_seconds: 45}", MESH, shell(f"sleep 30; {LOOP}"), 45),
        ("lifecycle: {pre_stop_drain_seconds: 40}", "", {"sleep": {"seconds": 40}}, 70),
        (
            "lifecycle: {pre_stop_drain_seconds: 40, termination_grace_period_seconds: 9}",
            "",
            {"sleep": {"seconds": 9}},
            9,
        ),
        ("lifecycle: {pre_stop_drain_seconds: 40, termination_grace_period_seconds: 0}", "", None, 0),
        ("lifecycle: {pre_stop_command: /bye}", "", {"exec": {"command": ["/bye"]}}, None),
        ("lifecycle: {pre_stop_command: [/bye, now]}", MESH, {"exec": {"command": ["/bye", "now"]}}, 337),
    ],
)
def test_the_hook_and_the_patience(
    web: Web, keys: str, smartstack: str, handler: dict[str, Any] | None, grace: int | None
) -> None:
    instance, facts = web(keys, smartstack=smartstack)
    assert lifecycle.pre_stop(instance, facts) == handler
    assert lifecycle.grace_period(instance, facts) == grace


# A listening socket, and one with state 01 (established) or 06 (time wait) to port 8888 (22B8); another to 8080 (1F90).
TCP4 = "   0: 00000000:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
ESTABLISHED = "   1: 0100007F:22B8 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2\n"
TIME_WAIT = "   1: 0100007F:22B8 0100007F:D431 06 00000000:00000000 03:000017A0 00000000     0        0 0\n"
CLIENT = "   2: 0100007F:D431 0100007F:22B8 01 00000000:00000000 00:00000000 00000000     0        0 3\n"
TCP6 = (
    "   0: 0000000000000000FFFF00000100007F:22B8 0000000000000000FFFF00000100007F:D431 01 00000000:00000000 "
    "00:00000000 00000000     0        0 4\n"
)


@pytest.mark.parametrize(
    ("tcp", "tcp6", "waits"),
    [
        (TCP4, "", False),
        (TCP4 + ESTABLISHED, "", True),
        (TCP4 + TIME_WAIT, "", False),
        (TCP4 + CLIENT, "", False),
        (TCP4, TCP6, True),
        (TCP4, None, False),
        (TCP4 + ESTABLISHED, None, True),
    ],
)
def test_only_connections_to_the_port_are_waited_for(
    web: Web, tmp_path: Path, tcp: str, tcp6: str | None, waits: bool
) -> None:
    handler = lifecycle.pre_stop(*web("lifecycle: {pre_stop_drain_seconds: 0}", smartstack=MESH))
    assert handler is not None
    command = handler["exec"]["command"][2].replace("/proc/net", str(tmp_path))
    (tmp_path / "tcp").write_text(tcp)
    if tcp6 is not None:
        (tmp_path / "tcp6").write_text(tcp6)
    condition = command.removeprefix("while ").removesuffix("; do sleep 1; done")
    assert (subprocess.run(["/bin/sh", "-c", condition], check=False).returncode == 0) == waits


HTTP = "drain_method: http, drain_method_params: {%s}"
DRAIN = "drain: {url_format: 'http://{host}:{port:d}/drain?ns={nerve_ns}', method: post, success_codes: '200'}"
SAFE = "is_safe_to_kill: {url_format: 'http://{host}:{port}/safe', success_codes: '200-299,404'}"


def test_drain_by_http_asks_until_it_is_safe(web: Web, tmp_path: Path) -> None:
    """With a curl that notes how it is called, and says 503 twice before it says 404."""
    instance, facts = web(HTTP % f"{DRAIN}, {SAFE}", smartstack=MESH)
    assert lifecycle.problems(instance) == []
    command = lifecycle.pre_stop(instance, facts)
    assert command is not None
    text: str = command["exec"]["command"][2]
    assert text.endswith(f"sleep 30; {LOOP}")
    curl = tmp_path / "curl"
    curl.write_text(
        '#!/bin/sh\necho "$*" >> calls\ncase "$*" in *safe*)\n'
        "[ $(wc -l < calls) -ge 4 ] && printf 404 || printf 503;; esac\n"
    )
    curl.chmod(0o755)
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    (tmp_path / "sleep").chmod(0o755)
    script = text.removesuffix(f"; {LOOP}")
    subprocess.run(
        ["/bin/sh", "-c", script], check=True, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=20
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].endswith("-X POST http://127.0.0.1:8888/drain?ns=main")
    assert len(calls) == 4
    assert all(call.endswith("-X GET http://127.0.0.1:8888/safe") for call in calls[1:])


def test_an_image_without_curl_drains_by_waiting(web: Web, tmp_path: Path) -> None:
    handler = lifecycle.pre_stop(*web(HTTP % f"{DRAIN}, {SAFE}"))
    assert handler is not None
    script = handler["exec"]["command"][2].removesuffix(f"; {LOOP}").replace("sleep 30", "echo drained")
    found = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)}, timeout=20
    )
    assert found.stdout == "drained\n"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("drain_method: hacheck", ""),
        ("drain_method: test", "web.main: drain_method: test: is for PaaSTA's own tests; use hacheck, http or noop"),
        ("drain_method: http", "drain_method: http has no requests in drain_method_params"),
        (HTTP % "drain: {method: POST}", "drain_method_params.drain: is not a request"),
        (HTTP % "drain: {url_format: 'http://{hots}/'}", "may hold host, port, service, instance, nerve_ns in braces"),
        (HTTP % "drain: {url_format: /d, success_codes: ok}", "success_codes 'ok': is not a list of codes"),
        (HTTP % "drain: {url_format: /d, method: 'POST /'}", "method 'POST /': is not a method"),
    ],
)
def test_what_cannot_drain_is_said(web: Web, keys: str, expected: str) -> None:
    found = lifecycle.problems(web(keys)[0])
    assert bool(found) == bool(expected)
    assert expected in "".join(found)

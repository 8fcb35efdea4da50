# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody who uses a service notices a deploy, not even a bad one."""

from __future__ import annotations

import os
import signal
import time

from driver import QUOTES, Platform

SETTINGS = "soa-configs/quotes/kubernetes-local.yaml"
IMPORT = "from __future__ import annotations"


def test_no_request_is_lost_when_the_configuration_changes(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("quotes.main")}
    restored.change(SETTINGS, "LOG_LEVEL: info", "LOG_LEVEL: debug")
    with restored.traffic() as seen:
        run = restored.play("deploy")
    assert run.changed == 1
    assert not before & {container["Id"] for _node, container in restored.containers("quotes.main")}
    assert seen.failures == []
    assert len(seen.answers) > 100


def test_no_request_is_lost_when_a_new_version_is_deployed(restored: Platform) -> None:
    old = {str(restored.ask(QUOTES)["git_sha"])}
    restored.change("services/quotes/server.py", IMPORT, f"{IMPORT}\n\n# A new version.")
    sha = restored.release("quotes")
    with restored.traffic() as seen:
        output = restored.play("deploy", service="quotes").output
    assert seen.failures == []
    assert seen.versions() == old | {sha[:8]}
    assert restored.ask(QUOTES)["git_sha"] == sha[:8]
    assert "quotes.main: 2 of 2 ready" in output


def test_every_bounce_method_ends_with_the_new_configuration(restored: Platform) -> None:
    method, level = "crossover", "info"
    for following in ("upthendown", "downthenup", "brutal"):
        restored.change(SETTINGS, f"bounce_method: {method}", f"bounce_method: {following}")
        restored.change(SETTINGS, f"LOG_LEVEL: {level}", f"LOG_LEVEL: {following}")
        restored.play("deploy", service="quotes")
        found = [container for _node, container in restored.containers("quotes.main")]
        assert len(found) == 2
        assert all(f"LOG_LEVEL={following}" in container["Config"]["Env"] for container in found)
        method = level = following


def test_a_version_that_never_gets_healthy_leaves_the_old_one_serving(restored: Platform) -> None:
    before = {container["Id"] for _node, container in restored.containers("quotes.main")}
    main = "def main() -> None:"
    restored.change("services/quotes/server.py", main, f"{main}\n    raise SystemExit('no luck today')")
    sha = restored.release("quotes")
    with restored.traffic() as seen:
        output = restored.fails("deploy", service="quotes")
    assert "no luck today" in output
    assert f"version {sha[:8]} does not get healthy" in output
    assert "still serve; what was new and did not is removed" in output
    assert seen.failures == []
    assert {container["Id"] for _node, container in restored.containers("quotes.main")} == before


def test_a_run_that_is_killed_is_finished_by_the_next(restored: Platform) -> None:
    restored.change(SETTINGS, "LOG_LEVEL: info", "LOG_LEVEL: trace")
    with restored.traffic() as seen:
        process = restored.start("deploy", service="quotes")
        assert process.stdout is not None
        for line in process.stdout:
            if "quotes.main: 0 of 2 ready, quotes.main" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        restored.play("deploy", service="quotes")
    assert seen.failures == []
    found = [container for _node, container in restored.containers("quotes.main")]
    assert len(found) == 2
    assert all("LOG_LEVEL=trace" in container["Config"]["Env"] for container in found)


def test_two_runs_at_once_take_turns(restored: Platform) -> None:
    restored.change(SETTINGS, "LOG_LEVEL: info", "LOG_LEVEL: both")
    first = restored.start("deploy", service="quotes")
    time.sleep(0.5)
    second = restored.start("deploy", service="quotes")
    runs = [restored.finish(first), restored.finish(second)]
    assert [run.code for run in runs] == [0, 0], runs[1].output
    assert sorted(run.changed for run in runs) == [0, 1]
    assert len(restored.containers("quotes.main")) == 2

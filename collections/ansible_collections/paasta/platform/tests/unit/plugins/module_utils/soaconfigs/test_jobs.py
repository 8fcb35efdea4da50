# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Tron's jobs and its master's configuration as typed models."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import jobs, keys
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Version, Volume
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model_jobs import (
    Action,
    Job,
    Node,
    NodePool,
    Schedule,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs import values
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.documents_of_one_key import keys_of

SHA = "0123456789abcdef0123456789abcdef01234567"
NIGHTLY = {
    "schedule": "cron 0 4 * * *",
    "deploy_group": "{cluster}.batch",
    "node": "paasta",
    "time_zone": "Europe/Berlin",
    "monitoring": {"page": True},
    "actions": {
        "extract": {"command": "extract", "cpus": 0.5, "env": {"A": "SECRET(a)"}, "retries": 2, "retries_delay": "5m"},
        "load": {
            "command": "load",
            "requires": ["extract"],
            "deploy_group": "prod.load",
            "service": "loader",
            "executor": "spark",
            "spark_args": {"spark.executor.cores": 2},
            "trigger_downstreams": True,
            "extra_volumes": [{"containerPath": "/a", "hostPath": "/b"}],
        },
    },
    "cleanup_action": {"command": "tidy", "mem": 64},
}


def version(service: str, group: str) -> Version:
    return Version(SHA, f"{service}/{group}")


def build(config: dict[str, Any], **options: Any) -> Job:
    return jobs.job("web", "nightly", "prod", config, sources={}, **options)


def test_a_job() -> None:
    job = build(NIGHTLY, monitoring={"team": "words", "page": False, "check_every": "1m"}, versions=version)
    assert (job.id, job.cluster, job.schedule) == ("web.nightly", "prod", Schedule("cron", "0 4 * * *"))
    assert (job.node, job.time_zone) == ("paasta", "Europe/Berlin")
    assert (job.queueing, job.allow_overlap, job.run_limit, job.all_nodes, job.enabled) == (
        True,
        False,
        50,
        False,
        True,
    )
    assert (job.max_runtime, job.expected_runtime) == (None, 86400)
    # PaaSTA: monitoring.yaml below the job's own, of it what Tron knows.
    assert job.monitoring == {"team": "words", "page": True}
    assert job.team == "words"


def test_an_action_has_the_defaults_of_an_action() -> None:
    extract = build(NIGHTLY, versions=version).actions[0]
    assert (extract.instance, extract.command, extract.executor) == ("nightly.extract", "extract", "paasta")
    assert (extract.cpus, extract.mem, extract.disk, extract.cpu_burst_add) == (0.5, 4096, 4096, 0)
    assert (extract.pool, extract.iam_role, extract.cap_add, extract.env) == ("default", "", (), {"A": "SECRET(a)"})
    assert (extract.retries, extract.retries_delay) == (2, 300)
    assert (extract.expected_runtime, extract.max_runtime, extract.trigger_timeout) == (86400, None, 86400)
    assert (extract.requires, extract.triggered_by, extract.trigger_downstreams) == ((), (), {})
    assert not extract.idempotent


def test_an_action_takes_service_node_and_deploy_group_of_its_job() -> None:
    extract, load = build(NIGHTLY, versions=version).actions
    assert (extract.service, extract.node, extract.deploy_group) == ("web", "paasta", "prod.batch")
    assert extract.version == Version(SHA, "web/prod.batch")
    assert (load.service, load.deploy_group, load.version) == ("loader", "prod.load", Version(SHA, "loader/prod.load"))
    assert build({**NIGHTLY, "service": "other"}).actions[0].service == "other"


def test_what_an_action_says_itself() -> None:
    load = build(NIGHTLY).actions[1]
    assert (load.executor, load.spark_args) == ("spark", {"spark.executor.cores": 2})
    assert load.trigger_downstreams == {"shortdate": "{shortdate}"}
    assert load.extra_volumes == (Volume("/a", "/b", "RO"),)
    assert load.requires == ("extract",)


def test_cleanup_is_an_action_too() -> None:
    cleanup = build(NIGHTLY).cleanup_action
    assert cleanup is not None
    assert (cleanup.instance, cleanup.command, cleanup.mem, cleanup.deploy_group) == (
        "nightly.cleanup",
        "tidy",
        64,
        "prod.batch",
    )


def test_without_a_deploy_group_there_is_no_version() -> None:
    job = build({"schedule": "cron * * * * *", "actions": {"a": {"command": "x"}}}, versions=version)
    assert (job.actions[0].deploy_group, job.actions[0].version) == (None, None)
    assert job.cleanup_action is None


def test_actions_may_be_a_list() -> None:
    listed = build({**NIGHTLY, "actions": [{"name": "a", "command": "x"}, {"name": "b", "command": "y"}]})
    assert [action.name for action in listed.actions] == ["a", "b"]


def test_models_are_immutable() -> None:
    job = build(NIGHTLY)
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.name = "other"  # type: ignore[misc]
    for mapping in (job.keys, job.monitoring, job.actions[0].env, job.actions[0].keys):
        with pytest.raises(TypeError, match="read-only"):
            mapping["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("cron 0 4 * * *", Schedule("cron", "0 4 * * *")),
        ("daily 04:00:00 MWF", Schedule("daily", "04:00:00 MWF")),
        ("interval 2 hours", Schedule("interval", "2 hours")),
        ("constant", Schedule("constant", "")),
        ("every monday at 09:00", Schedule("groc daily", "every monday at 09:00")),
        ({"type": "cron", "value": "0 4 * * *", "jitter": "10 min"}, Schedule("cron", "0 4 * * *", 600)),
        ({"start_time": "07:00:00", "days": "MWF"}, Schedule("daily", "07:00:00 MWF")),
        ({"start_time": "07:00", "days": ["M", "F"]}, Schedule("daily", "07:00 MF")),
        ({"days": "M"}, Schedule("daily", "00:00:00 M")),
        ({"interval": "2 hours"}, Schedule("interval", "2 hours")),
    ],
)
def test_schedules(written: Any, expected: Schedule) -> None:
    assert jobs.schedule(written) == expected


@pytest.mark.parametrize(
    ("delta", "expected"), [("5m", 300), ("2 hours", 7200), ("1 d", 86400), ("90secs", 90), ("0s", 0)]
)
def test_times(delta: str, expected: int) -> None:
    assert jobs.seconds(delta) == expected


@pytest.mark.parametrize("delta", ["5", "5 weeks", "1h 2m", ""])
def test_times_that_the_table_refuses(delta: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as"):
        jobs.seconds(delta)


def test_every_value_that_the_table_accepts_can_be_built() -> None:
    for item in keys_of("tron", keys.DOCUMENTS["tron"].shape):
        found = values.find("tron", item.path)
        assert found is not None
        for value in found.good:
            job = build(item.around(value)["main"])
            assert all(isinstance(action, Action) for action in job.actions)


def test_a_job_whose_wrong_keys_were_left_out_can_be_built() -> None:
    job = build({})
    assert (job.actions, job.schedule) == ((), Schedule("groc daily", ""))
    group = build({**NIGHTLY, "deploy_group": "{cluster"}).actions[0].deploy_group
    assert group == "{cluster"


def test_the_master_has_trons_defaults() -> None:
    master = jobs.master("prod", {})
    assert master.nodes == (Node("localhost", "localhost", None, 22),)
    assert (master.node_pools, master.time_zone, master.command_context, master.read_json) == ((), None, {}, False)
    assert master.state_persistence["store_type"] == "shelve"
    assert master.state_persistence["max_transact_write_items"] == 8
    assert (master.ssh_options["connect_timeout"], master.ssh_options["jitter_min_load"]) == (30, 4)
    assert (master.k8s_options["enabled"], master.action_runner["remote_status_path"]) == (False, "/tmp")


def test_the_masters_nodes_in_every_form() -> None:
    listed = jobs.master("prod", {"nodes": ["a", {"hostname": "b.example.org", "name": "b", "port": 2222}]})
    assert listed.nodes == (Node("a", "a", None, 22), Node("b", "b.example.org", None, 2222))
    named = jobs.master("prod", {"nodes": {"b": {"hostname": "b.example.org", "username": "tron"}}})
    assert named.nodes == (Node("b", "b.example.org", "tron", 22),)
    pools = jobs.master("prod", {"node_pools": [{"name": "p", "nodes": ["a"]}, ["a", "b"]]})
    assert pools.node_pools == (NodePool("p", ("a",)), NodePool("a_b", ("a", "b")))


def test_every_master_that_the_table_accepts_can_be_built() -> None:
    for item in keys_of("tron-master", keys.MASTER):
        found = values.find("tron-master", item.path)
        assert found is not None
        for value in found.good:
            assert jobs.master("prod", item.around(value)).cluster == "prod"

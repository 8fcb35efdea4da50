# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ansible_collections.paasta.platform.plugins.module_utils.table import render

ROW = {
    "id": "web.main",
    "engine": "docker",
    "replicas": 2,
    "ready": 2,
    "git_sha": "01234567",
    "hosts": {"node2": 1, "node1": 2},
    "url": "http://localhost:20001/",
    "problem": "",
}


def test_the_table() -> None:
    rows = [ROW, ROW | {"id": "api.main", "replicas": 0, "ready": 0, "git_sha": "", "hosts": {}, "url": ""}]
    assert render(rows).splitlines() == [
        "service.instance  engine  ready    git sha   hosts           URL",
        "----------------  ------  -------  --------  --------------  -----------------------",
        "api.main          docker  stopped  -         -               -",
        "web.main          docker  2/2      01234567  node1 2, node2  http://localhost:20001/",
    ]


def test_what_is_wrong_is_under_its_line() -> None:
    assert render([ROW | {"problem": "one\ntwo"}]).splitlines()[-2:] == ["  ! one", "  ! two"]


KUBERNETES = ROW | {"engine": "kubernetes", "url": "", "autoscaler": None}


def test_rows_of_two_engines_are_one_table() -> None:
    rows = [
        KUBERNETES | {"id": "web.eks", "ready": 4, "replicas": 5, "autoscaler": {"min": 2, "max": 10}},
        ROW | {"id": "api.main"},
    ]
    assert render(rows).splitlines() == [
        "service.instance  engine      ready       git sha   hosts           URL",
        "----------------  ----------  ----------  --------  --------------  -----------------------",
        "api.main          docker      2/2         01234567  node1 2, node2  http://localhost:20001/",
        "web.eks           kubernetes  4/5 (2-10)  01234567  node1 2, node2  -",
    ]


def test_many_nodes_are_counted() -> None:
    hosts = {f"node{number}": 1 for number in range(5)}
    assert "  5 nodes  " in render([KUBERNETES | {"hosts": hosts}])
    assert "node0, node1, node2, node3, node4" in render([ROW | {"hosts": hosts}])


def test_an_instance_is_shown_once_where_it_is_to_run() -> None:
    idle = {"replicas": 0, "ready": 0}

    def engines(*rows: dict[str, object]) -> list[str]:
        return [line.split()[1] for line in render(rows).splitlines()[2:]]

    assert engines(ROW | {"replicas": 0}, KUBERNETES)[0] == "kubernetes"
    assert engines(ROW | idle, KUBERNETES) == ["kubernetes"]
    assert engines(ROW | idle, KUBERNETES | idle) == ["docker"]
    assert engines(ROW | {"replicas": 0}, KUBERNETES | idle) == ["docker"]


def test_what_still_runs_on_another_engine_is_said_under_it() -> None:
    left = ROW | {"replicas": 0, "problem": "is to run on kubernetes: the next deploy moves it"}
    assert render([left, KUBERNETES]).splitlines()[2:] == [
        "web.main          kubernetes  2/2    01234567  node1 2, node2  -",
        "  ! 2 also on docker: is to run on kubernetes: the next deploy moves it",
    ]

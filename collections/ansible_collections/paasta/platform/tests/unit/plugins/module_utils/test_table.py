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

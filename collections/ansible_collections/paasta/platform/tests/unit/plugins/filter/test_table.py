# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows for people."""

from __future__ import annotations

from ansible_collections.paasta.platform.plugins.filter.table import FilterModule

table = FilterModule().filters()["table"]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [{"days": 0, "file": "ca.crt", "names": []}, {"days": 364, "names": ["a", "b"], "more": 1}]
    assert table(rows, ["days", "file", "names"]).splitlines() == [
        "days  file    names",
        "----  ------  -----",
        "0     ca.crt  -",
        "364   -       a, b",
    ]


def test_no_rows() -> None:
    assert table([], ["a"]) == "a\n-"

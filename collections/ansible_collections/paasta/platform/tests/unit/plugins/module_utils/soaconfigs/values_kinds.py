# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Values that are right and wrong for keys of one sort, such as any text or any count."""

from __future__ import annotations

from typing import Any, NamedTuple


class Values(NamedTuple):
    """The first of ``good`` also stands in where another key's test needs this one."""

    good: list[Any]
    bad: list[Any]


def v(good: list[Any], bad: list[Any]) -> Values:
    return Values(good, bad)


def one_of(*choices: str) -> Values:
    return Values(list(choices), ["nonsense", choices[0].swapcase(), "", 1, None, [choices[0]]])


TEXT = v(["x", "", "ein Wört\n"], [1, True, None, ["x"], {}])
TEXT_OR_NULL = v(["x", None], [1, False, ["x"]])
TEXTS = v([["x"], [], ["x", "y"]], ["x", [1], [None], {"x": "y"}, None])
TEXT_MAP = v([{"x": "y"}, {}], ["x", {"x": 1}, {"x": None}, [], None])
FLAG = v([True, False], ["yes", "true", 1, None, []])
INTEGER = v([1, 0, -1], [1.5, "1", True, None])
NUMBER = v([1, 0.5, -1], ["1", True, None, [1]])
COUNT = v([1, 0], [-1, 1.5, "1", True, None])
POSITIVE = v([1, 7], [0, -1, 1.5, "1", True, None])
AMOUNT = v([1, 0, 0.5], [-0.1, "1", True, None])
MORE_THAN_0 = v([1, 0.1], [0, -1, "1", True, None])
SHARE = v([0.5, 0, 1], [-0.1, 1.1, "1", True, None])
PORT = v([8888, 1, 65535], [0, 65536, -1, "8888", 1.5, True, None])
PORT_OR_0 = v([8888, 0, 65535], [-1, 65536, "8888", 1.5, True, None])
ANY_MAP = v([{}, {"x": [1]}], ["x", [], None])
ANY_LIST = v([[], [1, "x", {}]], ["x", {}, None])
ANY_MAPS = v([[], [{}], [{"x": 1}]], ["x", {}, [1], None])
LISTS = v([[["region", "us"]], []], ["x", ["x"], [{}], None])
STRUCT = v([{}], ["x", [], None, {"no such key": 1}])
STRUCTS = v([[]], ["x", {}, None, [1], [{"no such key": 1}]])
ANYTHING = v(["x", 1, None, [], {}], [])
TIME = v(["5m", "2 hours", "1d", "90sec"], ["5", "1h 20m", "5 M", "m", "2 weeks", "-5m", "5m\n", 5, None])

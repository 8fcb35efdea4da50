# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""JSON files: their values, the places of their keys, and what is said of bad ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import jsondoc
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)


def walk(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in [(*path, key), *walk(item, (*path, key))]]


def test_values_and_places() -> None:
    document = jsondoc.parse("a.json", b'\xef\xbb\xbf{\n "a": {"b\\n": [1,\n  {"c": true}]},\n\t"d": -1.5e3\n}\n')
    assert document.errors == []
    assert document.value == {"a": {"b\n": [1, {"c": True}]}, "d": -1500.0}
    assert document.places == {
        ("a",): (2, 2),
        ("a", "b\n"): (2, 8),
        ("a", "b\n", 0): (2, 16),
        ("a", "b\n", 1): (3, 3),
        ("a", "b\n", 1, "c"): (3, 4),
        ("d",): (4, 2),
    }


@given(OBJECTS, st.sampled_from([None, 0, 2]))
def test_every_key_has_its_place(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    document = jsondoc.parse("a.json", text.encode())
    assert document.value == value
    assert sorted(map(repr, document.places)) == sorted(map(repr, walk(value)))
    lines = text.splitlines()
    for path, (line, column) in document.places.items():
        if isinstance(path[-1], str):
            assert lines[line - 1][column - 1 :].startswith(f"{json.dumps(path[-1])}:")


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0 aé\\\n', max_size=30).map(str.encode))
def test_any_bytes_give_a_value_or_an_error(data: bytes) -> None:
    document = jsondoc.parse("a.json", data)
    if document.errors:
        assert document.value == {}
    else:
        assert document.value == json.loads(data.decode("utf-8-sig"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.json:1:1: is not valid JSON: Expecting value"),
        (b'{"a": 1,\n "b" 2}', "a.json:2:6: is not valid JSON: Expecting ':' delimiter"),
        (b"[1]", "a.json:1:1: must be a mapping of keys to values"),
        (b'{"a": "\xff"}', "a.json: is not UTF-8 (byte 7)"),
        (b'{"a": NaN}', "a.json: is not valid JSON: it has a number that no other program reads"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a.json: is not valid JSON: it has a number that no other program reads"),
        (b'{"a": {"b": 1,\n"b": 1}}', "a.json:2:1: a.b: duplicate key, first written in line 1; keep one of the two"),
        (b'{"a": ' + b"[" * 250 + b"]" * 250 + b"}", "a.json:1:206: is nested more than 200 levels deep"),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "a.json: is nested more than 200 levels deep"),
    ],
)
def test_messages(data: bytes, message: str) -> None:
    assert [str(error) for error in jsondoc.parse("a.json", data).errors] == [message]


def test_no_message_holds_a_value() -> None:
    for data in (b'{"a": "CANARY", "a": "CANARY"}', b'{"a": "CANARY" "b"}', b'{"a": CANARY}'):
        assert "CANARY" not in str(jsondoc.parse("a.json", data).errors)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pickle

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import yamldoc
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import parse
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamlnodes import read_carefully
from hypothesis import given
from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {x: 1, x: 2}", "f:1:11: a.x: duplicate key, first written in line 1; keep one of the two"),
        ("1: 3", "f:1:1: key 1 is not a string (YAML reads it as int); put it in quotes"),
        ("a:\n  on: 3", "f:2:3: a: key on is not a string (YAML reads it as bool); put it in quotes"),
        ("a: {? [1] : 2}", "f:1:7: a: a key must be a string"),
        ("- 1", "f:1:1: must be a mapping of keys to values"),
        ("a: &a [*a]", "f:1:4: a[0]: an alias refers to the value that contains it"),
        ("a: b: c", "f:1:5: is not valid YAML: mapping values are not allowed in this context"),
        ("a: 2020-13-45", "f:1:4: a: cannot read '2020-13-45': month must be in 1..12; put it in quotes if it is text"),
        ("a: !!python/object:x y", "f:1:4: a: tag tag:yaml.org,2002:python/object:x is not supported"),
        ("a:\n  <<: 3", "f:2:7: a: << needs a mapping or a list of mappings"),
        ("[" * 100_000, "f: is nested more than 200 levels deep"),
        ("- " * 100_000, "f: is nested more than 200 levels deep"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    assert [str(error) for error in parse("f", text.encode()).errors] == [expected]


@pytest.mark.parametrize(
    "lines",
    [
        ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))],
        ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 300))],
    ],
)
def test_alias_bombs_are_refused(lines: list[str]) -> None:
    document = parse("f", "\n".join(lines).encode())
    assert document.value == {}
    assert "its aliases" in str(document.errors[0])


def test_a_merged_key_is_where_the_anchor_wrote_it() -> None:
    document = parse("f", b"_d: &d\n  cpus: 1\nmain:\n  <<: *d\n  mem: 64\n  volumes: [1, 2]\n")
    assert document.value["main"] == {"cpus": 1, "mem": 64, "volumes": [1, 2]}
    assert document.position(("main", "cpus")) == (2, 3)
    assert document.position(("main", "mem")) == (5, 3)
    assert document.position(("main", "volumes", 1)) == (6, 16)
    assert document.position(("main", "nothing", "here")) == (3, 1)
    assert document.position(("nothing",)) == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "a: yes\nb: off\nc: 1:30\nd: 0x10\ne: 010\nf: 1_000\ng: ~\nh: 1e3\ni: 1.0e+3\nj: 2020-01-02",
        "_a: &a {x: 1, y: 1}\n_b: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"
        "d: {<<: *a, <<: *b}\ne: {<<: {<<: *a, q: 1}}",
    ],
)
def test_values_are_those_of_the_safe_loader(text: str) -> None:
    document = parse("f", text.encode())
    assert document.errors == []
    assert document.value == yaml.safe_load(text)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_what_yaml_writes_is_read_back(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse("f", text.encode()).value == yaml.safe_load(text)


@given(st.binary(max_size=80) | st.text("ab:-[]{}&*<>!|?'\"#%\n\t 01~=,é", max_size=80).map(str.encode))
def test_no_input_raises(data: bytes) -> None:
    document = parse("f", data)
    assert isinstance(document.value, dict)
    assert [str(error) for error in document.errors] == [str(error) for error in parse("f", data).errors]


@given(st.text("ab:-[]{}&*<>!|?'\"#\n 01~,", max_size=60).map(str.encode))
def test_the_fast_reading_gives_what_the_careful_one_gives(data: bytes) -> None:
    document = parse("f", data)
    if not document.errors:
        assert (document.value, []) == read_carefully("f", yamldoc._compose(data))


@pytest.mark.parametrize(
    ("data", "value", "error"),
    [
        ("\ufeffa: 1\n".encode(), {"a": 1}, ""),
        ("a: é\n".encode("utf-16"), {"a": "é"}, ""),
        ("a: é\n".encode("latin-1"), {}, "is not valid YAML: "),
        (b"a:\n\t- 1\n", {}, "found character that cannot start any token"),
        (b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}, ""),
        (b"a: 1\rb: 2\r", {"a": 1, "b": 2}, ""),
        (b"\x00", {}, "is not valid YAML: "),
        (b"a: 1\n---\nb: 2\n", {}, "expected a single document in the stream"),
        (b"%YAML 3.0\n---\na: 1\n", {}, "found incompatible YAML document"),
        (b"", {}, ""),
        (b"# nothing\n", {}, ""),
        (b"--- null\n", {}, ""),
    ],
)
def test_encodings_and_line_ends(data: bytes, value: dict[str, object], error: str) -> None:
    document = parse("f", data)
    assert document.value == value
    assert bool(document.errors) == bool(error)
    if error:
        assert error in str(document.errors[0])


@pytest.mark.parametrize("text", ["a: [" * 150, "- " * 300, "? " * 300, "\r".join(" " * i + "a:" for i in range(300))])
def test_deep_nesting_is_found_however_it_is_written(text: str) -> None:
    assert "levels deep" in str(parse("f", text.encode()).errors[0]) or "YAML" in str(
        parse("f", text.encode()).errors[0]
    )
    assert parse("f", text.encode()).value == {}


def test_a_long_file_is_read() -> None:
    """10 MB: a hundred thousand instances of one line each."""
    line = "i{0}: {{cpus: 1, mem: 512, env: {{A: 'x', B: 'y'}}, cmd: 'python -m something --with {0} --and more'}}"
    data = "\n".join(line.format(number) for number in range(110_000)).encode()
    assert len(data) > 10_000_000
    document = parse("f", data)
    assert document.errors == []
    assert document.value["i109999"]["env"] == {"A": "x", "B": "y"}


@pytest.mark.parametrize(
    ("text", "path", "comment"),
    [
        ("main:\n  cpus: 1  # override-cpu-setting (PROJ-1)\n", ("main", "cpus"), "# override-cpu-setting (PROJ-1)"),
        ("main:\n  cpus: 1\n", ("main", "cpus"), ""),
        ("main:\n  cmd: 'a # b'\n", ("main", "cmd"), ""),
        ("main:\n  cmd: 'a # b' # c\n", ("main", "cmd"), "# c"),
        ("main:\n  cmd: a#b\n", ("main", "cmd"), ""),
        ("main: {cpus: 1} # all\n", ("main", "cpus"), "# all"),
        ("main: {}\n", ("other",), ""),
    ],
)
def test_comments(text: str, path: tuple[str, ...], comment: str) -> None:
    assert parse("f", text.encode()).comment(path) == comment


def test_a_pickled_document_is_read_again() -> None:
    document = pickle.loads(pickle.dumps(parse("web/x.yaml", b"a: {b: 1}\n")))
    assert document.file == "web/x.yaml"
    assert document.value == {"a": {"b": 1}}
    assert document.position(("a", "b")) == (1, 5)

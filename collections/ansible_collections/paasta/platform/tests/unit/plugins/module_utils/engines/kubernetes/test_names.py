# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Names: PaaSTA's constants, and that whatever is put in comes out as Kubernetes takes it."""

from __future__ import annotations

import re

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import names
from hypothesis import given
from hypothesis import strategies as st

LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")  # as Kubernetes' error messages give it
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.mark.parametrize(
    ("name", "sanitised"),
    [
        ("web", "web"),
        ("My_App", "my--app"),
        ("_foo", "underscore-foo"),
        ("a__b", "a----b"),
        ("_shared", "underscore-shared"),
    ],
)
def test_underscores_and_capitals_are_as_paasta_writes_them(name: str, sanitised: str) -> None:
    assert names.sanitise(name) == sanitised


def test_a_long_name_ends_in_paasta_s_hash() -> None:
    assert names.limited("x" * 80) == "x" * 58 + "-i2yf"
    assert names.limited("x" * 63) == "x" * 63
    assert len(names.limited("x" * 300, 253)) == 253


@given(TEXT, st.integers(min_value=10, max_value=253))
def test_a_limited_name_fits_and_a_short_one_stays(name: str, limit: int) -> None:
    found = names.limited(name, limit)
    assert len(found) <= limit
    assert (found == name) == (len(name) <= limit)
    assert names.limited(found, limit) == found


@given(st.text("xy", min_size=64, max_size=80), st.text("xy", min_size=64, max_size=80))
def test_long_names_that_begin_alike_stay_apart(one: str, other: str) -> None:
    assert (names.limited(one, suffix=8) == names.limited(other, suffix=8)) == (one == other)


@given(TEXT)
def test_any_text_becomes_a_valid_label_value(text: str) -> None:
    value = names.label_value(text)
    assert len(value) <= 63
    assert LABEL_VALUE.fullmatch(value)
    assert names.label_value(value) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("front end", "front-end"), ("web.main", "web.main"), ("-a_", "a"), ("", ""), ("a" * 63, "a" * 63), ("é", "")],
)
def test_what_becomes_of_label_values(text: str, value: str) -> None:
    assert names.label_value(text) == value


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/hosts", "slash-etcslash-hosts"),
        ("/nail/.a_b/", "slash-nailslash-dot-a--b"),
        ("/", "slash"),
        ("/a b", "slash-a-b"),
        ("host--/Srv", "host--slash-srv"),
    ],
)
def test_paths_as_parts_of_names(path: str, name: str) -> None:
    assert names.path(path) == name


@given(st.text("/._aA b-", min_size=1, max_size=80))
def test_what_a_path_becomes_is_a_dns_label(path: str) -> None:
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", names.limited(f"host--{names.path('/' + path)}"))


def test_a_reference_says_all_that_an_object_is_found_by() -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-main", "namespace": "n"}}
    assert names.ref(manifest) == "apps/v1/Deployment/n/web-main"
    assert names.ref({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}) == "v1/Namespace//n"

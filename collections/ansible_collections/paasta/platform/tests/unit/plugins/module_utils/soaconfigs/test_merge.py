# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import freeze, thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.merge import (
    DEFAULT_SOURCE,
    Layer,
    Provenance,
    deep_merge,
    leaves,
    merge_layers,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import Document
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from("abc")
LEAVES = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2) | st.just("x")
MAPPINGS = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6), max_size=3
)


def shaped(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings in which a name is a mapping at every level but the last: no two of them conflict in kind."""
    return st.dictionaries(NAMES, LEAVES if depth == 0 else shaped(depth - 1), max_size=3)


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@given(MAPPINGS, MAPPINGS)
def test_merging_changes_neither_side(over: dict[str, Any], under: dict[str, Any]) -> None:
    before = copy.deepcopy((over, under))
    deep_merge(over, under)
    assert (over, under) == before


@given(MAPPINGS)
def test_nothing_and_itself_change_nothing(value: dict[str, Any]) -> None:
    assert deep_merge(value, {}) == deep_merge({}, value) == deep_merge(value, value) == value


@given(MAPPINGS, MAPPINGS)
def test_the_override_wins_and_merging_again_changes_nothing(over: dict[str, Any], under: dict[str, Any]) -> None:
    merged = deep_merge(over, under)
    for path in leaves(over):
        if at(over, path) != {}:
            assert at(merged, path) == at(over, path)  # a list as well: never concatenated
    assert deep_merge(over, merged) == merged


@given(shaped(2), shaped(2), shaped(2))
def test_merging_is_associative_where_kinds_agree(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert deep_merge(a, deep_merge(b, c)) == deep_merge(deep_merge(a, b), c)


@given(st.lists(MAPPINGS, min_size=1, max_size=3))
def test_every_leaf_has_a_source_that_holds_its_value(layers: list[dict[str, Any]]) -> None:
    made = [Layer(Document(str(index)), value=value) for index, value in enumerate(layers)]
    merged = merge_layers(made)
    sources = Provenance(merged, made, ("a", "z"))
    assert set(leaves(merged)) <= set(sources)
    for path in leaves(merged):
        assert at(layers[int(sources[path].file)], path) == at(merged, path)
    assert sources[("z",)] == DEFAULT_SOURCE
    assert set(sources) - set(leaves(merged)) <= {("a",), ("z",)}


@given(MAPPINGS)
def test_frozen_values_equal_themselves_and_thaw(value: dict[str, Any]) -> None:
    frozen = freeze(value)
    assert thaw(frozen) == value
    assert hash(frozen) == hash(freeze(copy.deepcopy(value)))
    assert copy.deepcopy(frozen) is frozen

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bounces: PaaSTA's own cases as a table, and what must hold for every one of them."""

from __future__ import annotations

import math

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.bounce import METHODS, Step, step
from hypothesis import given
from hypothesis import strategies as st

OLD = ["old1", "old2", "old3"]


@pytest.mark.parametrize(
    ("method", "desired", "happy_new", "old", "margin", "expected"),
    [
        ("crossover", 3, 0, OLD, 1.0, Step(True, ())),
        ("crossover", 3, 1, OLD, 1.0, Step(True, ("old3",))),
        ("crossover", 3, 3, OLD, 1.0, Step(True, ("old1", "old2", "old3"))),
        ("crossover", 3, 0, OLD, 0.5, Step(True, ("old3",))),
        ("crossover", 1, 0, OLD, 1.0, Step(True, ("old2", "old3"))),
        ("crossover", 0, 0, OLD, 1.0, Step(True, ("old1", "old2", "old3"))),
        ("upthendown", 3, 2, OLD, 1.0, Step(True, ())),
        ("upthendown", 3, 3, OLD, 1.0, Step(True, ("old1", "old2", "old3"))),
        ("downthenup", 3, 0, OLD, 1.0, Step(False, ("old1", "old2", "old3"))),
        ("downthenup", 3, 0, [], 1.0, Step(True, ())),
        ("brutal", 3, 0, OLD, 1.0, Step(True, ("old1", "old2", "old3"))),
    ],
)
def test_steps(method: str, desired: int, happy_new: int, old: list[str], margin: float, expected: Step) -> None:
    assert step(method, desired, happy_new, old, margin) == expected


replicas = st.integers(0, 12)
margins = st.floats(0, 1)


@given(desired=replicas, happy_new=replicas, old=replicas, margin=margins)
def test_crossover_keeps_the_margin(desired: int, happy_new: int, old: int, margin: float) -> None:
    names = [f"old{number}" for number in range(old)]
    drained = step("crossover", desired, happy_new, names, margin).drain
    kept = old - len(drained)
    assert happy_new + kept >= min(math.ceil(desired * margin), happy_new + old)


@given(method=st.sampled_from(sorted(METHODS)), desired=replicas, old=replicas, margin=margins)
def test_every_bounce_ends(method: str, desired: int, old: int, margin: float) -> None:
    """Carried out against replicas that get healthy, a bounce leaves exactly what is wanted, in bounded steps."""
    running = [f"old{number}" for number in range(old)]
    new = 0
    for _turn in range(old + desired + 2):
        decision = step(method, desired, new, running, margin)
        running = [name for name in running if name not in decision.drain]
        if decision.create:
            new = desired
    assert running == []
    assert new == desired


@given(method=st.sampled_from(sorted(METHODS)), desired=replicas, happy_new=replicas, old=replicas, margin=margins)
def test_only_old_replicas_are_drained_and_the_last_first(
    method: str, desired: int, happy_new: int, old: int, margin: float
) -> None:
    names = [f"old{number}" for number in range(old)]
    drained = step(method, desired, happy_new, names, margin).drain
    assert list(drained) == names[old - len(drained) :]

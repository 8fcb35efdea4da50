"""How patience, concurrency and pace go; in time that is passed on by hand."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import retry


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(monotonic=lambda: now.value, value=1000.0)
    monkeypatch.setattr(retry, "time", now)
    return now


def test_pauses_grow_up_to_the_longest_and_end_with_patience(clock: SimpleNamespace) -> None:
    patience = retry.Patience(60)
    pauses = []
    while (delay := patience.delay()) is not None:
        pauses.append(delay)
        clock.value += delay
    longest = [min(8, 0.25 * 2**number) for number in range(len(pauses))]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert 45 < sum(pauses) <= 60


def test_what_the_server_tells_is_waited_for_if_patience_allows_it(clock: SimpleNamespace) -> None:
    delay = retry.Patience(10).delay(5)
    assert delay is not None
    assert 5 <= delay <= 5.5
    assert retry.Patience(10).delay(11) is None


def test_the_time_counts_from_the_first_failure(clock: SimpleNamespace) -> None:
    patience = retry.Patience(10)
    clock.value += 100
    assert patience.delay() is not None


def test_a_burst_of_refusals_halves_once_and_time_gives_back(clock: SimpleNamespace) -> None:
    gate = retry.Gate(16)
    for _each in range(16):
        gate.narrow()
    assert gate.limit == 8
    clock.value += 0.7
    gate.narrow()
    assert gate.limit == 4
    limits = []
    for _each in range(14):
        clock.value += 1.01
        gate.enter()
        gate.leave()
        limits.append(gate.limit)
    assert limits == [*range(5, 17), 16, 16]


def test_one_request_at_a_time_is_always_allowed(clock: SimpleNamespace) -> None:
    gate = retry.Gate(2)
    for _each in range(5):
        gate.narrow()
        clock.value += 0.7
    assert gate.limit == 1
    gate.enter()
    gate.leave()


def test_changes_are_spread_evenly(clock: SimpleNamespace) -> None:
    slept: list[float] = []
    clock.sleep = slept.append
    pace = retry.Pace(4)
    for _each in range(4):
        pace.wait()
    assert slept == [0.0, 0.25, 0.5, 0.75]
    clock.value += 100
    # Time that was not used is not saved up.
    pace.wait()
    pace.wait()
    assert slept[4:] == [0.0, 0.25]


def test_no_rate_is_no_wait(clock: SimpleNamespace) -> None:
    slept: list[float] = []
    clock.sleep = slept.append
    pace = retry.Pace(None)
    for _each in itertools.repeat(None, 3):
        pace.wait()
    assert slept == []

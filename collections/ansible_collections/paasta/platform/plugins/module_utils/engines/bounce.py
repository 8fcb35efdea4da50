# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How old replicas give way to new ones: PaaSTA's bounce methods as pure functions.

A bounce is level-triggered: the reconciler asks again after every change of what runs, and does what the answer says,
until nothing old is left. So a run that was killed half way is finished by the next one.

Source: PaaSTA's ``docs/bouncing.rst`` and, for the arithmetic, its Marathon-era ``bounce_lib`` (facts only).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What a bounce does now.

    :ivar create: whether new replicas may be created.
    :ivar drain: the old replicas to take out of load balancing and stop, as they were given.
    """

    create: bool
    drain: tuple[str, ...] = ()


def crossover(desired: int, happy_new: int, old: Sequence[str], margin: float) -> Step:
    """Start the new beside the old; each new replica that is healthy releases one old one.

    Never leaves fewer than ``ceil(desired * margin)`` replicas, counting healthy new ones and the old ones kept.
    """
    needed = max(math.ceil(desired * margin) - happy_new, 0)
    return Step(create=True, drain=tuple(old[needed:]))


def upthendown(desired: int, happy_new: int, old: Sequence[str], margin: float) -> Step:
    """Start all of the new; when every one is healthy, stop all of the old. ``margin`` plays no part."""
    return Step(create=True, drain=tuple(old) if happy_new >= desired else ())


def downthenup(desired: int, happy_new: int, old: Sequence[str], margin: float) -> Step:
    """Stop all of the old; start the new only when none of it is left (for what may not run twice)."""
    return Step(create=not old, drain=tuple(old))


def brutal(desired: int, happy_new: int, old: Sequence[str], margin: float) -> Step:
    """Start the new and stop the old at once, whatever is healthy."""
    return Step(create=True, drain=tuple(old))


Bounce = Callable[[int, int, Sequence[str], float], Step]

METHODS: dict[str, Bounce] = {
    "crossover": crossover,
    "upthendown": upthendown,
    "downthenup": downthenup,
    "brutal": brutal,
}


def step(method: str, desired: int, happy_new: int, old: Sequence[str], margin: float) -> Step:
    """Ask a bounce method for the next step.

    :param method: one of :data:`METHODS`.
    :param desired: replicas wanted of the new version.
    :param happy_new: replicas of the new version that are healthy and, where meshed, in every proxy.
    :param old: replicas to be replaced that still run, including those being drained, the most worth
        keeping first (healthy, then unhealthy, then already draining).
    :param margin: ``bounce_margin_factor``, 0 to 1: the share of ``desired`` that must stay up.
    """
    return METHODS[method](desired, happy_new, old, margin)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a soa-configs tree, as data: one record per mistake, all mistakes in one exception."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One mistake (or, in a list of warnings, one oddity) and where it is written.

    ``file`` is relative to the soa-configs directory; ``line`` and ``column`` count from 1, 0 means the whole file.
    ``key`` is the dotted path inside the file. ``hint`` says what would be right, without a leading separator.
    ``rule`` is the stable id of what is broken (rules.RULES), for machine-readable reports.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""
    rule: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        text = ": ".join(part for part in (place, self.key, self.message) if part)
        return f"{text}; {self.hint}" if self.hint else text


class InvalidConfigs(Exception):
    """Everything that is wrong in a tree, sorted by place; nothing was done with any of it."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(
            sorted(set(errors), key=lambda e: (e.file, e.line, e.column, e.key, e.message))
        )
        super().__init__(self.errors)

    def __str__(self) -> str:
        count = len(self.errors)
        return "\n".join([f"{count} error{'' if count == 1 else 's'} in soa-configs:", *map(str, self.errors)])


# With so many candidates only those that begin alike and are about as long are compared.
_MANY = 200
_MANY_LENGTHS = 2


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate most like ``name``, or an empty string when none is near enough to be a typo of it."""
    names = list(candidates)
    if len(names) > _MANY:
        # Comparing with each takes milliseconds, and a mistake that is everywhere is looked up thousands of times.
        names = [c for c in names if c[:1] == name[:1] and abs(len(c) - len(name)) <= _MANY_LENGTHS]
    for candidate in names:
        if candidate.casefold() == name.casefold():
            return candidate
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if found:
        return found[0]
    # An abbreviation or a longer spelling of a key (cpu, memory) is as likely as a typo, and scores lower.
    related = [c for c in names if len(name) > 1 and (c.startswith(name) or name.startswith(c))]
    return min(related, key=len, default="")


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``did you mean x?``, or what there is to choose from when nothing is near and the choice is short."""
    names = sorted(set(candidates))
    match = nearest(name, names)
    if match:
        return f"did you mean {match}?"
    if 0 < len(names) <= 12:
        return f"allowed: {', '.join(names)}"
    return ""

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One record of how an instance differs from the plan: it yields ``changed``, the diff and the reason in words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

with suppress(ImportError):  # libraries.py says so
    import yaml


@dataclass(slots=True)
class Difference:
    """What is wanted and what is there, by name, for one subject such as ``web.main``.

    :ivar subject: whom this is about.
    :ivar items: name → (before, after), JSON-ready values; only what differs.
    """

    subject: str
    items: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def add(self, name: str, before: Any, after: Any) -> None:
        """Record ``name`` if the two values differ."""
        if before != after:
            self.items[name] = (before, after)

    def __bool__(self) -> bool:
        return bool(self.items)

    def reason(self) -> str:
        """The difference in words: ``git_sha 1a2b3c4d -> 9f8e7d6c; replicas 2 -> 3``."""
        return "; ".join(f"{name} {_short(before)} -> {_short(after)}" for name, (before, after) in self.items.items())

    def as_diff(self) -> dict[str, str]:
        """The shape that Ansible prints under ``--diff``."""
        return {
            "before_header": f"{self.subject} (running)",
            "after_header": f"{self.subject} (plan)",
            "before": _text({name: before for name, (before, _after) in self.items.items() if before is not None}),
            "after": _text({name: after for name, (_before, after) in self.items.items() if after is not None}),
        }


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items()) or "none"
    return str(value)


def _text(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=True, default_flow_style=False) if values else ""

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.table import lines


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Lines of columns under their names; lists are joined, and nothing is a dash."""
    return "\n".join(lines(columns, [[_cell(row.get(column)) for column in columns] for row in rows]))


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str("" if value is None else value)
    return text or "-"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        return {"table": table}

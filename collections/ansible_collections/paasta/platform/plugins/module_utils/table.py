# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The table of a cluster's instances, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

HEADINGS = ("service.instance", "engine", "ready", "git sha", "hosts", "URL")


def render(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table, with what is wrong under the line it belongs to.

    :param rows: as the ``docker_instances`` module returns them.
    """
    ordered = sorted(rows, key=lambda row: row["id"])
    lines = [HEADINGS, *(_cells(row) for row in ordered)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [_line(HEADINGS, widths), _line(["-" * width for width in widths], widths)]
    for row, cells in zip(ordered, lines[1:], strict=True):
        text.append(_line(cells, widths))
        text += [f"  ! {line}" for line in str(row["problem"]).splitlines()]
    return "\n".join(text)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    hosts = ", ".join(f"{host} {count}" if count > 1 else host for host, count in sorted(row["hosts"].items()))
    ready = f"{row['ready']}/{row['replicas']}" if row["replicas"] or row["ready"] else "stopped"
    return (row["id"], row["engine"], ready, row["git_sha"] or "-", hosts or "-", row["url"] or "-")


def _line(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

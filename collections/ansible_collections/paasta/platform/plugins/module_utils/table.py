# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Tables for people: any rows in columns, and the instances of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: More hosts than this are counted, not named: a table has lines, not pages. Docker's are few, and always named.
NAMED_HOSTS = 4

HEADINGS = ("service.instance", "engine", "ready", "git sha", "hosts", "URL")


def render(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table, with what is wrong under the line it belongs to.

    :param rows: as the modules ``docker_instances`` and ``kubernetes_instances`` return them.
    """
    ordered = _once(sorted(rows, key=lambda row: (row["id"], row["engine"])))
    heading, rule, *listed = lines(HEADINGS, [_cells(row) for row in ordered])
    text = [heading, rule]
    for row, line in zip(ordered, listed, strict=True):
        text += [line, *(f"  ! {problem}" for problem in str(row["problem"]).splitlines())]
    return "\n".join(text)


def lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Headings, a rule and the rows, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    return [_line(row, widths) for row in (headings, ["-" * width for width in widths], *rows)]


def _once(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of an instance that several engines know, the one that is to run it, or does; what others run is its problem."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["id"], []).append(row)
    return [_together(group) for group in groups.values()]


def _together(group: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    first, *others = sorted(group, key=lambda row: (not row["replicas"], not row["ready"]))
    also = [
        f"{row['ready']} also on {row['engine']}: {row['problem'] or 'not in the plan'}"
        for row in others
        if row["ready"]
    ]
    return {**first, "problem": "\n".join(filter(None, [first["problem"], *also]))} if also else first


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (row["id"], row["engine"], _ready(row), row["git_sha"] or "-", _hosts(row) or "-", row["url"] or "-")


def _ready(row: Mapping[str, Any]) -> str:
    """``2/3``; with an autoscaler its bounds behind it: ``2/3 (1-10)``."""
    scaled = row.get("autoscaler")
    bounds = f" ({scaled['min']}-{scaled['max']})" if scaled else ""
    return f"{row['ready']}/{row['replicas']}{bounds}" if row["replicas"] or row["ready"] else "stopped"


def _hosts(row: Mapping[str, Any]) -> str:
    hosts = sorted(row["hosts"].items())
    if row["engine"] == "kubernetes" and len(hosts) > NAMED_HOSTS:
        return f"{len(hosts)} nodes"
    return ", ".join(f"{host} {count}" if count > 1 else host for host, count in hosts)


def _line(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a validation as text for people, and as JSON, SARIF and JUnit for programs. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from .errors import ConfigError
from .rules import ERROR, RULES, WARNING

JSON_VERSION = 1
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"  # what readers of SARIF take for the root of the repository
_UNNAMED = "other"  # the rule of a problem that carries none

# How much was looked at: files, services, instances.
Counts = Mapping[str, int]


def text(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> str:
    """One heading per file, one line per problem, and a summary at the end."""
    problems = _sorted([(ERROR, error) for error in errors] + [(WARNING, warning) for warning in warnings])
    lines: list[str] = []
    for file, group in groupby(problems, key=lambda problem: problem[1].file):
        lines.append(file or "(the tree)")
        lines += [f"  {_line(level, problem)}" for level, problem in group]
    if lines:
        lines.append("")
    return _writable("\n".join([*lines, summary(errors, warnings, counts)]) + "\n")


def _dumped(value: dict[str, Any]) -> str:
    return _writable(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _writable(said: str) -> str:
    """Names of files that are no UTF-8 are shown with escapes, which in JSON mean themselves."""
    return said.encode("utf-8", "backslashreplace").decode("utf-8")


def _line(level: str, problem: ConfigError) -> str:
    place = f"{problem.line}:{problem.column}: " if problem.line else ""
    key = f"{problem.key}: " if problem.key else ""
    hint = f"; {problem.hint}" if problem.hint else ""
    rule = f" [{problem.rule}]" if problem.rule else ""
    return f"{place}{level}: {key}{problem.message}{hint}{rule}"


def summary(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> str:
    """``2 errors, 1 warning in 5900 files, 1000 services, 1800 instances``"""
    found = ", ".join(_count(len(items), noun) for items, noun in ((errors, "error"), (warnings, "warning")))
    looked_at = ", ".join(_count(counts[noun], noun[:-1]) for noun in ("files", "services", "instances"))
    return f"{found} in {looked_at}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def document(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> dict[str, Any]:
    """What ``json`` writes and the module returns, JSON-ready. Keys are only ever added within a ``version``."""
    return {
        "version": JSON_VERSION,
        "counts": {
            "errors": len(errors),
            "warnings": len(warnings),
            **{noun: counts[noun] for noun in ("files", "services", "instances")},
        },
        "errors": [record(error) for error in errors],
        "warnings": [record(warning) for warning in warnings],
    }


def record(problem: ConfigError) -> dict[str, Any]:
    """One problem; ``line`` and ``column`` count from 1, 0 means the whole file."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "rule": problem.rule,
        "message": problem.message,
        "hint": problem.hint,
    }


def as_json(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> str:
    return _dumped(document(errors, warnings, counts))


def sarif(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> str:
    """SARIF 2.1.0 with one run. Paths are relative to the soa-configs directory, as code scanning wants them."""
    problems = [(ERROR, error) for error in errors] + [(WARNING, warning) for warning in warnings]
    used = sorted({problem.rule or _UNNAMED for _level, problem in problems})
    index = {rule: number for number, rule in enumerate(used)}
    run = {
        "tool": {
            "driver": {
                "name": "paasta validate",
                "rules": [_sarif_rule(rule) for rule in used],
            }
        },
        "originalUriBaseIds": {
            _ROOT: {"description": {"text": "The soa-configs directory."}},
        },
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(level, problem, index) for level, problem in _sorted(problems)],
    }
    return _dumped({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _sarif_rule(rule: str) -> dict[str, Any]:
    known = RULES.get(rule)
    described: dict[str, Any] = {"id": rule}
    if known:
        described["shortDescription"] = {"text": f"{known.text[0].upper()}{known.text[1:]}."}
        described["defaultConfiguration"] = {"level": known.level}
        described["properties"] = {"tags": [known.group]}
    return described


def _sarif_result(level: str, problem: ConfigError, index: Mapping[str, int]) -> dict[str, Any]:
    rule = problem.rule or _UNNAMED
    said = ": ".join(part for part in (problem.key, problem.message) if part)
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": index[rule],
        "level": level,
        "message": {"text": f"{said}; {problem.hint}" if problem.hint else said},
    }
    if problem.file:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(problem.file)), "uriBaseId": _ROOT}}
        if problem.line:
            place["region"] = {"startLine": problem.line, "startColumn": problem.column}
        result["locations"] = [{"physicalLocation": place}]
    return result


def junit(errors: Sequence[ConfigError], warnings: Sequence[ConfigError], counts: Counts) -> str:
    """JUnit XML: a suite of one test case per file with problems, and one that passes where there are none.

    Errors are failures; warnings are told in ``system-out``, for JUnit knows none.
    """
    by_file: dict[str, tuple[list[ConfigError], list[ConfigError]]] = {}
    for number, problems in enumerate((errors, warnings)):
        for problem in problems:
            by_file.setdefault(problem.file or "(the tree)", ([], []))[number].append(problem)
    cases = by_file or {"soa-configs": ([], [])}
    failed = sum(1 for wrong, _odd in cases.values() if wrong)
    totals = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", {"name": "soa-configs", **totals})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "soa-configs", "time": "0", **totals})
    for file, (wrong, odd) in sorted(cases.items()):
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "soa-configs", "name": _printable(file), "time": "0"}
        )
        if wrong:
            # One element: several in one test case are not in every reader's dialect.
            failure = ElementTree.SubElement(case, "failure", {"message": _printable(_heading(wrong)), "type": "error"})
            failure.text = _printable("\n".join(map(_cited, wrong)))
        if odd:
            ElementTree.SubElement(case, "system-out").text = _printable("\n".join(map(_cited, odd)))
    ElementTree.SubElement(suite, "system-out").text = summary(errors, warnings, counts)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _heading(problems: Sequence[ConfigError]) -> str:
    more = len(problems) - 1
    return f"{problems[0]}" + (f" (and {more} more)" if more else "")


def _cited(problem: ConfigError) -> str:
    return f"{problem} [{problem.rule}]" if problem.rule else str(problem)


def _printable(said: str) -> str:
    """XML 1.0 has no way to write most control characters, and no half of a surrogate pair."""
    return "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in said
    )


def _sorted(problems: Iterable[tuple[str, ConfigError]]) -> list[tuple[str, ConfigError]]:
    return sorted(
        problems, key=lambda item: (item[1].file, item[1].line, item[1].column, item[0], item[1].key, item[1].message)
    )


FORMATS: dict[str, Callable[[Sequence[ConfigError], Sequence[ConfigError], Counts], str]] = {
    "json": as_json,
    "junit": junit,
    "sarif": sarif,
    "text": text,
}

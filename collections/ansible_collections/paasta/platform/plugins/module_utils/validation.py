# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Check a soa-configs directory and write reports: the work of the module ``validate`` and of ``validate_cli``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from .soaconfigs import atomic, cache, reports
from .soaconfigs.errors import ConfigError, InvalidConfigs
from .soaconfigs.settings import InvalidSettings, Settings
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.tree import validate

FILE_FORMATS = ("json", "junit", "sarif", "text")

ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "clusters": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}},
    "reports": {"type": "dict", "default": {}, "options": {name: {"type": "path"} for name in FILE_FORMATS}},
    "fail_on_warnings": {"type": "bool", "default": False},
}


class Outcome:
    """What a validation found. ``broken`` says that the tree could not be looked at at all."""

    def __init__(
        self,
        errors: Collection[ConfigError] = (),
        warnings: Collection[ConfigError] = (),
        counts: Mapping[str, int] | None = None,
        broken: bool = False,
    ) -> None:
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)
        self.counts = dict(counts or {"files": 0, "services": 0, "instances": 0})
        self.broken = broken

    def report(self, form: str) -> str:
        """The report in one of ``reports.FORMATS``."""
        return reports.FORMATS[form](self.errors, self.warnings, self.counts)

    def failed(self, fail_on_warnings: bool) -> bool:
        return bool(self.errors) or (fail_on_warnings and bool(self.warnings))


def look(
    soa_dir: str, settings: Settings, services: Collection[str] | None = None, clusters: Collection[str] | None = None
) -> Outcome:
    """Check everything, or what is named; never raises for anything that may be in the directory."""
    try:
        found = validate(soa_dir, settings, services=services, clusters=clusters, cache=cache.default_directory())
    except InvalidConfigs as error:
        return Outcome(error.errors, broken=True)
    counts = {"files": found.files, "services": found.services, "instances": found.instances}
    return Outcome(found.errors, found.warnings, counts)


def run(args: Mapping[str, Any], check_mode: bool = False) -> dict[str, Any]:
    """The module's result. ``args`` is as in :data:`ARGUMENTS`; reports are written also when there are errors."""
    try:
        settings = parse_settings(args["settings"])
    except InvalidSettings as error:
        return {"failed": True, "msg": str(error)}
    outcome = look(args["soa_dir"], settings, args["services"] or None, args["clusters"] or None)
    files = {path: outcome.report(form) for form, path in (args["reports"] or {}).items() if path}
    result: dict[str, Any] = {
        "report": reports.document(outcome.errors, outcome.warnings, outcome.counts),
        "text": outcome.report("text"),
    }
    try:
        result["changed"] = write(files, check_mode)
    except OSError as error:
        return {**result, "failed": True, "msg": f"{error.filename}: the report cannot be written: {error.strerror}"}
    if outcome.failed(args["fail_on_warnings"]):
        return {**result, "failed": True, "msg": result["text"]}
    return result


def write(texts: Mapping[str, str], check_mode: bool = False) -> bool:
    """Write each text to its path; True if that changed (or would change) any. OSError when it cannot be done."""
    changed = {path: text for path, text in texts.items() if _read(path) != text}
    if changed and not check_mode:
        for path in changed:
            directory = os.path.dirname(path)
            if directory:
                os.makedirs(directory, exist_ok=True)
        atomic.write(changed)
    return bool(changed)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None

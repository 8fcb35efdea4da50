# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Check a soa-configs directory from the command line, from pre-commit, or in continuous integration.

Needs Python 3.11 and PyYAML, and neither Ansible nor anything installed but the collection::

    python -m ansible_collections.paasta.platform.plugins.module_utils.validate_cli soa-configs

In a checkout of the project, ``scripts/validate`` is the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from .soaconfigs.keys_settings import PREFIX
from .soaconfigs.reports import FORMATS
from .soaconfigs.settings import VARIABLES, InvalidSettings, Settings, unknown
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.yamldoc import YAML_MISSING, parse
from .validation import look, write

GOOD, WRONG, BROKEN = 0, 1, 2

_EPILOG = """
A PATH is the soa-configs directory, or, as pre-commit gives them, files in it: then their services are checked, or the
whole directory, if a file concerns other services, too (smartstack.yaml, _shared/, files of no service).

exit status: 0 nothing is wrong; 1 there are errors (with --strict: or warnings); 2 nothing could be checked
"""


class _Unusable(Exception):
    """Nothing can be checked; the text says why."""


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Returns the exit status; ``out`` is where the report goes without ``--output``."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        soa_dir, files = _split(options.path, options.soa_dir)
        settings = _settings(options.settings)
        services = _services(soa_dir, files, options.service)
        if services == []:
            return GOOD
        outcome = look(soa_dir, settings, services, options.cluster or None)
        report = outcome.report(options.format)
        if options.output:
            write({options.output: report})
            if options.format != "text":
                sys.stderr.write(outcome.report("text"))
        else:
            (out or sys.stdout).write(report)
    except (_Unusable, OSError) as error:
        what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"{parser.prog}: {what}\n")
        return BROKEN
    if outcome.broken:
        return BROKEN
    return WRONG if outcome.failed(options.strict) else GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="validate",
        description="Check a soa-configs directory; every mistake is told at once, each with its place.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="*", metavar="PATH", help="the directory, or files in it; by default: .")
    parser.add_argument("-d", "--soa-dir", metavar="DIR", help="the directory, when files are given; by default: .")
    parser.add_argument("-s", "--service", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("-c", "--cluster", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument(
        "-f", "--format", choices=sorted(FORMATS), default="text", help="of the report; text by default"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report there; people read theirs on stderr")
    parser.add_argument("--strict", action="store_true", help="fail on warnings, too")
    parser.add_argument(
        "--settings",
        metavar="FILE",
        action="append",
        default=[],
        help=f"YAML with variables {PREFIX}*, such as group_vars/all.yml; may be repeated, the last wins",
    )
    return parser


def _split(paths: Sequence[str], soa_dir: str | None) -> tuple[str, list[str] | None]:
    """The directory, and the files that were named; None when none were."""
    directories = [path for path in paths if os.path.isdir(path)]
    files = [path for path in paths if path not in directories]
    if soa_dir is None and len(directories) == 1 and not files:
        return directories[0], None
    if directories:
        raise _Unusable(f"{directories[0]} is a directory: name one directory, or files and --soa-dir")
    return soa_dir or ".", files or None


def _settings(paths: Sequence[str]) -> Settings:
    variables: dict[str, Any] = {}
    for path in paths:
        with open(path, "rb") as stream:
            document = parse(path, stream.read())
        if document.errors:
            raise _Unusable(YAML_MISSING or str(document.errors[0]))
        variables.update(document.value)
    for warning in unknown(variables):
        sys.stderr.write(f"warning: {warning}\n")
    # Other variables of an inventory are not ours; what has to be templated first, no check needs.
    known = {name: value for name, value in variables.items() if name in VARIABLES and not _is_templated(value)}
    try:
        return parse_settings(known)
    except InvalidSettings as error:
        raise _Unusable(str(error)) from error


def _is_templated(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(map(_is_templated, value.values()))
    return isinstance(value, list) and any(map(_is_templated, value))


def _services(soa_dir: str, files: Iterable[str] | None, named: Sequence[str]) -> list[str] | None:
    """Which services to check; None is all of them."""
    if files is None:
        return list(named) or None
    found = set(named)
    for path in files:
        parts = os.path.relpath(path, soa_dir).split(os.sep)
        if parts[0] == os.pardir:
            raise _Unusable(f"{path} is not in {soa_dir}: say with --soa-dir where the soa-configs are")
        if len(parts) == 1:
            if parts[0].endswith(".json"):  # location_types.json
                return None
        elif parts[0][0] == "." or not parts[-1].endswith((".yaml", ".json", ".in")):
            continue
        elif parts[0][0] == "_" or parts[-1] == "smartstack.yaml" or not _is_service(soa_dir, parts[0]):
            return None
        else:
            found.add(parts[0])
    return sorted(found)


def _is_service(soa_dir: str, name: str) -> bool:
    """Whether it still is one (others may refer to one that went), and not Tron's own directory."""
    return name != "tron" and os.path.isdir(os.path.join(soa_dir, name))


if __name__ == "__main__":
    raise SystemExit(main())

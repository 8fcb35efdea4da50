# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which secrets a soa-configs directory holds, for which environments, encrypted by whom. Needs no password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..soaconfigs.errors import ConfigError, InvalidConfigs, did_you_mean
from ..soaconfigs.files import SoaDir
from ..soaconfigs.secrets import SHARED
from ..soaconfigs.shapes import show
from ..table import lines
from .secrets import Files, SecretError
from .secrets_edit import names

ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
}
_HEADINGS = ("service", "secret", "environment", "provider", "digest")


def run(args: Mapping[str, Any]) -> dict[str, Any]:
    """A module result: one row for each secret and environment, the same as a table, and files that are wrong."""
    try:
        soa = SoaDir(args["soa_dir"])
        known = [*soa.services, SHARED]
        unknown = [name for name in args["services"] if name not in known]
        if unknown:
            raise InvalidConfigs(
                ConfigError("", 0, 0, "services", f"{show(name)} is not a service", did_you_mean(name, known))
                for name in unknown
            )
        rows, warnings = _rows(soa, args["services"] or known)
    except InvalidConfigs as error:
        return {"failed": True, "msg": "\n".join(map(str, error.errors))}
    except OSError as error:
        return {"failed": True, "msg": f"{error.filename or args['soa_dir']}: cannot be read: {error.strerror}"}
    cells = [
        (row["service"], row["name"], row["environment"], row["provider"], row["digest"][:12])
        if row["digest"]
        else (row["service"], row["name"], "-", "-", "-")
        for row in rows
    ]
    result: dict[str, Any] = {"changed": False, "secrets": rows, "table": "\n".join(lines(_HEADINGS, cells))}
    if warnings:
        result["warnings"] = warnings
    return result


def _rows(soa: SoaDir, services: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    files = Files(soa)
    rows: list[dict[str, Any]] = []
    warnings: list[str] = []
    for ref in [ref for service in services for ref in names(soa, service)]:
        try:
            environments = files.read(ref).secret.environments
        except SecretError as error:
            warnings.append(f"{ref.file}: {error}")
            continue
        rows += [
            {
                "service": ref.service,
                "name": ref.name,
                "environment": environment,
                "provider": entry.provider,
                "digest": entry.digest,
            }
            for environment, entry in sorted(environments.items())
        ] or [{"service": ref.service, "name": ref.name, "environment": None, "provider": None, "digest": None}]
    return rows, warnings

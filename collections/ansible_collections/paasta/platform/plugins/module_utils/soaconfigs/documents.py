# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A kind of document: where its files are, and what a whole file may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .model import KeyPath
from .names import INSTANCE_NAME
from .shapes import Any_, MapOf, Report, Struct

_TEMPLATE = MapOf(Any_())
# What stands for a part of a path; a cluster's name may hold dashes, a service's directory no slash.
_PLACEHOLDER = re.compile(r"<([a-z]+)>")


@dataclass(frozen=True)
class DocumentKind:
    """One kind of document. ``path`` is relative to soa-configs, with <service>, <cluster> and <name> for names.

    ``shape`` is that of the whole file without templates (top-level keys that begin with ``_``), which are let through
    where ``templates`` is true. ``entry`` names what the values of a file's own names are: instance, job, namespace.
    ``schema`` is the published schema's name; kinds whose files hold the same share one.
    """

    name: str
    path: str
    shape: Struct | MapOf
    doc: str
    templates: bool = True
    entry: str = ""
    schema: str = ""

    def __post_init__(self) -> None:
        if not self.schema:
            object.__setattr__(self, "schema", self.name)

    @property
    def instances(self) -> bool:
        """Whether the top-level keys are instances."""
        return self.entry == "instance"

    @property
    def glob(self) -> str:
        """The files as editors and git match them: ``**/kubernetes-*.yaml``."""
        base = _PLACEHOLDER.sub("*", self.path.removeprefix("<service>/"))
        return f"**/{base}"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = _PLACEHOLDER.split(self.path)
        return re.compile(
            "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        )

    def match(self, path: str) -> dict[str, str] | None:
        """The names in a path relative to soa-configs, ``{"service": "web"}``; None when it is of another kind."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None

    def check(self, value: Any, report: Report) -> None:
        """Check a whole file, templates too."""
        if self.templates and isinstance(value, dict):
            templates = {name: item for name, item in value.items() if isinstance(name, str) and name.startswith("_")}
            for name, item in templates.items():
                _TEMPLATE.check(item, (name,), report)
            value = {name: item for name, item in value.items() if name not in templates}
        path: KeyPath = ()
        self.shape.check(value, path, report)


def instances_kind(instance_type: str, struct: Struct, doc: str = "its instances", schema: str = "") -> DocumentKind:
    """``<type>-<cluster>.yaml``: from names of instances to what they are."""
    says = "an instance's name: use a-z, 0-9 and inner - and _"
    return DocumentKind(
        instance_type,
        f"<service>/{instance_type}-<cluster>.yaml",
        MapOf(struct, f"^{INSTANCE_NAME.pattern}$", says),
        f"{doc} of type {instance_type}",
        entry="instance",
        schema=schema,
    )

"""docs/settings-reference.md, made of the table of settings; `generate_reference.py` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_etc_paasta import DROPPED
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_settings import GROUPS, Setting
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import (
    UNSET,
    ListOf,
    MapOf,
    OneOf,
    Shape,
    Struct,
)

_INTRODUCTION = """\
<!-- Made by `make docs` from the table of settings. Changes here are lost. -->
# Settings

Set them in the inventory, those of the platform in `group_vars/all.yml`. `lookup('paasta.platform.settings')` checks
them, all at once. Where a setting wants a number, a boolean, a list or a mapping, text will do (`-e`, AWX surveys, INI
inventories): `600`, `yes`, `a,b` or JSON. An empty variable (`null`) is one that is not set. `?` marks a key that may
be left out.
"""

_FROM = """\
## From /etc/paasta

What `playbooks/import_etc_paasta.yml` makes of PaaSTA's keys: see [migrating](migrating.md).

| key of PaaSTA | |
|---|---|
"""


def markdown() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for title, (text, rows) in GROUPS.items():
        head = "| variable | what it may be | default | |\n|---|---|---|---|"
        intro = f"{text}\n\n" if text else ""
        parts.append("\n".join([f"## {title}\n\n{intro}{head}", *(_row(row) for row in rows)]) + "\n")
    parts.append(_FROM + "\n".join(f"| `{key}` | {text} |" for key, text in sorted(_sources())) + "\n")
    return "\n".join(parts)


def _row(row: Setting) -> str:
    shape = _describe(row.shape) + (f", in {row.unit}" if row.unit else "")
    if row.secret:
        default = "secret"
    elif row.required:
        default = "needed"
    else:
        default = "" if row.default is UNSET else f"`{_value(row.default)}`"
    return f"| `{row.variable}` | {_escape(shape)} | {default} | {_escape(row.doc)} |"


def _describe(shape: Shape) -> str:
    """As the shape describes itself, but with what is inside of mappings."""
    if isinstance(shape, MapOf):
        return f"mapping to {_describe(shape.value)}"
    if isinstance(shape, ListOf):
        return f"list of {_describe(shape.item)}"
    if isinstance(shape, OneOf):
        return " or ".join(_describe(one) for one in shape.shapes)
    if isinstance(shape, Struct):
        names = ", ".join(f"`{key.name}`" + ("" if key.required else "?") for key in shape.keys)
        return "{" + names + (", …" if shape.open_ else "") + "}"
    return shape.describe().removeprefix("a ").removeprefix("an ")


def _sources() -> Iterator[tuple[str, str]]:
    for _text, rows in GROUPS.values():
        for row in rows:
            for key in row.paasta:
                if row.secret:
                    yield key, f"not written; set `{row.variable}` in Ansible Vault"
                else:
                    yield key, f"`{row.variable}`"
    for key, reason in DROPPED.items():
        yield key, f"dropped: {reason}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")

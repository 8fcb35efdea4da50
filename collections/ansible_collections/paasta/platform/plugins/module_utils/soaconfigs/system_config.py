# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Write an /etc/paasta directory as a file of inventory variables."""

from __future__ import annotations

import contextlib
import os
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from . import atomic, etc_paasta
from .errors import ConfigError, InvalidConfigs
from .keys_settings import GROUPS, SETTINGS
from .settings import VARIABLES
from .yamldoc import YAML_MISSING, parse

with contextlib.suppress(ImportError):  # YAML_MISSING says it
    import yaml

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "default": "/etc/paasta"},
    "dest": {"type": "path", "required": True},
}

HEADER = "# Written by playbooks/import_etc_paasta.yml, which replaces this file: put what is yours into another one."
_WIDTH = 118
_TEMPLATES = ("{{", "{%", "{#")  # Ansible would evaluate them
# Text that every YAML reader takes for text.
_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9_./@-]*")
_WORDS = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Carry out ARGUMENTS; returns a module result, with ``failed`` and ``msg`` when nothing was written."""
    dest = args["dest"]
    if YAML_MISSING:
        return {"failed": True, "msg": f"this needs PyYAML: {YAML_MISSING}"}
    try:
        translation = etc_paasta.translate(etc_paasta.read(args["directory"]))
        others = _other_variables(dest)
        before = _existing(dest)
    except InvalidConfigs as error:
        listed = "\n".join(map(str, error.errors))
        return {"failed": True, "msg": f"Nothing was written.\n{listed}"}
    after = render(translation)
    result: dict[str, Any] = {"changed": before != after, "dest": dest, **_report(translation, others)}
    if diff:
        result["diff"] = {"before_header": dest, "after_header": dest, "before": before, "after": after}
    if result["changed"] and not check_mode:
        try:
            os.makedirs(os.path.dirname(os.path.abspath(dest)), exist_ok=True)
            atomic.write({dest: after})
        except OSError as error:
            return {"failed": True, "msg": f"{error.filename or dest}: cannot be written: {error.strerror}"}
    return result


def render(translation: etc_paasta.Translation) -> str:
    """The text of the file: settings in the order of the table, each with what it means and where it comes from."""
    parts = [HEADER, "---"]
    for _text, rows in GROUPS.values():
        for row in rows:
            if row.name in translation.values:
                doc = textwrap.wrap(f"{row.doc[0].upper()}{row.doc[1:]}.", _WIDTH - 2)
                comments = [f"# {line}" for line in (*doc, f"PaaSTA: {translation.origins[row.name]}")]
                value = _yaml({row.variable: translation.values[row.name]})
                parts.append("\n".join([*comments, value]))
    for title, notes in (("Needs you", translation.attention), ("Not known", translation.unknown)):
        if notes:
            lines = [line for note in notes for line in textwrap.wrap(f"{note}", _WIDTH - 4, subsequent_indent="  ")]
            parts.append("\n".join([f"# {title}:", *(f"#   {line}" for line in lines)]))
    return f"{parts[0]}\n{parts[1]}\n" + "\n\n".join(parts[2:]) + "\n"


def _report(translation: etc_paasta.Translation, others: Mapping[str, str]) -> dict[str, Any]:
    """The notes as lists of text, and what the inventory still needs."""
    attention = [str(note) for note in translation.attention]
    for name in translation.values:
        variable = SETTINGS[name].variable
        if variable in others:
            attention.append(f"{variable} is also set in {others[variable]}: keep one of the two")
    for row in SETTINGS.values():
        if row.required and not row.machine and row.name not in translation.values and row.variable not in others:
            attention.append(f"{row.variable} is not in these files: set it ({row.doc})")
    return {
        "variables": [row.variable for row in SETTINGS.values() if row.name in translation.values],
        "taken": [str(note) for note in translation.taken],
        "renamed": [str(note) for note in translation.renamed],
        "dropped": [str(note) for note in translation.dropped],
        "unknown": [str(note) for note in translation.unknown],
        "attention": attention,
    }


def _existing(dest: str) -> str:
    """The file as it is, empty when there is none. One that is not ours, or that would take others out of sight, is
    refused: InvalidConfigs.
    """
    directory = os.path.dirname(os.path.abspath(dest))
    beside = [
        directory + extension for extension in (".yml", ".yaml", ".json") if os.path.exists(directory + extension)
    ]
    if not os.path.isdir(directory) and os.path.exists(directory):
        beside.append(directory)
    if beside:
        hint = f"move it into a directory {os.path.basename(directory)}/ first, under any other name"
        message = f"exists, and Ansible reads no such file where there is a directory {directory}"
        raise InvalidConfigs([ConfigError(path, 0, 0, "", message, hint) for path in beside])
    try:
        with open(dest, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfigs([ConfigError(dest, 0, 0, "", f"cannot be read: {error}")]) from None
    if text and not text.startswith(HEADER):
        raise InvalidConfigs([ConfigError(dest, 1, 1, "", "was not written by this import", "choose another dest")])
    secrets = [row.variable for row in SETTINGS.values() if row.secret and f"\n{row.variable}:" in text]
    if secrets:
        hint = "this file is replaced, so put it into one that is encrypted with Ansible Vault"
        raise InvalidConfigs(
            [ConfigError(dest, 0, 0, name, "is a secret that was added here", hint) for name in secrets]
        )
    return text


def _other_variables(dest: str) -> dict[str, str]:
    """Settings that other files of the same directory set, and which file."""
    directory = os.path.dirname(os.path.abspath(dest))
    found: dict[str, str] = {}
    if not os.path.isdir(directory):
        return found
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name == os.path.basename(dest) or not name.endswith((".yml", ".yaml", ".json")) or not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as stream:
                document = parse(path, stream.read())
        except OSError as error:
            raise InvalidConfigs([ConfigError(path, 0, 0, "", f"cannot be read: {error.strerror}")]) from None
        # Ansible's own tags (!vault) are errors to this parser, which reads the other values all the same; of a file
        # that is encrypted as a whole it reads nothing.
        found.update({variable: path for variable in document.value if variable in VARIABLES})
    return found


def _yaml(value: Mapping[str, Any]) -> str:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def text(dumper: Any, item: str) -> Any:
        if any(mark in item for mark in _TEMPLATES):
            return dumper.represent_scalar("!unsafe", item, style='"')
        plain = _PLAIN.fullmatch(item) and not _WORDS.fullmatch(item)
        return dumper.represent_scalar("tag:yaml.org,2002:str", item, style=None if plain else '"')

    Dumper.add_representer(str, text)
    dumped = yaml.dump(dict(value), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    return str(dumped).rstrip("\n")

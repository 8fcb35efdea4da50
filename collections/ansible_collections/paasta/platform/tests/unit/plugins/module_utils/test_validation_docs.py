# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""docs/validation.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from ansible_collections.paasta.platform.plugins.module_utils import validate_cli
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import reports
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.rules import RULES

REPOSITORY = Path(__file__).parents[8]
TEXT = (REPOSITORY / "docs" / "validation.md").read_text()


def test_every_rule_is_listed_under_its_heading_as_it_is() -> None:
    listed: dict[str, list[str]] = {}
    for line in TEXT.split("\n## Rules\n")[1].splitlines():
        if line.startswith("### "):
            lines = listed.setdefault(line.removeprefix("### "), [])
        elif line.startswith("| `"):
            lines.append(line)
    expected: dict[str, list[str]] = {}
    for rule in RULES.values():
        expected.setdefault(rule.group, []).append(f"| `{rule.id}` | {rule.level} | {rule.text} |")
    assert listed == expected


def test_every_option_of_the_command_is_explained() -> None:
    options = {
        option
        for action in validate_cli._parser()._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    assert {option for option in options if f"`{option}" in TEXT} == options


def test_the_example_of_json_has_the_form_of_the_report() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    example = json.loads(block)
    report = reports.document((), (), {"files": 0, "services": 0, "instances": 0})
    assert set(example) == set(report)
    assert set(example["counts"]) == set(report["counts"])
    assert example["version"] == report["version"]
    assert example["errors"][0]["rule"] in RULES


def test_the_rules_of_the_example_exist() -> None:
    block = TEXT.split("```")[1]
    named = re.findall(r" \[([a-z-]+)\]$", block, re.MULTILINE)
    assert len(named) == 3
    assert set(named) <= set(RULES)


def test_the_hook_is_the_one_of_the_repository() -> None:
    (config,) = [
        block for block in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)) if "repos" in block
    ]
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in config["repos"][0]["hooks"]] == [hook["id"] for hook in hooks]

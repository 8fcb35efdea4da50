# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import settings, tree
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.rules import ERROR, RULES, WARNING
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs import (
    rule_cases,
    rule_cases_service,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.rule_cases import Case

Soa = Callable[..., str]
CASES = (
    *rule_cases.INSTANCE,
    *rule_cases.VOLUMES,
    *rule_cases.AUTOSCALING,
    *rule_cases.SECRETS,
    *rule_cases_service.SERVICES,
    *rule_cases_service.MESH,
    *rule_cases_service.TRON,
    *rule_cases_service.CUSTOM,
    *rule_cases_service.FILES,
)


# Rules that a tree cannot break: what is asked for is not there.
ASKED = {"soa-dir", "no-instances"}
ROOM = Path(str(tree.__file__)).parent


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.rule}" for number, case in enumerate(CASES)])
def test_rule(soa: Soa, case: Case) -> None:
    found = tree.validate(soa(case.files), settings.parse(case.settings))
    problems = (*found.errors, *found.warnings)
    assert tuple(map(str, problems)) == case.says
    assert {problem.rule for problem in problems} == (case.breaks or ({case.rule} if case.says else set()))
    for level, said in ((ERROR, found.errors), (WARNING, found.warnings)):
        for problem in said:
            assert RULES[problem.rule].level == level
            # A place in a file, or the file (or directory) as a whole.
            assert (problem.line > 0) == (problem.column > 0)
            assert problem.line > 0 or not problem.key


def test_every_rule_has_trees() -> None:
    assert {case.rule for case in CASES} | ASKED == set(RULES)
    assert {case.rule for case in CASES if case.says} | ASKED == set(RULES)


def test_what_is_asked_for_and_is_not_there(soa: Soa) -> None:
    root = soa()
    (error,) = tree.validate(root, services=["wbe"]).errors
    assert (str(error), error.rule) == ("wbe: is not a service of this tree; did you mean web?", "soa-dir")
    (warning,) = tree.validate(root, clusters=["prdo"]).warnings
    assert warning.rule == "no-instances"
    with pytest.raises(InvalidConfigs) as caught:
        tree.validate(f"{root}/nothing")
    assert [error.rule for error in caught.value.errors] == ["soa-dir"]


@pytest.mark.parametrize("services", [None, ["web"]])
def test_what_another_service_has_is_known_before_it_is_read(soa: Soa, services: list[str] | None) -> None:
    job = "nightly: {{schedule: daily, deploy_group: {0}.main, actions: {{a: {{command: x{1}}}}}}}\n"
    root = soa(
        {
            "web/tron-prod.yaml": job.format("prod", ", triggered_by: [zoo.nightly.a.x, zoo.nightly.b.x]")
            + "other: {schedule: daily, actions: {a: {command: x, service: zoo, deploy_group: zoo.mian}}}\n",
            "zoo/tron-prod.yaml": job.format("zoo", ""),
            "zoo/deploy.yaml": "pipeline: [{step: zoo.main}]\n",
        }
    )
    found = tree.validate(root, services=services)
    assert [str(problem) for problem in (*found.errors, *found.warnings)] == [
        'web/tron-prod.yaml:2:66: other.actions.a.deploy_group: "zoo.mian" is not in the pipeline of zoo/deploy.yaml; '
        "did you mean zoo.main?",
        'web/tron-prod.yaml:1:111: nightly.actions.a.triggered_by[1]: "b" is not an action of zoo.nightly; allowed: a',
    ]


def test_only_known_rules_are_named() -> None:
    """Every id that the room's code gives to a problem is in the table, and none of the table is unused."""
    named = {
        node.value
        for path in ROOM.glob("*.py")
        if path.name != "rules.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in RULES
    }
    assert named == set(RULES)


def test_the_problems_of_a_whole_tree_carry_rules(soa: Soa) -> None:
    files: dict[str, str | None] = {}
    for number, case in enumerate(CASES):
        files.update({f"s{number}-{name}": text for name, text in case.files.items()})
    found = tree.validate(soa(files))
    assert len(found.errors) > 50
    assert {problem.rule for problem in (*found.errors, *found.warnings)} <= set(RULES)

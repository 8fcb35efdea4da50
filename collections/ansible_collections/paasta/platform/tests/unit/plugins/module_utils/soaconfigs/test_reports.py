# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import reports
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import ConfigError
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.rules import RULES
from hypothesis import given
from hypothesis import strategies as st

# As the OASIS committee published it (draft 7 of JSON Schema).
SARIF = json.loads((Path(__file__).parents[9] / "tests/data/sarif-schema-2.1.0.json").read_text())
COUNTS = {"files": 5, "services": 2, "instances": 1}
ERRORS = (
    ConfigError("web/kubernetes-prod.yaml", 3, 5, "main.cpus", '"lots" is not a number', "use 0.5", "wrong-type"),
    ConfigError("web/kubernetes-prod.yaml", 1, 1, "Main", "is not a valid name", "", "instance-name"),
    ConfigError("api v2/smartstack.yaml", 0, 0, "", "cannot be read: <&>", "", "unreadable-file"),
    ConfigError("", 0, 0, "", "something else"),
)
WARNINGS = (
    ConfigError("web/deploy.yaml", 0, 0, "", "is missing", "write one", "missing-deploy"),
    ConfigError("web/kubernetes-prod.yaml", 2, 3, "main.pool", "is odd", "", "nested-volume"),
)


def sarif(errors: Any = ERRORS, warnings: Any = WARNINGS) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(reports.sarif(errors, warnings, COUNTS))
    jsonschema.Draft7Validator(SARIF, format_checker=jsonschema.FormatChecker()).validate(document)
    return document


def test_text_is_grouped_by_file() -> None:
    assert reports.text(ERRORS, WARNINGS, COUNTS) == (
        "(the tree)\n"
        "  error: something else\n"
        "api v2/smartstack.yaml\n"
        "  error: cannot be read: <&> [unreadable-file]\n"
        "web/deploy.yaml\n"
        "  warning: is missing; write one [missing-deploy]\n"
        "web/kubernetes-prod.yaml\n"
        "  1:1: error: Main: is not a valid name [instance-name]\n"
        "  2:3: warning: main.pool: is odd [nested-volume]\n"
        '  3:5: error: main.cpus: "lots" is not a number; use 0.5 [wrong-type]\n'
        "\n"
        "4 errors, 2 warnings in 5 files, 2 services, 1 instance\n"
    )


def test_nothing_wrong_is_one_line() -> None:
    assert reports.text((), (), COUNTS) == "0 errors, 0 warnings in 5 files, 2 services, 1 instance\n"


def test_json_has_a_stable_form() -> None:
    assert json.loads(reports.as_json(ERRORS[:1], WARNINGS[:1], COUNTS)) == {
        "version": 1,
        "counts": {"errors": 1, "warnings": 1, "files": 5, "services": 2, "instances": 1},
        "errors": [
            {
                "file": "web/kubernetes-prod.yaml",
                "line": 3,
                "column": 5,
                "key": "main.cpus",
                "rule": "wrong-type",
                "message": '"lots" is not a number',
                "hint": "use 0.5",
            }
        ],
        "warnings": [
            {
                "file": "web/deploy.yaml",
                "line": 0,
                "column": 0,
                "key": "",
                "rule": "missing-deploy",
                "message": "is missing",
                "hint": "write one",
            }
        ],
    }


def test_sarif() -> None:
    (run,) = sarif()["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    found = {result["ruleId"]: result for result in run["results"]}
    assert set(found) == {"wrong-type", "instance-name", "unreadable-file", "other", "missing-deploy", "nested-volume"}
    assert found["wrong-type"]["message"]["text"] == 'main.cpus: "lots" is not a number; use 0.5'
    assert found["wrong-type"]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "web/kubernetes-prod.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 5},
    }
    # A URI, and no region for a file as a whole.
    place = found["unreadable-file"]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "api%20v2/smartstack.yaml", "uriBaseId": "%SRCROOT%"}}
    assert "locations" not in found["other"]
    assert {rule: result["level"] for rule, result in found.items() if result["level"] == "warning"} == {
        "missing-deploy": "warning",
        "nested-volume": "warning",
    }


def test_sarif_of_nothing_and_of_every_rule() -> None:
    assert sarif((), ())["runs"][0]["results"] == []
    every = [ConfigError("a", 1, 1, "", "x", rule=rule) for rule in RULES]
    assert len(sarif(every, ())["runs"][0]["tool"]["driver"]["rules"]) == len(RULES)


def test_the_schema_refuses_what_is_no_sarif() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SARIF).validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_junit() -> None:
    root = ElementTree.fromstring(reports.junit(ERRORS, WARNINGS, COUNTS))
    (suite,) = root
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["(the tree)", "api v2/smartstack.yaml", "web/deploy.yaml", "web/kubernetes-prod.yaml"]
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert failed == ["(the tree)", "api v2/smartstack.yaml", "web/kubernetes-prod.yaml"]
    assert (suite.get("tests"), suite.get("failures"), root.get("failures")) == ("4", "3", "3")
    failure = cases["web/kubernetes-prod.yaml"].find("failure")
    assert failure is not None
    assert failure.get("message") == f"{ERRORS[0]} (and 1 more)"
    assert failure.text == f"{ERRORS[0]} [wrong-type]\n{ERRORS[1]} [instance-name]"
    assert cases["web/deploy.yaml"].findtext("system-out") == f"{WARNINGS[0]} [missing-deploy]"


def test_junit_of_nothing_passes() -> None:
    root = ElementTree.fromstring(reports.junit((), (), COUNTS))
    assert [(case.get("name"), len(case)) for case in root.iter("testcase")] == [("soa-configs", 0)]
    assert root.get("failures") == "0"


# Surrogates, too: what Python makes of file names that are no UTF-8.
_TEXT = st.text(st.characters() | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))


@given(_TEXT, st.text(), st.text())
def test_any_text_makes_readable_reports(file: str, key: str, message: str) -> None:
    errors = [ConfigError(file, 1, 1, key, message, message)]
    ElementTree.fromstring(reports.junit(errors, errors, COUNTS))
    sarif(errors, errors)
    for report in reports.FORMATS.values():
        report(errors, errors, COUNTS).encode()
    assert json.loads(reports.as_json(errors, (), COUNTS))["errors"][0]["message"] == message

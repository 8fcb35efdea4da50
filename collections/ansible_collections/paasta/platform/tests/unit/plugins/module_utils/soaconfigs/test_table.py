# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Every key of every document, with values that are right and values that are wrong.

Our check, the predicate that stands in for it, and the published JSON Schema have to say the same.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.documents import DocumentKind
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.predicates import predicate
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.schema import json_schema
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import Any_, Scalar, oddities
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import dotted
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs import values
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.documents_of_one_key import (
    KeyInDocument,
    keys_of,
)
from jsonschema import Draft7Validator

KINDS: dict[str, DocumentKind] = {**keys.DOCUMENTS, "custom-resource": keys.CUSTOM_RESOURCE}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@cache
def table(kind: str) -> tuple[KeyInDocument, ...]:
    return tuple(keys_of(kind, KINDS[kind].shape))


@cache
def validator(kind: str) -> Draft7Validator:
    return Draft7Validator(in_python(json_schema(KINDS[kind])))


def in_python(schema: Any) -> Any:
    """The schema with ``$`` as JSON Schema means it, the very end: Python's also stands before a last newline."""
    if isinstance(schema, dict):
        return {
            _ends(name) if name.startswith("^") else name: _ends(item) if name == "pattern" else in_python(item)
            for name, item in schema.items()
        }
    return [in_python(item) for item in schema] if isinstance(schema, list) else schema


def _ends(pattern: Any) -> Any:
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern) if isinstance(pattern, str) else pattern


def problems(kind: str, document: Any) -> list[str]:
    found: list[str] = []
    KINDS[kind].check(document, lambda path, message, hint: found.append(f"{dotted(path)}: {message}; {hint}"))
    return found


def odd(kind: str, document: Any) -> list[str]:
    """Unknown keys that PaaSTA lets through: accepted, and warned about."""
    return [f"{dotted(path)}: {message}" for path, message, _hint in oddities(KINDS[kind].shape, document)]


def accepted(kind: str, document: Any) -> tuple[bool, bool, bool]:
    """What our check, the predicate that stands in for it, and the published schema say."""
    right = not problems(kind, document)
    return (
        right,
        predicate(KINDS[kind].shape)(document) or (right and bool(odd(kind, document))),
        validator(kind).is_valid(document),
    )


def rows(kind: str, path: str) -> values.Values:
    found = values.find(kind, path)
    assert found is not None, f"no values for {path} of {kind}"
    return found


@EVERY_KIND
def test_good_values(kind: str) -> None:
    refused = [
        (item.path, value, accepted(kind, item.around(value)), problems(kind, item.around(value)))
        for item in table(kind)
        for value in rows(kind, item.path).good
        if accepted(kind, item.around(value)) != (True, True, True)
    ]
    assert refused == []


@EVERY_KIND
def test_bad_values(kind: str) -> None:
    let_through = [
        (item.path, value, accepted(kind, item.around(value)))
        for item in table(kind)
        for value in rows(kind, item.path).bad
        if accepted(kind, item.around(value)) != (False, False, False) and not odd(kind, item.around(value))
    ]
    assert let_through == []


@EVERY_KIND
def test_what_is_wrong_is_said_of_the_key(kind: str) -> None:
    """Every bad value is explained by a message that names its key, also where it may be written in several forms."""
    elsewhere = []
    for item in table(kind):
        for value in rows(kind, item.path).bad:
            found = problems(kind, item.around(value)) + odd(kind, item.around(value))
            if not any(item.key.name in problem for problem in found):
                elsewhere.append((item.path, value, found))
    assert elsewhere == []


@EVERY_KIND
def test_no_key_lacks_values(kind: str) -> None:
    for item in table(kind):
        found = rows(kind, item.path)
        assert found.good, item.path
        assert found.bad or isinstance(item.key.shape, Any_), item.path


def test_no_values_of_keys_that_do_not_exist() -> None:
    used = {id(rows(kind, item.path)) for kind in KINDS for item in table(kind)}
    tables = {id(place.table): place.table for places in values.PLACES.values() for place in places}
    stale = [path for rows_ in tables.values() for path, row in rows_.items() if id(row) not in used]
    assert stale == []


@EVERY_KIND
def test_values_at_every_bound(kind: str) -> None:
    """The last right value and a wrong one beyond it, so that no bound of the table can move unnoticed."""
    missing = []
    for item in table(kind):
        shape, found = item.key.shape, rows(kind, item.path)
        if not isinstance(shape, Scalar):
            continue
        good = [value for value in found.good if isinstance(value, (int, float))]
        bad = [value for value in found.bad if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if shape.minimum is not None and not (shape.minimum in good and any(value < shape.minimum for value in bad)):
            missing.append((item.path, "minimum"))
        if shape.maximum is not None and not (shape.maximum in good and any(value > shape.maximum for value in bad)):
            missing.append((item.path, "maximum"))
        if shape.above is not None and shape.above not in bad:
            missing.append((item.path, "above"))
        if shape.choices and not set(shape.choices) <= set(found.good):
            missing.append((item.path, "choices"))
        if (shape.choices or shape.pattern) and not any(isinstance(value, str) for value in found.bad):
            missing.append((item.path, "a wrong text"))
    assert missing == []


# What has to be there, by hand.
REQUIRED = {
    "smartstack": {
        *("<name>.proxy_port", "<name>.fixed_delay.<name>.duration_ms", "<name>.fixed_delay.<name>.percent"),
        *("<name>.plugins.source_required.enabled", "<name>.plugins.logging.enabled"),
        "<name>.monitoring.endpoints[].name",
    },
    "monitoring": set(),
    "deploy": {
        *("pipeline", "pipeline[].parallel[].step"),
        *(
            f"{step}.deployment_steps[].{key}"
            for step in ("pipeline[]", "pipeline[].parallel[]")
            for key in ("deploy_group", "progress")
        ),
    },
    "authenticating": {"services"},
    "rollback": {f"conditions.{source}[].query" for source in ("prometheus", "signalfx", "splunk")},
    "secret": {"environments", "environments.<name>.lookup.term", "environments.<name>.lookup.version"},
    "deployments": {
        *("v1.<name>.docker_image", "v1.<name>.desired_state", "v2.deployments", "v2.controls"),
        *("v2.deployments.<name>.docker_image", "v2.deployments.<name>.git_sha", "v2.controls.<name>.desired_state"),
    },
    "flink": set(),
}


@pytest.mark.parametrize("kind", REQUIRED)
def test_keys_that_have_to_be_there(kind: str) -> None:
    assert {item.path for item in table(kind) if item.key.required} == REQUIRED[kind]


def test_a_job_needs_a_schedule_and_actions_that_have_commands() -> None:
    required = {item.path for item in table("tron") if item.key.required}
    assert {"<name>.schedule", "<name>.actions", "<name>.actions.<name>.command", "<name>.actions[].name"} <= required


@EVERY_KIND
def test_a_document_without_a_required_key(kind: str) -> None:
    let_through = [
        item.path
        for item in table(kind)
        if item.key.required and accepted(kind, item.without()) != (False, False, False)
    ]
    assert let_through == []


@EVERY_KIND
def test_unknown_keys(kind: str) -> None:
    """A typo is refused wherever the table does not say that others may be there; all agree on where."""
    disagreed = []
    for item in table(kind):
        document = item.around(rows(kind, item.path).good[0])
        for parent in _mappings(document):
            parent["no such key"] = 1
            verdicts = accepted(kind, document)
            del parent["no such key"]
            if len(set(verdicts)) > 1:
                disagreed.append((item.path, verdicts))
    assert disagreed == []


def _mappings(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for item in list(value.values()) for found in _mappings(item))]
    return [found for item in value for found in _mappings(item)] if isinstance(value, list) else []


EXAMPLES = Path(__file__).parents[9] / "examples" / "soa-configs"


@pytest.mark.parametrize("path", [str(path.relative_to(EXAMPLES)) for path in sorted(EXAMPLES.glob("*/*.*"))])
def test_examples_are_accepted(path: str) -> None:
    (kind,) = [name for name, kind in keys.DOCUMENTS.items() if kind.match(path) is not None]
    text = (EXAMPLES / path).read_text()
    document = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    assert problems(kind, document) == []
    assert validator(kind).is_valid(document)


# What a schema of this draft cannot say, by name.
BEYOND_JSON_SCHEMA = {
    "an integer written as a float": {"main": {"instances": 1.0}},
    "infinity": {"main": {"cpus": float("inf")}},
    "not a number": {"main": {"cpus": float("nan")}},
}


@pytest.mark.parametrize("what", BEYOND_JSON_SCHEMA)
def test_only_our_check_refuses(what: str) -> None:
    assert accepted("kubernetes", BEYOND_JSON_SCHEMA[what]) == (False, False, True)

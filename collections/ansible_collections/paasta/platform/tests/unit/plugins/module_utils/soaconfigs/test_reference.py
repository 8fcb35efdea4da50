# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is generated from the table of keys: the published schemas and the reference page."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import keys
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.documents import DocumentKind
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.schema import json_schema
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import (
    Any_,
    Key,
    ListOf,
    MapOf,
    OneOf,
    Scalar,
    Struct,
)
from jsonschema import Draft7Validator

ROOT = Path(__file__).parents[9]
GENERATOR = ROOT / "tests/tools/generate_reference.py"
KINDS = [*keys.DOCUMENTS.values(), keys.CUSTOM_RESOURCE]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    if not GENERATOR.exists():
        pytest.skip("only in the repository: the collection alone has no docs/")
    spec = importlib.util.spec_from_file_location("generate_reference", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_current(generator: ModuleType) -> None:
    assert generator.out_of_date() == [], "run make docs"


def test_every_key_is_on_the_page(generator: ModuleType) -> None:
    page = generator.page()
    missing = {
        key.name
        for kind in keys.DOCUMENTS.values()
        for _path, key in keys.walk(kind.shape)
        if not re.search(rf"^\| `([^`]*\.)?{re.escape(key.name)}` \|", page, re.MULTILINE)
    }
    assert missing == set()


def test_links_of_the_page_lead_somewhere(generator: ModuleType) -> None:
    page = generator.page()
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "docs" / target).exists(), target
    anchors = {
        re.sub(r"[^a-z0-9 _-]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_schemas_are_valid(kind: DocumentKind) -> None:
    schema = json_schema(kind)
    Draft7Validator.check_schema(schema)
    json.dumps(schema, allow_nan=False)
    used = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(schema)))
    assert used == set(schema.get("definitions", {}))


def test_kinds_that_share_a_schema_hold_the_same() -> None:
    bodies: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        body = {name: item for name, item in json_schema(kind).items() if name not in ("title", "description")}
        assert bodies.setdefault(kind.schema, body) == body, kind.name


def test_patterns_mean_the_same_to_editors() -> None:
    """Anchored at both ends, as ours match in full, and of what Python and ECMAScript have in common."""
    for pattern in sorted(_patterns()):
        assert pattern.startswith("^"), pattern
        assert pattern.endswith("$"), pattern
        assert not re.search(r"\\[dwbAZ]|\(\?P|\(\?<|\(\?[a-z]", pattern), pattern
        # An alternative outside brackets would be anchored at one end only.
        depth = 0
        for character in re.sub(r"\\.|\[[^]]*\]", "", pattern):
            depth += {"(": 1, ")": -1}.get(character, 0)
            assert character != "|" or depth, pattern


def _patterns() -> set[str]:
    found: set[str] = set()

    def add(shape: Any) -> None:
        if isinstance(shape, Scalar):
            found.add(shape.pattern)
        elif isinstance(shape, ListOf):
            add(shape.item)
        elif isinstance(shape, MapOf):
            found.add(shape.key_pattern)
            add(shape.value)
        elif isinstance(shape, OneOf):
            for choice in shape.shapes:
                add(choice)
        elif isinstance(shape, Struct):
            for key in shape.keys:
                add(key.shape)

    for kind in KINDS:
        add(kind.shape)
    return found - {""}


def test_a_schema_says_what_a_row_says() -> None:
    rows = (
        Key("size", Scalar(("integer",), minimum=1, maximum=9), "how big", 3, "GB"),
        Key("mode", Scalar(("string",), choices=("RO", "RW")), "how", required=True),
        Key("old", Any_(), "once", legacy=True),
        Key("more", MapOf(Scalar(("string",), pattern="^a+$", says="some a")), "free"),
    )
    assert json_schema(DocumentKind("x", "<service>/x.yaml", Struct(rows, needs=("size", "old")), "an example")) == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "<service>/x.yaml",
        "description": "an example",
        "type": "object",
        "properties": {
            "size": {"description": "how big; unit: GB", "type": "integer", "minimum": 1, "maximum": 9, "default": 3},
            "mode": {"description": "how", "type": "string", "enum": ["RO", "RW"]},
            "old": {"description": "once", "deprecationMessage": "has no effect"},
            "more": {
                "description": "free",
                "type": "object",
                "additionalProperties": {
                    "type": "string",
                    "pattern": "^a+$",
                    "patternErrorMessage": "must be some a",
                },
            },
        },
        "required": ["mode"],
        "additionalProperties": False,
        "anyOf": [{"required": ["size"]}, {"required": ["old"]}],
        "patternProperties": {"^_": {"description": "a template: no document by itself", "type": "object"}},
    }


def test_shapes_that_are_used_twice_are_written_once() -> None:
    item = Struct((Key("a", Scalar(("string",)), "a"),))
    rows = (Key("one", ListOf(item), "first"), Key("two", item, "second"))
    schema = json_schema(DocumentKind("x", "<service>/x.yaml", Struct(rows), "an example", templates=False))
    assert schema["properties"] == {
        "one": {"description": "first", "type": "array", "items": {"$ref": "#/definitions/one_item"}},
        "two": {"description": "second", "$ref": "#/definitions/one_item"},
    }
    assert list(schema["definitions"]) == ["one_item"]

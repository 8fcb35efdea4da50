# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests against the OpenAPI schemas of every supported Kubernetes: no unknown field, nothing of another type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

kubernetes_validate = pytest.importorskip("kubernetes_validate")
jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")

VERSIONS = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
_SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_DEFINITION = re.compile(r'"\$ref": "[^"#]*#/\$defs/([^"]+)"')


def errors(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with it, and since which version: nothing when every version takes it as it is."""
    found: dict[str, list[str]] = {}
    for versions, validator in _validators(manifest["kind"], manifest["apiVersion"]):
        for error in validator.iter_errors(manifest):
            place = "/".join(map(str, error.absolute_path))
            found.setdefault(f"{manifest['kind']} {place}: {error.message}", []).extend(versions)
    return [f"{text} ({', '.join(versions)})" for text, versions in found.items()]


def check(manifests: Iterable[Mapping[str, Any]]) -> None:
    """Fails with everything that is wrong with any of them."""
    found = [error for manifest in manifests for error in errors(manifest)]
    assert not found, "\n".join(found)


@cache
def _validators(kind: str, api_version: str) -> list[tuple[list[str], Any]]:
    """One validator for the versions whose schemas of a kind are equal: that saves most of the work."""
    groups: dict[str, list[str]] = {}
    for version in VERSIONS:
        groups.setdefault(json.dumps(_schema(kind, api_version, version), sort_keys=True), []).append(version)
    return [(versions, jsonschema.Draft202012Validator(json.loads(text))) for text, versions in groups.items()]


def _schema(kind: str, api_version: str, version: str) -> dict[str, Any]:
    """The strict schema of a kind with the definitions that it needs, in one document and without their texts."""
    group, _slash, name = api_version.rpartition("/")
    file = "-".join(filter(None, [kind.lower(), group.partition(".")[0], name]))
    schema = json.loads((_directory(version) / f"{file}.json").read_text(encoding="utf-8"))
    needed: dict[str, Any] = {}
    waiting = _references(schema)
    while waiting:
        reference = waiting.pop()
        if reference not in needed:
            needed[reference] = _without_texts(_definitions(version)[reference])
            waiting |= _references(needed[reference])
    whole = {**_without_texts(schema), "$defs": needed}
    whole.pop("$id", None)
    return dict(json.loads(_DEFINITION.sub(r'"$ref": "#/$defs/\1"', json.dumps(whole))))


def _references(schema: Any) -> set[str]:
    return set(_DEFINITION.findall(json.dumps(schema)))


@cache
def _definitions(version: str) -> dict[str, Any]:
    text = (_directory(version) / "_definitions.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["$defs"])


def _directory(version: str) -> Path:
    return _SCHEMAS / f"v{version}.0-local-strict"


def _without_texts(schema: Any) -> Any:
    """Descriptions differ from version to version, and mean nothing here."""
    if isinstance(schema, dict):
        named = schema.get("properties")
        kept = {key: _without_texts(item) for key, item in schema.items() if key != "description" or item is named}
        if isinstance(named, dict):
            kept["properties"] = {key: _without_texts(item) for key, item in named.items()}
        return kept
    return [_without_texts(item) for item in schema] if isinstance(schema, list) else schema

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The table of keys as JSON Schemas, for editors: pure functions from shapes to plain data.

Draft 7, because it is the newest that the YAML language server (VS Code, Neovim and others) has long checked in full;
of later drafts it knew some keywords only. Descriptions and defaults stand beside ``$ref``, which the draft tells
validators to ignore and editors show. ``deprecationMessage`` and ``patternErrorMessage`` are VS Code's, ignored
elsewhere.

What Draft 7 cannot say, so that only our own check refuses it: an integer written as a float (``1.0``), and the numbers
``.inf`` and ``.nan``, which JSON does not have.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from .documents import DocumentKind
from .shapes import UNSET, Any_, Key, ListOf, MapOf, OneOf, Scalar, Shape, Struct

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]

_TEMPLATES = {"description": "a template: no document by itself", "type": "object"}


def json_schema(kind: DocumentKind) -> Schema:
    """The schema of a whole file; shapes that it uses more than once are in ``definitions``."""
    writer = _Writer()
    shape = kind.shape
    writer.count(shape, kind.name)
    if isinstance(shape, MapOf):
        if isinstance(shape.value, Struct):
            writer.name(shape.value, kind.entry or "entry")
        body = _entries(shape, writer.write(shape.value), kind.templates)
    else:
        body = writer.struct(shape)
        if kind.templates:
            body["patternProperties"] = {"^_": _TEMPLATES}
    result = {"$schema": DRAFT, "title": kind.path, "description": kind.doc, **body}
    definitions = writer.definitions()
    return {**result, "definitions": definitions} if definitions else result


def _entries(shape: MapOf, value: Schema, templates: bool) -> Schema:
    """A file of a free choice of names, less those of templates."""
    patterns = {"^_": _TEMPLATES} if templates else {}
    if not shape.key_pattern:
        return {"type": "object", "patternProperties": patterns, "additionalProperties": value}
    pattern = shape.key_pattern
    if templates and re.search(pattern, "_x"):
        pattern = f"^(?!_){pattern.removeprefix('^')}"
    return {"type": "object", "patternProperties": {**patterns, pattern: value}, "additionalProperties": False}


class _Writer:
    """Writes shapes, each that is worth a definition once. Shapes are told apart by identity: rows share them."""

    def __init__(self) -> None:
        self._uses: Counter[int] = Counter()
        self._hints: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._definitions: dict[str, Schema] = {}

    def count(self, shape: Shape, hint: str) -> None:
        """Count the uses of everything inside; ``hint``, the key it was first seen at, becomes its name."""
        self._uses[id(shape)] += 1
        if self._uses[id(shape)] > 1 and _worth_a_name(shape):
            return
        self._hints.setdefault(id(shape), hint)
        if isinstance(shape, Struct):
            for key in shape.keys:
                self.count(key.shape, key.name)
        elif isinstance(shape, ListOf):
            self.count(shape.item, f"{hint}_item")
        elif isinstance(shape, MapOf):
            self.count(shape.value, hint)
        elif isinstance(shape, OneOf):
            for choice in shape.shapes:
                self.count(choice, hint)

    def name(self, shape: Shape, name: str) -> None:
        """Give a shape a definition of this name, however often it is used."""
        self._names[id(shape)] = name
        self._definitions[name] = {}  # the name is taken before what is inside looks for one
        self._definitions[name] = self._body(shape)

    def definitions(self) -> dict[str, Schema]:
        return dict(sorted(self._definitions.items()))

    def write(self, shape: Shape) -> Schema:
        """The shape, or a reference to its definition."""
        if id(shape) not in self._names:
            if self._uses[id(shape)] < 2 or not _worth_a_name(shape):
                return self._body(shape)
            self.name(shape, self._free_name(self._hints[id(shape)]))
        return {"$ref": f"#/definitions/{self._names[id(shape)]}"}

    def _free_name(self, hint: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_]", "_", hint)
        name, number = base, 2
        while name in self._definitions:
            name, number = f"{base}_{number}", number + 1
        return name

    def _body(self, shape: Shape) -> Schema:
        if isinstance(shape, Scalar):
            return _scalar(shape)
        if isinstance(shape, Struct):
            return self.struct(shape)
        if isinstance(shape, ListOf):
            least = {"minItems": shape.minimum_length} if shape.minimum_length else {}
            return {"type": "array", "items": self.write(shape.item), **least}
        if isinstance(shape, MapOf):
            names = {"propertyNames": {"pattern": shape.key_pattern}} if shape.key_pattern else {}
            value = {} if isinstance(shape.value, Any_) else {"additionalProperties": self.write(shape.value)}
            return {"type": "object", **names, **value}
        if isinstance(shape, OneOf):
            return self._one_of(shape)
        return {}

    def struct(self, shape: Struct) -> Schema:
        body: Schema = {"type": "object", "properties": {key.name: self._key(key) for key in shape.keys}}
        required = [key.name for key in shape.keys if key.required]
        if required:
            body["required"] = required
        if not (shape.open_ or shape.lenient):
            body["additionalProperties"] = False
        if shape.needs:
            body["anyOf"] = [_present(shape, name) for name in shape.needs]
        return body

    def _key(self, key: Key) -> Schema:
        unit = f"; unit: {key.unit}" if key.unit else ""
        body: Schema = {"description": f"{key.doc}{unit}", **self.write(key.shape)}
        if key.default is not UNSET:
            body["default"] = key.default
        if key.legacy:
            body["deprecationMessage"] = "has no effect"
        return body

    def _one_of(self, shape: OneOf) -> Schema:
        choices = [self.write(choice) for choice in shape.shapes]
        if all(choice.keys() == {"type"} for choice in choices):
            types = [choice["type"] for choice in choices]
            return {"type": [name for item in types for name in (item if isinstance(item, list) else [item])]}
        return {"anyOf": choices}


def _worth_a_name(shape: Shape) -> bool:
    """Whether a reference is shorter and says more than the shape itself."""
    if isinstance(shape, Scalar):
        return bool(shape.pattern) or len(shape.choices) > 2
    if isinstance(shape, MapOf):
        return bool(shape.key_pattern)
    if isinstance(shape, OneOf):
        return any(_worth_a_name(choice) for choice in shape.shapes)
    return isinstance(shape, Struct)


def _scalar(shape: Scalar) -> Schema:
    body: Schema = {"type": shape.types[0] if len(shape.types) == 1 else list(shape.types)}
    if shape.choices:
        body["enum"] = [*shape.choices, *([None] if "null" in shape.types else [])]
    for keyword, value in (
        ("minimum", shape.minimum),
        ("maximum", shape.maximum),
        ("exclusiveMinimum", shape.above),
        ("pattern", shape.pattern or None),
    ):
        if value is not None:
            body[keyword] = value
    if shape.pattern and shape.says:
        body["patternErrorMessage"] = f"must be {shape.says}"
    return body


def _present(shape: Struct, name: str) -> Schema:
    """That a key is there, and not null where its shape would allow that."""
    value = shape.by_name[name].shape
    nullable = isinstance(value, Scalar) and "null" in value.types
    return {"required": [name], **({"properties": {name: {"not": {"type": "null"}}}} if nullable else {})}

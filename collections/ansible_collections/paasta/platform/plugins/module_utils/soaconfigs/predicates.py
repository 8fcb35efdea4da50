# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes as predicates: whether a value is right and nothing about it odd, without saying what is.

A tree holds a hundred thousand values and nearly all of them are right, so each is asked this first; ``Shape.check``
explains the others. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .shapes import Any_, ListOf, MapOf, OneOf, Scalar, Shape, Struct

Predicate = Callable[[Any], bool]

# How many accepted values a scalar remembers; the same few come again in every file.
_REMEMBERED = 1000

# By the shape's identity; the shape is kept with its predicate, or another one could get its id.
_made: dict[int, tuple[Shape, Predicate]] = {}


def predicate(shape: Shape) -> Predicate:
    """The predicate of a shape, made once."""
    found = _made.get(id(shape))
    if found is None:
        found = _made[id(shape)] = (shape, _make(shape))
    return found[1]


def _make(shape: Shape) -> Predicate:
    if isinstance(shape, Scalar):
        return _scalar(shape)
    if isinstance(shape, Struct):
        return _struct(shape)
    if isinstance(shape, MapOf):
        return _map_of(shape)
    if isinstance(shape, ListOf):
        return _list_of(shape)
    if isinstance(shape, OneOf):
        return _one_of(shape)
    if isinstance(shape, Any_):
        return _anything
    return _by_check(shape)


def _by_check(shape: Shape) -> Predicate:
    """For a kind of shape that has nothing faster."""

    def accepts(value: Any) -> bool:
        found: list[Any] = []
        shape.check(value, (), lambda *problem: found.append(problem))
        return not found

    return accepts


def _anything(value: Any) -> bool:
    return True


def _scalar(shape: Scalar) -> Predicate:
    # Only a string or a bool? Then its class decides, and there is nothing to remember.
    bounded = shape.pattern or shape.choices or (shape.minimum, shape.maximum, shape.above) != (None, None, None)
    if not bounded and shape.types in (("string",), ("boolean",)):
        expected = str if shape.types == ("string",) else bool

        def is_of_class(value: Any) -> bool:
            return value.__class__ is expected

        return is_of_class
    # 1, 1.0 and True are equal, so a value is remembered with its class.
    known: dict[type, set[Any]] = {str: set(), int: set(), float: set(), bool: set()}
    accepts = shape.accepts

    def remembers(value: Any) -> bool:
        accepted = known.get(value.__class__)
        if accepted is None:
            return accepts(value)
        if value in accepted:
            return True
        if not accepts(value):
            return False
        if len(accepted) < _REMEMBERED:
            accepted.add(value)
        return True

    return remembers


def _struct(shape: Struct) -> Predicate:
    accept = {key.name: predicate(key.shape) for key in shape.keys}
    required = tuple(key.name for key in shape.keys if key.required)
    open_, others, needs = shape.open_, shape.others, shape.needs

    def accepts(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        for name, item in value.items():
            accepts_item = accept.get(name)
            if accepts_item is None:
                if not open_ or name in others:
                    return False
            elif not accepts_item(item):
                return False
        for name in required:
            if name not in value:
                return False
        return not needs or any(value.get(name) is not None for name in needs)

    return accepts


def _map_of(shape: MapOf) -> Predicate:
    accepts_item = predicate(shape.value)
    accepts_key = predicate(Scalar(("string",), pattern=shape.key_pattern)) if shape.key_pattern else _anything

    def accepts(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        for key, item in value.items():
            if not accepts_key(key) or not accepts_item(item):
                return False
        return True

    return accepts


def _list_of(shape: ListOf) -> Predicate:
    accepts_item = predicate(shape.item)
    minimum = shape.minimum_length

    def accepts(value: Any) -> bool:
        if value.__class__ is not list or len(value) < minimum:
            return False
        for item in value:
            if not accepts_item(item):
                return False
        return True

    return accepts


def _one_of(shape: OneOf) -> Predicate:
    options = tuple(predicate(option) for option in shape.shapes)

    def accepts(value: Any) -> bool:
        for accepts_it in options:
            if accepts_it(value):
                return True
        return False

    return accepts

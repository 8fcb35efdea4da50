# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Who owns which field of an object, as ``metadata.managedFields`` says it, and what an apply would change. Pure.

Server-side apply records for each manager the fields that it has set (``fieldsV1``: ``f:`` a field, ``k:`` an item of a
list by its key, ``v:`` a member of a set, ``{}`` all below). What we applied last is therefore in the object itself:
compared with what we would apply now it tells a change of the plan, a value that somebody else has changed, and a field
that we no longer set, without any annotation of our own and without asking the server.

Source: Kubernetes' documentation of server-side apply, and sigs.k8s.io/structured-merge-diff for the notation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.quantities import parse

#: Field manager of everything that paasta applies.
MANAGER = "paasta"

#: Managers that are part of Kubernetes: what they set is not drift.
CONTROLLERS = frozenset({"kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver"})

#: The parts of objects that are quantities, which may be written in several ways.
_QUANTITIES = frozenset({
    "requests", "limits", "default", "defaultRequest", "max", "min", "sizeLimit", "storage", "divisor", "target",
})  # fmt: skip

_IDENTITY = ("apiVersion", "kind")

Fields = Mapping[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs. Items of lists are in brackets: ``("spec", "containers", "[main]", "image")``.

    ``by`` names the managers, other than us, that own the field now: somebody has changed what we had set.
    """

    path: Path
    before: Any
    after: Any
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return text(self.path)


def text(path: Path) -> str:
    """A path as people read it: ``spec.containers[main].image``."""
    return "".join(part if part.startswith("[") else f".{part}" for part in path).lstrip(".")


def entries(live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The object's ``managedFields``."""
    return list(live.get("metadata", {}).get("managedFields") or ())


def ours(live: Mapping[str, Any], manager: str = MANAGER) -> Fields | None:
    """The fields that we have applied; None for an object that we never did."""
    for entry in entries(live):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry.get("fieldsV1") or {}
    return None


def union(left: Fields, right: Fields) -> dict[str, Any]:
    """All fields of both."""
    merged = dict(left)
    for name, below in right.items():
        mine = merged.get(name)
        merged[name] = union(mine, below) if mine and below else (mine or below)
    return merged


def owned(live: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """What the object has in these fields: with our own it is what we applied last, as far as nobody changed it."""
    result: dict[str, Any] = {name: live[name] for name in _IDENTITY if name in live}
    result |= _extract(live, fields)
    metadata = {name: live["metadata"][name] for name in ("name", "namespace") if name in live["metadata"]}
    result["metadata"] = metadata | result.get("metadata", {})
    return result


def _extract(value: Any, fields: Fields) -> Any:
    if not fields:
        return value
    if isinstance(value, dict):
        return {
            name[2:]: _extract(value[name[2:]], below)
            for name, below in fields.items()
            if name.startswith("f:") and name[2:] in value
        }
    if not isinstance(value, list):
        return value
    taken = [(_position(value, name), below) for name, below in fields.items() if name != "."]
    found = sorted(((at, below) for at, below in taken if at is not None), key=lambda item: item[0])
    return [_extract(value[at], below) for at, below in found]


def _position(items: Sequence[Any], name: str) -> int | None:
    """Where the item of a list is that ``k:``, ``v:`` or ``i:`` names."""
    if name.startswith("i:"):
        at = int(name[2:])
        return at if at < len(items) else None
    key = _key(name)
    if name.startswith("v:"):
        return items.index(key) if key in items else None
    for at, item in enumerate(items):
        if isinstance(item, dict) and all(item.get(part) == wanted for part, wanted in key.items()):
            return at
    return None


@cache
def _key(name: str) -> Any:
    return json.loads(name[2:])


def differences(desired: Mapping[str, Any], live: Mapping[str, Any], fields: Fields) -> list[Change]:
    """What differs between what we want and what is there in ``fields``, those that we own.

    Empty: an apply of ``desired`` would change nothing.
    """
    found: list[Change] = []
    for name, value in desired.items():
        if name == "metadata":
            value = {part: item for part, item in value.items() if part not in ("name", "namespace")}
        elif name in _IDENTITY:
            continue
        if name != "metadata" or value:
            _member(name, value, live, fields, (), found, False)
    found += _gone(desired, live, fields, ())
    return [Change(change.path, change.before, change.after, _owners(live, change.path)) for change in found]


def _member(name: str, value: Any, live: Any, fields: Fields, path: Path, found: list[Change], quantity: bool) -> None:
    """One field of a mapping."""
    below = fields.get(f"f:{name}")
    there = live.get(name) if isinstance(live, dict) else None
    if below is not None:
        _compare(value, there, below, (*path, name), found, quantity or name in _QUANTITIES)
    elif isinstance(value, dict) and value:
        # We own nothing of it: what is inside is told field by field.
        for part, item in value.items():
            _member(part, item, there, {}, (*path, name), found, False)
    elif not (_empty(value) and _empty(there)):
        found.append(Change((*path, name), there, value))


def _compare(value: Any, there: Any, fields: Fields, path: Path, found: list[Change], quantity: bool) -> None:
    if fields and isinstance(value, dict) and isinstance(there, dict):
        for name, item in value.items():
            _member(name, item, there, fields, path, found, quantity)
        found += _gone(value, there, fields, path)
    elif fields and isinstance(value, list) and isinstance(there, list):
        _list(value, there, fields, path, found)
    elif not same(value, there, quantity):
        found.append(Change(path, there, value))


def _list(value: list[Any], there: list[Any], fields: Fields, path: Path, found: list[Change]) -> None:
    """A list whose items have an identity."""
    named = {name: below for name, below in fields.items() if name != "."}
    if not all(name.startswith("k:") for name in named):
        mine = [_key(name) for name in named if name.startswith("v:")]
        if sorted(map(str, mine)) != sorted(map(str, value)):
            found.append(Change(path, there, value))
        return
    left = {tuple(_key(name).items()): name for name in named}
    attributes = {tuple(_key(name)) for name in named}
    places = {_identify(item, names): at for at, item in enumerate(there) for names in attributes}
    for item in value:
        place = (*path, f"[{label(item)}]")
        mark = next((key for names in attributes if (key := _identify(item, names)) in left), None)
        if mark is None:
            found.append(Change(place, _find(there, item), item))
            continue
        at = places.get(mark)
        _compare(item, None if at is None else there[at], named[left.pop(mark)], place, found, False)
    for mark in left:
        if (at := places.get(mark)) is not None:
            found.append(Change((*path, f"[{label(there[at])}]"), there[at], None))


def _identify(item: Any, names: Path) -> tuple[Any, ...]:
    # The one key of built-in kinds that has a default: the protocol of a port.
    return tuple([(name, item.get(name, "TCP" if name == "protocol" else None)) for name in names])


def _find(items: Sequence[Any], item: Any) -> Any:
    return next((other for other in items if label(other) == label(item)), None)


def label(item: Any) -> str:
    """How people tell the items of a list apart."""
    if not isinstance(item, dict):
        return str(item)
    for name in ("name", "containerPort", "mountPath", "topologyKey", "port", "ip", "key", "uid", "type"):
        if name in item:
            return str(item[name])
    return ",".join(item)


def _gone(desired: Any, live: Any, fields: Fields, path: Path) -> Iterator[Change]:
    """What we own and no longer want."""
    for name in fields:
        if name.startswith("f:") and name[2:] not in desired and isinstance(live, dict) and name[2:] in live:
            yield Change((*path, name[2:]), live[name[2:]], None)


def same(value: Any, there: Any, quantity: bool = False) -> bool:
    """Whether what is there is what we want, as far as we say it: the server adds defaults and drops what is empty."""
    if isinstance(value, dict) and isinstance(there, dict):
        return all(same(item, there.get(name), quantity or name in _QUANTITIES) for name, item in value.items())
    if isinstance(value, list) and isinstance(there, list):
        return len(value) == len(there) and all(map(same, value, there))
    if value == there or (_empty(value) and _empty(there)):
        return True
    if not quantity or not isinstance(value, (str, int, float)):
        return False
    amount = _quantity(value)
    return amount is not None and amount == _quantity(there)


def _quantity(value: Any) -> Any:
    try:
        return parse(value)
    except (ValueError, TypeError):
        return None


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def foreign(live: Mapping[str, Any]) -> list[Change]:
    """What others than us and Kubernetes itself have set below ``spec`` beside our fields, such as an environment
    variable added by hand. ``before`` is what is there.
    """
    found: dict[Path, set[str]] = {}
    mine = (ours(live) or {}).get("f:spec", {})
    for entry in entries(live):
        manager = entry.get("manager", "")
        theirs = (entry.get("fieldsV1") or {}).get("f:spec")
        if theirs and manager != MANAGER and manager not in CONTROLLERS and entry.get("subresource") != "status":
            for path in _surplus(theirs, mine, live.get("spec"), ("spec",)):
                found.setdefault(path, set()).add(manager)
    return [Change(path, value_at(live, path), None, tuple(sorted(by))) for path, by in sorted(found.items())]


def _surplus(theirs: Fields, mine: Fields, live: Any, path: Path) -> Iterator[Path]:
    """The topmost fields of theirs that we own nothing of."""
    for name, below in theirs.items():
        part, there = _below(live, name)
        if there is None:
            continue
        if name not in mine:
            yield (*path, part)
        elif below and mine[name]:
            yield from _surplus(below, mine[name], there, (*path, part))


def _below(live: Any, name: str) -> tuple[str, Any]:
    """The part of a path, and the value, that a name of ``fieldsV1`` leads to; None where there is none."""
    if isinstance(live, dict) and name.startswith("f:"):
        return name[2:], live.get(name[2:])
    if isinstance(live, list) and name != ".":
        at = _position(live, name)
        if at is not None:
            return f"[{label(live[at])}]", live[at]
    return "", None


def value_at(live: Any, path: Path) -> Any:
    """The value at a path as :class:`Change` has it; None where there is none."""
    for part in path:
        if isinstance(live, dict):
            live = live.get(part)
        elif isinstance(live, list):
            live = next((item for item in live if f"[{label(item)}]" == part), None)
        else:
            return None
    return live


def value_named(value: Any, name: str) -> Any:
    """The value of a field by the server's name, ``spec.containers[name="main"].image``; None where there is none."""
    name = name.removeprefix(".")
    if not name:
        return value
    if name.startswith("[") and isinstance(value, list):
        key, _bracket, rest = name[1:].partition("]")
        return value_named(next((item for item in value if _is_named(item, key)), None), rest)
    if not isinstance(value, dict):
        return None
    # Keys, such as those of annotations, may have dots themselves.
    parts = (part for part in value if name == part or name.startswith((f"{part}.", f"{part}[")))
    part = max(parts, key=len, default=None)
    return None if part is None else value_named(value[part], name[len(part) :])


def _is_named(item: Any, key: str) -> bool:
    """Whether an item of a list is ``containerPort=80,protocol="TCP"``, or, of a set, ``="a"``."""
    if key.startswith("="):
        return json.dumps(item) == key[1:]
    names, values = zip(*(part.partition("=")[::2] for part in key.split(",")), strict=True)
    return isinstance(item, dict) and all(
        json.dumps(found) == wanted for (_name, found), wanted in zip(_identify(item, names), values, strict=True)
    )


def _owners(live: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The managers, other than us, that own a field."""
    others = [entry for entry in entries(live) if entry.get("manager") != MANAGER]
    names = {str(entry.get("manager")) for entry in others if _has(entry.get("fieldsV1") or {}, live, path)}
    return tuple(sorted(names))


def _has(fields: Fields, live: Any, path: Path) -> bool:
    """Whether a field is among fields. ``{}`` is all that is below."""
    if not path or not fields:
        return True
    for name, below in fields.items():
        part, there = _below(live, name)
        if part == path[0]:
            return _has(below, there, path[1:])
    return False


def conflicts(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, manager) of the conflicts that a refused apply names."""
    found = []
    for cause in details.get("causes") or ():
        if cause.get("reason") == "FieldManagerConflict":
            message = str(cause.get("message", ""))
            manager = message.partition('conflict with "')[2].partition('"')[0] or message
            found.append((str(cause.get("field", "")).lstrip("."), manager))
    return found


def taken_over(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``managedFields`` with the entries of everybody who wrote whole objects made ours, so that what they set and we
    do not want goes with our next apply. Kubernetes' controllers and subresources keep theirs.
    """
    kept: list[dict[str, Any]] = []
    fields: dict[str, Any] = dict(ours(live) or {})
    for entry in entries(live):
        manager = str(entry.get("manager"))
        if entry.get("subresource") or manager in CONTROLLERS:
            kept.append(dict(entry))
        elif manager != MANAGER or entry.get("operation") != "Apply":
            fields = union(fields, entry.get("fieldsV1") or {})
    mine = {"manager": MANAGER, "operation": "Apply", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1"}
    return [*kept, {**mine, "fieldsV1": fields}]

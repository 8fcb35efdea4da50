# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a write changed, told from the object before and after it: what the server made of it, defaults and admission
included. In check mode ``after`` is the answer to a dry run, so that both tell the same. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .fields import Change, Path, label

#: What the server keeps for itself.
_ITS_OWN = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
#: Annotations that controllers write, perhaps between our look and our write; and kubectl's copy of the whole object,
#: which goes with an adoption, and of a Secret has the cleartext.
_NOT_SHOWN = (
    "deployment.kubernetes.io/revision",
    "autoscaling.alpha.kubernetes.io/conditions",
    "kubectl.kubernetes.io/last-applied-configuration",
)
#: Cleartext of Secrets never leaves the process; their digest is an annotation.
_CLEARTEXT = ("data", "stringData")


def clean(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what the server keeps for itself, without its status, and without cleartext."""
    result = {name: value for name, value in found.items() if name != "status"}
    result["metadata"] = {name: value for name, value in found["metadata"].items() if name not in _ITS_OWN}
    if annotations := result["metadata"].pop("annotations", None):
        kept = {name: value for name, value in annotations.items() if name not in _NOT_SHOWN}
        result["metadata"] |= {"annotations": kept} if kept else {}
    if found.get("kind") == "Secret":
        for name in _CLEARTEXT:
            result.pop(name, None)
    return result


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every field that differs, topmost first."""
    return list(_compare(clean(before), clean(after), ()))


def _compare(before: Any, after: Any, path: Path) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _compare(before.get(name), after.get(name), (*path, name))
    elif isinstance(before, list) and isinstance(after, list) and _labelled(before) and _labelled(after):
        old, new = ({f"[{label(item)}]": item for item in items} for items in (before, after))
        for name in dict.fromkeys([*old, *new]):
            yield from _compare(old.get(name), new.get(name), (*path, name))
        if list(old) != list(new) and old == new:
            yield Change(path, list(old), list(new))
    else:
        yield Change(path, before, after)


def _labelled(items: list[Any]) -> bool:
    """Whether the items are mappings that a label tells apart."""
    return all(isinstance(item, Mapping) for item in items) and len({label(item) for item in items}) == len(items)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine cannot run, said so that it can be put right: file, line, instance, key, and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, KeyPath
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.yamldoc import dotted


class CannotRender(Exception):
    """Instances ask for what their engine cannot do, and running them without would be wrong.

    ``problems``: one line each, all that are known.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def problem(instance: Instance, path: KeyPath, message: str, hint: str = "") -> str:
    """``web/kubernetes-prod.yaml:3: web.main: bounce_method: message; hint``.

    :param path: the key, as in ``("aws_ebs_volumes", 0, "volume_id")``; empty for the whole instance.
    """
    text = ": ".join(part for part in (written_at(instance, path), instance.id, dotted(path), message) if part)
    return f"{text}; {hint}" if hint else text


def written_at(instance: Instance, path: KeyPath) -> str:
    """``file:line`` of a key, of a part of it, or else of what it is part of; empty when no file says it. Of the
    whole instance: that of the first key that its own file says.
    """
    if not path:
        file = f"{instance.service}/{instance.instance_type}-{instance.cluster}.yaml"
        own = [source for source in instance.sources.values() if source.file == file]
        return str(min(own, key=lambda source: source.line)) if own else ""
    for length in range(len(path), 0, -1):
        places = [source for source in _below(instance, path[:length]) if source]
        if places:
            return places[0]
    return ""


def _below(instance: Instance, path: KeyPath) -> Iterator[str]:
    for leaf, source in instance.sources.items():
        if leaf[: len(path)] == path and source.line:
            yield str(source)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""deployments.json: which version each deploy group runs, and which instances are stopped.

Reading gives typed records; everything else is a pure function from one document to the next. PaaSTA's tools read the
sections ``v2`` and, the older of them, ``v1``, by their names, so our own section ``history`` does not disturb them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import jsondoc
from .errors import ConfigError
from .model import KeyPath, Version
from .names import docker_image
from .shapes import show
from .yamldoc import dotted

FILE = "deployments.json"
HISTORY_LENGTH = 20  # marks that are remembered of a deploy group


@dataclass(frozen=True, slots=True)
class Control:
    """What was asked of one instance; ``force_bounce`` is a token that restarts it when it changes."""

    desired_state: str = "start"
    force_bounce: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark of a deploy group. ``time`` is UTC, ``YYYYmmddTHHMMSS``, empty where nobody kept it."""

    version: Version
    time: str = ""
    by: str = ""
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Deployments:
    """One service's record: versions by deploy group, controls by ``service:cluster.instance``.

    ``by_instance`` has the versions of a record that is of PaaSTA's version 1 only, which knew no deploy groups.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    by_instance: Mapping[str, Version] = field(default_factory=dict)

    def version(self, deploy_group: str, key: str) -> Version | None:
        """What an instance runs; ``key`` is its control_key. None when nobody marked its deploy group."""
        return self.versions.get(deploy_group) or self.by_instance.get(key)


def control_key(service: str, cluster: str, instance: str) -> str:
    return f"{service}:{cluster}.{instance}"


def parse_json(file: str, data: bytes) -> tuple[dict[str, Any], list[ConfigError]]:
    """The JSON document (empty when it cannot be read) and what is wrong with it; never raises."""
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        return {}, [ConfigError(file, error.lineno, error.colno, "", f"is not valid JSON: {error.msg}")]
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        return {}, [ConfigError(file, 0, 0, "", f"is not valid JSON: {error}")]
    if not isinstance(value, dict):
        return {}, [ConfigError(file, 1, 1, "", f"{show(value)} is not a mapping")]
    return value, []


def read(file: str, data: bytes) -> tuple[Deployments, list[ConfigError]]:
    """Parse one deployments.json; what is wrong is returned, and everything else is still read."""
    document, errors = parse_json(file, data)
    if errors:
        return Deployments(), errors
    problems = _Problems(file, data)
    if "v2" in document:
        v2 = problems.mapping(document, ("v2",))
        versions = problems.read_all(v2, ("v2", "deployments"), _version, "has no docker_image and git_sha")
        controls = problems.read_all(v2, ("v2", "controls"), _control, "has no desired_state of start or stop")
        return Deployments(versions, controls), problems.errors
    if "v1" in document:
        return _read_v1(document, problems), problems.errors
    problems.add((), "has no v2 section", "mark a version, or generate it again (playbooks/deployments.yml)")
    return Deployments(), problems.errors


class _Problems:
    """Collects what is wrong. Places are looked for only then: json, which is quicker than jsondoc, keeps none."""

    def __init__(self, file: str, data: bytes) -> None:
        self.errors: list[ConfigError] = []
        self._file, self._data = file, data
        self._places: dict[KeyPath, tuple[int, int]] | None = None

    def add(self, path: KeyPath, message: str, hint: str = "") -> None:
        if self._places is None:
            self._places = jsondoc.parse(self._file, self._data).places
        line, column = self._places.get(path, (0, 0))
        self.errors.append(ConfigError(self._file, line, column, dotted(path), message, hint))

    def mapping(self, parent: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        value = parent.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.add(path, f"{show(value)} is not a mapping")
        return {}

    def read_all(self, parent: Mapping[str, Any], path: KeyPath, reader: Any, message: str) -> dict[str, Any]:
        found = {}
        for name, entry in self.mapping(parent, path).items():
            value = reader(entry)
            if value is None:
                self.add((*path, name), f"{show(entry)} {message}")
            else:
                found[name] = value
        return found


def _version(entry: Any) -> Version | None:
    if not isinstance(entry, dict):
        return None
    sha, image, version = entry.get("git_sha"), entry.get("docker_image"), entry.get("image_version")
    if isinstance(sha, str) and isinstance(image, str) and (version is None or isinstance(version, str)):
        return Version(sha, image, version)
    return None


def _control(entry: Any) -> Control | None:
    if not isinstance(entry, dict):
        return None
    state, bounce = entry.get("desired_state"), entry.get("force_bounce")
    if state not in ("start", "stop") or not (bounce is None or isinstance(bounce, str)):
        return None
    return Control(state, bounce)


_V1_IMAGE = re.compile(r".+:paasta-(?P<sha>[0-9a-f]{40})(-(?P<version>.+))?")


def _v1(entry: Any) -> tuple[Version, Control] | None:
    found = _V1_IMAGE.fullmatch(str(entry.get("docker_image"))) if isinstance(entry, dict) else None
    control = _control({"desired_state": "start", **entry}) if found else None
    return (Version(found["sha"], entry["docker_image"], found["version"]), control) if found and control else None


def _read_v1(document: Mapping[str, Any], problems: _Problems) -> Deployments:
    """Version 1 names instances, ``web:paasta-prod.main``. Their default deploy group is ``prod.main``."""
    message = "has no docker_image of the form services-<service>:paasta-<sha>"
    entries: dict[str, tuple[Version, Control]] = problems.read_all(document, ("v1",), _v1, message)
    versions, controls, by_instance = {}, {}, {}
    for key, (version, control) in entries.items():
        service, _colon, branch = key.partition(":")
        name = branch.removeprefix("paasta-")
        versions[name] = by_instance[f"{service}:{name}"] = version
        controls[f"{service}:{name}"] = control
    return Deployments(versions, controls, by_instance)


def with_v2(
    document: Mapping[str, Any], record: Deployments, service: str, instances: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """A document of version 1 carried on as version 2; ``instances`` gives the deploy group of (cluster, instance)."""
    result = _copy(document)
    for (cluster, name), group in sorted(instances.items()):
        key = control_key(service, cluster, name)
        version = record.version(group, key)
        if version:
            result["v2"]["deployments"][group] = version_entry(version)
            result["v2"]["controls"][key] = control_entry(record.controls.get(key, Control()))
    return result


def with_v1(document: Mapping[str, Any], service: str, instances: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The document with its version 1 made of its version 2; instances whose deploy group is unmarked are left out."""
    v2 = document["v2"]
    v1 = {}
    for (cluster, name), group in sorted(instances.items()):
        version = v2["deployments"].get(group)
        if version:
            control = v2["controls"].get(control_key(service, cluster, name), control_entry(Control()))
            v1[f"{service}:paasta-{cluster}.{name}"] = {"docker_image": version["docker_image"], **control}
    return {**document, "v1": v1}


def version_entry(version: Version) -> dict[str, Any]:
    return {
        "docker_image": version.docker_image,
        "git_sha": version.git_sha,
        "image_version": version.image_version,
    }


def control_entry(control: Control) -> dict[str, Any]:
    return {"desired_state": control.desired_state, "force_bounce": control.force_bounce}


def mark(
    document: Mapping[str, Any],
    service: str,
    deploy_group: str,
    git_sha: str,
    image_version: str | None,
    instances: Iterable[tuple[str, str]],
    time: str = "",
    by: str = "",
) -> dict[str, Any]:
    """The document with ``deploy_group`` at ``git_sha``; ``instances`` are the group's (cluster, instance) pairs.

    Every instance gets a control, because PaaSTA runs none without; controls that exist stay, so a stopped instance
    stays stopped. The history changes only when the version does.
    """
    result = _copy(document)
    version = Version(git_sha, docker_image(service, git_sha, image_version), image_version)
    before = _version(result["v2"]["deployments"].get(deploy_group))
    if version != before:
        # A record that was written without a history begins one with what it knows.
        known = history(document, deploy_group) or ([Mark(before)] if before else [])
        _remember(result, deploy_group, [Mark(version, time, by), *known])
    result["v2"]["deployments"][deploy_group] = version_entry(version)
    for cluster, instance in instances:
        result["v2"]["controls"].setdefault(control_key(service, cluster, instance), control_entry(Control()))
    return result


def history(document: Mapping[str, Any], deploy_group: str) -> list[Mark]:
    """The marks of a deploy group, newest first; what is not one of ours is left out."""
    section = document.get("history")
    entries = section.get(deploy_group) if isinstance(section, dict) else None
    marks = []
    for entry in entries if isinstance(entries, list) else []:
        version = _version(entry)
        if version:
            marks.append(
                Mark(version, str(entry.get("time", "")), str(entry.get("by", "")), entry.get("rolled_back") is True)
            )
    return marks


def _remember(result: dict[str, Any], deploy_group: str, marks: list[Mark]) -> None:
    section = result.get("history")
    result["history"] = section if isinstance(section, dict) else {}
    result["history"][deploy_group] = [
        {**version_entry(m.version), "time": m.time, "by": m.by, "rolled_back": m.rolled_back}
        for m in marks[:HISTORY_LENGTH]
    ]


def roll_back(document: Mapping[str, Any], deploy_group: str) -> dict[str, Any]:
    """The document in which the present commit of a deploy group is remembered as one not to go back to.

    That is all its marks so far, with whatever image version, for it is what PaaSTA's rollback tag says as well.
    """
    result = _copy(document)
    version = present(result, deploy_group)
    if version:
        marks = history(document, deploy_group) or [Mark(version)]
        _remember(
            result,
            deploy_group,
            [Mark(m.version, m.time, m.by, m.rolled_back or m.version.git_sha == version.git_sha) for m in marks],
        )
    return result


def last_good(marks: Iterable[Mark], present: Version | None) -> Version | None:
    """The newest version in a history (newest first) that is not the present one and was not rolled back since."""
    return next((mark.version for mark in marks if not mark.rolled_back and mark.version != present), None)


def control(
    document: Mapping[str, Any],
    service: str,
    cluster: str,
    instance: str,
    desired_state: str | None = None,
    force_bounce: str | None = None,
) -> dict[str, Any]:
    """The document with what is given set for one instance; None leaves a value as it is (start when new)."""
    result = _copy(document)
    controls = result["v2"]["controls"]
    key = control_key(service, cluster, instance)
    entry = {**control_entry(Control()), **controls.get(key, {})}
    if desired_state is not None:
        entry["desired_state"] = desired_state
    if force_bounce is not None:
        entry["force_bounce"] = force_bounce
    controls[key] = entry
    return result


def present(document: Mapping[str, Any], deploy_group: str) -> Version | None:
    """The version that a deploy group is marked with, None when it is not."""
    return _version(document.get("v2", {}).get("deployments", {}).get(deploy_group))


def describe(
    service: str, before: Mapping[str, Any], after: Mapping[str, Any], rolled_back: Collection[str] = ()
) -> list[str]:
    """What changed from one document to the next, a line for each: ``Mark web prod.main at 9f1c0ad2 (was 361823e4)``.

    :param rolled_back: the deploy groups whose new version is an old one.
    """
    lines = []
    for group in sorted(after.get("v2", {}).get("deployments", {})):
        old, new = present(before, group), present(after, group)
        if new and new != old:
            was = _short(old) if old else ""
            if old and group in rolled_back:
                lines.append(f"Roll {service} {group} back to {_short(new)} (from {was})")
            else:
                lines.append(f"Mark {service} {group} at {_short(new)}" + (f" (was {was})" if was else ""))
    controls = before.get("v2", {}).get("controls", {})
    for key, entry in sorted(after.get("v2", {}).get("controls", {}).items()):
        earlier = controls.get(key, control_entry(Control()))
        cluster, _dot, instance = key.partition(":")[2].partition(".")
        if entry["desired_state"] != earlier["desired_state"]:
            lines.append(f"{entry['desired_state'].capitalize()} {service}.{instance} in {cluster}")
        elif entry["force_bounce"] != earlier["force_bounce"]:
            lines.append(f"Restart {service}.{instance} in {cluster}")
    return lines


def _short(version: Version) -> str:
    return version.git_sha[:8] + (f" {version.image_version}" if version.image_version else "")


def _copy(document: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(document))
    v2 = result.setdefault("v2", {})
    v2.setdefault("deployments", {})
    v2.setdefault("controls", {})
    return result


def dump(document: Mapping[str, Any]) -> str:
    """The one text of a document: sorted keys and a newline at the end, so that equal records are equal files."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

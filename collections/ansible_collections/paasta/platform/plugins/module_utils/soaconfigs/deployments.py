# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""deployments.json version 2: which version each deploy group runs, and which instances are stopped.

Reading gives typed records; marking is a pure function from one document to the next.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigError
from .model import Version
from .names import docker_image
from .shapes import show

FILE = "deployments.json"


@dataclass(frozen=True, slots=True)
class Control:
    """What was asked of one instance; ``force_bounce`` is a token that restarts it when it changes."""

    desired_state: str = "start"
    force_bounce: str | None = None


@dataclass(frozen=True, slots=True)
class Deployments:
    """One service's record: versions by deploy group, controls by ``service:cluster.instance``."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)


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

    def error(key: str, message: str, hint: str = "") -> None:
        errors.append(ConfigError(file, 0, 0, key, message, hint))

    if "v2" not in document:
        error("", "has no v2 section", "generate it again with a current version")
    v2 = _mapping(document, "v2", "", error)
    versions: dict[str, Version] = {}
    for group, entry in _mapping(v2, "deployments", "v2.", error).items():
        version = _version(entry)
        if version is None:
            error(f"v2.deployments.{group}", f"{show(entry)} has no docker_image and git_sha, both strings")
        else:
            versions[group] = version
    controls: dict[str, Control] = {}
    for key, entry in _mapping(v2, "controls", "v2.", error).items():
        control = _control(entry)
        if control is None:
            error(f"v2.controls.{key}", f"{show(entry)} has no desired_state of start or stop")
        else:
            controls[key] = control
    return Deployments(versions, controls), errors


def _mapping(parent: Mapping[str, Any], key: str, prefix: str, error: Any) -> dict[str, Any]:
    value = parent.get(key, {})
    if isinstance(value, dict):
        return value
    error(prefix + key, f"{show(value)} is not a mapping")
    return {}


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


def mark(
    document: Mapping[str, Any],
    service: str,
    deploy_group: str,
    git_sha: str,
    image_version: str | None,
    instances: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """The document with ``deploy_group`` at ``git_sha``; ``instances`` are the group's (cluster, instance) pairs.

    Every instance gets a control, because PaaSTA runs none without; controls that exist stay, so a stopped instance
    stays stopped.
    """
    result = _copy(document)
    result["v2"]["deployments"][deploy_group] = {
        "docker_image": docker_image(service, git_sha, image_version),
        "git_sha": git_sha,
        "image_version": image_version,
    }
    for cluster, instance in instances:
        key = control_key(service, cluster, instance)
        result["v2"]["controls"].setdefault(key, {"desired_state": "start", "force_bounce": None})
    return result


def control(
    document: Mapping[str, Any],
    service: str,
    cluster: str,
    instance: str,
    desired_state: str | None = None,
    force_bounce: str | None = None,
    only_if_absent: bool = False,
) -> dict[str, Any]:
    """The document with what is given set for one instance; None leaves a value as it is (start when new)."""
    result = _copy(document)
    controls = result["v2"]["controls"]
    key = control_key(service, cluster, instance)
    if only_if_absent and key in controls:
        return result
    entry = {"desired_state": "start", "force_bounce": None, **controls.get(key, {})}
    if desired_state is not None:
        entry["desired_state"] = desired_state
    if force_bounce is not None:
        entry["force_bounce"] = force_bounce
    controls[key] = entry
    return result


def _copy(document: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(document))
    v2 = result.setdefault("v2", {})
    v2.setdefault("deployments", {})
    v2.setdefault("controls", {})
    return result


def dump(document: Mapping[str, Any]) -> str:
    """The one text of a document: sorted keys and a newline at the end, so that equal records are equal files."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is marked for deployment, rolled back, started, stopped and bounced, of many services at once.

A request is checked against the tree as a whole before the first change, then carried out on a record: the files
(``FileRecord``) or the tags of the services' repositories (``tag_record.TagRecord``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from . import deploy_groups, deployments
from .deploy_groups import Groups
from .deployments import Mark, control_key
from .errors import ConfigError, InvalidConfigs, did_you_mean
from .files import SoaDir
from .git_tags import stamp
from .model import Version
from .names import GIT_SHA, IMAGE_VERSION
from .service import Problems
from .shapes import show

ARGUMENTS: dict[str, Any] = {
    "marks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "service": {"type": "str", "required": True},
            "deploy_group": {"type": "str"},
            "git_sha": {"type": "str", "required": True},
            "image_version": {"type": "str"},
        },
    },
    "rollbacks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "service": {"type": "str", "required": True},
            "deploy_group": {"type": "str", "required": True},
            "git_sha": {"type": "str"},
            "image_version": {"type": "str"},
        },
    },
    "controls": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "service": {"type": "str", "required": True},
            "instance": {"type": "list", "elements": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "desired_state": {"type": "str", "choices": ["start", "stop"]},
            "force_bounce": {"type": "str"},
            "only_if_absent": {"type": "bool", "default": False},
        },
    },
}


# An entry and its name in messages, ``marks[0]``.
Entry = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Request:
    """The three lists of ARGUMENTS; each control is of one instance."""

    marks: list[Entry]
    rollbacks: list[Entry]
    controls: list[Entry]

    @property
    def entries(self) -> list[Entry]:
        return [*self.marks, *self.rollbacks, *self.controls]

    def of(self, services: Iterable[str]) -> Request:
        """What is asked of these services."""
        wanted = set(services)
        lists = (self.marks, self.rollbacks, self.controls)
        return Request(*([entry for entry in entries if entry[1]["service"] in wanted] for entries in lists))


def request(args: Mapping[str, Any]) -> Request:
    marks, rollbacks, controls = (
        [(f"{name}[{index}]", entry) for index, entry in enumerate(args[name])]
        for name in ("marks", "rollbacks", "controls")
    )
    one_by_one = [(where, {**entry, "instance": name}) for where, entry in controls for name in entry["instance"]]
    return Request(marks, rollbacks, one_by_one)


class Record(Protocol):
    """Where it is written down what deploy groups run. ValueError when something cannot be written there."""

    def present(self, service: str, deploy_group: str) -> Version | None: ...

    def history(self, service: str, deploy_group: str) -> list[Mark]: ...

    def mark(self, service: str, deploy_group: str, git_sha: str, image_version: str | None) -> None: ...

    def roll_back(self, service: str, deploy_group: str) -> None: ...

    def control(
        self,
        service: str,
        cluster: str,
        instance: str,
        desired_state: str | None,
        force_bounce: str | None,
        only_if_absent: bool,
    ) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What was marked, and from what to what was rolled back: rows of the module's result."""

    marks: list[dict[str, Any]] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Outcome, services: Iterable[str]) -> None:
        """Take over what another outcome has of these services."""
        wanted = set(services)
        self.marks += [row for row in other.marks if row["service"] in wanted]
        self.rollbacks += [row for row in other.rollbacks if row["service"] in wanted]


def carry_out(request: Request, known: Mapping[str, Groups], record: Record) -> Outcome:
    """Bring a checked request to a record; InvalidConfigs with everything that this record cannot do."""
    errors: list[ConfigError] = []
    outcome = Outcome()

    def attempt(where: str, change: Any, *arguments: Any) -> None:
        try:
            change(*arguments)
        except ValueError as error:
            errors.append(ConfigError("", 0, 0, where, str(error)))

    for where, entry in request.marks:
        for group in [entry["deploy_group"]] if entry["deploy_group"] else known[entry["service"]].used():
            attempt(where, _mark, entry, group, record, outcome)
    for where, entry in request.rollbacks:
        attempt(where, _roll_back, entry, record, outcome)
    # Those that are only for instances without a control first, so that the others have the last word.
    for where, entry in sorted(request.controls, key=lambda item: not item[1]["only_if_absent"]):
        keys = ("service", "cluster", "instance", "desired_state", "force_bounce", "only_if_absent")
        attempt(where, record.control, *(entry[key] for key in keys))
    if errors:
        raise InvalidConfigs(errors)
    return outcome


def _mark(entry: Mapping[str, Any], group: str, record: Record, outcome: Outcome) -> None:
    service = entry["service"]
    before = record.present(service, group)
    record.mark(service, group, entry["git_sha"], entry["image_version"])
    now = record.present(service, group)
    if now:
        row = {"service": service, "deploy_group": group, **deployments.version_entry(now)}
        outcome.marks.append({**row, "previous_git_sha": before.git_sha if before else None})


def _roll_back(entry: Mapping[str, Any], record: Record, outcome: Outcome) -> None:
    service, group, sha = entry["service"], entry["deploy_group"], entry["git_sha"]
    bad = record.present(service, group)
    marks = record.history(service, group)
    if bad is None:
        raise ValueError(f"{service} {group}: no version is marked, so there is none to roll back")
    if sha is None:
        good = deployments.last_good(marks, bad)
        if good is None:
            shas = ", ".join(dict.fromkeys(mark.version.git_sha[:8] for mark in marks))
            message = f"no earlier version of {service} {group} is known that was not rolled back itself"
            raise ValueError(f"{message} (known: {shas or bad.git_sha[:8]}); name one with git_sha (-e sha=)")
        to, version = good.git_sha, good.image_version
    else:
        known = [mark.version.image_version for mark in marks if mark.version.git_sha == sha]
        to, version = sha, entry["image_version"] or (known[0] if known else None)
    if (to, version) != (bad.git_sha, bad.image_version):
        record.roll_back(service, group)
        record.mark(service, group, to, version)
    now = record.present(service, group) or bad
    row = {"service": service, "deploy_group": group, **deployments.version_entry(now)}
    outcome.rollbacks.append({**row, "from_git_sha": bad.git_sha, "from_image_version": bad.image_version})


class FileRecord:
    """deployments.json of each service, as documents that are changed here and written elsewhere."""

    def __init__(self, documents: Mapping[str, dict[str, Any]], known: Mapping[str, Groups], time: datetime, by: str):
        self.before = dict(documents)
        self.after = dict(documents)
        self._known, self._time, self._by = known, stamp(time), by

    @property
    def changed(self) -> list[str]:
        return [service for service in self.after if self.after[service] != self.before[service]]

    def texts(self) -> dict[str, str]:
        """The new text of deployments.json of every service whose record changed."""
        texts = {}
        for service in self.changed:
            document = self.after[service]
            # PaaSTA's older tools read version 1, so where it exists it must not say something else.
            if "v1" in document:
                document = deployments.with_v1(document, service, self._known[service].instances)
            texts[service] = deployments.dump(document)
        return texts

    def present(self, service: str, deploy_group: str) -> Version | None:
        return deployments.present(self.after[service], deploy_group)

    def history(self, service: str, deploy_group: str) -> list[Mark]:
        return deployments.history(self.after[service], deploy_group)

    def mark(self, service: str, deploy_group: str, git_sha: str, image_version: str | None) -> None:
        instances = self._known[service].of(deploy_group)
        self.after[service] = deployments.mark(
            self.after[service], service, deploy_group, git_sha, image_version, instances, self._time, self._by
        )

    def roll_back(self, service: str, deploy_group: str) -> None:
        self.after[service] = deployments.roll_back(self.after[service], deploy_group)

    def control(
        self,
        service: str,
        cluster: str,
        instance: str,
        desired_state: str | None,
        force_bounce: str | None,
        only_if_absent: bool,
    ) -> None:
        # Absent before this request: its marks give every instance of their groups a control.
        controls = self.before[service].get("v2", {}).get("controls", {})
        if not (only_if_absent and control_key(service, cluster, instance) in controls):
            self.after[service] = deployments.control(
                self.after[service], service, cluster, instance, desired_state, force_bounce
            )


def check(soa: SoaDir, request: Request) -> dict[str, Groups]:
    """What is known of every service that is named; InvalidConfigs with everything that names what does not exist."""
    problems = Problems()
    known: dict[str, Groups] = {}

    def refuse(where: str, key: str, message: str, hint: str = "") -> None:
        problems.errors.append(ConfigError("", 0, 0, f"{where}.{key}", message, hint))

    for where, entry in request.entries:
        name = entry["service"]
        if name not in soa.services:
            refuse(where, "service", f"{show(name)} is not a service", did_you_mean(name, soa.services))
        elif name not in known:
            known[name] = deploy_groups.load(soa, name, problems)
        if "instance" in entry:
            if name in known:
                _check_instance(entry, known[name], lambda *problem, where=where: refuse(where, *problem))
        else:
            _check_version(entry, known.get(name), lambda *problem, where=where: refuse(where, *problem))
    problems.errors.extend(soa.errors)
    if problems.errors:
        raise InvalidConfigs(problems.errors)
    return known


def _check_version(entry: Mapping[str, Any], service: Groups | None, refuse: Any) -> None:
    group, sha, version = entry["deploy_group"], entry["git_sha"], entry["image_version"]
    if service and group and group not in service.names:
        message = f"{show(group)} is not a deploy group of {entry['service']}"
        refuse("deploy_group", message, did_you_mean(group, service.names))
    if sha is not None and not GIT_SHA.fullmatch(sha):
        refuse("git_sha", f"{show(sha)} is not a git sha", "it must have 40 digits of 0-9 and a-f")
    if version is not None and not IMAGE_VERSION.fullmatch(version):
        refuse("image_version", f"{show(version)} is not part of an image tag", "use letters, digits, _.-")
    elif version is not None and sha is None:
        refuse("image_version", "is given without git_sha", "give both")


def _check_instance(entry: Mapping[str, Any], service: Groups, refuse: Any) -> None:
    cluster, name = entry["cluster"], entry["instance"]
    if (cluster, name) in service.instances:
        return
    clusters = {its_cluster for its_cluster, _name in service.instances}
    names = {its_name for its_cluster, its_name in service.instances if its_cluster == cluster}
    if cluster not in clusters:
        message = f"{entry['service']} has no instances in cluster {show(cluster)}"
        refuse("cluster", message, did_you_mean(cluster, clusters))
    else:
        hint = "names that begin with _ are templates" if name.startswith("_") else did_you_mean(name, names)
        refuse("instance", f"{show(name)} is not an instance of {entry['service']} in cluster {cluster}", hint)


def read_document(file: str, data: bytes | None, service: str, known: Groups) -> dict[str, Any]:
    """A record that can be changed, of version 2 if need be by carrying version 1 on; InvalidConfigs when it is
    broken, for then nobody knows what a change would lose. None, for no file, is a record with nothing in it.
    """
    if data is None:
        return {}
    document, errors = deployments.parse_json(file, data)
    if not errors and ("v1" in document or "v2" in document):
        record, errors = deployments.read(file, data)
        if not errors and "v2" not in document:
            document = deployments.with_v2(document, record, service, known.instances)
    if errors:
        raise InvalidConfigs(errors)
    return document


def diff_of(service: str, before: str, after: str) -> dict[str, str]:
    """A record's change as Ansible shows it; texts, empty where there is no file."""
    header = f"{service}/{deployments.FILE}"
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def path_of(root: str, service: str) -> str:
    return os.path.join(root, service, deployments.FILE)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The record that is kept as git tags: what is asked for becomes new tags, for somebody else to push. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from . import git_tags
from .deploy_groups import Groups
from .deployments import Control, Deployments, Mark, control_key
from .git_tags import Tag, Tags
from .model import Version


class TagRecord:
    """The tags of each service's repository, and those to add. A mark is a tag only when it changes something."""

    def __init__(self, tags: Mapping[str, list[Tag]], known: Mapping[str, Groups], now: datetime):
        self._tags = {service: list(found) for service, found in tags.items()}
        self._sorted: dict[str, Tags] = {}
        self._known, self._now = known, now
        self.new: dict[str, list[Tag]] = {service: [] for service in tags}

    def tags(self, service: str) -> Tags:
        """The tags of a repository, the new ones with them."""
        if service not in self._sorted:
            self._sorted[service] = git_tags.collect(self._tags[service])
        return self._sorted[service]

    def adopt(self, service: str, record: Deployments) -> None:
        """Write down as tags what deployments.json says and no tag does: it was kept in another way until now."""
        for group, version in record.versions.items():
            if group in self._known[service].names and not self.tags(service).deploys.get(group):
                self._add(service, "deploy", group, version.git_sha, self._now, version.image_version or "")
        for (cluster, name), group in self._known[service].instances.items():
            control = record.controls.get(control_key(service, cluster, name))
            version_now = self.present(service, group)
            stopped = control is not None and control.desired_state == "stop"
            if stopped and version_now and not self.tags(service).newest_control(cluster, name):
                self._add(service, "stop", f"{cluster}.{name}", version_now.git_sha, self._now)

    def present(self, service: str, deploy_group: str) -> Version | None:
        marks = self.history(service, deploy_group)
        return marks[0].version if marks else None

    def history(self, service: str, deploy_group: str) -> list[Mark]:
        return git_tags.history(service, self.tags(service), deploy_group)

    def mark(self, service: str, deploy_group: str, git_sha: str, image_version: str | None) -> None:
        before = self.present(service, deploy_group)
        if before is None or (before.git_sha, before.image_version) != (git_sha, image_version):
            self._add(service, "deploy", deploy_group, git_sha, self._now, image_version or "")

    def roll_back(self, service: str, deploy_group: str) -> None:
        bad = self.present(service, deploy_group)
        if bad:
            self._add(service, "rollback", deploy_group, bad.git_sha, self._now)

    def control(
        self,
        service: str,
        cluster: str,
        instance: str,
        desired_state: str | None,
        force_bounce: str | None,
        only_if_absent: bool,
    ) -> None:
        """A start or stop tag. Its time is the token that bounces, so ``force_bounce`` must be a time here."""
        newest = self.tags(service).newest_control(cluster, instance)
        if only_if_absent and newest:
            return
        asked = self._now if force_bounce is None else git_tags.read_stamp(force_bounce)
        if asked is None:
            raise ValueError(f"force_bounce {force_bounce} is not a time (YYYYmmddTHHMMSS), which tags need")
        before = git_tags.control(self.tags(service), cluster, instance)
        state = desired_state or before.desired_state
        if Control(state, before.force_bounce if force_bounce is None else force_bounce) == before:
            return
        group = self._known[service].instances[cluster, instance]
        version = self.present(service, group)
        if version is None:
            message = f"{service} {group} is not marked, and the tag of {cluster}.{instance} needs a commit"
            raise ValueError(f"{message}; mark a version first (playbooks/mark.yml)")
        self._add(service, state, f"{cluster}.{instance}", version.git_sha, asked)

    def _add(self, service: str, kind: str, subject: str, sha: str, time: datetime, image_version: str = "") -> None:
        found = self.tags(service)
        if kind in ("start", "stop"):
            older = found.controls.get(subject, [])
        else:
            older = [*found.deploys.get(subject, []), *found.rollbacks.get(subject, [])]
        tag = Tag(git_tags.next_time(time, older), image_version, sha, kind, subject)
        if problem := git_tags.why_not(tag.ref):
            raise ValueError(f"{service}: {problem}; use letters, digits and _.- (no two dots together)")
        self._tags[service].append(tag)
        self.new[service].append(tag)
        del self._sorted[service]

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""PaaSTA's git tags, and the record that they amount to. Pure.

In a service's own repository PaaSTA writes what happened as tags::

    paasta-<deploy_group>[+<image_version>]-<time>-deploy      on the commit to run
    paasta-<deploy_group>-<time>-rollback                      on the commit that was bad
    paasta-<cluster>.<instance>-<time>-start, -stop            on the commit that was deployed

Times are UTC, ``YYYYmmddTHHMMSS``. The newest tag of a deploy group or instance counts, by the time in its name.

One thing differs from PaaSTA. There a start or stop holds for the commit it points at, so that a stopped instance
comes back with the next version. Here the newest one holds whatever it points at: a stop survives deploys until a start
lifts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .deployments import Control, Mark, control_entry, control_key, version_entry, with_v1
from .model import Version
from .names import GIT_SHA, docker_image

PREFIX = "refs/tags/paasta-"

# What may be between the prefix and the time. The time and the kind have a fixed form and end the name, so whatever a
# deploy group is called there is one way to take a tag apart; a + can only begin the image version.
SUBJECT = re.compile(r"[A-Za-z0-9_.-]+")
_TAG = re.compile(
    rf"{re.escape(PREFIX)}(?P<subject>{SUBJECT.pattern})(\+(?P<version>[A-Za-z0-9_.-]+))?"
    r"-(?P<time>[0-9]{8}T[0-9]{6})-(?P<kind>deploy|rollback|start|stop)"
)
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})")
_PEELED = "^{}"


class Tag(NamedTuple):
    """One tag. ``subject`` is a deploy group (deploy, rollback) or ``cluster.instance`` (start, stop).

    Tags are ordered by time. Those of the same second are ordered by image version and commit: any order would do, as
    long as every machine finds the same one newest.
    """

    time: datetime
    image_version: str
    sha: str
    kind: str
    subject: str

    @property
    def ref(self) -> str:
        """``refs/tags/paasta-prod.main-20260102T030405-deploy``"""
        version = f"+{self.image_version}" if self.image_version else ""
        return f"{PREFIX}{self.subject}{version}-{stamp(self.time)}-{self.kind}"


def stamp(time: datetime) -> str:
    """A time as tags have it, ``20260102T030405``."""
    return time.isoformat(timespec="seconds").replace("-", "").replace(":", "")


def read_stamp(text: str) -> datetime | None:
    """The time that a tag has; None for what is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def parse(ref: str, sha: str) -> Tag | None:
    """A ref of a repository as a tag; None for everything that is not one of PaaSTA's, or whose time is none."""
    found = _TAG.fullmatch(ref)
    if found is None or (found["version"] and found["kind"] != "deploy"):
        return None
    time = read_stamp(found["time"])
    return Tag(time, found["version"] or "", sha, found["kind"], found["subject"]) if time else None


def read_listing(text: str) -> list[Tag]:
    """The tags of ``git ls-remote``'s output, ``<sha>TAB<ref>`` a line.

    An annotated tag has a second line, ``<ref>^{}``, with the commit that it names in the end; that one counts.
    """
    shas: dict[str, str] = {}
    for line in text.splitlines():
        sha, _tab, ref = line.partition("\t")
        if ref.startswith(PREFIX) and GIT_SHA.fullmatch(sha):
            shas[ref.removesuffix(_PEELED)] = sha  # the second line of a name is the later one
    tags = (parse(ref, sha) for ref, sha in shas.items())
    return [tag for tag in tags if tag]


@dataclass(frozen=True, slots=True)
class Tags:
    """A repository's tags by what they are about, each list oldest first."""

    deploys: Mapping[str, list[Tag]] = field(default_factory=dict)
    rollbacks: Mapping[str, list[Tag]] = field(default_factory=dict)
    controls: Mapping[str, list[Tag]] = field(default_factory=dict)

    def newest_control(self, cluster: str, instance: str) -> Tag | None:
        tags = self.controls.get(f"{cluster}.{instance}")
        return tags[-1] if tags else None


def collect(tags: Iterable[Tag]) -> Tags:
    """Sort tags out."""
    deploys: dict[str, list[Tag]] = {}
    rollbacks: dict[str, list[Tag]] = {}
    controls: dict[str, list[Tag]] = {}
    kinds = {"deploy": deploys, "rollback": rollbacks, "start": controls, "stop": controls}
    for tag in sorted(tags):
        kinds[tag.kind].setdefault(tag.subject, []).append(tag)
    return Tags(deploys, rollbacks, controls)


def history(service: str, tags: Tags, deploy_group: str) -> list[Mark]:
    """The marks of a deploy group, newest first, as deployments.last_good takes them.

    A rollback tag speaks of the marks of its commit that are older than itself.
    """
    bad: dict[str, datetime] = {tag.sha: tag.time for tag in tags.rollbacks.get(deploy_group, ())}
    marks = []
    for tag in reversed(tags.deploys.get(deploy_group, ())):
        rolled_back = tag.sha in bad and tag.time < bad[tag.sha]
        marks.append(Mark(_version(service, tag), stamp(tag.time), "", rolled_back))
    return marks


def _version(service: str, tag: Tag) -> Version:
    version = tag.image_version or None
    return Version(tag.sha, docker_image(service, tag.sha, version), version)


def document(service: str, tags: Tags, instances: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """deployments.json, version 1 and 2, of what a repository's tags say.

    :param instances: the deploy group of each (cluster, instance), of all types in all clusters. Those whose group has
        no deploy tag are left out, and so are groups that no instance uses.
    """
    v2: dict[str, dict[str, Any]] = {"deployments": {}, "controls": {}}
    for (cluster, name), group in sorted(instances.items()):
        deploys = tags.deploys.get(group)
        if deploys:
            v2["deployments"][group] = version_entry(_version(service, deploys[-1]))
            v2["controls"][control_key(service, cluster, name)] = control_entry(control(tags, cluster, name))
    return with_v1({"v2": v2}, service, instances)


def control(tags: Tags, cluster: str, instance: str) -> Control:
    """What the newest start or stop of an instance asks for; its time is the token that bounces."""
    tag = tags.newest_control(cluster, instance)
    return Control(tag.kind, stamp(tag.time)) if tag else Control()


def why_not(ref: str) -> str:
    """Why a tag cannot be written, in words; empty when it can. Git has its own rules, and parse must find it again."""
    name = ref.removeprefix(PREFIX)
    if parse(ref, "") is None or ".." in name:
        return f"{name} cannot be a git tag"
    return ""


def next_time(now: datetime, older: Iterable[Tag]) -> datetime:
    """A time for a new tag that makes it the newest, also when another machine's clock was ahead of this one's."""
    return max([now.replace(microsecond=0), *(tag.time + timedelta(seconds=1) for tag in older)])

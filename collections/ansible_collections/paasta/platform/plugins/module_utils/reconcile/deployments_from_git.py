# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Make deployments.json of the tags of the services' repositories: the work of module ``deployments_from_git``.

Every repository is listed once, however many services share it. That listing is the only way to learn whether a tag
was added, so there is nothing to be cached that could not be stale, and making a record of a listing costs less than
finding out whether it would be the same; what is spared is the writing: only files whose text changes are replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import (
    atomic,
    deploy_groups,
    deployments,
    git_tags,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.deploy_groups import Groups
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import (
    ConfigError,
    InvalidConfigs,
    did_you_mean,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.files import SoaDir
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import Tag
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.marking import diff_of, path_of
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.service import Problems
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.shapes import show

from . import git_refs
from .deployment_record import GIT_ARGUMENTS, Refused, file_reader, repositories, unreachable
from .git import redact

ARGUMENT_SPEC: dict[str, Any] = {**GIT_ARGUMENTS, "services": {"type": "list", "elements": "str", "default": []}}


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Carry out ARGUMENT_SPEC's request; returns a module result.

    A repository that cannot be listed, or has lost all its tags, leaves its services' files as they are and the others
    are written; the result then has ``failed`` and names every such repository.
    """
    try:
        with atomic.locked(args["soa_dir"]) if not check_mode else contextlib.nullcontext():
            return _run(args, check_mode, diff)
    except InvalidConfigs as error:
        listed = "\n".join(map(str, error.errors))
        return {"failed": True, "msg": f"Nothing was written.\n{listed}"}
    except Refused as error:
        return {"failed": True, "msg": str(error)}
    except OSError as error:
        return {"failed": True, "msg": f"{error.filename or args['soa_dir']}: cannot be written: {error.strerror}"}


def _run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    soa = SoaDir(args["soa_dir"])
    known = _known(soa, args["services"])
    urls = repositories(known, args["git_url"])
    listed, failed = git_refs.for_each(
        urls.values(),
        lambda url: git_refs.list_tags(url, args["git_timeout"]),
        args["git_concurrency"],
        "repositories listed",
    )
    problems = unreachable(urls, failed).splitlines()
    changed: dict[str, tuple[str, str]] = {}
    read = file_reader(soa)
    for service in sorted(known):
        if urls[service] in listed:
            data = read(service)
            before = data.decode("utf-8", "replace") if data else ""
            if data is None and not listed[urls[service]]:
                continue  # nobody has marked anything yet, and no file says so as well
            try:
                after = make(service, listed[urls[service]], known[service], data)
            except ValueError as error:
                problems.append(f"{service}: {redact(urls[service])}: {error}")
                continue
            if after != before:
                changed[service] = (before, after)
    if not check_mode:
        atomic.write({path_of(soa.root, service): after for service, (_before, after) in changed.items()})
    result: dict[str, Any] = {"changed": bool(changed), "services": sorted(changed), "listed": len(listed)}
    if diff:
        result["diff"] = [diff_of(service, *changed[service]) for service in sorted(changed)]
    if problems:
        head = f"The records of {len(problems)} of {len(known)} services are as they were:"
        result |= {"failed": True, "msg": "\n".join([head, *problems])}
    return result


def make(service: str, tags: list[Tag], groups: Groups, present: bytes | None) -> str:
    """The text of a service's deployments.json. ValueError when a deploy group is marked there and has no tag: tags
    are never taken away, so either this is another repository or the record was not kept as tags, and would be lost.
    """
    found = git_tags.collect(tags)
    if present:
        record, _errors = deployments.read(deployments.FILE, present)
        lost = sorted(record.versions.keys() & groups.names - found.deploys.keys())
        if lost:
            message = f"has no deploy tag of {', '.join(lost)}, which {deployments.FILE} has marked"
            hint = f"mark a version with record tags, which writes them all, or delete {service}/{deployments.FILE}"
            raise ValueError(f"{message}; is that its repository? If so, {hint}")
    return deployments.dump(git_tags.document(service, found, groups.instances))


def _known(soa: SoaDir, services: list[str]) -> dict[str, Groups]:
    """The instances of the services asked for, all when none are; a service that has none needs no record."""
    problems = Problems()
    for name in services:
        if name not in soa.services:
            hint = did_you_mean(name, soa.services)
            problems.errors.append(ConfigError("", 0, 0, "services", f"{show(name)} is not a service", hint))
    names = [name for name in services or soa.services if name in soa.services]
    known = {name: deploy_groups.load(soa, name, problems) for name in names}
    problems.errors.extend(soa.errors)
    if problems.errors:
        raise InvalidConfigs(problems.errors)
    return {name: groups for name, groups in known.items() if groups.instances}

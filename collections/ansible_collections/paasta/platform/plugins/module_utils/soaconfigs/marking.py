# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Write deployments.json of many services at once: what is marked for deployment, started, stopped, bounced.

Everything asked for is checked against the tree before the first file is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import deployments, keys
from .errors import ConfigError, InvalidConfigs, did_you_mean
from .files import FOREIGN_TYPES, SoaDir
from .names import GIT_SHA, IMAGE_VERSION, expand_deploy_group
from .service import Problems, load_pipeline
from .shapes import show

ARGUMENT_SPEC: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
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
    "controls": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "service": {"type": "str", "required": True},
            "instance": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "desired_state": {"type": "str", "choices": ["start", "stop"]},
            "force_bounce": {"type": "str"},
            "only_if_absent": {"type": "bool", "default": False},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a service has: deploy group by (cluster, instance), and the groups of its pipeline."""

    instances: Mapping[tuple[str, str], str]
    pipeline: frozenset[str]

    @property
    def groups(self) -> set[str]:
        return {*self.instances.values(), *self.pipeline}

    def of_group(self, group: str) -> list[tuple[str, str]]:
        return sorted(pair for pair, its_group in self.instances.items() if its_group == group)


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Carry out ARGUMENT_SPEC's request; returns a module result, with ``failed`` and ``msg`` when it was refused."""
    try:
        with _locked(args["soa_dir"]) if not check_mode else contextlib.nullcontext():
            return _run(SoaDir(args["soa_dir"]), args["marks"], args["controls"], check_mode, diff)
    except InvalidConfigs as error:
        listed = "\n".join(map(str, error.errors))
        return {"failed": True, "msg": f"Nothing was written.\n{listed}"}
    except OSError as error:
        return {"failed": True, "msg": f"{error.filename or args['soa_dir']}: cannot be written: {error.strerror}"}


def _run(
    soa: SoaDir, marks: list[dict[str, Any]], controls: list[dict[str, Any]], check_mode: bool, diff: bool
) -> dict[str, Any]:
    known = _check(soa, marks, controls)
    before = {service: _document(soa, service) for service in sorted(known)}
    after = {service: dict(document) for service, document in before.items()}
    marked = []
    # First, because a mark gives every instance of its group a control.
    first = [entry for entry in controls if entry["only_if_absent"]]
    for entry in first:
        after[entry["service"]] = deployments.control(after[entry["service"]], **entry)
    of_groups = [(entry, group) for entry in marks for group in _groups(entry, known)]
    for mark, group in of_groups:
        service = mark["service"]
        previous = after[service].get("v2", {}).get("deployments", {}).get(group, {})
        after[service] = deployments.mark(
            after[service], service, group, mark["git_sha"], mark["image_version"], known[service].of_group(group)
        )
        now = after[service]["v2"]["deployments"][group]
        names = {"service": service, "deploy_group": group}
        marked.append({**names, **now, "previous_git_sha": previous.get("git_sha")})
    for entry in (entry for entry in controls if not entry["only_if_absent"]):
        after[entry["service"]] = deployments.control(after[entry["service"]], **entry)
    changed = [service for service in after if after[service] != before[service]]
    if not check_mode:
        _write({os.path.join(soa.root, name, deployments.FILE): deployments.dump(after[name]) for name in changed})
    result: dict[str, Any] = {"changed": bool(changed), "services": changed, "marks": marked}
    if diff:
        result["diff"] = [_diff(name, before[name], after[name]) for name in changed]
    return result


def _groups(mark: Mapping[str, Any], known: Mapping[str, Known]) -> list[str]:
    """The deploy groups of a mark: the one it names, or every one that an instance of the service uses."""
    return [mark["deploy_group"]] if mark["deploy_group"] else sorted(set(known[mark["service"]].instances.values()))


def _check(soa: SoaDir, marks: list[dict[str, Any]], controls: list[dict[str, Any]]) -> dict[str, Known]:
    """What is known of every service that is named; InvalidConfigs with everything that names what does not exist."""
    problems = Problems()
    known: dict[str, Known] = {}

    def refuse(where: str, key: str, message: str, hint: str = "") -> None:
        problems.errors.append(ConfigError("", 0, 0, f"{where}.{key}", message, hint))

    def service_of(where: str, entry: Mapping[str, Any]) -> Known | None:
        name = entry["service"]
        if name not in soa.services:
            refuse(where, "service", f"{show(name)} is not a service", did_you_mean(name, soa.services))
            return None
        if name not in known:
            known[name] = _known(soa, name, problems)
        return known[name]

    for index, entry in enumerate(marks):
        where = f"marks[{index}]"
        service = service_of(where, entry)
        group, sha, version = entry["deploy_group"], entry["git_sha"], entry["image_version"]
        if service and group and group not in service.groups:
            message = f"{show(group)} is not a deploy group of {entry['service']}"
            refuse(where, "deploy_group", message, did_you_mean(group, service.groups))
        if not GIT_SHA.fullmatch(sha):
            refuse(where, "git_sha", f"{show(sha)} is not a git sha", "it must have 40 digits of 0-9 and a-f")
        if version is not None and not IMAGE_VERSION.fullmatch(version):
            refuse(where, "image_version", f"{show(version)} is not part of an image tag", "use letters, digits, _.-")
    for index, entry in enumerate(controls):
        where = f"controls[{index}]"
        service = service_of(where, entry)
        if service:
            _check_instance(entry, service, lambda *problem, where=where: refuse(where, *problem))
    problems.errors.extend(soa.errors)
    if problems.errors:
        raise InvalidConfigs(problems.errors)
    return known


def _check_instance(entry: Mapping[str, Any], service: Known, refuse: Any) -> None:
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


def _known(soa: SoaDir, service: str, problems: Problems) -> Known:
    """The instances and groups of a service in all clusters. Mistakes in other keys are not marking's concern."""
    general = soa.yaml(service, "service.yaml") if soa.has(service, "service.yaml") else None
    inherited = general.value if general else {}
    problems.errors.extend(general.errors if general else ())
    instances: dict[tuple[str, str], str] = {}
    for _kind, cluster, file in soa.instance_files(service, keys.INSTANCE_TYPES | FOREIGN_TYPES):
        document = soa.yaml(service, file)
        problems.errors.extend(document.errors)
        for name, value in document.value.items():
            if name.startswith("_") or not isinstance(value, dict):
                continue
            own = {**inherited, **value}
            template = own.get("deploy_group") or own.get("branch") or f"{cluster}.{name}"
            try:
                group = expand_deploy_group(str(template), cluster=cluster, instance=name, service=service)
            except ValueError as error:
                problems.errors.append(document.error((name, "deploy_group"), str(error)))
                continue
            instances[cluster, name] = group
    return Known(instances, load_pipeline(soa, service) or frozenset())


def _document(soa: SoaDir, service: str) -> dict[str, Any]:
    if not soa.has(service, deployments.FILE):
        return {}
    file = f"{service}/{deployments.FILE}"
    data, errors = soa.read(service, deployments.FILE)
    if not errors:
        document, errors = deployments.parse_json(file, data)
        # A record of the first version only is carried on; anything else must be readable to be changed.
        if not errors and "v2" in document:
            _record, errors = deployments.read(file, data)
    if errors:
        raise InvalidConfigs(errors)
    return document


def _diff(service: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    header = f"{service}/{deployments.FILE}"
    old = deployments.dump(before) if before else ""
    return {"before_header": header, "after_header": header, "before": old, "after": deployments.dump(after)}


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Two runs at once take turns; the lock is the directory's and goes away with the process."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        yield  # SoaDir reports it, in words
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(texts: Mapping[str, str]) -> None:
    """Replace files atomically, all new texts on disk before the first file changes: a full disk changes none."""
    staged: list[tuple[str, str]] = []
    try:
        for path, text in texts.items():
            target = os.path.realpath(path)
            staged.append((_stage(target, text), target))
        while staged:
            os.replace(*staged[0])
            staged.pop(0)
    finally:
        for temporary, _target in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _stage(target: str, text: str) -> str:
    """Write a temporary file beside the target, with the target's mode and owner, or the directory's owner."""
    directory = os.path.dirname(target)
    exists = os.path.exists(target)
    status = os.stat(target if exists else directory)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{deployments.FILE}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) if exists else 0o644)
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary

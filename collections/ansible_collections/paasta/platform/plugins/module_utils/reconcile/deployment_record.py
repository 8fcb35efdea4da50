# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Change the record of deployments, wherever it is kept: the work of module ``deployments``.

``files``: deployments.json in the soa-configs directory. ``soa_configs_git``: the same, committed and pushed.
``tags``: PaaSTA's tags in the services' repositories, from which deployments.json is made.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import atomic, deployments, git_tags, marking
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.deploy_groups import Groups
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import ConfigError, InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.files import SoaDir
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import Tag
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.marking import (
    FileRecord,
    Outcome,
    Request,
    carry_out,
    check,
    diff_of,
    path_of,
    read_document,
)
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.tag_record import TagRecord

from . import git_refs, soa_commits
from .git import GitError, redact

GIT_ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "git_url": {"type": "str"},
    "git_timeout": {"type": "float", "default": 60},
    "git_concurrency": {"type": "int", "default": 16},
}
ARGUMENT_SPEC: dict[str, Any] = {
    **GIT_ARGUMENTS,
    "record": {"type": "str", "choices": ["files", "soa_configs_git", "tags"], "default": "files"},
    "remote": {"type": "str"},
    "branch": {"type": "str"},
    "by": {"type": "str"},
    **marking.ARGUMENTS,
}
TAG_ATTEMPTS = 3  # how often tags are chosen anew because somebody else took their names


class Refused(Exception):
    """The run stops; the text says what was done, why no more, and what to do."""


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Carry out ARGUMENT_SPEC's request; returns a module result, with ``failed`` and ``msg`` when it was refused."""
    change = {"files": _files, "soa_configs_git": _soa_configs_git, "tags": _tags}[args["record"]]
    try:
        with atomic.locked(args["soa_dir"]) if not check_mode else contextlib.nullcontext():
            return change(args, marking.request(args), check_mode, diff)
    except InvalidConfigs as error:
        listed = "\n".join(map(str, error.errors))
        return {"failed": True, "msg": f"Nothing was written.\n{listed}"}
    except GitError as error:
        return {"failed": True, "msg": f"Nothing was written.\n{error}"}
    except (Refused, soa_commits.Behind) as error:
        return {"failed": True, "msg": str(error)}
    except OSError as error:
        return {"failed": True, "msg": f"{error.filename or args['soa_dir']}: cannot be written: {error.strerror}"}


def _now() -> datetime:
    """UTC, as tags have it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _by(args: Mapping[str, Any]) -> str:
    """Who asks: ``maria@deploy1``, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return args["by"] or f"{user}@{socket.gethostname()}"


def _result(outcome: Outcome, texts: Mapping[str, str], before: Mapping[str, str], diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": bool(texts), "services": sorted(texts)}
    result |= {"marks": outcome.marks, "rollbacks": outcome.rollbacks, "tags": {}}
    if diff:
        result["diff"] = [diff_of(service, before.get(service, ""), texts[service]) for service in sorted(texts)]
    return result


def _documents(known: Mapping[str, Groups], read: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Each service's record and its present text. ``read(service)`` gives its bytes, None when there is no file."""
    documents, texts = {}, {}
    errors: list[ConfigError] = []
    for service in sorted(known):
        try:
            data = read(service)
            documents[service] = read_document(f"{service}/{deployments.FILE}", data, service, known[service])
            texts[service] = data.decode("utf-8", "replace") if data else ""
        except InvalidConfigs as error:
            errors.extend(error.errors)
    if errors:
        raise InvalidConfigs(errors)
    return documents, texts


def _parsed(document: Mapping[str, Any]) -> deployments.Deployments:
    """A document that was read without errors, typed."""
    if "v2" not in document:
        return deployments.Deployments()
    return deployments.read(deployments.FILE, deployments.dump(document).encode())[0]


def file_reader(soa: SoaDir) -> Any:
    """Reads a service's deployments.json; None when there is none."""

    def read(service: str) -> bytes | None:
        if not soa.has(service, deployments.FILE):
            return None
        data, errors = soa.read(service, deployments.FILE)
        if errors:
            raise InvalidConfigs(errors)
        return data

    return read


def _files(args: Mapping[str, Any], request: Request, check_mode: bool, diff: bool) -> dict[str, Any]:
    soa = SoaDir(args["soa_dir"])
    known = check(soa, request)
    documents, before = _documents(known, file_reader(soa))
    record = FileRecord(documents, known, _now(), _by(args))
    outcome = carry_out(request, known, record)
    texts = record.texts()
    if not check_mode:
        atomic.write({path_of(soa.root, service): text for service, text in texts.items()})
    return _result(outcome, texts, before, diff)


def _soa_configs_git(args: Mapping[str, Any], request: Request, check_mode: bool, diff: bool) -> dict[str, Any]:
    checkout = soa_commits.find(args["soa_dir"], args["remote"], args["branch"], args["git_timeout"])
    names = {entry["service"]: f"{entry['service']}/{deployments.FILE}" for _where, entry in request.entries}
    for attempt in range(1, soa_commits.ATTEMPTS + 1):
        tip = soa_commits.refresh(checkout, names.values(), check_mode)
        known = check(SoaDir(args["soa_dir"]), request)
        files = soa_commits.read(checkout, tip, names.values())
        documents, before = _documents(known, lambda service, files=files: files.get(names[service]))
        record = FileRecord(documents, known, _now(), _by(args))
        outcome = carry_out(request, known, record)
        texts = record.texts()
        if texts and not check_mode:
            message = commit_message(record, outcome, _by(args))
            commit = soa_commits.commit(
                checkout, tip, {names[service]: text for service, text in texts.items()}, message, _by(args)
            )
            try:
                soa_commits.publish(checkout, commit)
            except soa_commits.Overtaken:
                time.sleep(0.2 * attempt)
                continue
        return _result(outcome, texts, before, diff)
    where = f"{checkout.remote}/{checkout.branch}"
    raise Refused(f"Nothing was written.\n{where} moved {soa_commits.ATTEMPTS} times meanwhile; run it again")


def commit_message(record: FileRecord, outcome: Outcome, by: str) -> str:
    """What was marked by whom: a line for each change, which is the subject if there is only one."""
    rolled_back = {(row["service"], row["deploy_group"]) for row in outcome.rollbacks}
    lines = []
    for service in record.changed:
        groups = {group for its_service, group in rolled_back if its_service == service}
        lines += deployments.describe(service, record.before[service], record.after[service], groups)
    subject = lines[0] if len(lines) == 1 else f"Deployments of {', '.join(record.changed)}"
    if len(subject) > 72:
        subject = f"Deployments of {len(record.changed)} services"
    body = [] if subject in lines else [*lines, ""]
    return "\n".join([subject, "", *body, f"Marked-by: {by}", ""])


def _tags(args: Mapping[str, Any], request: Request, check_mode: bool, diff: bool) -> dict[str, Any]:
    soa = SoaDir(args["soa_dir"])
    known = check(soa, request)
    urls = repositories(known, args["git_url"])
    documents, before = _documents(known, file_reader(soa))
    outcome = Outcome()
    tags: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    failures: dict[str, Exception] = {}
    services = sorted(known)
    for attempt in range(1, TAG_ATTEMPTS + 1):
        try:
            record = TagRecord(_list({service: urls[service] for service in services}, args), known, _now())
            for service in services:
                record.adopt(service, _parsed(documents[service]))
            planned = carry_out(request.of(services), known, record)
        except (Refused, InvalidConfigs) as error:
            if attempt == 1:
                raise
            failures |= dict.fromkeys(services, error)
            break
        failed = {} if check_mode else _push(urls, record.new, args)
        done = [service for service in services if service not in failed]
        outcome.add(planned, done)
        tags |= {service: [tag.ref for tag in record.new[service]] for service in done if record.new[service]}
        made = {service: _made(service, record, known[service]) for service in done}
        texts |= {service: text for service, text in made.items() if text != before[service]}
        # Where names were taken everything is planned again. What is done is not: a second rollback goes back further.
        services = [s for s, error in failed.items() if isinstance(error, git_refs.Taken) and attempt < TAG_ATTEMPTS]
        failures |= {service: error for service, error in failed.items() if service not in services}
        if not services:
            break
    if not check_mode:
        atomic.write({path_of(soa.root, service): text for service, text in texts.items()})
    result = _result(outcome, texts, before, diff) | {"tags": tags, "changed": bool(texts or tags)}
    if failures:
        head = f"Tagged: {', '.join(sorted(tags)) or 'none'}. Not tagged, and their records are as they were:"
        listed = [f"{service}: {redact(urls[service])}: {failures[service]}" for service in sorted(failures)]
        result |= {"failed": True, "msg": "\n".join([head, *listed])}
    return result


def _made(service: str, record: TagRecord, groups: Groups) -> str:
    return deployments.dump(git_tags.document(service, record.tags(service), groups.instances))


def _list(urls: Mapping[str, str], args: Mapping[str, Any]) -> dict[str, list[Tag]]:
    """The tags of each service's repository. Refused when one cannot be listed, with all of those."""
    listed, failed = git_refs.for_each(
        urls.values(),
        lambda url: git_refs.list_tags(url, args["git_timeout"]),
        args["git_concurrency"],
        "repositories listed",
    )
    if failed:
        raise Refused(f"Nothing was written.\n{unreachable(urls, failed)}")
    return {service: listed[url] for service, url in urls.items()}


def _push(urls: Mapping[str, str], new: Mapping[str, list[Tag]], args: Mapping[str, Any]) -> dict[str, GitError]:
    """Push each repository's tags, all of one or none; the services whose repository has none of them, and why."""
    of_url: dict[str, list[Tag]] = {}
    for service, tags in ((service, tags) for service, tags in new.items() if tags):
        of_url.setdefault(urls[service], []).extend(tag for tag in tags if tag not in of_url.get(urls[service], []))
    _done, failed = git_refs.for_each(
        of_url,
        lambda url: git_refs.add_tags(url, of_url[url], args["git_timeout"]),
        args["git_concurrency"],
        "repositories tagged",
    )
    return {service: failed[url] for service, url in urls.items() if url in failed}


def repositories(known: Mapping[str, Groups], template: str | None) -> dict[str, str]:
    """Each service's repository. Refused with every service that has none."""
    urls, problems = {}, []
    for service in sorted(known):
        try:
            urls[service] = git_refs.url_of(service, known[service].git_url, template)
        except ValueError as error:
            problems.append(redact(str(error)))
    if problems:
        raise Refused("\n".join(["Nothing was written.", *problems]))
    return urls


def unreachable(urls: Mapping[str, str], failed: Mapping[str, GitError]) -> str:
    """A line for each service whose repository failed."""
    return "\n".join(f"{service}: {redact(url)}: {failed[url]}" for service, url in urls.items() if url in failed)

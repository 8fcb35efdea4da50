# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The tags of services' repositories: listed and added over the network, of many repositories at the same time.

No clone is kept or made. Tags are listed by one ``git ls-remote`` a repository. To add tags git wants the commits they
point at, so these are fetched alone, without their files where the server can filter (it says so itself; those that
cannot send the files of those commits as well), into a repository that lasts as long as the push.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.git_tags import PREFIX, Tag, read_listing

from .git import PROTOCOLS, GitError, git

ATTEMPTS = 3
PATTERN = f"{PREFIX}*"
_SCHEME = re.compile(rf"({PROTOCOLS.replace(':', '|')})://[^-]")
_SCP = re.compile(r"[A-Za-z0-9_][^:/\s]*:(?!//)[^:\s]\S*")  # user@host:path; not helper::address

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Taken(GitError):
    """A tag of that name was pushed by somebody else in the meantime; look again."""


def url_of(service: str, git_url: str | None, template: str | None) -> str:
    """A service's repository: ``git_url`` of its service.yaml, else the template with ``{service}`` filled in.

    ValueError when there is none, or git must not be given it.
    """
    url = git_url or (template or "").replace("{service}", service)
    if not url:
        raise ValueError(f"{service} has no repository; set git_url in {service}/service.yaml, or paasta_git_url")
    if any(ord(character) <= 32 for character in url) or not (
        url.startswith("/") or _SCHEME.match(url) or _SCP.fullmatch(url)
    ):
        hint = "expected ssh://, https://, http://, git:// or file:// and an address, user@host:path, or /path"
        raise ValueError(f"{service}: git_url {url!r} is not the address of a repository; {hint}")
    return url


def list_tags(url: str, timeout: float = 60) -> list[Tag]:
    """PaaSTA's tags of a repository. GitError when it cannot be asked, also not when trying again."""
    return read_listing(_persistently(lambda: git("ls-remote", "--tags", "--", url, PATTERN, timeout=timeout)))


def add_tags(url: str, tags: Sequence[Tag], timeout: float = 60) -> None:
    """Add tags, all or none. Pushing what is there already is no error, so this can be tried again.

    Taken when one of the names is another commit's by now; GitError for everything else.
    """
    shas = sorted({tag.sha for tag in tags})
    refs = [f"{tag.sha}:{tag.ref}" for tag in tags]
    # A server that is too old for atomic pushes must not be given half of what belongs together.
    atomic = ["--atomic"] if len(refs) > 1 else []
    with tempfile.TemporaryDirectory(prefix="paasta-tags-") as scratch:
        git("init", "--quiet", "--bare", "--template=", scratch)
        fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=tree:0", "--no-write-fetch-head")
        try:
            _persistently(lambda: git(*fetch, "--", url, *shas, cwd=scratch, timeout=timeout))
        except GitError as error:
            if "not our ref" in str(error):
                raise GitError(f"the repository has no commit {' or '.join(shas)}; push it there first") from None
            raise
        try:
            _persistently(
                lambda: git("push", "--quiet", "--porcelain", *atomic, "--", url, *refs, cwd=scratch, timeout=timeout)
            )
        except GitError as error:
            if "already exists" in str(error):
                raise Taken(str(error)) from None
            raise


def _persistently(attempt: Callable[[], _Value]) -> _Value:
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except GitError as error:
            if not error.temporary:
                raise
            time.sleep(number)
    try:
        return attempt()
    except GitError as error:
        if error.temporary:
            raise GitError(f"{error} ({ATTEMPTS} attempts)") from None
        raise


def for_each(
    items: Iterable[_Key], work: Callable[[_Key], _Value], concurrency: int, doing: str
) -> tuple[dict[_Key, _Value], dict[_Key, GitError]]:
    """``work`` on every item, ``concurrency`` of them at the same time: the results, and what failed.

    :param doing: what progress says, as ``repositories listed``.
    """
    todo = list(dict.fromkeys(items))
    results: dict[_Key, _Value] = {}
    failed: dict[_Key, GitError] = {}
    lock, step = threading.Lock(), max(1, len(todo) // 10)

    def one(item: _Key) -> None:
        try:
            value = work(item)
        except GitError as error:
            failed[item] = error
        else:
            results[item] = value
        with lock:
            done = len(results) + len(failed)
            if done == len(todo) or done % step == 0:
                emit("done" if done == len(todo) else "step", subject="git", text=f"{done} of {len(todo)} {doing}")

    with ThreadPoolExecutor(max(1, min(concurrency, len(todo)))) as pool:
        try:
            list(pool.map(one, todo))
        except BaseException:  # somebody pressed Ctrl-C: what has begun ends, nothing more begins
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results, failed

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Records committed to the soa-configs repository itself, and pushed.

A change is made on top of what the remote has now, as a commit that is put together beside the checkout: its index and
its other files, changed or not, take no part in it. When somebody else pushed first, the change is made again on top of
theirs; because it is made again and not merged, marks of different deploy groups never conflict. Once it is pushed the
checkout is fast-forwarded to it. A run that is killed leaves a checkout that is behind, as any checkout may be.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .git import GitError, git

ATTEMPTS = 5
_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


class Overtaken(Exception):
    """Somebody else pushed in the meantime; look again."""


class Behind(Exception):
    """The change is pushed, and the checkout could not be brought to it."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A soa-configs directory in a git checkout: where it is in it, and where its commits go.

    ``prefix`` is the directory inside the repository, with a slash at its end, or empty. ``remote`` is None in a
    repository that has none: then its own commits are all there is.
    """

    directory: str
    prefix: str
    remote: str | None
    branch: str
    timeout: float

    def git(self, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
        try:
            return git(*_QUIET, *arguments, cwd=self.directory, timeout=self.timeout, stdin=stdin, env=env)
        except GitError as error:
            raise GitError(f"{self.directory}: git {arguments[0]} failed: {error}") from None

    def path(self, name: str) -> str:
        """``web/deployments.json`` as a path of the repository."""
        return self.prefix + name


def find(directory: str, remote: str | None, branch: str | None, timeout: float) -> Checkout:
    """The checkout that a soa-configs directory is in.

    :param remote: its remote; None for that of the branch, else origin.
    :param branch: the remote's branch; None for the upstream of the branch that is checked out.
    :raises GitError: when it is none, or nothing says where its commits should go.
    """
    at = Checkout(directory, "", remote, branch or "", timeout)
    try:
        prefix = at.git("rev-parse", "--show-prefix").strip()
        at.git("rev-parse", "--verify", "--quiet", "HEAD")
    except GitError as error:
        raise GitError(f"{directory} is not a git checkout with a commit in it ({error})") from None
    here = _answer(at, "symbolic-ref", "--quiet", "--short", "HEAD")
    remotes = at.git("remote").split()
    if not remotes and remote is None:
        return Checkout(directory, prefix, None, here or "HEAD", timeout)
    remote = remote or (_answer(at, "config", f"branch.{here}.remote") if here else "") or "origin"
    if remote not in remotes:
        raise GitError(f"{directory} has no remote {remote} (it has: {', '.join(remotes) or 'none'})")
    upstream = _answer(at, "config", f"branch.{here}.merge").removeprefix("refs/heads/") if here else ""
    if not (branch or upstream):
        what = f"branch {here} has no upstream" if here else "no branch is checked out"
        raise GitError(f"{directory}: {what}; set paasta_soa_configs_branch to the branch of {remote} to push to")
    return Checkout(directory, prefix, remote, branch or upstream, timeout)


def _answer(checkout: Checkout, *arguments: str) -> str:
    """What git says, empty when it exits with an error, which is how it says no here."""
    try:
        return checkout.git(*arguments).strip()
    except GitError:
        return ""


def refresh(checkout: Checkout, names: Iterable[str], check_mode: bool) -> str:
    """Ask the remote for news, and fast-forward the checkout to them unless in check mode; returns the commit to build
    on. GitError when the checkout has commits of its own, or changes in the files that the news or we change.

    :param names: the files that are ours to change.
    """
    _unchanged(checkout, list(names))
    if checkout.remote is None:
        return checkout.git("rev-parse", "HEAD").strip()
    ref = f"refs/remotes/{checkout.remote}/{checkout.branch}"
    checkout.git("fetch", "--quiet", "--no-tags", checkout.remote, f"+refs/heads/{checkout.branch}:{ref}")
    tip = checkout.git("rev-parse", ref).strip()
    own = checkout.git("rev-list", "--count", f"{tip}..HEAD").strip()
    if own != "0":
        where = f"{checkout.remote}/{checkout.branch}"
        raise GitError(f"{checkout.directory} has commits that are not in {where} ({own}); push them, or drop them")
    if not check_mode:
        checkout.git("merge", "--ff-only", "--quiet", tip)
    return tip


def _unchanged(checkout: Checkout, names: Sequence[str]) -> None:
    """GitError when one of our files has changes in the checkout that are not committed, or git ignores it."""
    if not names:
        return  # git would take no path for every path
    paths = [f":(top,literal){checkout.path(name)}" for name in names]
    status = checkout.git("status", "--porcelain", "--untracked-files=all", "--", *paths)
    if status:
        listed = ", ".join(line[3:] for line in status.splitlines())
        raise GitError(f"{listed} has changes that are not committed; commit and push them, or git restore it")
    ignored = _answer(checkout, "check-ignore", "--", *(f"./{name}" for name in names)).split("\n")
    if ignored[0]:
        raise GitError(f"{', '.join(ignored)}: .gitignore keeps it out of the repository; take that line out")


def read(checkout: Checkout, commit: str, names: Iterable[str]) -> dict[str, bytes]:
    """Files as a commit has them, by name; those that it does not have are left out."""
    wanted = list(names)
    objects = "".join(f"{commit}:{checkout.path(name)}\n" for name in wanted)
    rest = checkout.git("cat-file", "--batch", stdin=objects).encode("utf-8", "surrogateescape")
    found = {}
    for name in wanted:
        # "<sha> blob <size>", the content and a line break; or "<object> missing".
        header, _newline, rest = rest.partition(b"\n")
        if not header.endswith(b" missing"):
            size = int(header.split()[-1])
            found[name], rest = rest[:size], rest[size + 1 :]
    return found


def commit(checkout: Checkout, parent: str, texts: Mapping[str, str], message: str, by: str) -> str:
    """A commit that changes nothing but the files given by name; it is in the repository, and no branch has it yet."""
    with tempfile.TemporaryDirectory(prefix="paasta-record-") as scratch:
        files = []
        for number, text in enumerate(texts.values()):
            files.append(os.path.join(scratch, str(number)))
            with open(files[-1], "w", encoding="utf-8") as stream:
                stream.write(text)
        blobs = checkout.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin="\n".join(files)).split()
        env = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        checkout.git("read-tree", parent, env=env)
        entries = "".join(f"100644 {blob}\t{checkout.path(name)}\0" for blob, name in zip(blobs, texts, strict=True))
        checkout.git("update-index", "-z", "--add", "--index-info", stdin=entries, env=env)
        tree = checkout.git("write-tree", env=env).strip()
    return checkout.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=message, env=_author(checkout, by)).strip()


def _author(checkout: Checkout, by: str) -> dict[str, str]:
    """Who commits, where git has not been told: ``maria@deploy1`` is what we know."""
    if _answer(checkout, "config", "user.email") or "GIT_COMMITTER_EMAIL" in os.environ:
        return {}
    email = by if "@" in by else f"{by}@localhost"
    who = {"NAME": by, "EMAIL": email}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def publish(checkout: Checkout, commit: str) -> None:
    """Push a commit, then bring the checkout to it.

    Overtaken when the remote has moved on; GitError when nothing was pushed for another reason; Behind afterwards.
    """
    if checkout.remote is not None:
        try:
            checkout.git("push", "--quiet", "--porcelain", checkout.remote, f"{commit}:refs/heads/{checkout.branch}")
        except GitError as error:
            # The reasons that git gives for one and the same thing, by how far the two have got.
            moved = ("(fetch first)", "(non-fast-forward)", "cannot lock ref", "failed to update ref", "stale info")
            if any(reason in str(error) for reason in moved):
                raise Overtaken(str(error)) from None
            raise
    try:
        checkout.git("merge", "--ff-only", "--quiet", commit)
    except GitError as error:
        done = f"was pushed to {checkout.remote}/{checkout.branch}" if checkout.remote else "is a commit"
        raise Behind(f"The change {done} as {commit[:8]}, but is not in the checkout: {error}") from None

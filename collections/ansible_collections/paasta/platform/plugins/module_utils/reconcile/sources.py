# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The version of a service's source directory, asked of git."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping

from .git import GitError, GitMissing, git


class SourceError(Exception):
    """Why a source directory has no version, and what to do."""


# Hashing a large directory takes long, and nothing here waits for a network.
_TIMEOUT = 3600


def _git(*arguments: str, cwd: str, env: Mapping[str, str] | None = None) -> str:
    try:
        return git(*arguments, cwd=cwd, timeout=_TIMEOUT, env=env).rstrip("\n")
    except GitMissing:
        raise SourceError("git is not installed, and no git_sha is given: install git or pass git_sha") from None
    except GitError as error:
        raise SourceError(f"git {shlex.join(arguments)} in {cwd} failed: {error}") from None


def _answer(*arguments: str, cwd: str) -> str:
    """What git says, empty when it exits with an error, which is how it says no here."""
    try:
        return git(*arguments, cwd=cwd).strip()
    except GitError:
        return ""


def source_sha(path: str, allow_dirty: bool = False) -> str:
    """Name the version of a source directory, which may be a whole git repository, a part of one, or none.

    A clean directory is named after the last commit that touches it, so that commits elsewhere in the repository
    build nothing anew. Where uncommitted changes are allowed, the name of a changed directory is that of its git
    tree: the same content gives the same name on every machine.
    """
    try:
        prefix = _git("rev-parse", "--show-prefix", cwd=path)
    except SourceError as error:
        if "not a git repository" not in str(error):
            raise
        if not allow_dirty:
            raise SourceError(
                f"{path} is not in a git repository, so its version has no name: "
                "commit it, pass git_sha, or allow_dirty to name it after its content"
            ) from None
        return _tree_outside_git(path)
    changes = _git("status", "--porcelain", "--untracked-files=normal", "--", ".", cwd=path)
    if changes:
        if not allow_dirty:
            raise SourceError(
                f"{path} has changes that are not committed ({_first_changes(changes)}): "
                "commit them, or allow_dirty to name the image after its content"
            )
        return _tree_in_git(path, prefix)
    if _answer("rev-parse", "--verify", "--quiet", "HEAD", cwd=path):
        commit = _git("log", "-1", "--format=%H", "--", ".", cwd=path)
        if commit:
            return commit
    # Clean, yet no commit knows it: the repository ignores it, or it is empty.
    if not allow_dirty:
        raise SourceError(
            f"no commit contains anything of {path} (does .gitignore exclude it?): "
            "commit it, pass git_sha, or allow_dirty to name it after its content"
        )
    return _tree_outside_git(path)


def _first_changes(porcelain: str) -> str:
    names = [line[3:] for line in porcelain.splitlines()]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _tree_in_git(path: str, prefix: str) -> str:
    """The tree object's name of what is in the directory now; neither index nor object store of the user change."""
    objects = os.path.join(path, _git("rev-parse", "--git-path", "objects", cwd=path))
    with tempfile.TemporaryDirectory(prefix="paasta-images-") as scratch:
        env = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        os.mkdir(env["GIT_OBJECT_DIRECTORY"])
        committed = _answer("rev-parse", "--verify", "--quiet", f"HEAD:{prefix}", cwd=path)
        if committed:
            # Files that are committed although .gitignore excludes them count, too.
            into = [f"--prefix={prefix}"] if prefix else []
            _git("read-tree", *into, committed, cwd=path, env=env)
        _git("add", "--all", "--", ".", cwd=path, env=env)
        return _git("write-tree", *([f"--prefix={prefix}"] if prefix else []), cwd=path, env=env)


def _tree_outside_git(path: str) -> str:
    """The name git would give the directory's content, found out with a repository made for the purpose."""
    with tempfile.TemporaryDirectory(prefix="paasta-images-") as scratch:
        _git("init", "--quiet", "--bare", scratch, cwd=path)
        env = {"GIT_DIR": scratch, "GIT_WORK_TREE": path}
        _git("config", "core.bare", "false", cwd=path, env=env)
        _git("add", "--all", "--", ".", cwd=path, env=env)
        return _git("write-tree", cwd=path, env=env)

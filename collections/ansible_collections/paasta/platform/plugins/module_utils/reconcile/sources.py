# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The version of a service's source directory, asked of git."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping


class SourceError(Exception):
    """Why a source directory has no version, and what to do."""


def _git(*arguments: str, cwd: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run git in ``cwd`` as if no hook or caller had pointed it at another repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # No lock is taken only to refresh the index: the user's own git may be at work in the same repository.
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **(env or {})}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed, and no git_sha is given: install git or pass git_sha") from None


def _git_output(*arguments: str, cwd: str, env: Mapping[str, str] | None = None) -> str:
    result = _git(*arguments, cwd=cwd, env=env)
    if result.returncode:
        raise SourceError(f"git {shlex.join(arguments)} in {cwd} failed: {result.stderr.strip()}")
    return result.stdout.rstrip("\n")


def source_sha(path: str, allow_dirty: bool = False) -> str:
    """Name the version of a source directory, which may be a whole git repository, a part of one, or none.

    A clean directory is named after the last commit that touches it, so that commits elsewhere in the repository
    build nothing anew. Where uncommitted changes are allowed, the name of a changed directory is that of its git
    tree: the same content gives the same name on every machine.
    """
    found = _git("rev-parse", "--show-prefix", cwd=path)
    if found.returncode:
        if "not a git repository" not in found.stderr:
            raise SourceError(f"git cannot read the repository of {path}: {found.stderr.strip()}")
        if not allow_dirty:
            raise SourceError(
                f"{path} is not in a git repository, so its version has no name: "
                "commit it, pass git_sha, or allow_dirty to name it after its content"
            )
        return _tree_outside_git(path)
    changes = _git_output("status", "--porcelain", "--untracked-files=normal", "--", ".", cwd=path)
    if changes:
        if not allow_dirty:
            raise SourceError(
                f"{path} has changes that are not committed ({_first_changes(changes)}): "
                "commit them, or allow_dirty to name the image after its content"
            )
        return _tree_in_git(path, found.stdout.rstrip("\n"))
    commit = ""
    if _git("rev-parse", "--verify", "--quiet", "HEAD", cwd=path).returncode == 0:
        commit = _git_output("log", "-1", "--format=%H", "--", ".", cwd=path)
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
    objects = os.path.join(path, _git_output("rev-parse", "--git-path", "objects", cwd=path))
    with tempfile.TemporaryDirectory(prefix="paasta-images-") as scratch:
        env = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        os.mkdir(env["GIT_OBJECT_DIRECTORY"])
        committed = _git("rev-parse", "--verify", "--quiet", f"HEAD:{prefix}", cwd=path)
        if committed.returncode == 0:
            # Files that are committed although .gitignore excludes them count, too.
            into = [f"--prefix={prefix}"] if prefix else []
            _git_output("read-tree", *into, committed.stdout.strip(), cwd=path, env=env)
        _git_output("add", "--all", "--", ".", cwd=path, env=env)
        return _git_output("write-tree", *([f"--prefix={prefix}"] if prefix else []), cwd=path, env=env)


def _tree_outside_git(path: str) -> str:
    """The name git would give the directory's content, found out with a repository made for the purpose."""
    with tempfile.TemporaryDirectory(prefix="paasta-images-") as scratch:
        _git_output("init", "--quiet", "--bare", scratch, cwd=path)
        env = {"GIT_DIR": scratch, "GIT_WORK_TREE": path}
        _git_output("config", "core.bare", "false", cwd=path, env=env)
        _git_output("add", "--all", "--", ".", cwd=path, env=env)
        return _git_output("write-tree", cwd=path, env=env)

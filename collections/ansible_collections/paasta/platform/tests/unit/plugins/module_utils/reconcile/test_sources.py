"""The version of a source directory, with real git repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.sources import SourceError, source_sha


def git(cwd: Path, *arguments: str) -> str:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_{what}": f"{who}@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(repository: Path, message: str) -> str:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two services in one repository."""
    root = tmp_path / "repository"
    for service in ("web", "worker"):
        (root / service).mkdir(parents=True)
        (root / service / "Makefile").write_text("cook-image:\n")
    git(root, "init", "--quiet")
    commit(root, "first")
    return root


def snapshot(repository: Path) -> dict[str, bytes]:
    """Everything git keeps; a version must be found without changing any of it."""
    kept = (repository / ".git").rglob("*")
    return {str(path): path.read_bytes() for path in kept if path.is_file()}


def test_clean_directory_is_named_after_the_last_commit_that_touches_it(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "worker" / "more").write_text("x")
    second = commit(repository, "only the worker")
    assert source_sha(str(repository / "web")) == first
    assert source_sha(str(repository / "worker")) == second
    assert source_sha(str(repository)) == second


def test_changes_elsewhere_in_the_repository_do_not_matter(repository: Path) -> None:
    (repository / "worker" / "new").write_text("x")
    assert source_sha(str(repository / "web")) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("change", ["modified", "untracked", "deleted", "staged"])
def test_uncommitted_changes_are_an_error_that_names_them(repository: Path, change: str) -> None:
    makefile = repository / "web" / "Makefile"
    if change == "deleted":
        makefile.unlink()
    elif change == "untracked":
        (repository / "web" / "new.py").write_text("x")
    else:
        makefile.write_text("cook-image: x\n")
    if change == "staged":
        git(repository, "add", "--all")
    name = "new.py" if change == "untracked" else "Makefile"
    with pytest.raises(SourceError, match=rf"not committed \(web/{name}\).*allow_dirty"):
        source_sha(str(repository / "web"))


@pytest.mark.parametrize("where", [".", "web"])
def test_changed_directory_is_named_after_the_tree_of_its_content(repository: Path, where: str) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    commit(repository, "ignore logs")
    (repository / "web" / "new.py").write_text("print()\n")
    (repository / "web" / "debug.log").write_text("noise")
    directory = repository / where
    before = snapshot(repository)
    sha = source_sha(str(directory), allow_dirty=True)
    assert snapshot(repository) == before
    assert source_sha(str(directory), allow_dirty=True) == sha
    (repository / "web" / "debug.log").write_text("other noise")
    assert source_sha(str(directory), allow_dirty=True) == sha
    commit(repository, "the same content, committed")
    assert git(repository, "rev-parse", "HEAD:" + where.strip(".")) == sha


def test_tree_of_a_changed_directory_differs_by_content(repository: Path) -> None:
    new = repository / "web" / "new.py"
    new.write_text("1")
    first = source_sha(str(repository / "web"), allow_dirty=True)
    new.write_text("2")
    assert source_sha(str(repository / "web"), allow_dirty=True) != first


def test_committed_file_that_gitignore_excludes_counts(repository: Path) -> None:
    (repository / "web" / "kept.log").write_text("kept")
    commit(repository, "a log")
    (repository / ".gitignore").write_text("*.log\n")
    commit(repository, "ignore logs")
    (repository / "web" / "new.py").write_text("1")
    sha = source_sha(str(repository / "web"), allow_dirty=True)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "x")
    assert git(repository, "rev-parse", "HEAD:web") == sha


def test_what_is_staged_stays_staged(repository: Path) -> None:
    (repository / "web" / "staged.py").write_text("1")
    git(repository, "add", "web/staged.py")
    (repository / "web" / "staged.py").write_text("2")
    status = git(repository, "status", "--porcelain")
    source_sha(str(repository / "web"), allow_dirty=True)
    assert git(repository, "status", "--porcelain") == status


def test_directory_outside_git_needs_leave_and_has_the_name_git_would_give(tmp_path: Path, repository: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "Makefile").write_text("cook-image:\n")
    with pytest.raises(SourceError, match="not in a git repository.*pass git_sha, or allow_dirty"):
        source_sha(str(outside))
    assert source_sha(str(outside), allow_dirty=True) == git(repository, "rev-parse", "HEAD:web")
    assert sorted(path.name for path in outside.iterdir()) == ["Makefile"]


def test_ignored_directory_is_like_one_outside_git(repository: Path) -> None:
    (repository / ".gitignore").write_text("/generated\n")
    commit(repository, "ignore")
    generated = repository / "generated"
    generated.mkdir()
    (generated / "Makefile").write_text("cook-image:\n")
    with pytest.raises(SourceError, match="no commit contains anything of .*gitignore"):
        source_sha(str(generated))
    assert source_sha(str(generated), allow_dirty=True) == git(repository, "rev-parse", "HEAD:web")


def test_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(SourceError, match="no commit contains anything"):
        source_sha(str(tmp_path))
    (tmp_path / "Makefile").write_text("cook-image:\n")
    with pytest.raises(SourceError, match="not committed"):
        source_sha(str(tmp_path))
    sha = source_sha(str(tmp_path), allow_dirty=True)
    commit(tmp_path, "first")
    assert git(tmp_path, "rev-parse", "HEAD:") == sha


def test_worktree_of_a_repository(tmp_path: Path, repository: Path) -> None:
    other = tmp_path / "worktree"
    git(repository, "worktree", "add", "--quiet", str(other))
    assert source_sha(str(other / "web")) == git(repository, "rev-parse", "HEAD")
    (other / "web" / "new").write_text("x")
    assert len(source_sha(str(other / "web"), allow_dirty=True)) == 40


def test_environment_of_a_git_hook_does_not_mislead(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert source_sha(str(repository / "web")) == git(repository, "rev-parse", "HEAD")


def test_missing_git_says_what_to_do(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SourceError, match="install git or pass git_sha"):
        source_sha(str(repository))

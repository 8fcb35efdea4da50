# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils import host_files

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def item(path: Path, content: str | None = None, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "content": content, "directory": False, "absent": False, "mode": None} | ME | more


def bring(*items: dict[str, Any]) -> list[str]:
    changes = host_files.changes(host_files.read(items))
    for change in changes:
        host_files.write(change)
    return [change.wanted.path for change in changes]


def test_a_file_is_written_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    assert bring(item(file, "a\n", mode="0600")) == [str(file)]
    assert file.read_text() == "a\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert bring(item(file, "a\n", mode="0600")) == []


def test_access_alone_does_not_replace_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    bring(item(file, "a"))
    before = file.stat().st_ino
    assert bring(item(file, "a", mode="0600")) == [str(file)]
    assert (file.stat().st_ino, file.stat().st_mode & 0o777) == (before, 0o600)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("theirs")
    link.symlink_to(target)
    bring(item(link, "theirs"))
    assert not link.is_symlink()
    assert target.read_text() == "theirs"


def test_directories_and_absent_files(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.write_text("old")
    items = (item(file, absent=True), item(directory, directory=True, mode="0700"))
    assert bring(*items) == [str(file), str(directory)]
    assert not file.exists()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert bring(*items) == []


def test_a_file_in_the_place_of_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "directory").write_text("")
    with pytest.raises(NotADirectoryError, match="is not a directory: move it away"):
        bring(item(tmp_path / "directory", directory=True))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"relative is not absolute; .*either content or directory.*is not octal"):
        host_files.read([item(Path("relative"), "a"), item(tmp_path / "x"), item(tmp_path / "y", "a", mode="rw")])


def test_an_unknown_owner_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(OSError, match="no-such-user"):
        bring(item(file, "new", owner="no-such-user"))
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_diff_says_content_and_access(tmp_path: Path) -> None:
    file = tmp_path / "file"
    bring(item(file, "a\n"))
    (change,) = host_files.changes(host_files.read([item(file, "b\n", mode="0600")]))
    who = f"{ME['owner']}:{ME['group']}"
    assert change.as_diff() == {
        "before_header": f"{file} {who} 0644",
        "after_header": f"{file} {who} 0600",
        "before": "a\n",
        "after": "b\n",
    }

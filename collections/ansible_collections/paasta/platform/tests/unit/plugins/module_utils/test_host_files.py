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
    return (
        {
            "path": str(path),
            "content": content,
            "directory": False,
            "absent": False,
            "initial": False,
            "validate": [],
            "mode": None,
        }
        | ME
        | more
    )


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


def test_a_directory_goes_with_everything_in_it_and_a_link_alone(tmp_path: Path) -> None:
    kept, gone, link = tmp_path / "kept", tmp_path / "gone", tmp_path / "link"
    for directory in (kept, gone):
        (directory / "below").mkdir(parents=True)
        (directory / "below" / "file").write_text("x")
    link.symlink_to(kept)
    assert bring(item(gone, absent=True), item(link, absent=True)) == [str(gone), str(link)]
    assert (gone.exists(), link.is_symlink()) == (False, False)
    assert (kept / "below" / "file").exists()


def test_an_initial_file_is_somebody_else_s_as_soon_as_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert bring(item(file, "nothing yet", initial=True)) == [str(file)]
    file.write_text("theirs")
    file.chmod(0o640)
    assert bring(item(file, "nothing yet", initial=True)) == []
    assert file.read_text() == "theirs"


def test_contents_are_shown_to_the_program_that_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "file.conf"
    command = [
        "/bin/sh",
        "-c",
        'case "$1" in *.conf) ;; *) exit 2 ;; esac; grep -q right "$1" || { echo wrong; exit 1; }',
    ]
    first, last = tmp_path / "first", tmp_path / "last"
    wrong = item(file, "left", validate=[*command, "name", "%s"])
    with pytest.raises(OSError, match="wrong") as raised:
        bring(item(first, "1"), wrong, item(last, "3"))
    assert str(file) in str(raised.value)
    assert [path.exists() for path in (first, file, last)] == [True, False, False]
    bring(item(file, "right", validate=wrong["validate"]))
    with pytest.raises(OSError, match="wrong"):
        bring(wrong)
    assert file.read_text() == "right"


def test_only_what_changes_is_shown_to_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    bring(item(file, "as it is"))
    assert bring(item(file, "as it is", mode="0600", validate=["/bin/false"])) == [str(file)]

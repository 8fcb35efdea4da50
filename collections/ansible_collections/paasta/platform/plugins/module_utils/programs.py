# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a set of programs to a host: the work of ``programs``, on the host itself.

A manifest remembers what was installed and what the file looked like then, so that a run with nothing to do reads one
small file and asks for the status of each program, instead of reading hundreds of megabytes.
Only the standard library and what Ansible sends along: managed hosts need nothing but Python 3.10.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .programs_fetch import Refused, download, unpack

MODE = 0o755

ARGUMENTS: dict[str, Any] = {
    "programs": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "version": {"type": "str", "default": ""},
            "url": {"type": "str", "default": ""},
            "checksum": {"type": "str", "default": ""},
            "member": {"type": "str", "default": ""},
            "file": {"type": "str", "default": ""},
            "sha256": {"type": "str", "default": ""},
            "staged": {"type": "path", "default": ""},
        },
    },
    "source": {"type": "str", "choices": ["url", "directory"], "default": "url"},
    "directory": {"type": "path"},
    "manifest": {"type": "path", "default": "/var/lib/paasta/programs.json"},
    "timeout": {"type": "float", "default": 30},
}
CONSTRAINTS: dict[str, Any] = {"required_if": [("source", "directory", ("directory",))]}


@dataclass(frozen=True)
class Program:
    name: str
    path: str
    version: str
    url: str
    checksum: str  # "algorithm:digest" of what is at url
    member: str  # in the archive at url; empty if the program itself is there
    sha256: str  # of the program, for those of a directory
    staged: str  # where the host has it already, for those of a directory

    @property
    def origin(self) -> str:
        """What decides whether an installed program is the wanted one, known before anything is fetched."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"{self.checksum}#{self.member}" if self.member else self.checksum


@dataclass(frozen=True)
class Found:
    """What is at a program's path: the manifest's entry if it still holds, and what has to be done."""

    entry: dict[str, Any]
    content: bool  # the file is the wanted program
    access: bool  # its owner and mode are right
    noted: bool  # the manifest says so already

    @property
    def current(self) -> bool:
        return self.content and self.access


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Install what is missing or different. ``args`` is as in :data:`ARGUMENTS`; returns the module's result.

    With ``source: directory`` a first call, without ``staged``, changes nothing and names in ``lacking`` what has to be
    brought to the host.
    """
    programs, problems = _programs(args)
    if problems:
        return {"failed": True, "changed": False, "msg": "\n".join(problems)}
    manifest = args["manifest"]
    try:
        with _alone(manifest, check_mode):
            entries = _read(manifest)
            found = {program.path: look(program, entries.get(program.path, {})) for program in programs}
            lacking = [program for program in programs if not found[program.path].content]
            touched = [program for program in programs if not found[program.path].current]
            unstaged = [program for program in lacking if args["source"] == "directory" and not program.staged]
            result = _result(programs, entries, touched, diff)
            if check_mode or unstaged:
                return result | {"lacking": [program.name for program in unstaged]}
            installed = _install(lacking, os.path.join(os.path.dirname(manifest), "programs.part"), args["timeout"])
            for program in touched:
                _give_access(program.path)
            changed = lacking or any(not found[program.path].noted for program in programs)
            if touched or changed:
                entries.update(
                    {program.path: _entry(program, installed, found[program.path].entry) for program in programs}
                )
                _write(manifest, entries)
            return _result(programs, entries, touched, diff) | {"lacking": [], "diff": result.get("diff", [])}
    except (Refused, OSError) as error:
        return {"failed": True, "changed": False, "msg": str(error)}


def _programs(args: Mapping[str, Any]) -> tuple[list[Program], list[str]]:
    """The programs and everything that is wrong with what was said of them."""
    programs: list[Program] = []
    problems: list[str] = []
    paths: dict[str, str] = {}
    for item in args["programs"]:
        fields = {field: item[field] for field in Program.__dataclass_fields__}
        program = Program(**fields | {"checksum": item["checksum"].lower(), "sha256": item["sha256"].lower()})
        programs.append(program)
        name = program.name
        if not os.path.isabs(program.path):
            problems.append(f"{name}: path {program.path} is not absolute")
        if program.path in paths:
            problems.append(f"{name}: path {program.path} is that of {paths[program.path]} too")
        paths[program.path] = name
        if args["source"] == "directory":
            continue
        if not program.url:
            problems.append(f"{name}: needs url, an address to download it from")
        algorithm, _colon, digest = program.checksum.partition(":")
        if not program.checksum:
            problems.append(f"{name}: needs checksum, as sha256:… or sha512:…, of {program.url or 'its url'}")
        elif algorithm not in ("sha256", "sha512") or len(digest) != hashlib.new(algorithm).digest_size * 2:
            problems.append(f"{name}: checksum {program.checksum} is not sha256: with 64 or sha512: with 128 digits")
    return programs, problems


def look(program: Program, entry: dict[str, Any]) -> Found:
    """Whether the program is there. Its content is read only if its size or time are not those of the manifest."""
    try:
        status = os.lstat(program.path)
    except FileNotFoundError:
        return Found({}, False, False, False)
    if not stat.S_ISREG(status.st_mode):
        return Found({}, False, False, False)
    access = stat.S_IMODE(status.st_mode) == MODE and status.st_uid == os.geteuid()
    wanted = program.origin in (entry.get("origin"), f"sha256:{entry.get('sha256')}")
    if wanted and (status.st_size, status.st_mtime_ns) == (entry.get("size"), entry.get("mtime_ns")):
        noted = (entry["origin"], entry["version"]) == (program.origin, program.version)
        return Found(entry, True, access, noted)
    expected = f"sha256:{entry['sha256']}" if wanted else program.origin
    if "#" in expected:  # only the archive's digest is known
        return Found({}, False, access, False)
    algorithm, _colon, digest = expected.partition(":")
    same = digest_of(program.path, algorithm) == digest
    known = {"sha256": digest if algorithm == "sha256" else digest_of(program.path, "sha256")} if same else {}
    return Found(known, same, access, False)


def digest_of(path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _install(programs: Sequence[Program], scratch: str, timeout: float) -> dict[str, str]:
    """Path -> sha256 of what was installed. Everything is fetched and checked before the first is moved in.

    Raises Refused, with all that is wrong, or OSError.
    """
    if not programs:
        return {}
    digests: dict[str, str] = {}
    beside = {program.path: _beside(program.path) for program in programs}
    try:
        for program in programs:
            os.makedirs(os.path.dirname(program.path), exist_ok=True)
            if os.path.isdir(program.path) and not os.path.islink(program.path):
                raise Refused(f"{program.name}: {program.path} is a directory; nothing was installed. Remove it")
        staged = [program for program in programs if program.staged]
        for program in staged:
            digests[program.path] = _copy(program, beside[program.path])
        downloads: dict[tuple[str, str], list[Program]] = {}
        for program in programs:
            if not program.staged:
                downloads.setdefault((program.url, program.checksum), []).append(program)
        if downloads:
            shutil.rmtree(scratch, ignore_errors=True)
            os.makedirs(scratch, mode=0o700)
            names = {key: ", ".join(program.name for program in group) for key, group in downloads.items()}
            for key, file in download(names, scratch, timeout).items():
                wanted = {program.member: beside[program.path] for program in downloads[key]}
                unpacked = unpack(key[0], file, wanted)
                digests.update({program.path: unpacked[program.member] for program in downloads[key]})
                os.unlink(file)
        for program in programs:
            os.chmod(beside[program.path], MODE)
            os.replace(beside[program.path], program.path)
        return digests
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for path in beside.values():
            with contextlib.suppress(OSError):
                os.unlink(path)


def _beside(path: str) -> str:
    directory, name = os.path.split(path)
    # Always the same name: what a killed run left is overwritten. Runs take turns.
    return os.path.join(directory, f".{name}.part")


def _copy(program: Program, target: str) -> str:
    digest = hashlib.sha256()
    with open(program.staged, "rb") as source, open(target, "wb") as out:
        while block := source.read(1 << 20):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != program.sha256:
        raise Refused(
            f"{program.name}: what arrived has the sha256 {digest.hexdigest()}, expected {program.sha256}; "
            "nothing was installed. Was the file changed during the run? Run again"
        )
    return program.sha256


def _give_access(path: str) -> None:
    os.chmod(path, MODE)
    if os.lstat(path).st_uid != os.geteuid():
        os.chown(path, os.geteuid(), os.getegid())


def _entry(program: Program, installed: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, Any]:
    status = os.lstat(program.path)
    return {
        "name": program.name,
        "version": program.version,
        "origin": program.origin,
        "sha256": installed.get(program.path) or before["sha256"],
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def _result(
    programs: Sequence[Program], entries: Mapping[str, Any], touched: Sequence[Program], diff: bool
) -> dict[str, Any]:
    """The module's result; ``entries`` are the manifest's of before, or of after the installation."""
    known = {
        program.name: entry["sha256"]
        for program in programs
        if (entry := entries.get(program.path, {})).get("origin") == program.origin
    }
    result: dict[str, Any] = {
        "changed": bool(touched),
        "changed_programs": [program.name for program in touched],
        "programs": {
            program.name: {
                "path": program.path,
                "version": program.version,
                "sha256": program.sha256 or known.get(program.name, ""),
                "changed": program in touched,
            }
            for program in programs
        },
    }
    if diff:
        result["diff"] = [
            {
                "before_header": program.path,
                "after_header": program.path,
                "before": _line(entries.get(program.path, {})),
                "after": _line({"version": program.version, "origin": program.origin}),
            }
            for program in touched
        ]
    return result


def _line(entry: Mapping[str, Any]) -> str:
    return f"{entry['version']} {entry['origin']}\n".lstrip() if entry else ""


@contextlib.contextmanager
def _alone(manifest: str, check_mode: bool) -> Iterator[None]:
    """Two runs on a host take turns; the lock goes away with the process."""
    if check_mode:
        yield
        return
    os.makedirs(os.path.dirname(manifest), exist_ok=True)
    descriptor = os.open(os.path.dirname(manifest), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(manifest: str) -> dict[str, dict[str, Any]]:
    """Path -> entry. A manifest that cannot be read counts as none: programs are then known by their content."""
    try:
        with open(manifest, encoding="utf-8") as stream:
            entries = json.load(stream)
    except (FileNotFoundError, ValueError):
        return {}
    fields = {"version", "origin", "sha256", "size", "mtime_ns"}
    if not isinstance(entries, dict):
        return {}
    return {path: entry for path, entry in entries.items() if isinstance(entry, dict) and fields <= set(entry)}


def _write(manifest: str, entries: Mapping[str, Any]) -> None:
    # What was installed outside of this set and is gone is forgotten.
    kept = {path: entry for path, entry in sorted(entries.items()) if os.path.lexists(path)}
    with open(f"{manifest}.part", "w", encoding="utf-8") as stream:
        json.dump(kept, stream, indent=1)
        stream.write("\n")
    os.chmod(f"{manifest}.part", 0o644)
    os.replace(f"{manifest}.part", manifest)

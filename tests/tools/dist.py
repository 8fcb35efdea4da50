"""Build the collection's Galaxy artefact, with the repository's roles in it, and try it out.

The collection is put together in a temporary directory, for Galaxy artefacts and ansible-test refuse symbolic links:
what git knows of the collection, of roles/, and the licence. Then the artefact is installed into an empty place and
asked for its modules and roles.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = Path("collections/ansible_collections/paasta/platform")
DIST = ROOT / "dist"


def known_to_git(directory: Path) -> list[Path]:
    """Files below the directory that are committed or could be, relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT / directory, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / directory / name).is_file()]


def copy(directory: Path, target: Path) -> None:
    for name in known_to_git(directory):
        source = ROOT / directory / name
        if source.is_symlink():
            sys.exit(f"{directory / name} is a symbolic link: a Galaxy artefact cannot have any")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name)


def ansible(scratch: Path, *command: str) -> str:
    """Run an Ansible program that knows only the collections below ``scratch/installed``."""
    configuration = scratch / "ansible.cfg"
    configuration.write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_CONFIG": str(configuration), "ANSIBLE_COLLECTIONS_PATH": str(scratch / "installed")}
    result = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def try_out(artefact: Path, scratch: Path) -> list[str]:
    installed = scratch / "installed"
    ansible(scratch, "ansible-galaxy", "collection", "install", "--offline", "-p", str(installed), str(artefact))
    problems = []
    modules = {path.stem for path in (ROOT / COLLECTION / "plugins/modules").glob("*.py")} - {"__init__"}
    roles = {path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")}
    for kind, expected in (("module", modules), ("role", roles)):
        listed = json.loads(ansible(scratch, "ansible-doc", "--type", kind, "--json", "--list", "paasta.platform"))
        found = {name.removeprefix("paasta.platform.") for name in listed}
        problems += [f"ansible-doc does not know the {kind} {name}" for name in sorted(expected - found)]
        print(f"{kind}s: {', '.join(sorted(found)) or 'none'}")
    problems += [f"{path} is a symbolic link" for path in installed.rglob("*") if path.is_symlink()]
    return problems


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="paasta-dist-") as name:
        scratch = Path(name)
        source, built = scratch / "source", scratch / "built"
        copy(COLLECTION, source)
        copy(Path("roles"), source / "roles")
        shutil.copy2(ROOT / "LICENSE", source)
        ansible(scratch, "ansible-galaxy", "collection", "build", "--output-path", str(built), str(source))
        (artefact,) = built.iterdir()
        problems = try_out(artefact, scratch)
        if problems:
            sys.exit("\n".join(problems))
        DIST.mkdir(exist_ok=True)
        final = DIST / artefact.name
        shutil.copy2(artefact, final)
        print(f"{final.relative_to(ROOT)}: {final.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()

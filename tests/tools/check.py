"""Run the project's checks, stage after stage, as `make test` and its parts do.

    python tests/tools/check.py lint+sanity unit dist kubernetes molecule mesh [-- arguments of the last one]

Every step of a stage runs, and of stages joined by "+", so that a person sees all errors at once; an error keeps later
stages from starting.
Steps are in order of speed. Only Python's standard library is needed, besides the tools themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "collections/ansible_collections/paasta/platform"
TOOLS = Path(__file__).resolve().parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Step:
    title: str
    command: Callable[[], list[str]]
    cwd: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)


def tool(*command: str, cwd: Path = ROOT, title: str = "") -> Step:
    return Step(title or command[0], lambda: list(command), cwd)


def molecule(scenario: str) -> Step:
    return tool("molecule", "test", "-s", scenario, title=f"molecule test -s {scenario}")


def script(name: str) -> Step:
    return Step(name, lambda: [sys.executable, str(TOOLS / name)])


def shellcheck() -> list[str]:
    """The shell scripts among the repository's files, known by their first line."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return ["shellcheck", "--", *(name for name in listed.stdout.split("\0") if name and _is_shell(ROOT / name))]


def _is_shell(path: Path) -> bool:
    # A template is one only when it is filled in.
    if not path.is_file() or path.suffix == ".j2":
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.split(b"/")[-1].split()[-1] in (b"sh", b"bash", b"dash")


STAGES: dict[str, list[Step]] = {
    "lint": [
        tool("ruff", "check", "--output-format", "concise"),
        Step("shellcheck", shellcheck),
        tool("antsibull-changelog", "lint", cwd=COLLECTION),
        tool("yamllint", "--strict", "."),
        tool("mypy"),
        tool(
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all"),
            *("--skip-rstcheck", "."),
            cwd=COLLECTION,
        ),
        tool("ansible-lint", "--profile", "production", "--strict", "--offline"),
    ],
    "sanity": [
        script("sanity_bootstrap.py"),
        tool("ansible-test", "sanity", "--python", PYTHON, cwd=COLLECTION, title="ansible-test sanity"),
    ],
    "unit": [tool("pytest")],
    "molecule": [molecule("platform")],
    # For the nodes of the next two, of which `make test` has the first.
    "programs": [tool(str(ROOT / "scripts/kubernetes-programs"), title="scripts/kubernetes-programs")],
    "cluster": [
        replace(
            molecule("kubernetes"),
            title="molecule test -s kubernetes, without tests marked `life` (`make clusters` has them too)",
            environment={"PYTEST_ADDOPTS": "-m 'not life'"},
        )
    ],
    "clusters": [molecule("kubernetes")],
    # After molecule, with whose Envoy it works.
    "mesh": [tool("pytest", "-p", "no:cacheprovider", "tests/mesh", title="pytest tests/mesh")],
    "dist": [script("dist.py")],
    "kubernetes": [tool("pytest", "-p", "no:cacheprovider", "tests/kubernetes", title="pytest tests/kubernetes")],
}


def environment() -> dict[str, str]:
    """The tools of the virtual environment, this checkout's collections and roles, nothing of the caller's Ansible."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    return own | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.collections'}:{ROOT / 'collections'}",
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "PYTHONUNBUFFERED": "1",
        **({} if sys.stdout.isatty() else {"NO_COLOR": "1"}),
    }


def run(step: Step, extra: list[str]) -> bool:
    print(f"\n=== {step.title}", flush=True)
    started = time.monotonic()
    try:
        command = step.command()
        # Found here, so that the environment's own tools are meant whatever the caller's PATH is.
        env = environment() | step.environment
        program = shutil.which(command[0], path=env["PATH"]) or command[0]
        status = subprocess.run([program, *command[1:], *extra], cwd=step.cwd, env=env, check=False).returncode
    except FileNotFoundError as error:
        print(f"{error}: run `make setup`, or install it")
        status = 127
    verdict = "ok" if status == 0 else f"FAILED with status {status}"
    print(f"--- {step.title}: {verdict}, {time.monotonic() - started:.1f} s", flush=True)
    return status == 0


def main(arguments: list[str]) -> int:
    stages, _dashes, extra = (
        (arguments[: arguments.index("--")], "--", arguments[arguments.index("--") + 1 :])
        if "--" in arguments
        else (arguments, "", [])
    )
    groups = [stage.split("+") for stage in stages]
    unknown = [name for group in groups for name in group if name not in STAGES]
    if unknown or not stages:
        print(f"unknown stage: {', '.join(unknown) or '(none given)'}; there are: {', '.join(STAGES)}")
        return 2
    for group in groups:
        steps = [step for name in group for step in STAGES[name]]
        failed = [step.title for step in steps if not run(step, extra if group is groups[-1] else [])]
        if failed:
            print(f"\n{' and '.join(group)} failed: {', '.join(failed)}")
            return 1
    print(f"\nAll green: {', '.join(name for group in groups for name in group)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

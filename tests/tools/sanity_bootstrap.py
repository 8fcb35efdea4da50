"""Make `ansible-test sanity` work where the host of its pip bootstrap script cannot be reached.

ansible-test makes its virtual environments without pip and downloads a script that installs it. Where that fails, a
script that does the same with pip's wheel from the package index is put into ansible-test's cache instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import ansible_test

CACHE = Path("~/.ansible/test/cache").expanduser()
SETUP = Path(next(iter(ansible_test.__path__)), "_internal/python_requirements.py")
URL = "https://ci-files.testing.ansible.com/ansible-test/get-pip-{version}.py"
SECONDS = 20

REPLACEMENT = '''\
"""Stands in for get-pip.py: runs pip from a wheel to install itself and what else was asked for."""
import os
import sys

WHEEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), {wheel!r})
sys.path.insert(0, WHEEL)
asked = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
if not any(argument.split("=")[0] == "pip" for argument in asked):
    asked.append("pip==" + {version!r})

from pip._internal.cli.main import main

sys.exit(main(["install", "--quiet"] + asked))
'''


def pip_version() -> str:
    found = re.search(r"\bpip='([0-9.]+)'", SETUP.read_text())
    if not found:
        sys.exit(f"{SETUP} does not name a version of pip any more: adapt {__file__}")
    return found[1]


def main() -> None:
    version = pip_version()
    target = CACHE / f"get_pip_{version.replace('.', '_')}.py"
    if target.exists():
        print(f"{target} is there")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    try:
        with urllib.request.urlopen(URL.format(version=version), timeout=SECONDS) as answer:
            partial.write_bytes(answer.read())
        print(f"Downloaded ansible-test's own {target.name}")
    except OSError as error:
        print(f"{URL.format(version=version)} cannot be reached ({error}): using pip's wheel from the package index")
        # No version of pip in the environment has to be trusted to work with the wheel: it is only downloaded.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", str(CACHE), f"pip=={version}"], check=True)
        wheel = next(CACHE.glob(f"pip-{version}-*.whl")).name
        partial.write_text(REPLACEMENT.format(wheel=wheel, version=version))
    partial.rename(target)


if __name__ == "__main__":
    main()

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What roles ask of a host at every run, found in one call: packages and users. On the host itself.

``apt`` and ``user`` take most of a second for each host to find that there is nothing to do; with these facts a role
need not ask them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

# The second letter is what is there, the third an error.
_QUERY = ("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\t${Package}\n")
_PASSWD = "/etc/passwd"


def facts() -> dict[str, object]:
    """``paasta_packages``, a sorted list, and ``paasta_users``, by name.

    :raises OSError: the host has no dpkg, or its list of users cannot be read.
    :raises subprocess.CalledProcessError: dpkg's database cannot be read.
    """
    listed = subprocess.run(_QUERY, capture_output=True, text=True, check=True).stdout
    with open(_PASSWD, encoding="utf-8", errors="replace") as stream:
        return {"paasta_packages": packages(listed.splitlines()), "paasta_users": users(stream)}


def packages(lines: Iterable[str]) -> list[str]:
    """Names of the packages that are installed and configured, of what dpkg lists."""
    found = set()
    for line in lines:
        status, _tab, name = line.partition("\t")
        if status[1:].rstrip() == "i":
            found.add(name)
    return sorted(found)


def users(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """Home and shell of local users, of lines as in ``/etc/passwd`` (passwd(5))."""
    found = {}
    for line in lines:
        fields = line.rstrip("\n").split(":")
        if len(fields) == 7:
            found[fields[0]] = {"home": fields[5], "shell": fields[6]}
    return found

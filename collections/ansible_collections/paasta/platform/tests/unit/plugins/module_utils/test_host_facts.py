# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil

import pytest
from ansible_collections.paasta.platform.plugins.module_utils import host_facts


def test_only_what_is_installed_and_configured_is_there() -> None:
    listed = [
        "ii \thaproxy",
        "hi \tkept-at-its-version",
        "rc \tremoved",
        "iU \tunpacked",
        "iF \tnot-configured",
        "iiR\tbroken",
        "un \tnever",
    ]
    assert host_facts.packages(listed) == ["haproxy", "kept-at-its-version"]


def test_users_have_a_home_and_a_shell() -> None:
    lines = [
        "root:x:0:0:root:/root:/bin/bash\n",
        "envoy:x:997:997::/nonexistent:/usr/sbin/nologin\n",
        "+::::::\n",
        "\n",
    ]
    found = host_facts.users(lines)
    assert found["envoy"] == {"home": "/nonexistent", "shell": "/usr/sbin/nologin"}
    assert set(found) == {"root", "envoy", "+"}


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg")
def test_this_machine_has_dpkg_and_root() -> None:
    found = host_facts.facts()
    assert "dpkg" in found["paasta_packages"]  # type: ignore[operator]
    assert "root" in found["paasta_users"]  # type: ignore[operator]

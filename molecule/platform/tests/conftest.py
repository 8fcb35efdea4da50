# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Platform


@pytest.fixture(scope="session")
def platform() -> Platform:
    return Platform()


@pytest.fixture
def restored(platform: Platform) -> Iterator[Platform]:
    """The platform, with soa-configs and services put back and deployed after the test."""
    directories = (platform.soa, platform.services)
    kept = {path: path.read_bytes() for top in directories for path in top.rglob("*") if path.is_file()}
    yield platform
    for path in [path for top in directories for path in top.rglob("*") if path.is_file()]:
        if path not in kept:
            path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    platform.play("deploy")

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import PLATFORM
from driver import Platform


@pytest.fixture(scope="session")
def platform() -> Platform:
    return PLATFORM


@pytest.fixture
def restored(platform: Platform) -> Iterator[Platform]:
    """The platform, with soa-configs and services put back and deployed after the test."""
    with platform.restored():
        yield platform

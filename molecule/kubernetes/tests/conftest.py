# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from cluster import PLATFORM
from driver import Platform


@pytest.fixture(scope="session")
def platform() -> Platform:
    return PLATFORM

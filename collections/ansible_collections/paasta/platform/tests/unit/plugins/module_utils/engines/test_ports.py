# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.ports import NoPort, allocate
from hypothesis import given
from hypothesis import strategies as st


@given(name=st.text(), taken=st.sets(st.integers(31000, 31009), max_size=9))
def test_a_free_port_is_found_whenever_there_is_one(name: str, taken: set[int]) -> None:
    port = allocate(name, taken, 31000, 31009)
    assert 31000 <= port <= 31009
    assert port not in taken
    assert allocate(name, taken, 31000, 31009) == port


def test_a_full_range_is_an_error_that_says_so() -> None:
    with pytest.raises(NoPort, match="no free port between 31000 and 31001 for web.main.0"):
        allocate("web.main.0", {31000, 31001}, 31000, 31001)

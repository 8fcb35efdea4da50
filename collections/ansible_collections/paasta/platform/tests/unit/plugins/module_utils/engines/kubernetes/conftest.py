# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import Soa

Web = Callable[..., tuple[Instance, Facts]]


@pytest.fixture
def soa(tmp_path: Path) -> Soa:
    return Soa(tmp_path)


@pytest.fixture
def web(soa: Soa) -> Web:
    """``web.main`` of these keys, and the facts; ``settings`` is a mapping, all else as :meth:`Soa.write` has it."""

    def of(keys: str = "", *, settings: dict[str, Any] | None = None, **options: Any) -> tuple[Instance, Facts]:
        return soa.write(keys, **options).load(**(settings or {}))

    return of

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Quantities. What people write, and what Kubernetes makes of it, was read back from an API server 1.34."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import quantities
from hypothesis import given
from hypothesis import strategies as st

WRITTEN = st.builds(
    "{}{}".format,
    st.one_of(st.integers(0, 10**6).map(str), st.decimals(0, 1000, places=3).map(lambda value: format(value, "f"))),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E6"]),
)


@pytest.mark.parametrize(
    ("cores", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.25, "250m"),
        (0.1, "100m"),
        (1.25, "1250m"),
        (0.29, "290m"),
        (0.0004, "1m"),
        (1000, "1k"),
    ],
)
def test_cores(cores: float, text: str) -> None:
    assert quantities.cpu(cores) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1024, "1Gi"),
        (1536, "1536Mi"),
        (4096.0, "4Gi"),
        (32, "32Mi"),
        (0.5, "512Ki"),
        (100.3, "105172173"),
        (1 << 30, "1Pi"),
    ],
)
def test_mebibytes(amount: float, text: str) -> None:
    assert quantities.mebibytes(amount) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Mi", "1000Mi"),
        (0.1, "100m"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("1e3", "1e3"),
        ("1e4", "10e3"),
        ("5E2", "500"),
        ("0.3Gi", "322122547200m"),
        ("2000Gi", "2000Gi"),
        ("1E", "1E"),
        ("512", "512"),
        ("0.5Ki", "512"),
        ("0", "0"),
        ("0Gi", "0"),
    ],
)
def test_what_people_write(written: str | float, text: str) -> None:
    assert quantities.canonical(written) == text


@given(WRITTEN)
def test_the_canonical_form_is_the_same_quantity_and_final(written: str) -> None:
    form = quantities.canonical(written)
    assert quantities.parse(form) == quantities.parse(written)
    assert quantities.canonical(form) == form


@given(st.floats(0.001, 10_000))
def test_cores_are_never_fewer_than_asked_nor_a_thousandth_more(cores: float) -> None:
    found = quantities.parse(quantities.cpu(cores))
    assert -Decimal("1e-8") <= found - Decimal(cores) < Decimal("0.001")


@given(st.floats(1, 10**7))
def test_bytes_are_never_fewer_than_asked_nor_one_more(amount: float) -> None:
    found = quantities.parse(quantities.mebibytes(amount))
    assert -Decimal("1e-5") <= found - Decimal(amount) * 1024 * 1024 <= 1


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1gi", "1ki", "--1", "1e", "0x10", "1Gib"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as 500m, 2 or 1Gi"):
        quantities.parse(text)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Quantities in the one form in which the API server stores them, so that what was applied compares equal."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache

_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([KMGTPE]i|[numkMGTPE]?|[eE][+-]?[0-9]+)")
_SMALLEST = -9  # Kubernetes keeps nothing below a nano, and rounds up


@lru_cache(maxsize=4096)
def cpu(cores: float) -> str:
    """Cores: 0.25 → ``250m``, 1.0 → ``1``. Rounded up to a thousandth, the least that Kubernetes gives."""
    return _decimal(Decimal(math.ceil(round(cores * 1000, 6))) / 1000)


@lru_cache(maxsize=4096)
def mebibytes(amount: float) -> str:
    """MiB: 1024 → ``1Gi``, 1536 → ``1536Mi``. Rounded up to a byte."""
    return _binary(Decimal(math.ceil(round(amount * 1024 * 1024, 6))))


@lru_cache(maxsize=4096)
def gibibytes(amount: float) -> str:
    """GiB: 10 → ``10Gi``."""
    return mebibytes(amount * 1024)


def parse(quantity: str | float) -> Decimal:
    """The value, in cores or bytes; ValueError says what a quantity looks like."""
    number, suffix = _split(quantity)
    if suffix in _BINARY:
        return Decimal(number) * Decimal(1024 ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return Decimal(number).scaleb(_DECIMAL[suffix])
    return Decimal(number).scaleb(int(suffix[1:]))


@lru_cache(maxsize=4096, typed=True)
def canonical(quantity: str | float) -> str:
    """Any quantity as Kubernetes writes it back: ``1024Mi`` → ``1Gi``, 0.1 → ``100m``, ``1000`` → ``1k``."""
    value, suffix = parse(quantity), _split(quantity)[1]
    if suffix.endswith("i"):
        return _binary(value)
    return _decimal(value, exponent=suffix[:1] in ("e", "E") and len(suffix) > 1)


def _split(quantity: str | float) -> tuple[str, str]:
    text = format(Decimal(str(quantity)), "f") if isinstance(quantity, float) else str(quantity)
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 1Gi")
    return match[1], match[2]


def _decimal(value: Decimal, *, exponent: bool = False) -> str:
    """With the largest suffix that leaves a whole number; with ``exponent`` as ``1e3``."""
    amount = _ceil(value, _SMALLEST)
    power = _SMALLEST
    while amount and amount % 1000 == 0 and power < 18:
        amount //= 1000
        power += 3
    if not amount:
        return "0"
    return f"{amount}e{power}" if exponent and power else f"{amount}{_DECIMAL_SUFFIX[power]}"


def _binary(value: Decimal) -> str:
    """With the largest power of 1024 that leaves a whole number; below 1024 and in fractions as Kubernetes: decimal."""
    if abs(value) < 1024 or value != value.to_integral_value():
        return _decimal(value)
    amount, power = int(value), 0
    while amount % 1024 == 0 and power < 6:
        amount //= 1024
        power += 1
    return f"{amount}{_BINARY_SUFFIX[power]}"


def _ceil(value: Decimal, power: int) -> int:
    """The value in units of ``10**power``, rounded away from zero."""
    scaled = value.scaleb(-power)
    return math.ceil(scaled) if scaled >= 0 else math.floor(scaled)

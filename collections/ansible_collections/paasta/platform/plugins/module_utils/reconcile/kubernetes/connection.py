# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The API server that a module's arguments name, as long as it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..cleartext import forms, redact
from ..libraries import KUBERNETES, missing
from .access import NoAccess, access, secrets
from .api import Api


@contextmanager
def connected(args: Mapping[str, Any], *, patience: float = 60.0) -> Iterator[Api]:
    """Closed at the end.

    :param args: as in :data:`~.arguments.AUTH_ARGUMENTS`; ``concurrency`` and ``rate_limit`` where a module has them.
    :param patience: seconds for which a server that does not answer is asked again.
    :raises NoAccess: a library is missing, or it is not clear which server, or who asks.
    """
    if problem := missing(KUBERNETES):
        raise NoAccess(problem)
    concurrency, rate = args.get("concurrency", 16), args.get("rate_limit") or None
    api = Api(access(args), concurrency=concurrency, rate=rate, patience=patience)
    try:
        yield api
    finally:
        api.close()


def without_credentials(result: dict[str, Any], args: Mapping[str, Any]) -> dict[str, Any]:
    """A module's result without the credentials of its arguments in the error, such as what an exec plugin printed.

    The error only: some values, such as a plugin's environment, are ordinary words that ids have too.
    """
    if "msg" not in result:
        return result
    return {**result, "msg": redact(result["msg"], forms(value.encode() for value in secrets(args)))}

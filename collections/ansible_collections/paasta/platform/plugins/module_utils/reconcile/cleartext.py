# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The cleartext of secrets during one run: in this process's memory only, and taken out of texts that leave it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef

Resolve = Callable[[Iterable[SecretRef]], Mapping[SecretRef, bytes]]

REDACTED = "********"

#: Shorter pieces of text are left: they are in every second word, and give nothing away.
SHORTEST = 4


class NoSecret(Exception):
    """Secrets that containers need cannot be had, or their places cannot hold them; names all, holds no value."""


class Cleartexts:
    """Secrets decrypted when they are needed, each once.

    :param resolve: decrypts all that it is given, or raises one error that names all that it cannot decrypt.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._values: dict[SecretRef, bytes] = {}
        self._forms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._values)} secrets)"

    def prepare(self, wanted: Iterable[SecretRef]) -> None:
        """Decrypt what is not decrypted yet; passes on what ``resolve`` raises. Not for several threads at once."""
        missing = sorted(set(wanted) - self._values.keys())
        if missing:
            self._values.update(self._resolve(missing))
            self._forms = forms(self._values.values())

    def __getitem__(self, secret: SecretRef) -> bytes:
        return self._values[secret]

    def redact(self, text: str) -> str:
        """The text without any secret that this run has decrypted."""
        return redact(text, self._forms)

    def redact_all(self, value: Any) -> Any:
        """:meth:`redact` for all texts in JSON-ready data; keys, such as ``failed``, are ours and stay."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {key: self.redact_all(item) for key, item in value.items()}
        return [self.redact_all(item) for item in value] if isinstance(value, (list, tuple)) else value


def forms(values: Iterable[bytes]) -> tuple[str, ...]:
    """How secrets may appear in somebody's message, the longest first: as they are, line by line, quoted, in base64."""
    found: set[str] = set()
    for value in values:
        text = value.decode(errors="replace")
        pieces = {text.strip(), *(line.strip() for line in text.splitlines())}
        found |= pieces
        found |= {json.dumps(piece, ensure_ascii=ascii)[1:-1] for piece in pieces for ascii in (True, False)}
        found.add(base64.b64encode(value).decode())
    return tuple(sorted((form for form in found if len(form) >= SHORTEST), key=len, reverse=True))


def redact(text: str, forms: Iterable[str]) -> str:
    """The text with each form, as :func:`forms` gives them, replaced."""
    for form in forms:
        text = text.replace(form, REDACTED)
    return text

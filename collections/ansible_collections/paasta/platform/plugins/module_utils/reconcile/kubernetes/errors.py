# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What an API server answers when it refuses, and when it does not answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

# What the server's text may repeat of a Secret is not worth hiding if it is this short: it is in other words as well.
_SHORTEST = 3


class ApiError(Exception):
    """The API server refused a request.

    :ivar status: the HTTP status.
    :ivar reason: why, for programs: ``Conflict``, ``Forbidden``, ``Invalid``, ...
    :ivar message: why, in the server's words.
    :ivar details: the ``details`` of the server's Status. ``causes`` in it has one entry per field, for a conflict of
        managers ``{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" ...', "field": ".spec..."}``.
    :ivar subject: the request: ``PATCH Deployment paastasvc-web/web-main``.
    """

    def __init__(self, status: int, reason: str, message: str, details: dict[str, Any], subject: str) -> None:
        super().__init__(status, reason, message, details, subject)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details
        self.subject = subject

    def __str__(self) -> str:
        return f"{self.subject}: {self.message} ({self.status} {self.reason})"

    @property
    def causes(self) -> list[dict[str, Any]]:
        return list(self.details.get("causes") or [])


class Expired(ApiError):
    """The version that a list or watch wants to go on from is too old: list again."""


class Unreachable(Exception):
    """The API server does not answer, or cannot be trusted; the text names it and says why."""


class NoAccess(Unreachable):
    """It is not clear how the API server is reached or who asks; the text says what is missing or wrong."""


def refusal(status: int, body: bytes, subject: str, sent: Mapping[str, Any] | None = None) -> ApiError:
    """What a response of 400 or more says.

    :param sent: the object that was sent. The server's text may quote it; what is secret in it is taken out.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("kind") != "Status":
        # Not an API server: a load balancer or a proxy before it, or an aggregated one.
        answer = {"message": _first_line(body)}
    return status_error({"code": status, **answer}, subject, sent)


def status_error(answer: Mapping[str, Any], subject: str, sent: Mapping[str, Any] | None = None) -> ApiError:
    """The error that an object of kind Status is."""
    status = answer.get("code") or 500
    reason = answer.get("reason") or _REASONS.get(status, "Unknown")
    message = answer.get("message") or reason
    details = answer.get("details") or {}
    for word in _secrets_of(sent):
        message = message.replace(word, "***")
        details = json.loads(json.dumps(details).replace(json.dumps(word)[1:-1], "***"))
    kind = Expired if status == 410 else ApiError
    return kind(status, reason, message, details, subject)


def cause(error: BaseException) -> str:
    """The innermost cause of a failed connection, which says what happened; the outer ones name Python's objects."""
    inner = error
    while True:
        nested = (getattr(inner, "reason", None), *inner.args, inner.__cause__)
        deeper = next((each for each in nested if isinstance(each, BaseException) and each is not inner), None)
        if deeper is None:
            text = getattr(inner, "strerror", None) or str(inner).rpartition("object at 0x")[2].partition(": ")[2]
            return text or str(inner) or type(inner).__name__
        inner = deeper


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _first_line(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text.splitlines()[0][:200] if text else "no reason given"


def _secrets_of(sent: Mapping[str, Any] | None) -> list[str]:
    """What is secret in a Secret: its values, as sent and decoded; the longest first, as one may be part of another."""
    if not sent or sent.get("kind") != "Secret":
        return []
    words = set()
    for value in (sent.get("data") or {}).values():
        words.add(str(value))
        with suppress(binascii.Error, ValueError, TypeError):
            words.add(base64.b64decode(value, validate=True).decode())
    words.update(str(value) for value in (sent.get("stringData") or {}).values())
    return sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""``drain_method: http``: an instance is told by requests that it is to stop, and asked whether it may.

The requests are made in the container itself, by ``curl`` of its image, when the pod is deleted; in an image without it
they are left out, and the time to drain is what remains. ``stop_draining`` and ``is_draining`` have no place here: a
pod that Kubernetes stops cannot be called back.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

_REQUESTS = ("drain", "is_safe_to_kill")
_CURL = "curl -s -m 10 -o /dev/null"
_CODES = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
_METHOD = re.compile("[A-Z]+")
_FIELDS = ("host", "port", "service", "instance", "nerve_ns")


def commands(instance: Instance) -> list[str]:
    """What the shell runs, in order: the drain, then the wait until it is safe. The grace period limits both."""
    params = instance.keys.get("drain_method_params") or {}
    found = [f"{_CURL} {_request(params['drain'], instance)}"] if "drain" in params else []
    if "is_safe_to_kill" in params:
        request = params["is_safe_to_kill"]
        ask = f"$({_CURL} -w '%{{http_code}}' {_request(request, instance)})"
        safe = _pattern(request.get("success_codes", "200"))
        found.append(
            f"if command -v curl >/dev/null; then while case {ask} in {safe}) false;; esac; do sleep 1; done; fi"
        )
    return found


def problems(instance: Instance) -> list[str]:
    params = instance.keys.get("drain_method_params") or {}
    found = []
    for name in _REQUESTS:
        request = params.get(name)
        if request is not None:
            path = ("drain_method_params", name)
            found += [problem(instance, path, message, hint) for message, hint in _wrong(request)]
    if not any(name in params for name in _REQUESTS):
        hint = "add drain and is_safe_to_kill, each with a url_format"
        found.append(problem(instance, ("drain_method",), "http has no requests in drain_method_params", hint))
    return found


def _wrong(request: Any) -> list[tuple[str, str]]:
    if not isinstance(request, Mapping) or not isinstance(request.get("url_format"), str):
        return [("is not a request", "it has url_format, and may have method and success_codes")]
    found = []
    try:
        _url(request["url_format"], dict.fromkeys(_FIELDS, ""))
    except (KeyError, IndexError, ValueError) as error:
        found.append((f"url_format {request['url_format']!r}: {error}", f"it may hold {', '.join(_FIELDS)} in braces"))
    if not _METHOD.fullmatch(str(request.get("method", "GET")).upper()):
        found.append((f"method {request['method']!r}: is not a method", "such as POST"))
    codes = str(request.get("success_codes", "200"))
    if not all(_CODES.fullmatch(part.strip()) for part in codes.split(",")):
        found.append((f"success_codes {codes!r}: is not a list of codes", "such as 200-399,404"))
    return found


def _request(request: Mapping[str, Any], instance: Instance) -> str:
    fields = {
        "host": "127.0.0.1",
        "port": str(instance.container_port),
        "service": instance.service,
        "instance": instance.name,
        "nerve_ns": instance.registrations[0].partition(".")[2],
    }
    method = str(request.get("method", "GET")).upper()
    return f"-X {method} {shlex.quote(_url(request['url_format'], fields))}"


def _url(template: str, fields: Mapping[str, str]) -> str:
    """PaaSTA gives the port as a number and so ``{port:d}`` may be written; here all are texts."""
    parts = string.Formatter().parse(template)
    return "".join(text + (fields[name] if name is not None else "") for text, name, _spec, _conversion in parts)


def _pattern(codes: str) -> str:
    """The codes as the pattern of a shell's ``case``: ``200-201,404`` → ``200|201|404``, whole hundreds as ``2??``."""
    wanted: set[int] = set()
    for part in str(codes).split(","):
        first, last = _CODES.fullmatch(part.strip()).groups()  # type: ignore[union-attr]  # problems() has looked
        wanted.update(range(int(first), int(last or first) + 1))
    hundreds = [start for start in range(100, 600, 100) if wanted.issuperset(range(start, start + 100))]
    rest = sorted(code for code in wanted if code // 100 * 100 not in hundreds)
    return "|".join([*(f"{start // 100}??" for start in hundreds), *map(str, rest)])

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Names of Kubernetes objects, as PaaSTA makes them, so that what it created is found again."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import names
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.names import NAME_LIMIT

__all__ = [
    "NAME_LIMIT",
    "app",
    "label_value",
    "labelled",
    "limited",
    "namespace",
    "path",
    "ref",
    "sanitise",
    "service_namespace",
]

# The same few names are asked for many times in the rendering of an instance.
_CACHED = 16384
sanitise = lru_cache(maxsize=_CACHED)(names.sanitise)

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")
_NOT_IN_VOLUMES = re.compile(r"[^a-z0-9-]+")
_NAMESPACE_PREFIX = "paastasvc-"


def limited(name: str, limit: int = NAME_LIMIT, suffix: int = 4) -> str:
    """The name itself, or so much of it as fits with a hash of all of it (PaaSTA: limit_size_with_hash)."""
    if len(name) <= limit:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return f"{name[: limit - suffix - 1]}-{base64.b32encode(digest).decode()[:suffix].lower()}"


def app(instance: Instance) -> str:
    """The name of an instance's workload, budget, autoscaler and Service: ``web-main``.

    PaaSTA: get_kubernetes_app_name. Not shortened, for PaaSTA does not either: what is too long is refused.
    """
    return f"{sanitise(instance.service)}-{sanitise(instance.name)}"


def namespace(instance: Instance) -> str:
    """The Kubernetes namespace of an instance: its own key, else ``paastasvc-web``."""
    return str(instance.keys.get("namespace") or service_namespace(instance.service))


def service_namespace(service: str) -> str:
    """The Kubernetes namespace that a service has for itself: ``paastasvc-web``."""
    return limited(_NAMESPACE_PREFIX + sanitise(service))


def path(text: str) -> str:
    """A path as part of the name of a volume: ``/etc/hosts`` → ``slash-etcslash-hosts``. Not shortened."""
    name = sanitise((text.rstrip("/") or "/").replace("/", "slash-").replace(".", "dot-"))
    return _NOT_IN_VOLUMES.sub("-", name).rstrip("-")


def ref(manifest: Mapping[str, Any]) -> str:
    """What an object is found by: ``<apiVersion>/<Kind>/<namespace or empty>/<name>``."""
    metadata = manifest["metadata"]
    return f"{manifest['apiVersion']}/{manifest['kind']}/{metadata.get('namespace', '')}/{metadata['name']}"


def labelled(id: str) -> str:
    """``service.instance`` as labels have it, which cannot hold every name."""
    service, _dot, name = id.partition(".")
    return f"{label_value(service)}.{label_value(name)}"


@lru_cache(maxsize=_CACHED)
def label_value(text: str) -> str:
    """The text as a label may have it: at most 63 of ``A-Za-z0-9._-``, a letter or digit at both ends; may be empty."""
    if _LABEL_VALUE.fullmatch(text):
        return text
    return limited(_NOT_IN_LABELS.sub("-", text).strip("-_."))

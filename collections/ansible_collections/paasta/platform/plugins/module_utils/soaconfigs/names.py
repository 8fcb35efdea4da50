# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The names of the field: which are valid, and how one is made of another."""

from __future__ import annotations

import re
import string

INSTANCE_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
SERVICE_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
NAMESPACE_NAME = re.compile(r"[a-zA-Z0-9_-]+")
GIT_SHA = re.compile(r"[0-9a-f]{40}")
IMAGE_VERSION = re.compile(r"[A-Za-z0-9_.-]{1,80}")  # an image tag has at most 128 characters, 48 of them are ours
NAME_LIMIT = 63  # Kubernetes: length of a label value and of a DNS label
SOCKET_NAME_LIMIT = 55  # PaaSTA: service and namespace in HAProxy's socket path, which fits in 108 bytes

# PaaSTA: steps of a pipeline that are not deploy groups; steps that begin with command- are not either.
RESERVED_STEPS = frozenset({"itest", "itest-and-push-to-registry", "security-check", "push-to-registry"})
_PLACEHOLDERS = ("cluster", "instance", "service")


def sanitise(name: str) -> str:
    """A name as Kubernetes takes it (PaaSTA: sanitise_kubernetes_name)."""
    name = name.replace("_", "--")
    if name.startswith("--"):
        name = name.replace("--", "underscore-", 1)
    return name.lower()


def docker_image(service: str, git_sha: str, image_version: str | None = None) -> str:
    """``services-web:paasta-<sha>[-<image_version>]``, without a registry."""
    return f"services-{service}:paasta-{git_sha}" + (f"-{image_version}" if image_version else "")


def is_deploy_group(step: str) -> bool:
    return step not in RESERVED_STEPS and not step.startswith("command-")


def split_registration(registration: str) -> tuple[str, str] | None:
    """``service.namespace`` as a pair; None when it is anything else."""
    parts = registration.split(".")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def expand_deploy_group(template: str, *, cluster: str, instance: str, service: str) -> str:
    """Fill ``{cluster}``, ``{instance}`` and ``{service}`` in; ValueError says why any other braces are wrong."""
    values = {"cluster": cluster, "instance": instance, "service": service}
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{template!r} has unbalanced braces ({error})") from None
    for _text, name, spec, conversion in fields:
        if name is not None and (name not in values or spec or conversion):
            raise ValueError(f"unknown placeholder {{{name}}}")
    return template.format(**values)


PLACEHOLDERS_HINT = "allowed: " + ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)

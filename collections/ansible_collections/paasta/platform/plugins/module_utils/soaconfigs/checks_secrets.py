# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of references to secrets. Messages never show a value: a reference that is none may be a secret itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import did_you_mean
from .model import KeyPath
from .secrets import SHARED, SecretRef, malformed_references
from .subjects import Subject


def secrets(subject: Subject) -> None:
    check(subject, (), subject.config, subject.secrets)


def check(
    subject: Subject, prefix: KeyPath, config: Mapping[str, Any], found: Iterable[tuple[KeyPath, SecretRef]]
) -> None:
    """Check the references in a mapping that is at ``prefix`` of the subject; ``found`` are those that are some."""
    if "env" in config or "secret_volumes" in config:
        for path, message in malformed_references(config):
            subject.error("secret-form", (*prefix, *path), message)
    for path, secret in found:
        if subject.secret_digest(secret) is not None or subject.secret_is_broken(secret):
            continue
        if subject.secret_exists(secret):
            environments = subject.settings.secret_environments
            environment = environments.get(subject.cluster, subject.cluster)
            message = f"{secret.file} has no value for environment {environment}, that of cluster {subject.cluster}"
            hint = "add one with playbooks/secret.yml"
            if subject.cluster not in environments:
                hint += ", or say in paasta_secret_environments that the cluster has another"
            subject.error("secret-environment", (*prefix, *path), message, hint)
        else:
            owner = "shared secrets" if secret.service == SHARED else f"secrets of {secret.service}"
            message = f"{secret.name} is not among the {owner}: there is no {secret.file}"
            hint = did_you_mean(secret.name, subject.secret_names(secret.service))
            subject.error("unknown-secret", (*prefix, *path), message, hint or "add it with playbooks/secret.yml")


CHECKS = (secrets,)

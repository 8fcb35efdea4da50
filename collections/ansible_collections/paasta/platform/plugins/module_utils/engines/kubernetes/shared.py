# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Objects that several instances share: namespaces and what is in them, accounts, the Prometheus adapter's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender, problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import accounts, adapter, names, namespaces, secrets
from .facts import Facts


def needs(instance: Instance, facts: Facts) -> list[str]:
    """What must be there before the objects of an instance, as references into :func:`objects`, in order."""
    return [names.ref(manifest) for manifest in _of(instance, facts)]


def objects(
    instances: Iterable[Instance], facts: Facts, *, everything: Iterable[Instance] | None = None
) -> dict[str, dict[str, Any]]:
    """Every shared object by its reference, in an order in which they can be created.

    :param everything: all instances of the cluster, whatever was selected: the rules of the Prometheus adapter are in
        one ConfigMap. None where only some services were read; then the ConfigMap is not in the result, which means
        that it stays as it is, not that it goes. No instance needs it.
    :raises CannotRender: for services that would share a namespace or a Secret and must not.
    """
    found: dict[str, dict[str, Any]] = {}
    owners: dict[str, str] = {}
    held: dict[tuple[str, str], tuple[str, str]] = {}
    refused: list[str] = []
    for instance in instances:
        refused += _foreign_secrets(instance, facts, held)
        for manifest in _of(instance, facts):
            ref = names.ref(manifest)
            there = found.setdefault(ref, manifest)
            if namespaces.is_guest(manifest):
                continue  # also in the namespace of another service, which says what is in it
            if namespaces.is_guest(there):
                found[ref] = there = manifest
            owner = owners.setdefault(ref, instance.service)
            if there != manifest:
                message = f"{manifest['kind']} {manifest['metadata']['name']} is already that of service {owner}"
                refused.append(problem(instance, (), message, "rename one of the two services"))
    if refused:
        raise CannotRender(sorted(set(refused)))
    if everything is not None:
        found.update({names.ref(manifest): manifest for manifest in adapter.config_maps(everything, facts)})
    return found


def _of(instance: Instance, facts: Facts) -> list[dict[str, Any]]:
    account = accounts.service_account(instance, facts)
    return [*namespaces.objects(instance, facts), *([account] if account else [])]


def _foreign_secrets(instance: Instance, facts: Facts, held: dict[tuple[str, str], tuple[str, str]]) -> Iterator[str]:
    """Secrets of different services that would be one object of a namespace: ``a-b`` of ``c``, and ``b`` of ``c-a``."""
    namespace = names.namespace(instance)
    for entry in secrets.uses(instance, facts):
        owner = (entry["service"], entry["name"])
        first = held.setdefault((namespace, entry["object"]), owner)
        if first != owner:
            message = f"secrets {'.'.join(first)} and {'.'.join(owner)} would both be the Secret {entry['object']}"
            yield problem(instance, (), message, "rename one of the two, or give the instance a namespace of its own")

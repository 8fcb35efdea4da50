# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Read a soa-configs directory: what each cluster should run, and everything that is wrong with it.

``load`` is for who wants to run a cluster: it reads what that cluster needs, and refuses when any of it is wrong.
``validate`` reads everything of all clusters. Both are one reading (``read``) with different bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ansible_collections.paasta.platform.plugins.module_utils import collector

from . import cache as results
from .errors import InvalidConfigs
from .files import SoaDir
from .model import ClusterConfig
from .reader import Reader, Reading
from .settings import Settings


def load(
    soa_dir: str,
    cluster: str,
    *,
    services: Collection[str] | None = None,
    instance_types: Iterable[str] = ("kubernetes", "eks"),
    settings: Settings | None = None,
    cache: str | None = None,
) -> ClusterConfig:
    """What one cluster should run; raises InvalidConfigs with every error at once.

    Only services with instances in the cluster are read, and of the others the namespaces, which registrations of any
    service may name: a mistake in what the cluster does not use does not stop it. ``services`` limits the instances in
    the same way. ``instance_types`` are those that are returned; files of other types are checked.
    """
    reading = read(
        soa_dir, clusters=(cluster,), services=services, types=instance_types, settings=settings, cache=cache
    )
    if reading.errors:
        raise InvalidConfigs(reading.errors)
    return reading.configs[cluster]


def validate(
    soa_dir: str,
    settings: Settings | None = None,
    services: Collection[str] | None = None,
    clusters: Collection[str] | None = None,
    cache: str | None = None,
) -> Reading:
    """Everything that is wrong in a tree: all services, clusters and types of instances, or those that are named.

    :raises InvalidConfigs: only when the directory itself cannot be read, or has no such service.
    """
    return read(soa_dir, clusters=clusters, services=services, types=None, settings=settings, cache=cache)


def read(
    soa_dir: str,
    *,
    clusters: Collection[str] | None,
    services: Collection[str] | None,
    types: Iterable[str] | None,
    settings: Settings | None,
    cache: str | None,
) -> Reading:
    """One reading; None is all there are. ``cache`` is a directory for results (``cache.default_directory``)."""
    soa = SoaDir(soa_dir)
    bounds = tuple(None if names is None else tuple(sorted(names)) for names in (clusters, services, types))
    settings = settings or Settings()
    with collector.paused(freeze=True):
        name = results.key(soa.root, soa.digest(_is_input), bounds, settings) if cache else ""
        found = results.get(cache, name) if cache else None
        if found is None:
            found = Reader(soa, settings, *bounds).read()
            if cache:
                results.put(cache, name, found)
    reading: Reading = found
    return reading


def _is_input(name: str) -> bool:
    """Whether a reading may depend on more than a file's name."""
    return name[-5:] in (".yaml", ".json")

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The endpoints of every namespace on one host: a file from each source, and all of them together in Envoy's own form.

::

    <directory>/sources/docker/web.main.json        written by docker_instances
    <directory>/sources/kubernetes/web.main.json    written by paasta-endpoints
    <directory>/eds/web.main.json                   both, which Envoy reads

A source writes only its own files. Whoever writes one puts all of that namespace together again, under a lock, so no
source can take out what another has put in, and a writer that is killed half way is finished by the next one.

``eds/<namespace>.json`` is there for the namespaces that ``envoy_config`` has declared, and for no other.

This file is complete in itself and uses only the standard library (Python 3.8), for it is part of programs that run on
hosts (:mod:`~..host_program`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

HEALTHY, DRAINING = "HEALTHY", "DRAINING"

_ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_SUFFIX = ".json"


@dataclass(frozen=True, order=True)
class Endpoint:
    """One backend as proxies see it. ``state`` is :data:`HEALTHY` or :data:`DRAINING` (no new requests)."""

    address: str
    port: int
    weight: int = 10
    state: str = HEALTHY

    @property
    def key(self) -> str:
        """``address:port``, as Envoy's admin interface names it."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Source:
    """What one source says of one namespace.

    :ivar instances: how many healthy replicas of each ``service.instance`` the endpoints stand for; a source need not
        say so.
    """

    endpoints: tuple[Endpoint, ...] = ()
    instances: Mapping[str, int] | None = None

    def text(self) -> str:
        """The content of its file: equal sources are equal files."""
        document = {
            "endpoints": [asdict(endpoint) for endpoint in sorted(self.endpoints)],
            "instances": dict(self.instances or {}),
        }
        return json.dumps(document, indent=1, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, text: str) -> Source:
        """:raises ValueError: for a text that :meth:`text` has not made."""
        try:
            document = json.loads(text)
            endpoints = tuple(Endpoint(**endpoint) for endpoint in document["endpoints"])
            return cls(endpoints, {str(id): int(count) for id, count in document["instances"].items()})
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def merged(sources: Iterable[Source]) -> list[Endpoint]:
    """All endpoints, each once, in whatever order the sources come.

    An address that several sources have is healthy if one of them says so, and has the largest weight.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    for source in sources:
        for endpoint in source.endpoints:
            other = found.get((endpoint.address, endpoint.port), endpoint)
            state = HEALTHY if HEALTHY in (endpoint.state, other.state) else DRAINING
            weight = max(endpoint.weight, other.weight)
            found[endpoint.address, endpoint.port] = Endpoint(endpoint.address, endpoint.port, weight, state)
    return sorted(found.values())


# Envoy's form


def cluster_name(namespace: str) -> str:
    """Envoy's cluster for ``service.namespace`` (PaaSTA: ``envoy_tools``, so its tools find it)."""
    return f"{namespace}.egress_cluster"


def assignment(namespace: str, members: Iterable[Endpoint]) -> dict[str, Any]:
    """The endpoints of one namespace, as a DiscoveryResponse."""
    lb_endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": member.address, "port_value": member.port}}},
            "health_status": member.state,
            "load_balancing_weight": member.weight,
        }
        for member in sorted(members)
    ]
    resource = {"@type": _ENDPOINTS, "cluster_name": cluster_name(namespace)}
    return discovery([{**resource, "endpoints": [{"lb_endpoints": lb_endpoints}]}])


def discovery(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """A DiscoveryResponse as files carry it; the version is a digest, so equal content is an equal file."""
    digest = hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:12]
    return {"version_info": digest, "resources": resources}


def as_file(document: dict[str, Any]) -> str:
    """The text of a file: sorted and indented, for people and for diffs."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


# Files


def move_in(directory: str, name: str, text: str) -> None:
    """Put a file in place whole, which is what Envoy watches for; a full disk leaves the old one."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=directory)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, os.path.join(directory, name))
    except OSError:
        os.unlink(temporary)
        raise


def read_file(path: str) -> str | None:
    """The text of a file, or None when there is none."""
    try:
        with open(path) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


class EndpointFiles:
    """The endpoint files below one directory (role ``envoy``: ``envoy_config_dir``)."""

    def __init__(self, directory: str) -> None:
        self._sources = os.path.join(directory, "sources")
        self._eds = os.path.join(directory, "eds")

    def write(self, source: str, texts: Mapping[str, str], whole: bool = False) -> list[str]:
        """Bring a source's files (namespace → :meth:`Source.text`) up to date, and Envoy's with them.

        Envoy's are looked at in any case: a writer before may have been killed between the two.

        :param whole: the source has no other namespaces: files of others go.
        :returns: the namespaces of which any file was written.
        :raises OSError: when all others are written; it names every file that is in the way.
        """
        own = os.path.join(self._sources, source)
        changed, errors = [], []
        with self._locked():
            os.makedirs(own, exist_ok=True)
            gone = set(_namespaces(own)) - set(texts) if whole else ()
            for namespace in sorted({*texts, *gone}):
                try:
                    if self._write(own, namespace, texts.get(namespace)) | self._merge(namespace):
                        changed.append(namespace)
                except OSError as error:
                    errors.append(str(error))
        if errors:
            raise OSError("; ".join(errors))
        return changed

    def stale(self, source: str, texts: Mapping[str, str]) -> list[str]:
        """The namespaces that :meth:`write` would change, without a change."""
        return [
            namespace
            for namespace, text in sorted(texts.items())
            if read_file(os.path.join(self._sources, source, namespace + _SUFFIX)) != text
            or self._differs(namespace, self._merged(namespace, {source: Source.parse(text)}))
        ]

    def declare(self, namespaces: Iterable[str]) -> None:
        """Begin files of Envoy's for namespaces that have none, with what their sources have already."""
        with self._locked():
            for namespace in sorted(namespaces):
                if not os.path.exists(os.path.join(self._eds, namespace + _SUFFIX)):
                    move_in(self._eds, namespace + _SUFFIX, self._merged(namespace))

    def obsolete(self, namespaces: Collection[str]) -> list[str]:
        """Namespaces with a file of Envoy's that are none of these."""
        return sorted(set(_namespaces(self._eds)) - set(namespaces))

    def withdraw(self, namespaces: Iterable[str]) -> None:
        """Remove Envoy's files of namespaces. Those of sources belong to the sources."""
        with self._locked():
            for namespace in namespaces:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._eds, namespace + _SUFFIX))

    def namespaces(self, source: str) -> list[str]:
        """Those that a source has files of."""
        return _namespaces(os.path.join(self._sources, source))

    def read(self, source: str, namespace: str) -> Source:
        """What a source says of a namespace; nothing when it has no file of it.

        :raises OSError: for a file that cannot be understood.
        """
        path = os.path.join(self._sources, source, namespace + _SUFFIX)
        text = read_file(path)
        try:
            return Source() if text is None else Source.parse(text)
        except ValueError as error:
            raise OSError(f"{path} is no list of endpoints ({error}): remove it, {source} writes it again") from error

    def others(self, source: str, namespaces: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What all sources but one say: namespace → ``endpoints`` (keys of healthy ones) and ``instances`` (counts)."""
        found = {}
        for namespace in namespaces:
            there = [self.read(other, namespace) for other in self._names() if other != source]
            counts: dict[str, int] = {}
            for id, count in ((id, count) for one in there for id, count in (one.instances or {}).items()):
                counts[id] = counts.get(id, 0) + count
            keys = [endpoint.key for endpoint in merged(there) if endpoint.state == HEALTHY]
            found[namespace] = {"endpoints": keys, "instances": counts}
        return found

    def _names(self) -> list[str]:
        """The sources that have ever written here."""
        names = os.listdir(self._sources) if os.path.isdir(self._sources) else []
        return sorted(name for name in names if not name.startswith("."))

    def _merged(self, namespace: str, instead: Mapping[str, Source] | None = None) -> str:
        """The text of Envoy's file; ``instead`` are sources as they would be."""
        sources = {name: self.read(name, namespace) for name in self._names() if name not in (instead or {})}
        return as_file(assignment(namespace, merged({**sources, **(instead or {})}.values())))

    def _differs(self, namespace: str, text: str) -> bool:
        """Whether Envoy's file is there and another one."""
        return read_file(os.path.join(self._eds, namespace + _SUFFIX)) not in (None, text)

    @staticmethod
    def _write(directory: str, namespace: str, text: str | None) -> bool:
        """One file of a source; None removes it. Whether it was another one."""
        name = namespace + _SUFFIX
        if read_file(os.path.join(directory, name)) == text:
            return False
        if text is None:
            os.unlink(os.path.join(directory, name))
        else:
            move_in(directory, name, text)
        return True

    def _merge(self, namespace: str) -> bool:
        """Envoy's file of one namespace; whether it was another one."""
        text = self._merged(namespace)
        if not self._differs(namespace, text):
            return False
        move_in(self._eds, namespace + _SUFFIX, text)
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time on this host; the lock of one that is killed goes with it.

        :raises FileNotFoundError: when there is no Envoy here.
        """
        os.stat(self._eds)
        os.makedirs(self._sources, exist_ok=True)
        with open(os.path.join(self._sources, ".lock"), "a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _namespaces(directory: str) -> list[str]:
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return sorted(name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX) and not name.startswith("."))

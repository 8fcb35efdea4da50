# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a check is given to look at: one instance, one service, or the whole tree.

The loader provides the objects; checks only read them and report. Every value has passed the check of its shape: a key
that did not is left out of ``config`` and of the documents (``written`` still knows it). Attributes are cheap to read;
methods may cost something and are called where a check has something to say.

Reporting: ``rule`` is an id of ``rules.RULES``; ``path`` is the key path inside the subject, ``()`` the subject itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from .model import KeyPath
from .secrets import SecretRef
from .settings import Settings


class Documents(Protocol):
    """The documents of one service, shape-checked; None when the file is absent, templates (``_x``) left out."""

    @property
    def general(self) -> Mapping[str, Any] | None:
        """service.yaml"""

    @property
    def monitoring(self) -> Mapping[str, Any] | None: ...

    @property
    def deploy(self) -> Mapping[str, Any] | None: ...

    @property
    def dependencies(self) -> Mapping[str, Any] | None: ...

    @property
    def authorization(self) -> Mapping[str, Any] | None: ...

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, Any]]:
        """smartstack.yaml: namespaces by name; empty when absent."""

    @property
    def rollbacks(self) -> Mapping[str, Mapping[str, Any]]:
        """Every rollback-<cluster>.yaml, by cluster."""

    @property
    def files(self) -> Collection[str]:
        """The names in the service's directory, one level deep."""


class Tree(Protocol):
    """Facts across services."""

    @property
    def services(self) -> Collection[str]: ...

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, Any]]:
        """Every namespace of the tree by id, ``service.namespace``."""

    @property
    def settings(self) -> Settings: ...

    @property
    def location_types(self) -> Sequence[str]:
        """From the largest to the smallest: the inventory's, else location_types.json's; empty when neither has any."""

    def pipeline(self, service: str) -> frozenset[str] | None:
        """The deploy groups of a service's deploy.yaml; None when there is none, or it cannot be read."""

    def jobs(self, service: str, cluster: str) -> Mapping[str, Mapping[str, Any]]:
        """The Tron jobs of ``tron-<cluster>.yaml`` by name; empty when there is none."""


class Subject(Protocol):
    """One instance (or Tron job), merged: the service of ``kind`` in ``cluster`` that is called ``instance``.

    ``config`` is own over autotuned over service-wide; ``own`` is what its own file says. Of a Tron job both are the
    job's mapping with its ``actions``. ``deploy_group`` is expanded; None when it could not be.
    """

    @property
    def service(self) -> str: ...

    @property
    def instance(self) -> str: ...

    @property
    def cluster(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def config(self) -> Mapping[str, Any]: ...

    @property
    def own(self) -> Mapping[str, Any]: ...

    @property
    def documents(self) -> Documents: ...

    @property
    def deploy_group(self) -> str | None: ...

    @property
    def tree(self) -> Tree: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def secrets(self) -> Sequence[tuple[KeyPath, SecretRef]]:
        """The secrets that ``config`` refers to (secrets.references), worked out once."""

    def secret_digest(self, ref: SecretRef) -> str | None:
        """Of the ciphertext for the cluster's environment; None when there is none."""

    def secret_exists(self, ref: SecretRef) -> bool:
        """Whether there is such a secret, for whichever environment."""

    def secret_is_broken(self, ref: SecretRef) -> bool:
        """Whether something is wrong with its file, as far as its digest was asked for."""

    def secret_names(self, service: str) -> Collection[str]:
        """The names of a service's secrets, for suggestions."""

    def error(self, rule: str, path: KeyPath, message: str, hint: str = "") -> None:
        """Report a mistake where the value at ``path`` is written, whichever layer holds it."""

    def warn(self, rule: str, path: KeyPath, message: str, hint: str = "") -> None: ...

    def written(self, path: KeyPath) -> bool:
        """Whether a file sets it at all, were it with a value of the wrong shape."""

    def comment(self, path: KeyPath) -> str:
        """The ``# ...`` comment on the line where ``path`` is written, empty without one."""


class ServiceSubject(Protocol):
    """One service with all its documents, of all clusters. ``file`` in reports is relative to its directory."""

    @property
    def service(self) -> str: ...

    @property
    def documents(self) -> Documents: ...

    @property
    def tree(self) -> Tree: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def instance_files(self) -> Sequence[tuple[str, str, str]]:
        """``(type, cluster, file name)`` of every instance file, sorted."""

    def instances(self, file: str) -> Collection[str]:
        """The instance names in one of ``instance_files`` in the order they are written, templates left out."""

    def error(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None: ...

    def warn(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None: ...


class TreeSubject(Tree, Protocol):
    """The whole tree. ``file`` in reports is relative to the soa-configs directory."""

    def line(self, file: str, path: KeyPath) -> int:
        """The line where ``path`` is written, 0 when it is not."""

    def error(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None: ...

    def warn(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None: ...

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Put what one cluster should run together: typed instances, jobs and custom resources from what the files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import build, deployments, jobs, keys, records
from .errors import ConfigError
from .frozen import FrozenDict
from .merge import Layer, Provenance
from .model import ClusterConfig, Instance, Namespace, SecretUse
from .model_jobs import Job, TronMaster
from .model_records import Authorization, CustomResource, Dependency, Rollback
from .names import split_registration
from .secrets import references
from .service import Service
from .views import InstanceView, Secrets


class Assembly:
    """What has been found for one cluster so far; ``versions`` finds what is marked for any service's deploy group."""

    def __init__(self, cluster: str, secrets: Secrets, versions: jobs.Versions) -> None:
        self.cluster = cluster
        self.tron_master: TronMaster | None = None
        self._secrets = secrets
        self._versions = versions
        self._instances: list[Instance] = []
        self._jobs: list[Job] = []
        self._custom: list[CustomResource] = []
        self._rollbacks: dict[str, Rollback] = {}
        self._dependencies: dict[str, Mapping[str, tuple[Dependency, ...]]] = {}
        self._authorizations: dict[str, Authorization] = {}

    def config(
        self, namespaces: tuple[Namespace, ...], authenticating: tuple[str, ...], warnings: tuple[ConfigError, ...]
    ) -> ClusterConfig:
        instances = sorted(self._instances, key=lambda item: (item.service, item.name))
        owners = {i.service for i in instances} | {j.service for j in self._jobs} | {c.service for c in self._custom}
        custom = sorted(self._custom, key=lambda item: (item.service, item.instance_type, item.name))
        return ClusterConfig(
            cluster=self.cluster,
            services=tuple(sorted(owners)),
            instances=tuple(item for item in instances if item.version is not None),
            undeployed=tuple(item for item in instances if item.version is None),
            namespaces=namespaces,
            warnings=warnings,
            jobs=tuple(sorted(self._jobs, key=lambda item: (item.service, item.name))),
            custom_resources=tuple(custom),
            tron_master=self.tron_master,
            rollbacks=FrozenDict(sorted(self._rollbacks.items())),
            dependencies=FrozenDict(sorted(self._dependencies.items())),
            authorizations=FrozenDict(sorted(self._authorizations.items())),
            authenticating=authenticating,
        )

    def add_service(self, service: Service) -> None:
        """What a service says that is of no instance: the same in every cluster that it has instances in."""
        if service.dependencies is not None:
            self._dependencies[service.name] = records.dependencies(service.dependencies)
        if service.authorization is not None:
            self._authorizations[service.name] = records.authorization(service.authorization)

    def add_rollback(self, service: str, config: Mapping[str, Any]) -> None:
        self._rollbacks[service] = records.rollback(config)

    def add_instance(
        self,
        view: InstanceView,
        layers: Sequence[Layer],
        record: deployments.Deployments,
        namespaces: Mapping[str, Namespace],
    ) -> None:
        registrations = _registrations(view.service, view.instance, view.config)
        if registrations is None or view.deploy_group is None:
            return
        key = deployments.control_key(view.service, self.cluster, view.instance)
        instance = build.instance(
            view.service,
            view.instance,
            self.cluster,
            view.kind,
            config=view.config,
            layers=layers,
            deploy_group=view.deploy_group,
            version=record.version(view.deploy_group, key),
            control=record.controls.get(key, _NO_CONTROL),
            registrations=registrations,
            mesh=namespaces.get(registrations[0]),
            team=_team(view.documents, view.config),
            secrets=self._uses(view.config, view.service) if view.secrets else (),
            docker_registry=(view.documents.general or {}).get("docker_registry"),
        )
        self._instances.append(instance)

    def add_job(self, view: InstanceView, layers: Sequence[Layer]) -> None:
        self._jobs.append(
            jobs.job(
                view.service,
                view.instance,
                self.cluster,
                view.config,
                sources=Provenance(view.config, layers, _JOB_DEFAULTS),
                monitoring=view.documents.monitoring or {},
                versions=self._versions,
                secrets=self._uses,
            )
        )

    def add_custom(
        self, view: InstanceView, layers: Sequence[Layer], record: deployments.Deployments, custom: keys.CustomType
    ) -> None:
        if view.deploy_group is None:
            return
        key = deployments.control_key(view.service, self.cluster, view.instance)
        self._custom.append(
            records.custom_resource(
                view.service,
                view.instance,
                self.cluster,
                custom,
                view.config,
                deploy_group=view.deploy_group,
                version=record.version(view.deploy_group, key),
                control=record.controls.get(key, _NO_CONTROL),
                team=_team(view.documents, view.config),
                sources=Provenance(view.config, layers, ()),
            )
        )

    def _uses(self, config: Mapping[str, Any], service: str) -> tuple[SecretUse, ...]:
        """The secrets that a mapping refers to; those that the cluster's environment does not have are left out."""
        uses = set()
        for _path, ref in references(config, service):
            digest = self._secrets.digest(ref, self.cluster)
            if digest is not None:
                uses.add(SecretUse(ref.service, ref.name, digest))
        return tuple(sorted(uses, key=lambda use: (use.service, use.name)))


_JOB_DEFAULTS = keys.defaults(keys.JOB)
_NO_CONTROL = deployments.Control()


def _registrations(service: str, name: str, config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Where an instance is found, the one that counts first; None when what is written cannot be one.

    PaaSTA: an empty list is as none at all.
    """
    written = config.get("registrations")
    if not written:
        return (f"{service}.{config.get('nerve_ns') or name}",)
    return tuple(written) if all(split_registration(item) for item in written) else None


def _team(service: Service, config: Mapping[str, Any]) -> str | None:
    """PaaSTA: the merged instance, then monitoring.yaml, then service.yaml's monitoring, then its top level."""
    general = service.general or {}
    for mapping in (config.get("monitoring"), service.monitoring, general.get("monitoring"), general):
        team = mapping.get("team") if isinstance(mapping, dict) else None
        if team:
            return str(team)
    return None

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What soa-configs say, typed and immutable: the only thing engines and the mesh ever see of the files.

Units are in the names or here: ``mem`` and ``disk`` MiB, health check times and ``drain_delay`` seconds (fractions
allowed), ``*_ms`` milliseconds, ``*_s`` seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ConfigError

if TYPE_CHECKING:
    from .model_jobs import Job, TronMaster
    from .model_records import Authorization, CustomResource, Dependency, Rollback

KeyPath: TypeAlias = "tuple[str | int, ...]"


class _Compact:
    """Pickles as a call of the class with its fields in order, which takes half the time of setting each by name."""

    __slots__: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, tuple([getattr(self, name) for name in self.__slots__])


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written. ``line`` counts from 1; file ``default`` with line 0 is the table of keys."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Version(_Compact):
    """What a deploy group runs. ``docker_image`` has no registry: ``services-web:paasta-<sha>[-<image_version>]``."""

    git_sha: str
    docker_image: str
    image_version: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck(_Compact):
    """How to tell that a replica is healthy; ``cmd`` is set in mode cmd, ``uri`` always. Times in seconds."""

    mode: str  # http, https, tcp or cmd
    uri: str
    cmd: str | None
    grace_period: float
    interval: float
    timeout: float
    max_failures: int


@dataclass(frozen=True, slots=True)
class Bounce(_Compact):
    """How replicas are replaced; ``margin_factor`` is the share of ``instances`` that stays up meanwhile."""

    method: str  # crossover, brutal, downthenup or upthendown
    margin_factor: float


@dataclass(frozen=True, slots=True)
class Volume(_Compact):
    """A directory of the host mounted into the container; ``mode`` is RO or RW."""

    container_path: str
    host_path: str
    mode: str


@dataclass(frozen=True, slots=True)
class SecretUse(_Compact):
    """A secret that an instance uses. ``service`` owns it (``_shared`` for SHARED_SECRET); ``digest`` is of the
    ciphertext for the cluster's environment, in hex: it changes when the secret is rotated and tells nothing of it.
    """

    service: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Instance(_Compact):
    """One runtime configuration of a service in one cluster, with every default filled in.

    ``version`` is None only in ``ClusterConfig.undeployed``. ``keys`` is the merged mapping of everything the files
    set (service-wide, autotuned and own), read-only, for engines that need rarer keys; ``sources`` maps each leaf of
    it to where it was written. Secrets in ``env`` are references, ``SECRET(name)``, never cleartext.
    """

    service: str
    name: str
    cluster: str
    instance_type: str
    deploy_group: str
    version: Version | None
    docker_registry: str | None  # of its image, where service.yaml names one; else the platform's
    desired_state: str  # start or stop
    force_bounce: str | None
    instances: int
    cpus: float
    cpu_burst_add: float
    cfs_period_us: int
    mem: float
    disk: float
    env: Mapping[str, str]
    cmd: str | tuple[str, ...] | None
    args: tuple[str, ...]
    cap_add: tuple[str, ...]
    privileged: bool
    extra_volumes: tuple[Volume, ...]
    net: str
    pool: str
    container_port: int
    registrations: tuple[str, ...]
    healthcheck: HealthCheck | None
    bounce: Bounce
    drain_method: str
    drain_delay: float
    weight: int
    team: str | None
    secrets: tuple[SecretUse, ...]
    keys: Mapping[str, Any]
    sources: Mapping[KeyPath, Source] = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        """``service.instance``, PaaSTA's job id."""
        return f"{self.service}.{self.name}"

    @property
    def replicas(self) -> int:
        """How many containers should run now: none when stopped."""
        return 0 if self.desired_state == "stop" else self.instances


@dataclass(frozen=True, slots=True)
class Namespace(_Compact):
    """A service's namespace in the mesh: one listener on ``proxy_port`` wherever clients are.

    ``proxy_port`` None means discovery without a listener. ``endpoint_timeouts`` maps a path to milliseconds.
    """

    service: str
    name: str
    proxy_port: int | None
    mode: str | None  # http, https, http2 or tcp; None without a proxy_port and a mode
    healthcheck_mode: str | None
    healthcheck_uri: str
    healthcheck_port: int | None
    healthcheck_timeout_s: float
    healthcheck_body_expect: str | None
    extra_healthcheck_headers: Mapping[str, str]
    timeout_connect_ms: int
    timeout_client_ms: int
    timeout_server_ms: int
    idle_timeout: float
    endpoint_timeouts: Mapping[str, int]
    retries: int
    allredisp: bool
    balance: str
    lb_policy: str
    choice_count: int | None
    extra_headers: Mapping[str, str]
    allow_websocket_upgrade: bool
    keepalive: bool
    advertise: tuple[str, ...]
    discover: str
    proxied_through: str | None
    keys: Mapping[str, Any]

    @property
    def id(self) -> str:
        """``service.namespace``, what registrations name."""
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """All that one cluster should run. Instances are sorted by id, and so are namespaces and services.

    ``undeployed`` holds the instances whose deploy group nobody has marked yet: they are valid and run nothing.
    ``rollbacks``, ``dependencies`` and ``authorizations`` are by service; ``authenticating`` are the services of the
    file of that name.
    """

    cluster: str
    services: tuple[str, ...]
    instances: tuple[Instance, ...]
    undeployed: tuple[Instance, ...]
    namespaces: tuple[Namespace, ...]
    warnings: tuple[ConfigError, ...]
    jobs: tuple[Job, ...] = ()
    custom_resources: tuple[CustomResource, ...] = ()
    tron_master: TronMaster | None = None
    rollbacks: Mapping[str, Rollback] = field(default_factory=dict)
    dependencies: Mapping[str, Mapping[str, tuple[Dependency, ...]]] = field(default_factory=dict)
    authorizations: Mapping[str, Authorization] = field(default_factory=dict)
    authenticating: tuple[str, ...] = ()

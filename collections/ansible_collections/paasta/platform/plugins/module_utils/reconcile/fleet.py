# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The Docker Engines of a host group as one: what runs there, and the few things that are done to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

try:
    import docker
    import requests
except ImportError:
    pass  # libraries.py says so

from ansible_collections.paasta.platform.plugins.module_utils.engines.docker import replica_body
from ansible_collections.paasta.platform.plugins.module_utils.engines.ports import NoPort, allocate

from .agents import AgentError
from .channel import Channel, Unreachable
from .cleartext import NoSecret
from .docker_api import connect
from .handover import Handover, mounts
from .replicas import HEALTHY, STARTING, UNHEALTHY, Replica, parse_time, read

#: How often another port is tried when a program that is no container holds the one allocated.
PORT_ATTEMPTS = 5

#: Lines of a container's output that an error shows.
LOG_LINES = 15

T = TypeVar("T")


class HostError(Exception):
    """A Docker Engine refused something; the text names the host, the action and the Engine's own reason."""


@dataclass(slots=True)
class Host:
    """One host of the group.

    :ivar address: where other hosts reach its published ports.
    :ivar clock: how far the host's clock is ahead of this machine's.
    :ivar busy_ports: ports found to be held by something that is no container.
    :ivar redact: takes secrets out of what the Engine says.
    """

    name: str
    address: str
    pool: str
    channel: Channel
    client: docker.APIClient | None = None
    clock: timedelta = timedelta()
    ports: set[int] = field(default_factory=set)
    busy_ports: set[int] = field(default_factory=set)
    redact: Callable[[str], str] = str

    @property
    def api(self) -> docker.APIClient:
        """The Engine's client.

        :raises Unreachable: before :meth:`Fleet.connect`, or when that failed.
        """
        if self.client is None:
            raise Unreachable(f"{self.name}: not connected")
        return self.client

    def call(self, action: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the Engine, turning its errors into one that says who, what and why.

        :raises HostError: when the Engine refuses.
        :raises Unreachable: when it does not answer.
        """
        try:
            return function(*args, **kwargs)
        except docker.errors.APIError as error:
            raise HostError(self.redact(f"{self.name}: {action}: {error.explanation or error}")) from error
        except docker.errors.DockerException as error:
            raise HostError(self.redact(f"{self.name}: {action}: {error}")) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise Unreachable(self.redact(f"{self.name}: {action}: {error}")) from error


@dataclass(frozen=True, slots=True)
class Creation:
    """A replica to be: its host, its name, and the create body, port and ``secrets`` of its instance."""

    host: str
    name: str
    container: Mapping[str, Any]
    container_port: int
    secrets: Mapping[str, Any]


class Fleet:
    """The reachable hosts of a group, for one cluster and one run.

    :ivar lost: why a host does not answer, by name.
    :ivar without_files: ids of containers whose secret files are gone: they run on, and would not start again.
    """

    def __init__(self, hosts: Iterable[Host], cluster: str, port_range: tuple[int, int], handover: Handover) -> None:
        self.cluster = cluster
        self.hosts = {host.name: host for host in hosts}
        for host in self.hosts.values():
            host.redact = handover.redact
        self.lost: dict[str, str] = {}
        self.without_files: set[str] = set()
        self._handover = handover
        self._seen: dict[str, Replica] = {}
        self._port_range = port_range
        self._allocation = threading.Lock()
        workers = max(4, 4 * len(self.hosts))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="docker")
        # Stopping takes as long as a service likes; it must not keep the others waiting.
        self._removals = ThreadPoolExecutor(workers, thread_name_prefix="docker-remove")

    def connect(self) -> None:
        """Connect to every host; those that do not answer go to :attr:`lost` with the reason.

        :raises HostError: when an Engine answers and refuses: it works, and its containers are not to be replaced.
        """
        hosts = list(self.hosts.values())
        for host, failure in zip(hosts, self._pool.map(_try(_connect), hosts), strict=True):
            if isinstance(failure, HostError):
                raise failure
            if isinstance(failure, Unreachable):
                self.lost[host.name] = str(failure)
                del self.hosts[host.name]
                if host.client is not None:
                    host.client.close()

    def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        self._removals.shutdown(wait=True)
        self._pool.shutdown(wait=True)
        for host in self.hosts.values():
            if host.client is not None:
                host.client.close()

    def observe(self, changing: Collection[str] | None = None) -> list[Replica]:
        """Every container of the cluster on every host, sorted by name.

        :param changing: instances to look at closely; a container of another one is taken as it was seen last, unless
            it has stopped or started since. None looks at all.
        :raises Unreachable: when a host is lost in the middle of the run.
        """
        hosts = list(self.hosts.values())
        found = [r for replicas in self._pool.map(lambda host: self._look(host, changing), hosts) for r in replicas]
        self._seen = {replica.container: replica for replica in found}
        return sorted(found, key=lambda replica: (replica.name, replica.host))

    def _look(self, host: Host, changing: Collection[str] | None) -> list[Replica]:
        containers = host.call("list containers", host.api.containers, all=True)
        now = datetime.now(UTC) + host.clock
        replicas = []
        for container in containers:
            labels = container["Labels"] or {}
            if labels.get("paasta_cluster") != self.cluster or "paasta_service" not in labels:
                continue
            seen = self._seen.get(container["Id"])
            same = seen is not None and seen.inspect["State"]["Status"] == container["State"]
            if seen is not None and same and changing is not None and seen.instance_id not in changing:
                replicas.append(seen)
                continue
            try:
                inspect = host.api.inspect_container(container["Id"])
            except docker.errors.NotFound:
                continue  # it was removed since it was listed
            replicas.append(self._read(inspect, host, now))
        published = {port["PublicPort"] for item in containers for port in item["Ports"] if "PublicPort" in port}
        host.ports = published | {replica.port for replica in replicas}
        return replicas

    def _read(self, inspect: Mapping[str, Any], host: Host, now: datetime) -> Replica:
        replica = read(inspect, host.name, host.address, now)
        if replica.container in self.without_files and replica.state in (HEALTHY, STARTING):
            detail = "its secret files are gone from the host, it would not start again"
            return replace(replica, state=UNHEALTHY, detail=detail)
        return replace(replica, detail=self._handover.redact(replica.detail)) if replica.detail else replica

    def pull(self, images: Mapping[str, Collection[str]]) -> dict[tuple[str, str], str]:
        """Make images present: host → images. Returns (host, image) → the reason, for those that cannot be had."""
        jobs = [(self.hosts[name], image) for name, wanted in sorted(images.items()) for image in sorted(wanted)]
        outcomes = self._pool.map(_try(_pull), *zip(*jobs, strict=True)) if jobs else []
        return {
            (host.name, image): str(failure)
            for (host, image), failure in zip(jobs, outcomes, strict=True)
            if isinstance(failure, Exception)
        }

    def create(self, wanted: Iterable[Creation]) -> list[str | HostError | Unreachable]:
        """Create and start replicas; for each, in order, the container's id or why it does not run."""
        wanted = list(wanted)
        try:
            self._handover.prepare(creation.secrets for creation in wanted)
        except NoSecret as error:
            return [HostError(str(error)) for _creation in wanted]
        return list(self._pool.map(_try(self._create), wanted))

    def _create(self, wanted: Creation) -> str:
        host = self.hosts[wanted.host]
        try:
            environment = self._handover.environment(wanted.secrets)
            directories = self._handover.write(host.name, wanted.name, wanted.secrets)
        except AgentError as error:
            raise HostError(f"create {wanted.name}: secret files: {error}") from error
        try:
            return self._start(wanted, environment, directories)
        except (HostError, Unreachable):
            self._handover.remove(host.name, directories.values())
            raise

    def _start(self, wanted: Creation, environment: Mapping[str, str], directories: Mapping[str, str]) -> str:
        host, name = self.hosts[wanted.host], wanted.name
        for _attempt in range(PORT_ATTEMPTS):
            port = self._allocate(host, name)
            body = replica_body(
                wanted.container, host=host.name, port=port, container_port=wanted.container_port,
                secret_env=environment, secret_directories=directories,
            )  # fmt: skip
            created = host.call(f"create {name}", host.api.create_container_from_config, body, name)
            try:
                host.call(f"start {name}", host.api.start, created["Id"])
                return str(created["Id"])
            except HostError as error:
                # A container that never started holds nothing; left behind it would only confuse the next run.
                host.call(f"remove {name}", host.api.remove_container, created["Id"], v=True, force=True)
                if "address already in use" not in str(error) and "port is already allocated" not in str(error):
                    raise
                host.busy_ports.add(port)
        raise HostError(
            f"{host.name}: start {name}: no free port in {PORT_ATTEMPTS} attempts; "
            f"other programs hold ports between {self._port_range[0]} and {self._port_range[1]}"
        )

    def _allocate(self, host: Host, name: str) -> int:
        with self._allocation:
            try:
                port = allocate(name, host.ports | host.busy_ports, *self._port_range)
            except NoPort as error:
                raise HostError(f"{host.name}: {error}") from error
            host.ports.add(port)
            return port

    def remove(self, replica: Replica, done: Callable[[Exception | None], None]) -> None:
        """Stop a replica (SIGTERM, then its own stop time-out) and remove it, in the background."""

        def work() -> None:
            host = self.hosts[replica.host]
            try:
                if replica.inspect["State"]["Running"]:
                    host.call(f"stop {replica.name}", host.api.stop, replica.container)
                host.call(f"remove {replica.name}", host.api.remove_container, replica.container, v=True, force=True)
            except (HostError, Unreachable) as error:
                if not isinstance(error.__cause__, docker.errors.NotFound):
                    done(error)
                    return
            self._handover.remove(host.name, mounts(replica))
            done(None)

        self._removals.submit(work)

    def last_output(self, replica: Replica) -> str:
        """The last lines that a container wrote."""
        host = self.hosts[replica.host]
        output = host.call("read logs", lambda: host.api.logs(replica.container, tail=LOG_LINES, stream=False))
        return host.redact(output.decode(errors="replace").strip()) or "(the container wrote nothing)"


def _connect(host: Host) -> None:
    before = datetime.now(UTC)
    host.client = connect(host.channel)
    host.clock = parse_time(host.call("info", host.api.info)["SystemTime"]) - before


def _pull(host: Host, image: str) -> None:
    try:
        host.api.inspect_image(image)  # type: ignore[no-untyped-call]
        return
    except docker.errors.ImageNotFound:
        pass
    repository, _colon, tag = image.rpartition(":")
    for line in host.call(f"pull {image}", host.api.pull, repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise HostError(f"{host.name}: pull {image}: {line['error']}")


def _try(function: Callable[..., T]) -> Callable[..., T | HostError | Unreachable]:
    """The function, with its expected errors returned: a pool's ``map`` would stop at the first one."""

    def attempt(*args: Any) -> T | HostError | Unreachable:
        try:
            return function(*args)
        except (HostError, Unreachable) as error:
            return error

    return attempt

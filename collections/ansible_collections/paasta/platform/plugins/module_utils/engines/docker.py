# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The engine ``docker``: an instance in, the body of Docker Engine's ``POST /containers/create`` out.

Pure: no network, no clock, no randomness. What differs from replica to replica (host, host port) is added by
:func:`replica_body` when the reconciler knows it; the config sha covers everything else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.capabilities import DROPPED
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.config_sha import config_sha
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import HealthCheck, Instance, Version

from . import docker_secrets
from .bounce import METHODS

#: Swap above ``mem``, in MiB (PaaSTA: ``memory-swap = mem + 64``).
SWAP_MARGIN_MIB = 64

#: Where the health check program is mounted in containers; images need neither curl nor a shell for it.
#: The name matters: busybox does what the name it is called by says, and by its own name what its first argument says.
PROBE_MOUNT = "/.paasta/busybox"

MIB = 1024 * 1024
SECOND_NS = 1_000_000_000

#: Keys of soa-configs that change how long-running instances run elsewhere and that this engine cannot carry out.
#: An instance that sets one gets a warning in the plan: ignoring it silently would be a lie.
NOT_CARRIED_OUT = frozenset({
    "anti_affinity", "anti_affinity_preferred", "autoscaling", "aws_ebs_volumes", "boto_keys",
    "bounce_health_params", "bounce_overprovision_factor", "constraints", "crypto_keys", "datastore_credentials",
    "deploy_blacklist", "deploy_whitelist", "extra_constraints", "extra_docker_args", "fs_group", "gpus", "host_port",
    "iam_role", "lifecycle", "max_instances", "min_instances", "node_selectors", "node_selectors_preferred",
    "persistent_volumes", "projected_sa_volumes", "service_account_name", "sidecar_resource_requirements",
    "ssm_secrets", "topology_spread_constraints", "uses_bulkdata",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What a cluster's inventory says to this engine.

    :ivar registry: prefix of image names as the hosts pull them, for example ``node1:5000``.
    :ivar mesh_address: where containers reach their host's proxy.
    :ivar probe: path, on hosts, of the static busybox that performs http and tcp health checks.
    :ivar log_max_size: size at which a container's log file is rotated, in Docker's notation.
    :ivar log_max_file: how many rotated files are kept.
    :ivar volumes: bind mounts of every container, in Docker's notation (``host:container:ro``).
    """

    registry: str
    mesh_address: str = "169.254.255.254"
    probe: str = "/bin/busybox"
    log_max_size: str = "10m"
    log_max_file: int = 3
    volumes: tuple[str, ...] = ()


def render(instance: Instance, facts: Facts) -> dict[str, Any]:
    """One instance as the reconciler takes it: what to run, how often, and how to replace it.

    :returns: JSON-ready; ``container`` is the Engine API's own create body.
    :raises CannotRender: when the instance has no version, or uses something that must not be ignored.
    """
    version = instance.version
    if version is None:
        raise CannotRender(f"{instance.id}: deploy group {instance.deploy_group} has not been marked for deployment")
    _refuse(instance)
    secrets, problems = docker_secrets.render(instance)
    if problems:
        raise CannotRender(f"{instance.id}: {problem}" for problem in problems)
    container = _container(instance, version, facts, secrets)
    sha = config_sha(instance, _platform(facts))
    container["Labels"] |= {"paasta_config_sha": sha}
    return {
        "service": instance.service,
        "instance": instance.name,
        "git_sha": version.git_sha,
        "image_version": version.image_version,
        "config_sha": sha,
        "replicas": instance.replicas,
        "pool": instance.pool,
        "container_port": instance.container_port,
        "registrations": list(instance.registrations),
        "bounce_method": instance.bounce.method,
        "bounce_margin_factor": instance.bounce.margin_factor,
        "drain_seconds": 0 if instance.drain_method == "noop" else instance.drain_delay,
        "container": container,
        "secrets": secrets,
    }


def replica_body(
    container: Mapping[str, Any],
    *,
    host: str,
    port: int,
    container_port: int,
    secret_env: Mapping[str, str] = FrozenDict(),
    secret_directories: Mapping[str, str] = FrozenDict(),
) -> dict[str, Any]:
    """The create body of one replica: the instance's, with its host and its port on that host.

    :param secret_env: cleartext by variable.
    :param secret_directories: directory in the container → directory on the host that holds its files.
    """
    body = copy.deepcopy(dict(container))
    own = {"PAASTA_HOST": host, "PAASTA_HOST_PORT": str(port), **secret_env}
    body["Env"] = sorted([*body["Env"], *(f"{name}={value}" for name, value in own.items())])
    body["HostConfig"]["PortBindings"] = {f"{container_port}/tcp": [{"HostPort": str(port)}]}
    if secret_directories:
        # Mounts, not Binds, for those make a source that is missing: after a reboot of the host the container would
        # start with an empty directory instead of not at all.
        body["HostConfig"]["Mounts"] = [
            {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
            for target, source in sorted(secret_directories.items())
        ]
    return body


def warnings(instance: Instance) -> list[str]:
    """What the instance sets and this engine does not carry out, one sentence each."""
    found = []
    for key in sorted(NOT_CARRIED_OUT & set(instance.keys)):
        places = sorted(str(source) for path, source in instance.sources.items() if path[0] == key)
        place = f" ({places[0]})" if places else ""
        found.append(f"{instance.id}: engine docker does not carry out {key}{place}")
    return found


def _refuse(instance: Instance) -> None:
    if "service" in instance.keys:
        raise CannotRender(f"{instance.id}: service: engine docker does not run another service's image")
    if instance.drain_method not in ("noop", "hacheck"):
        raise CannotRender(
            f"{instance.id}: drain_method {instance.drain_method}: engine docker drains through the proxies; "
            "it can hacheck and noop"
        )
    if instance.net != "bridge":
        raise CannotRender(f"{instance.id}: net {instance.net!r}: engine docker runs instances with net: bridge")
    if instance.bounce.method not in METHODS:
        raise CannotRender(
            f"{instance.id}: bounce_method {instance.bounce.method}: engine docker can {', '.join(sorted(METHODS))}"
        )
    if instance.healthcheck and instance.healthcheck.mode == "https":
        raise CannotRender(f"{instance.id}: healthcheck_mode https: engine docker can check http, tcp and cmd")


def _container(instance: Instance, version: Version, facts: Facts, secrets: Mapping[str, Any]) -> dict[str, Any]:
    environment = _environment(instance, version, facts)
    return {
        "Image": f"{instance.docker_registry or facts.registry}/{version.docker_image}",
        "Env": [f"{name}={value}" for name, value in sorted(environment.items()) if name not in secrets["env"]],
        "Entrypoint": _entrypoint(instance.cmd),
        "Cmd": list(instance.args) or None,
        "ExposedPorts": {f"{instance.container_port}/tcp": {}},
        "Labels": _labels(instance, version) | docker_secrets.label(secrets, instance.service),
        "Healthcheck": _healthcheck(instance.healthcheck, instance.container_port),
        "StopTimeout": 10,
        "HostConfig": _host_config(instance, facts, {file["directory"] for file in secrets["files"]}),
    }


def _environment(instance: Instance, version: Version, facts: Facts) -> dict[str, str]:
    """The instance's own ``env`` and what PaaSTA gives to every container (reference: injected environment)."""
    injected = {
        "PAASTA_SERVICE": instance.service,
        "PAASTA_INSTANCE": instance.name,
        "PAASTA_CLUSTER": instance.cluster,
        "PAASTA_INSTANCE_TYPE": instance.instance_type,
        "PAASTA_DEPLOY_GROUP": instance.deploy_group,
        "PAASTA_DOCKER_IMAGE": version.docker_image,
        "PAASTA_GIT_SHA": version.git_sha[:8],
        "PAASTA_RESOURCE_CPUS": _number(instance.cpus),
        "PAASTA_RESOURCE_MEM": _number(instance.mem),
        "PAASTA_RESOURCE_DISK": _number(instance.disk),
        "PAASTA_PORT": str(instance.container_port),
        "PAASTA_MESH_ADDRESS": facts.mesh_address,
        "AWS_SDK_UA_APP_ID": instance.id[:50],
    }
    if version.image_version:
        injected["PAASTA_IMAGE_VERSION"] = version.image_version
    if instance.team:
        injected["PAASTA_MONITORING_TEAM"] = instance.team
    return injected | dict(instance.env)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _entrypoint(cmd: str | tuple[str, ...] | None) -> list[str] | None:
    """``cmd`` replaces the image's entrypoint, as a Kubernetes ``command`` does; a string goes through ``sh -c``."""
    if cmd is None:
        return None
    return ["sh", "-c", cmd] if isinstance(cmd, str) else list(cmd)


def _labels(instance: Instance, version: Version) -> dict[str, str]:
    """``paasta_service`` and ``paasta_instance`` are PaaSTA's own; the rest says what the reconciler must know."""
    return {
        "paasta_cluster": instance.cluster,
        "paasta_service": instance.service,
        "paasta_instance": instance.name,
        "paasta_git_sha": version.git_sha,
        "paasta_image_version": version.image_version or "",
        "paasta_container_port": str(instance.container_port),
        "paasta_registrations": ",".join(instance.registrations),
        "paasta_weight": str(instance.weight),
    }


def _healthcheck(check: HealthCheck | None, port: int) -> dict[str, Any]:
    if check is None:
        return {"Test": ["NONE"]}
    return {
        "Test": _test(check, port),
        "Interval": int(check.interval * SECOND_NS),
        "Timeout": int(check.timeout * SECOND_NS),
        "StartPeriod": int(check.grace_period * SECOND_NS),
        "Retries": check.max_failures,
    }


def _test(check: HealthCheck, port: int) -> list[str]:
    """The command, run inside the container. The Engine itself ends it at the time-out.

    Addresses are numbers: a static program cannot look names up with another libc's plugins. wget's own time-out
    crashes in Debian's static busybox 1.35, so it has none.
    """
    if check.mode == "cmd":
        return ["CMD", "/bin/sh", "-c", str(check.cmd)]
    if check.mode == "tcp":
        return ["CMD", PROBE_MOUNT, "nc", "127.0.0.1", str(port), "-e", PROBE_MOUNT, "true"]
    return ["CMD", PROBE_MOUNT, "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}{check.uri}"]


def _host_config(instance: Instance, facts: Facts, secret_directories: Set[str]) -> dict[str, Any]:
    keep = set(instance.cap_add)
    return {
        "Memory": int(instance.mem * MIB),
        "MemorySwap": int((instance.mem + SWAP_MARGIN_MIB) * MIB),
        "CpuShares": max(2, int(instance.cpus * 1024)),
        "CpuPeriod": instance.cfs_period_us,
        "CpuQuota": int((instance.cpus + instance.cpu_burst_add) * instance.cfs_period_us),
        "CapAdd": sorted(keep),
        "CapDrop": [capability for capability in sorted(DROPPED) if capability not in keep],
        "Privileged": instance.privileged,
        "Init": True,
        "NetworkMode": "bridge",
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": facts.log_max_size, "max-file": str(facts.log_max_file)},
        },
        "Binds": _binds(instance, facts, secret_directories),
    }


def _binds(instance: Instance, facts: Facts, secret_directories: Set[str]) -> list[str]:
    """Mounts by container path: the instance's own win over the cluster's (PaaSTA: ``get_volumes``)."""
    binds = {volume.split(":")[1]: volume for volume in facts.volumes}
    binds = {path: volume for path, volume in binds.items() if path.rstrip("/") not in secret_directories}
    if instance.healthcheck and instance.healthcheck.mode in ("http", "tcp"):
        binds[PROBE_MOUNT] = f"{facts.probe}:{PROBE_MOUNT}:ro"
    for volume in instance.extra_volumes:
        binds[volume.container_path] = f"{volume.host_path}:{volume.container_path}:{volume.mode.lower()}"
    return [binds[path] for path in sorted(binds)]


def _platform(facts: Facts) -> dict[str, Any]:
    """What the inventory gives to every container of this engine, for the config sha. Not the registry: an image is
    the same wherever it is pulled from.
    """
    return {
        "engine": "docker",
        "mesh_address": facts.mesh_address,
        "probe": facts.probe,
        "log": [facts.log_max_size, facts.log_max_file],
        "volumes": sorted(facts.volumes),
    }

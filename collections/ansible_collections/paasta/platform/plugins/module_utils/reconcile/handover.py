# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How secrets reach containers: as variables of the create request, and as files in the memory of the host.

The files of a container are in ``/run/paasta/secrets/<cluster>/<its name>.<random>/<number of the volume>/``, which is
mounted read-only. They are written before it is created and go after it was removed. So what a killed run leaves behind
is a directory that no container names; the next run removes it.

A reboot of the host empties ``/run``. The Engine then refuses to start the container, and the next run replaces it.
"""

from __future__ import annotations

import base64
import contextlib
import posixpath
import secrets as random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.docker_secrets import references
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef

from .agents import AgentError, HostAgent, ask_all
from .channel import Unreachable
from .cleartext import Cleartexts, NoSecret
from .replicas import Replica

ROOT = "/run/paasta/secrets"


class Handover:
    """Gives the secrets of one cluster to containers on all hosts.

    :param agents: by host; only hosts with something to do are asked.
    """

    def __init__(self, agents: Mapping[str, HostAgent], cluster: str, cleartexts: Cleartexts) -> None:
        self._agents = agents
        self._root = posixpath.join(ROOT, cluster)
        self._cleartexts = cleartexts

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes every secret that the run has decrypted out of a text."""
        return self._cleartexts.redact

    def prepare(self, wanted: Iterable[Mapping[str, Any]]) -> None:
        """Decrypt what is in these ``secrets`` of a plan.

        :raises NoSecret: for all that cannot be decrypted, else for all that cannot be variables.
        """
        wanted = list(wanted)
        self._cleartexts.prepare(secret for secrets in wanted for secret in references(secrets))
        problems = {problem for secrets in wanted for problem in self._problems(secrets)}
        if problems:
            raise NoSecret("\n".join(sorted(problems)))

    def _problems(self, secrets: Mapping[str, Any]) -> Iterator[str]:
        for variable, use in secrets["env"].items():
            secret = SecretRef(use["service"], use["name"])
            if not is_text(self._cleartexts[secret]):
                yield (
                    f"{secret.file}: the value is not text (UTF-8 without null bytes), which env {variable} cannot "
                    "hold: give it to the container as a file, with secret_volumes"
                )

    def environment(self, secrets: Mapping[str, Any]) -> dict[str, str]:
        """Cleartext by variable, of what has been prepared."""
        uses = secrets["env"].items()
        return {variable: self._cleartexts[SecretRef(use["service"], use["name"])].decode() for variable, use in uses}

    def write(self, host: str, container: str, secrets: Mapping[str, Any]) -> dict[str, str]:
        """Write the files of a container to be, of what has been prepared.

        :returns: directory in the container → directory on the host.

        :raises AgentError: when the host cannot hold them; nothing of them is left there.
        :raises Unreachable: when it does not answer.
        """
        directories: dict[str, str] = {}
        request: dict[str, dict[str, str]] = {}
        name = f"{container}.{random.token_hex(4)}"
        for file in secrets["files"]:
            volume = directories.setdefault(file["directory"], str(len(directories)))
            content = self._cleartexts[SecretRef(file["service"], file["name"])]
            encoded = base64.b64encode(content).decode()
            request[posixpath.join(volume, file["path"])] = {"mode": file["mode"], "content": encoded}
        if not request:
            return {}
        self._agents[host].ask("write_secrets", root=self._root, name=name, files=request)
        return {inside: posixpath.join(self._root, name, volume) for inside, volume in directories.items()}

    def remove(self, host: str, sources: Iterable[str]) -> None:
        """Remove the directories that these (as :meth:`write` returned them) are in; others are left alone.

        A host that does not answer keeps them: the next run removes them, or its next reboot.
        """
        if names := self._names(sources):
            with contextlib.suppress(AgentError, Unreachable):
                self._agents[host].ask("remove_secrets", root=self._root, names=sorted(names))

    def mounted(self, replica: Replica) -> bool:
        """Whether a container has secret files."""
        return bool(self._names(mounts(replica)))

    def _names(self, sources: Iterable[str]) -> set[str]:
        return {name for source in sources if (name := self._name(source))}

    def look(self, replicas: Iterable[Replica], hosts: Iterable[str]) -> tuple[set[str], dict[str, list[str]]]:
        """Containers whose files are gone, and directories that no container names: ids, and host → names.

        :param replicas: every container of the cluster.
        :param hosts: those to ask.
        :raises AgentError: when a host has containers with files, and its user may not see whether these are there.
        """
        used: dict[str, dict[str, set[str]]] = {}
        for replica in replicas:
            used.setdefault(replica.host, {})[replica.container] = self._names(mounts(replica))
        requests: dict[str, dict[str, Any]] = {host: {"do": "list_secrets", "root": self._root} for host in hosts}
        lacking: set[str] = set()
        leftovers: dict[str, list[str]] = {}
        for host, answer in ask_all(self._agents, requests).items():
            there, containers = set(answer["names"]), used.get(host, {})
            if answer["hidden"] and any(containers.values()):
                raise AgentError(f"{host}: secret files: {answer['hidden']}")
            lacking |= {container for container, names in containers.items() if names - there}
            if surplus := sorted(there.difference(*containers.values())):
                leftovers[host] = surplus
        return lacking, leftovers

    def clean(self, leftovers: Mapping[str, list[str]]) -> None:
        """Remove what :meth:`look` found that no container names."""
        for host, names in leftovers.items():
            self._agents[host].ask("remove_secrets", root=self._root, names=names)

    def _name(self, source: str) -> str:
        """The name of the directory that a mount's source is in; empty when it is not ours."""
        inside = source.removeprefix(f"{self._root}/")
        return "" if inside == source else inside.partition("/")[0]


def mounts(replica: Replica) -> list[str]:
    """The directories of the host that a container has by ``Mounts``."""
    return [mount.get("Source", "") for mount in replica.inspect["HostConfig"].get("Mounts") or []]


def is_text(value: bytes) -> bool:
    """Whether a variable can hold it."""
    try:
        return "\0" not in value.decode()
    except UnicodeDecodeError:
        return False

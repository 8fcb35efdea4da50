# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The platform under test, driven as its users drive it: through the playbooks. For the tests of all scenarios."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
#: What create.yml of a scenario copies for the tests to change: soa-configs and services.
COPY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
WEB, QUOTES = 20002, 20001


class CommandFailed(Exception):
    """A docker command ended with an error."""


@dataclass(frozen=True)
class Run:
    """What a playbook printed and how it ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """Changed tasks on all hosts, from the recap."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))


@dataclass
class Traffic:
    """What a client that never stops asking has seen."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def note(self, failure: str) -> None:
        self.failures.append(f"{time.strftime('%H:%M:%S')} {failure}")

    def versions(self) -> set[str]:
        return {str(answer["git_sha"]) for answer in self.answers}


@dataclass(frozen=True)
class Platform:
    """The node containers of a scenario, and the soa-configs that they run.

    :ivar cluster: their name, ``paasta_node_containers``.
    :ivar gateway: the address on this machine that the proxy of the gateway listens on.
    :ivar docker_hosts: the nodes on which Docker Engine runs services.
    """

    cluster: str
    gateway: str
    docker_hosts: tuple[str, ...]
    soa: Path = COPY / "soa-configs"
    services: Path = COPY / "services"

    def container(self, node: str) -> str:
        """The name of the container that is a node."""
        return f"paasta-{self.cluster}-{node}"

    def start(
        self,
        playbook: str,
        flags: Sequence[str] = (),
        inventory: Path = SCENARIO / "inventory",
        environment: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> subprocess.Popen[str]:
        """Start a playbook in a process group of its own, with extra variables, and more in its environment."""
        play = str(ROOT / "playbooks" / f"{playbook}.yml")
        command = ["ansible-playbook", *flags, "-i", str(inventory), play]
        settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.Popen(
            [*command, "-e", json.dumps(variables)],
            cwd=ROOT,
            env=os.environ | settings | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        output, _nothing = process.communicate(timeout=600)
        return Run(process.returncode, output)

    def play(self, playbook: str, **options: Any) -> Run:
        """Run a playbook, with options as for :meth:`start`, and expect success."""
        run = self.finish(self.start(playbook, **options))
        assert run.code == 0, run.output
        return run

    def fails(self, playbook: str, **options: Any) -> str:
        """Run a playbook, with options as for :meth:`start`, expect failure, and return what it printed."""
        run = self.finish(self.start(playbook, **options))
        assert run.code != 0, run.output
        return run.output

    def change(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file of soa-configs or of the services; it must be there."""
        path = COPY / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))

    def release(self, service: str) -> str:
        """Build what the service's directory holds, mark it for all its deploy groups, and return its sha."""
        built = self.play("build", service=service, flags=["-v"])
        sha = re.findall(r"git_sha: '?([0-9a-f]{40})", built.output)[0]
        settings = yaml.safe_load((self.soa / service / "kubernetes-local.yaml").read_text())
        for name, keys in settings.items():
            if not name.startswith("_"):
                group = keys["deploy_group"].format(cluster="local", instance=name, service=service)
                self.play("mark", service=service, deploy_group=group, sha=sha)
        return str(sha)

    def node(self, node: str, *command: str) -> str:
        """Run a program on a node."""
        return docker("exec", self.container(node), *command)

    def wait_well(self, node: str) -> None:
        """Until Docker Engine and the proxy of a node answer, as after its start."""
        version = ("docker", "info", "--format", "{{.ServerVersion}}")
        wait_for("Docker Engine", lambda: self.node(node, *version).strip())
        wait_for("the proxy", lambda: "LIVE" in self.node(node, "curl", "-s", "http://127.0.0.1:9901/ready"))

    def containers(self, id: str) -> list[tuple[str, dict[str, Any]]]:
        """(node, inspect) of every container of an instance on the nodes that run."""
        service, _dot, instance = id.partition(".")
        found = []
        for node in self.docker_hosts:
            if docker("inspect", "-f", "{{.State.Running}}", self.container(node)).strip() != "true":
                continue
            labels = ("--filter", f"label=paasta_service={service}", "--filter", f"label=paasta_instance={instance}")
            ids = self.node(node, "docker", "ps", "-aq", *labels).split()
            if ids:
                found += [(node, item) for item in json.loads(self.node(node, "docker", "inspect", *ids))]
        return found

    def ask(self, port: int = WEB, path: str = "/") -> dict[str, Any]:
        """One request through the proxy on this machine."""
        with urllib.request.urlopen(f"http://{self.gateway}:{port}{path}", timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Afterwards, soa-configs and services are put back as they are now, and deployed."""
        directories = (self.soa, self.services)
        kept = {path: path.read_bytes() for top in directories for path in top.rglob("*") if path.is_file()}
        try:
            yield
        finally:
            for path in [path for top in directories for path in top.rglob("*") if path.is_file()]:
                if path not in kept:
                    path.unlink()
            for path, content in kept.items():
                path.write_bytes(content)
            self.play("deploy")

    @contextmanager
    def traffic(self, port: int = QUOTES, clients: int = 2) -> Iterator[Traffic]:
        """Clients that ask without a pause while the block runs, each request on a connection of its own."""
        seen, stop = Traffic(), threading.Event()

        def client() -> None:
            while not stop.is_set():
                try:
                    seen.answers.append(self.ask(port))
                except urllib.error.HTTPError as error:
                    # The proxy says why.
                    with error:
                        seen.note(f"{error.code} {error.read().decode(errors='replace')}")
                except (OSError, ValueError) as error:
                    seen.note(repr(error))
                time.sleep(0.01)

        threads = [threading.Thread(target=client) for _client in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def docker(*arguments: str) -> str:
    """Run the docker client of this machine."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise CommandFailed(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def wait_for(what: str, is_so: Callable[[], Any], timeout: float = 120) -> Any:
    """The first true value of ``is_so``, asked again for so many seconds, also after an error of a server."""
    deadline = time.monotonic() + timeout
    problem: Exception | None = None
    while True:
        try:
            if found := is_so():
                return found
            problem = None
        except (OSError, ValueError, CommandFailed) as error:
            problem = error
        assert time.monotonic() < deadline, f"{what}: not within {timeout:.0f} s: {problem or 'not so'}"
        time.sleep(0.5)

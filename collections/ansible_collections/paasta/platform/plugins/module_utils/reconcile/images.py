# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Images of services, brought to a registry: which sources, what is missing, build it, push it.

PaaSTA's contract with a service's source directory: ``make cook-image`` (or ``make itest``) builds one image and tags
it ``$DOCKER_TAG``, which is ``services-<service>:paasta-<git sha>``. Everything else is decided here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shlex
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils import progress
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.oci_registry import (
    REGISTRY,
    Registry,
    RegistryError,
    is_loopback,
    reason,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.sources import SourceError, source_sha

IMPORT_ERROR: str | None = None
try:
    import docker
    import docker.errors
    import requests
    import requests.exceptions
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

ARGUMENT_SPEC: dict[str, Any] = {
    "services": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "service": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "git_sha": {"type": "str"},
        },
    },
    "registry": {"type": "str", "required": True},
    "registry_scheme": {"type": "str", "choices": ["auto", "http", "https"], "default": "auto"},
    "target": {"type": "str", "choices": ["cook-image", "itest"], "default": "cook-image"},
    "allow_dirty": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 3600},
    "concurrency": {"type": "int", "default": 2},
}

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
LAST_LINES = 20
# A repository name's component, as the image reference grammar has it.
SERVICE_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
GIT_SHA = re.compile(r"[0-9a-f]{7,64}")


class ImageError(Exception):
    """What is wrong with one service's image, in words for the person who ran the play."""


@dataclass(frozen=True)
class Order:
    """One image to be had, decided before anything is touched."""

    service: str
    path: str
    git_sha: str

    @property
    def repository(self) -> str:
        return f"services-{self.service}"

    @property
    def tag(self) -> str:
        return f"paasta-{self.git_sha}"

    @property
    def image(self) -> str:
        return f"{self.repository}:{self.tag}"


class Errors:
    """What went wrong, by service; nothing is lost by what else went wrong."""

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []

    @contextlib.contextmanager
    def of(self, service: str) -> Iterator[None]:
        try:
            yield
        except (ImageError, RegistryError, SourceError) as error:
            self.found.append({"service": service, "error": str(error)})

    def message(self, headline: str) -> str:
        return "\n".join([headline, *(f"* {entry['service']}: {entry['error']}" for entry in self.found)])


def take_orders(services: list[dict[str, Any]], allow_dirty: bool, target: str) -> tuple[list[Order], Errors]:
    """Check every service's input and name its version; all errors of all services."""
    orders: list[Order] = []
    errors = Errors()
    seen: set[str] = set()
    for entry in services:
        service, path = entry["service"], os.path.abspath(entry["path"])
        with errors.of(service):
            if not SERVICE_NAME.fullmatch(service):
                raise ImageError("no image can have this name: use lower-case letters, digits, '-' and '_'")
            if service in seen:
                raise ImageError("it is listed twice: a service has one source directory")
            seen.add(service)
            if not os.path.isdir(path):
                raise ImageError(f"its source directory {path} does not exist")
            if not any(os.path.isfile(os.path.join(path, name)) for name in MAKEFILES):
                raise ImageError(
                    f"{path} has no Makefile: the contract is a target `{target}` that builds the image "
                    "and tags it, `docker build --tag $(DOCKER_TAG) .`"
                )
            git_sha = entry.get("git_sha") or source_sha(path, allow_dirty)
            if not GIT_SHA.fullmatch(git_sha):
                raise ImageError(f"git_sha {git_sha!r} is not the name of a commit: 7 to 64 hexadecimal digits, quoted")
            orders.append(Order(service, path, git_sha))
    return orders, errors


class Works:
    """Builds and pushes ordered images; one instance for one module call, used by several threads."""

    def __init__(self, args: Mapping[str, Any], registry: Registry, check_mode: bool, total: int) -> None:
        self.registry = registry
        self.target: str = args["target"]
        self.force: bool = args["force"]
        self.timeout: int = args["timeout"]
        self.check_mode = check_mode
        self.total = total

    def deliver(self, position: int, order: Order) -> dict[str, Any]:
        """Bring one image to the registry; says what was done (in check mode: what would be)."""
        started = time.monotonic()
        known = self.registry.has(order.repository, order.tag)
        result = {
            "service": order.service,
            "git_sha": order.git_sha,
            "image": order.image,
            "built": False,
            "pushed": False,
            "known": known,
        }
        if self.force or not known:
            with engine(self.timeout) as client:
                if self.force or not _has_image(client, order.image):
                    result["built"] = True
                    if not self.check_mode:
                        progress.emit("step", subject=order.service, text=f"building ({position} of {self.total})")
                        self._build(order)
                        if not _has_image(client, order.image):
                            raise ImageError(
                                f"`make {self.target}` succeeded, but Docker Engine has no image {order.image}: "
                                "the target must tag it, `docker build --tag $(DOCKER_TAG) .`"
                            )
                result["pushed"] = True
                if not self.check_mode:
                    progress.emit("step", subject=order.service, text=f"pushing ({position} of {self.total})")
                    self._push(client, order)
        text = "in the registry" if result["pushed"] else "already in the registry"
        progress.emit("done", subject=order.service, text=text)
        result["seconds"] = round(time.monotonic() - started, 1)
        return result

    def _build(self, order: Order) -> None:
        command = ["make", "-C", order.path, self.target]
        # A make that runs us (`make up`) must not hand its flags, variables and job server down.
        environment = {name: value for name, value in os.environ.items() if name not in MAKE_VARIABLES}
        environment["DOCKER_TAG"] = order.image
        shown = f"DOCKER_TAG={order.image} {shlex.join(command)}"
        # A file, not a pipe: what a recipe leaves running in the background cannot keep us waiting.
        with tempfile.TemporaryFile() as output:
            try:
                # In our own process group: who interrupts the play interrupts the builds.
                process = subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
                )
            except FileNotFoundError:
                raise ImageError("make is not installed on the machine that builds: install make") from None
            try:
                status = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                _stop(process)
                ended = f"was stopped after {self.timeout} s (`timeout`)"
            else:
                if status == 0:
                    return
                ended = f"exited with status {status}"
            raise ImageError(f"`{shown}` {ended}; its last lines:\n{_last_lines(output)}")

    def _push(self, client: docker.DockerClient, order: Order) -> None:
        remote = f"{self.registry.name}/{order.repository}"
        try:
            image = client.images.get(order.image)
            had_tag = f"{remote}:{order.tag}" in image.tags
            image.tag(remote, tag=order.tag)
            try:
                for event in client.api.push(remote, tag=order.tag, stream=True, decode=True):
                    if "error" in event:
                        raise ImageError(f"the push of {remote}:{order.tag} failed: {event['error']}")
            finally:
                if not had_tag:
                    # The name was only for the push; the image keeps its own.
                    client.api.remove_image(f"{remote}:{order.tag}", noprune=True)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise ImageError(f"the push of {remote}:{order.tag} failed: {_explain(error)}") from error


MAKE_VARIABLES = frozenset({"MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MAKE_TERMOUT"})


def _stop(process: subprocess.Popen[bytes]) -> None:
    # make passes SIGTERM on to its recipes.
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(output: Any) -> str:
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - 64 * 1024))
    lines = output.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:]) or "    (no output)"


def _explain(error: Exception) -> str:
    return getattr(error, "explanation", None) or reason(error)


@contextlib.contextmanager
def engine(timeout: int) -> Iterator[docker.DockerClient]:
    """Docker Engine as the docker command finds it: DOCKER_HOST, the current context, or the local socket."""
    try:
        client = docker.from_env(timeout=timeout, version="auto")
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise ImageError(f"Docker Engine does not answer: {reason(error)}") from error
    with contextlib.closing(client):
        yield client


def _has_image(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise ImageError(f"Docker Engine was asked for the image {name} and failed: {_explain(error)}") from error
    return True


def _engine_trusts(host: str) -> bool:
    """Whether Docker Engine was told to accept plain HTTP from a registry; no Engine, no exception to the rule."""
    if is_loopback(host):
        return True
    try:
        with engine(30) as client:
            config: dict[str, Any] = client.info().get("RegistryConfig") or {}
    except (ImageError, docker.errors.DockerException, requests.exceptions.RequestException):
        return False
    known = (config.get("IndexConfigs") or {}).get(host) or {}
    if known:
        return not known.get("Secure", True)
    try:
        address = ipaddress.ip_address(host.rsplit(":", 1)[0])
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(cidr) for cidr in config.get("InsecureRegistryCIDRs") or ())


def run(args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Bring the images of all services to the registry: what the module and its action plugin do."""
    if IMPORT_ERROR:
        return {
            "failed": True,
            "msg": "the Python package docker is missing: pip install docker",
            "exception": IMPORT_ERROR,
        }
    wrong = _wrong_arguments(args)
    orders, errors = take_orders(args["services"], args["allow_dirty"], args["target"])
    if wrong or errors.found:
        headline = "nothing was built: the input needs to be corrected first"
        return {"failed": True, "msg": errors.message("\n".join([headline, *wrong])), "errors": errors.found}
    scheme, host = args["registry_scheme"], args["registry"].partition("/")[0]
    results: list[dict[str, Any]] = []
    insecure = scheme == "auto" and _engine_trusts(host)
    with contextlib.closing(Registry(args["registry"], scheme, insecure)) as registry:
        if orders:
            try:
                registry.connect()
            except RegistryError as error:
                return {"failed": True, "msg": f"nothing was built: {error}"}
        works = Works(args, registry, check_mode, len(orders))
        with ThreadPoolExecutor(max_workers=args["concurrency"]) as pool:
            pending = [pool.submit(works.deliver, position, order) for position, order in enumerate(orders, start=1)]
            for order, future in zip(orders, pending, strict=True):
                with errors.of(order.service):
                    results.append(future.result())
    before = {result["image"]: "present" if result.pop("known") else "absent" for result in results}
    outcome: dict[str, Any] = {"changed": any(result["pushed"] for result in results), "images": results}
    if diff:
        outcome["diff"] = {
            "before_header": args["registry"],
            "after_header": args["registry"],
            "before": before,
            "after": {result["image"]: "rebuilt" if _replaced(result, before) else "present" for result in results},
        }
    if errors.found:
        headline = f"{len(errors.found)} of {len(orders)} images did not reach {args['registry']}"
        outcome |= {"failed": True, "msg": errors.message(headline), "errors": errors.found}
    return outcome


def _replaced(result: Mapping[str, Any], before: Mapping[str, str]) -> bool:
    return bool(result["pushed"]) and before[result["image"]] == "present"


def _wrong_arguments(args: Mapping[str, Any]) -> list[str]:
    positive = ("timeout", "concurrency")
    wrong = [f"* {name} is {args[name]}: it must be at least 1" for name in positive if args[name] < 1]
    if not REGISTRY.fullmatch(args["registry"]):
        wrong.append(
            f"* registry {args['registry']!r} is not host[:port][/path], without http:// and without credentials, "
            "for example 127.0.0.1:5000"
        )
    return wrong

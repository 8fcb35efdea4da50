# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Give one host's Envoy its listeners and clusters: the work of ``envoy_config``, on the host itself.

Checked by Envoy's own parser before a file is moved in, and reported as done only when Envoy says it uses them.
Only the standard library: managed hosts need nothing but Python 3.10.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.mesh import envoy

from .host_agent import ask_envoy, read_file, write_files

ARGUMENTS: dict[str, Any] = {
    "namespaces": {"type": "dict", "required": True},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "directory": {"type": "path", "default": "/var/lib/envoy"},
    "admin": {"type": "str", "default": "127.0.0.1:9901"},
    "program": {"type": "path", "default": "/usr/local/bin/envoy"},
    "timeout": {"type": "float", "default": 30},
}


class Refused(Exception):
    """Envoy would not take the configuration, or could not; nothing was changed unless the text says so."""


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Write and activate. ``args`` is as in :data:`ARGUMENTS`; returns the module's result."""
    directory, namespaces = args["directory"], args["namespaces"]
    endpoint_directory = os.path.join(directory, "eds")
    listeners = envoy.listeners(namespaces, args["addresses"])
    clusters = envoy.clusters(namespaces, endpoint_directory)
    wanted = {
        "cds.json": envoy.as_file(envoy.discovery(clusters)),
        "lds.json": envoy.as_file(envoy.discovery(listeners)),
    }
    before = {name: read_file(os.path.join(directory, name)) or "" for name in wanted}
    obsolete = _obsolete(endpoint_directory, namespaces)
    changed = before != wanted or bool(obsolete)
    result: dict[str, Any] = {"changed": changed, "listeners": sorted(namespaces)}
    if diff:
        result["diff"] = [
            {"before_header": name, "after_header": name, "before": before[name], "after": text}
            for name, text in wanted.items()
            if before[name] != text
        ]
    try:
        if changed:
            _refuse_busy_ports(listeners, before["lds.json"])
            _validate(args, listeners)
            if not check_mode:
                _write(args, wanted, obsolete)
        if not check_mode:
            # Also when nothing was to be written: an earlier run may have written what Envoy did not take.
            _wait(args, json.loads(wanted["lds.json"]))
    except (Refused, OSError) as error:
        return result | {"changed": False, "failed": True, "msg": str(error)}
    return result


def _obsolete(directory: str, namespaces: Mapping[str, Any]) -> list[str]:
    """Endpoint files of namespaces that are no longer declared."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return sorted(name for name in names if name.endswith(".json") and name[: -len(".json")] not in namespaces)


def _refuse_busy_ports(listeners: list[dict[str, Any]], running: str) -> None:
    """Every address of a new listener must be free; those of listeners that Envoy has already are Envoy's own."""
    known = {tuple(sorted(item.items())) for item in _addresses(json.loads(running)["resources"])} if running else set()
    busy = []
    for listener in listeners:
        for address in _addresses([listener]):
            if tuple(sorted(address.items())) in known:
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address["address"], address["port_value"]))
                except OSError as error:
                    name = listener["name"].removesuffix(".listener")
                    busy.append(f"{name}: {address['address']}:{address['port_value']}: {error.strerror}")
    if busy:
        raise Refused(
            "proxy ports that cannot be listened on here; nothing was changed. End the program that has the port "
            "(ss -ltnp) or choose another proxy_port in smartstack.yaml:\n" + "\n".join(f"  {line}" for line in busy)
        )


def _addresses(listeners: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        part["address"]["socket_address"] if "address" in part else part["socket_address"]
        for listener in listeners
        for part in ({"address": listener["address"]}, *listener.get("additional_addresses", []))
    ]


def _validate(args: Mapping[str, Any], listeners: list[dict[str, Any]]) -> None:
    """Let Envoy's own parser read the configuration, beside endpoint files that exist."""
    with tempfile.TemporaryDirectory(prefix="paasta-envoy-") as scratch:
        for name in args["namespaces"]:
            write_files(scratch, {f"{name}.json": envoy.as_file(envoy.discovery([]))}, prune=False)
        clusters = envoy.clusters(args["namespaces"], scratch)
        static = {"listeners": _untyped(listeners), "clusters": _untyped(clusters)}
        node = {"id": "validate", "cluster": "validate"}
        bootstrap = {"bootstrap.json": json.dumps({"node": node, "static_resources": static})}
        write_files(scratch, bootstrap, prune=False)
        command = [args["program"], "--mode", "validate", "-c", os.path.join(scratch, "bootstrap.json"), "-l", "error"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = "\n".join(line.partition("] ")[2] or line for line in (done.stderr or done.stdout).strip().splitlines())
        raise Refused(f"Envoy refuses the configuration; nothing was changed:\n{words}")


def _untyped(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Static resources carry no ``@type`` of their own."""
    return [{key: value for key, value in resource.items() if key != "@type"} for resource in resources]


def _write(args: Mapping[str, Any], wanted: dict[str, str], obsolete: list[str]) -> None:
    """Endpoints before clusters before listeners, so that nothing refers to what is not there yet."""
    directory = args["directory"]
    endpoint_directory = os.path.join(directory, "eds")
    empty = {
        f"{name}.json": envoy.as_file(envoy.endpoints(name, []))
        for name in args["namespaces"]
        if read_file(os.path.join(endpoint_directory, f"{name}.json")) is None
    }
    write_files(endpoint_directory, empty, prune=False)
    write_files(directory, {"cds.json": wanted["cds.json"]}, prune=False)
    write_files(directory, {"lds.json": wanted["lds.json"]}, prune=False)
    for name in obsolete:
        os.unlink(os.path.join(endpoint_directory, name))


def _wait(args: Mapping[str, Any], wanted: dict[str, Any]) -> None:
    """Wait until Envoy listens as wanted.

    :raises Refused: with Envoy's own words when it does not.
    """
    names = {resource["name"] for resource in wanted["resources"]}
    deadline = time.monotonic() + args["timeout"]
    while True:
        active, problems, version = _listeners(args["admin"])
        if version == wanted["version_info"] and active == names and not problems:
            return
        if time.monotonic() > deadline or (version == wanted["version_info"] and problems):
            missing = ", ".join(sorted(names ^ active)) or "none"
            words = "\n".join(problems) or f"listeners that differ: {missing}"
            raise Refused(f"the files are in place and Envoy does not use them all:\n{words}")
        time.sleep(0.2)


def _listeners(admin: str) -> tuple[set[str], list[str], str]:
    """Names of the active dynamic listeners, what was refused, and the version of the file Envoy has read."""
    active, problems, version = set(), [], ""
    for dump in json.loads(ask_envoy(admin, "/config_dump")).get("configs", []):
        if not dump.get("@type", "").endswith("ListenersConfigDump"):
            continue
        version = dump.get("version_info", "")
        for listener in dump.get("dynamic_listeners", []):
            if "error_state" in listener:
                problems.append(f"{listener['name']}: {listener['error_state'].get('details', 'refused')}")
            if "active_state" in listener:
                active.add(listener["name"])
    return active, problems, version

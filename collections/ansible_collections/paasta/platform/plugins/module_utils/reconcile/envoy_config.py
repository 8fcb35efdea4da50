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
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    EndpointFiles,
    as_file,
    discovery,
    move_in,
    read_file,
)

from .host_agent import ask_envoy

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
    listeners = envoy.listeners(namespaces, args["addresses"])
    clusters = envoy.clusters(namespaces, os.path.join(directory, "eds"))
    # In this order: nothing may refer to what is not there yet.
    wanted = {"cds.json": discovery(clusters), "lds.json": discovery(listeners)}
    texts = {name: as_file(document) for name, document in wanted.items()}
    before = {name: read_file(os.path.join(directory, name)) or "" for name in wanted}
    result: dict[str, Any] = {"changed": False, "listeners": sorted(namespaces)}
    if diff:
        result["diff"] = [
            {"before_header": name, "after_header": name, "before": before[name], "after": texts[name]}
            for name in wanted
            if before[name] != texts[name]
        ]
    try:
        # What is in place may have been refused by Envoy in an earlier run, and it does not look again by itself.
        stale = [name for name in wanted if before[name] != texts[name] or _used(args["admin"], name, wanted[name])]
        obsolete = EndpointFiles(directory).obsolete(namespaces)
        if stale:
            _refuse_busy_ports(listeners, before["lds.json"])
            _validate(args, listeners)
        if not check_mode:
            _activate(args, stale, wanted, obsolete)
    except (Refused, OSError) as error:
        return result | {"failed": True, "msg": str(error)}
    return result | {"changed": bool(stale or obsolete)}


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
                    name = listener["name"].rpartition(".listener")[0]
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
            move_in(scratch, f"{name}.json", as_file(discovery([])))
        clusters = envoy.clusters(args["namespaces"], scratch)
        static = {"listeners": _untyped(listeners), "clusters": _untyped(clusters)}
        node = {"id": "validate", "cluster": "validate"}
        move_in(scratch, "bootstrap", json.dumps({"node": node, "static_resources": static}))
        command = [args["program"], "--mode", "validate", "-c", os.path.join(scratch, "bootstrap"), "-l", "error"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = "\n".join(line.partition("] ")[2] or line for line in (done.stderr or done.stdout).strip().splitlines())
        raise Refused(f"Envoy refuses the configuration; nothing was changed:\n{words}")


def _untyped(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Static resources carry no ``@type`` of their own."""
    return [{key: value for key, value in resource.items() if key != "@type"} for resource in resources]


def _activate(args: Mapping[str, Any], stale: list[str], wanted: dict[str, Any], obsolete: list[str]) -> None:
    """Put the files in place, each when Envoy uses the one before."""
    directory = args["directory"]
    endpoint_files = EndpointFiles(directory)
    endpoint_files.declare(args["namespaces"])
    for name in stale:
        move_in(directory, name, as_file(wanted[name]))
        _wait(args, name, wanted[name])
    endpoint_files.withdraw(obsolete)


def _wait(args: Mapping[str, Any], file: str, wanted: dict[str, Any]) -> None:
    """Wait until Envoy uses a file.

    :raises Refused: with Envoy's own words when it does not.
    """
    deadline = time.monotonic() + args["timeout"]
    while unused := _used(args["admin"], file, wanted):
        if time.monotonic() > deadline:
            raise Refused(f"{file} is in place and Envoy does not use it after {args['timeout']:g} s:\n{unused}")
        time.sleep(0.2)


#: Where Envoy's configuration dump has what came from a file: type, list, key of the active state's resource.
_DUMPS = {
    "cds.json": ("ClustersConfigDump", "dynamic_active_clusters", "cluster"),
    "lds.json": ("ListenersConfigDump", "dynamic_listeners", "active_state"),
}


def _used(admin: str, file: str, wanted: dict[str, Any]) -> str:
    """Why Envoy does not use a file as it is wanted; empty if it does."""
    type_, list_, key = _DUMPS[file]
    names, problems, version = set(), [], ""
    for dump in json.loads(ask_envoy(admin, "/config_dump")).get("configs", []):
        if not dump.get("@type", "").endswith(type_):
            continue
        version = dump.get("version_info", "")
        for item in dump.get(list_, []):
            if key in item:
                names.add(item.get("name") or item[key].get("name"))
            if "error_state" in item:
                problems.append(f"{item.get('name', 'unnamed')}: {item['error_state'].get('details', 'refused')}")
    differing = names ^ {resource["name"] for resource in wanted["resources"]}
    if version == wanted["version_info"] and not differing:
        return ""
    state = f"version {version or 'none'} instead of {wanted['version_info']}"
    return "\n".join([*problems, f"{state}; differing: {', '.join(sorted(differing)) or 'none'}"])

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the modules over a Kubernetes cluster: plain data, readable where ``kubernetes`` is missing.

Those that say how an API server is reached have the names, aliases and variables of kubernetes.core.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..secrets import PROVIDER_ARGUMENTS

PROXY_HEADERS: dict[str, Any] = {
    "proxy_basic_auth": {"type": "str", "no_log": True},
    "basic_auth": {"type": "str", "no_log": True},
    "user_agent": {"type": "str"},
}
AUTH_ARGUMENTS: dict[str, Any] = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"]},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {"type": "dict", "options": PROXY_HEADERS},
    "persist_config": {"type": "bool"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}
OBJECTS_ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "manifests": {"type": "list", "elements": "dict", "required": True},
    "force_conflicts": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 16},
}
INFO_ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "cluster": {"type": "str", "required": True},
    "plan": {"type": "dict", "required": True},
    "only": {"type": "list", "elements": "str", "default": []},
    "undeployed": {"type": "list", "elements": "str", "default": []},
    "elsewhere": {"type": "dict", "default": {}},
}
ARGUMENTS: dict[str, Any] = {
    **INFO_ARGUMENTS,
    **PROVIDER_ARGUMENTS,
    "soa_dir": {"type": "path"},
    "secret_environment": {"type": "str", "no_log": False},
    "release": {"type": "list", "elements": "str", "default": []},
    "prune_guard": {"type": "float", "default": 0.5},
    "timeout": {"type": "float", "default": 600},
    "lock_timeout": {"type": "float", "default": 300},
    "lock_namespace": {"type": "str", "default": "paasta"},
    "force_conflicts": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "rollback": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 16},
    "rate_limit": {"type": "float", "default": 0},
}

# What kubernetes.core takes as false in a variable.
_FALSE = ("0", "false", "no")

# Keys of a kubeconfig, at any depth, whose values are secret.
_SECRET_KEYS = (
    "token",
    "password",
    "client-key-data",
    "access-token",
    "id-token",
    "refresh-token",
    "client-secret",
)


def given(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are set, here or in the environment (``K8S_AUTH_*``)."""
    found = {}
    for name, option in AUTH_ARGUMENTS.items():
        value = args.get(name)
        if name == "proxy_headers":
            value = _proxy_headers(value or {})
        elif value is None:
            value = _from_environment(name, option)
        if value not in (None, "", [], {}):
            found[name] = value
    return found


def secrets(args: Mapping[str, Any]) -> set[str]:
    """What must not be shown of the arguments. A kubeconfig given as a dictionary has more than ``no_log`` knows of."""
    values = {args.get("api_key"), args.get("password")}
    if isinstance(args.get("kubeconfig"), Mapping):
        values |= set(_secret_values(args["kubeconfig"]))
    return {value for value in values if isinstance(value, str) and value}


def shown(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a module may show them: without a kubeconfig given as a dictionary, which has credentials."""
    return {**args, "kubeconfig": "********"} if isinstance(args.get("kubeconfig"), Mapping) else dict(args)


def _from_environment(name: str, option: Mapping[str, Any]) -> Any:
    for spelling in (name, *option.get("aliases", ())):
        value = os.environ.get(f"K8S_AUTH_{spelling.upper()}")
        if value:
            break
    else:
        return None
    if option["type"] == "bool":
        return value.lower() not in _FALSE
    if option["type"] == "list":
        return [part.strip() for part in value.split(",") if part.strip()]
    return os.path.expanduser(value) if option["type"] == "path" else value


def _proxy_headers(value: Mapping[str, Any]) -> dict[str, str]:
    found = {
        name: value.get(name) or os.environ.get(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}") for name in PROXY_HEADERS
    }
    return {name: each for name, each in found.items() if each}


def _secret_values(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        # An entry of a plugin's environment, which often is a password.
        if set(node) == {"name", "value"}:
            yield str(node["value"])
        for key, value in node.items():
            if key in _SECRET_KEYS:
                yield str(value)
            else:
                yield from _secret_values(value)
    elif isinstance(node, list):
        for each in node:
            yield from _secret_values(each)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the bulk modules over Docker hosts: plain data, readable where ``docker`` is missing."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.ports import DEFAULT_RANGE

from .secrets import PROVIDER_ARGUMENTS

HOST_OPTIONS = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "pool": {"type": "str", "default": "default"},
}
PROXY_OPTIONS = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "admin": {"type": "str", "default": "127.0.0.1:9901"},
    "directory": {"type": "str", "default": "/var/lib/envoy"},
}
INFO_ARGUMENTS: dict[str, Any] = {
    "cluster": {"type": "str", "required": True},
    "instances": {"type": "dict", "required": True},
    "namespaces": {"type": "dict", "default": {}},
    "only": {"type": "list", "elements": "str", "default": []},
    "undeployed": {"type": "list", "elements": "str", "default": []},
    "elsewhere": {"type": "dict", "default": {}},
    "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST_OPTIONS},
    "url_host": {"type": "str", "default": "localhost"},
}
ARGUMENTS: dict[str, Any] = {
    **INFO_ARGUMENTS,
    **PROVIDER_ARGUMENTS,
    "soa_dir": {"type": "path"},
    "secret_environment": {"type": "str", "no_log": False},
    "proxies": {"type": "list", "elements": "dict", "default": [], "options": PROXY_OPTIONS},
    "release": {"type": "list", "elements": "str", "default": []},
    "prune_guard": {"type": "float", "default": 0.5},
    "lost_guard": {"type": "float", "default": 0.5},
    "timeout": {"type": "float", "default": 600},
    "lock_timeout": {"type": "float", "default": 300},
    "first_port": {"type": "int", "default": DEFAULT_RANGE[0]},
    "last_port": {"type": "int", "default": DEFAULT_RANGE[1]},
}

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The libraries beyond Python's own that reconciling Docker hosts needs.

Where one is missing the files here can still be imported, so that a module can say what to install.
"""

from __future__ import annotations

import importlib

from ansible.module_utils.basic import missing_required_lib

# What is imported → what it is called on PyPI. urllib3 comes with requests.
_NEEDED = {"docker": "docker", "requests": "requests", "yaml": "PyYAML"}


def missing() -> str:
    """Which library to install; empty if all are there."""
    for module, package in _NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{missing_required_lib(package)} ({error})"
    return ""

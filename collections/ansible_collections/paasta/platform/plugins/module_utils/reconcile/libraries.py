# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The libraries beyond Python's own that reconciling needs: who has Docker hosts only does without ``kubernetes``.

Where one is missing the files here can still be imported, so that a module can say what to install.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType

from ansible.module_utils.basic import missing_required_lib

# What is imported → what it is called on PyPI. urllib3 comes with requests.
DOCKER = MappingProxyType({"docker": "docker", "requests": "requests", "yaml": "PyYAML"})

# urllib3 comes with kubernetes, which itself is imported only for a kubeconfig that is not plain: it takes a third of
# a second.
KUBERNETES = MappingProxyType({"urllib3": "kubernetes", "yaml": "PyYAML"})


def missing(needed: Mapping[str, str] = DOCKER) -> str:
    """Which library to install; empty if all are there."""
    for module, package in needed.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{missing_required_lib(package)} ({error})"
    if needed is KUBERNETES and importlib.util.find_spec("kubernetes") is None:
        return str(missing_required_lib("kubernetes"))
    return ""

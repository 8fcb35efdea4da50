# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that run on hosts, each as one text made of files of this collection: nothing else is needed there.

The files use only the standard library and import each other by their full names, so that the very same code runs in
tests, in the controller and on hosts.
"""

from __future__ import annotations

import pkgutil

_ROOT = __package__ or ""

#: Program → its files: the parts in the order in which they import each other, the main file last.
PROGRAMS = {
    "agent": ("mesh.endpoint_files", "reconcile.host_agent"),
    "paasta-endpoints": ("mesh.endpoint_files", "mesh.pods", "mesh.kube_api", "mesh.pod_follower"),
}

# A part is registered as the module it is, so that imports find it; linecache gives tracebacks their lines.
_PRELUDE = """\
import linecache, sys, types
def _part(name, source, main):
    file = "<" + name + ">"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    module = sys.modules["__main__"] if main else types.ModuleType(name)
    if not main:
        sys.modules[name] = module
    exec(compile(source, file, "exec"), module.__dict__)
"""


def text(program: str) -> str:
    """The text of one of :data:`PROGRAMS`, for ``python3 -c`` or a file."""
    *parts, main = PROGRAMS[program]
    calls = [f"_part({f'{_ROOT}.{name}'!r}, {_source(name)!r}, {name == main})" for name in (*parts, main)]
    return _PRELUDE + "\n".join(calls) + "\n"


def _source(name: str) -> str:
    package, _dot, file = name.rpartition(".")
    # From the loader, not from a path: a module's module_utils are in a zip file.
    content = pkgutil.get_data(f"{_ROOT}.{package}", f"{file}.py")
    if content is None:
        raise FileNotFoundError(f"{_ROOT}.{name}")
    return content.decode()

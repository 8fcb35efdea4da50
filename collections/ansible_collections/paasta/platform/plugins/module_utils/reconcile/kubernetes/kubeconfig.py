# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A kubeconfig that says plainly where the server is and who asks it: with a token or a certificate, in one file.

Most are so, and the ``kubernetes`` package, which reads them all, takes a third of a second to import: as long as a
small deploy. What has any other key, several files, a plugin, or a mistake is left to the package: it knows what they
mean and what to say of them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

with contextlib.suppress(ImportError):  # libraries.py says so
    import yaml

# https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
_CONTEXT = {"cluster", "user", "namespace"}
_CLUSTER = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
}
_USER = {"token", "client-certificate", "client-certificate-data", "client-key", "client-key-data"}


class NotPlain(Exception):
    """The ``kubernetes`` package has to read it."""


def plain(path: str, context: str | None, directory: str) -> dict[str, Any]:
    """What a kubeconfig says: the fields of :class:`~.credentials.Found`.

    :param context: the name of the context; None for the current one.
    :param directory: where certificates that are part of it are written to.
    :raises NotPlain:
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        chosen = _only(_CONTEXT, _named(content, "context", context or content["current-context"]))
        cluster = _only(_CLUSTER, _named(content, "cluster", chosen["cluster"]))
        user = _only(_USER, _named(content, "user", chosen["user"]))
        server, token = cluster["server"], user.get("token")
        files = {
            "ca_cert": _file(cluster, "certificate-authority", path, directory),
            "client_cert": _file(user, "client-certificate", path, directory),
            "client_key": _file(user, "client-key", path, directory),
        }
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise NotPlain from error
    # Without TLS the package does not use certificates.
    if not server.startswith("https://") or not (token or (files["client_cert"] and files["client_key"])):
        raise NotPlain
    return {
        "server": server.rstrip("/"),
        **files,
        "verify": not cluster.get("insecure-skip-tls-verify", False),
        "server_name": cluster.get("tls-server-name"),
        "authorization": f"Bearer {token}" if token else None,
    }


def _named(content: Mapping[str, Any], what: str, name: str) -> Mapping[str, Any]:
    """The entry of this name in one of the lists; a name that is there twice is the package's to judge."""
    (found,) = [entry[what] for entry in content[f"{what}s"] if entry["name"] == name]
    return found  # type: ignore[no-any-return]


def _only(known: set[str], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if not set(entry) <= known or not all(value and isinstance(value, str | bool) for value in entry.values()):
        raise NotPlain
    return entry


def _file(entry: Mapping[str, Any], key: str, kubeconfig: str, directory: str) -> str | None:
    """The path of a file, which is relative to that of the kubeconfig, or has to be made of what is in it."""
    if data := entry.get(f"{key}-data"):
        made = Path(directory, key)
        try:
            made.write_bytes(base64.b64decode(data, validate=True))
        except binascii.Error as error:
            raise NotPlain from error
        return str(made)
    if key not in entry:
        return None
    named = os.path.join(os.path.dirname(os.path.abspath(kubeconfig)), entry[key])
    if not os.path.isfile(named):
        raise NotPlain
    return named

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a kubeconfig says, or the pod it runs in.

The ``kubernetes`` package takes a third of a second to import, so it is asked only where neither the arguments nor a
plain kubeconfig say everything.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from .errors import NoAccess
from .kubeconfig import NotPlain, plain

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(slots=True)
class Found:
    """Where the server is and who asks it. Files of certificates may be in a directory that is removed soon."""

    server: str = ""
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None
    authorization: str | None = None
    # The Authorization as it is now. The package refreshes it when its end is near.
    current: Callable[[], str | None] | None = None


def find(given: Mapping[str, Any], directory: str) -> Found:
    """What the kubeconfig says; without one, the pod's service account, then the usual kubeconfig.

    :param directory: where certificates that are part of a kubeconfig are written to.
    :raises NoAccess:
    """
    kubeconfig, context = given.get("kubeconfig"), given.get("context")
    if not kubeconfig and not context and _in_cluster():
        return _load(f"the service account in {SERVICE_ACCOUNT}", lambda kube, into: kube.load_incluster_config(into))
    kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    options = {
        "context": context,
        "persist_config": bool(given.get("persist_config")),
        "temp_file_path": directory,
    }
    if isinstance(kubeconfig, Mapping):
        content = dict(kubeconfig)
        return _load(
            "kubeconfig",
            lambda kube, into: kube.load_kube_config_from_dict(content, client_configuration=into, **options),
        )
    paths = [os.path.expanduser(path) for path in str(kubeconfig).split(os.pathsep) if path]
    if not any(os.path.exists(path) for path in paths):
        if "host" in given:
            # Nobody in particular asks, as with `kubectl proxy`.
            return Found()
        raise NoAccess(
            f"{', '.join(paths)}: there is no such kubeconfig. Give `kubeconfig`, or `host` with `api_key` or "
            "`client_cert` and `client_key`, or set KUBECONFIG"
        )
    if len(paths) == 1:
        with suppress(NotPlain):
            return Found(**plain(paths[0], context, directory))
    joined = os.pathsep.join(paths)
    return _load(joined, lambda kube, into: kube.load_kube_config(joined, client_configuration=into, **options))


def _in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and os.path.exists(f"{SERVICE_ACCOUNT}/token")


def _load(where: str, load: Callable[[Any, Any], None]) -> Found:
    """Have the package read one source; its failures become NoAccess, those that it only logs as well."""
    try:
        client: Any = importlib.import_module("kubernetes.client")
        kube: Any = importlib.import_module("kubernetes.config")
    except ImportError as error:
        raise NoAccess(f"{missing_required_lib('kubernetes')} ({error}). It reads {where}") from error
    configuration = client.Configuration()
    with _logged() as complaints:
        try:
            load(kube, configuration)
        except Exception as error:
            # Of many kinds, from parsers and plugins; without the chain, which quotes the file.
            raise NoAccess(f"{where}: {_without_content(error)}") from None
    if complaints:
        raise NoAccess(f"{where}: {'; '.join(complaints)}")

    def current() -> str | None:
        with _logged() as troubles:
            authorization: str | None = configuration.get_api_key_with_prefix("BearerToken")
        if troubles:
            raise NoAccess(f"{where}: {'; '.join(troubles)}")
        return authorization

    return Found(
        server=configuration.host,
        ca_cert=configuration.ssl_ca_cert,
        client_cert=configuration.cert_file,
        client_key=configuration.key_file,
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
        authorization=configuration.api_key.get("BearerToken"),
        current=current if configuration.refresh_api_key_hook else None,
    )


def _without_content(error: Exception) -> str:
    """An error's text; the package names a place in a kubeconfig by quoting all that is there, tokens included."""
    return re.sub(r"\{.*\}", "{...}", str(error), flags=re.DOTALL) or type(error).__name__


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What the package logs as an error: a plugin that fails would otherwise mean to ask as nobody."""
    complaints: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "kubernetes" in record.pathname:
                complaints.append(record.getMessage())

    handler = Handler(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield complaints
    finally:
        logging.getLogger().removeHandler(handler)

# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How a reconciler gets cleartext: from its arguments ``soa_dir``, ``secret_environment`` and the play's providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef

from .cleartext import NoSecret, Resolve
from .secrets import Provider, SecretErrors, resolve


def resolver(args: Mapping[str, Any], providers: Mapping[str, Provider]) -> Resolve:
    """Decrypts all that it is asked for, or raises NoSecret, which names all that it cannot."""

    def decrypt(wanted: Iterable[SecretRef]) -> Mapping[SecretRef, bytes]:
        if not args["soa_dir"]:
            names = ", ".join(secret.file for secret in wanted)
            raise NoSecret(f"argument soa_dir is missing, where the secrets are that the instances use: {names}")
        environment = args["secret_environment"] or args["cluster"]
        try:
            return resolve(wanted, soa_dir=args["soa_dir"], environment=environment, providers=providers)
        except (SecretErrors, InvalidConfigs) as error:
            raise NoSecret(str(error)) from None

    return decrypt

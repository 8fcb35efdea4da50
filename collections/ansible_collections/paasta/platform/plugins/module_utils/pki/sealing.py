# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets on their way from one host to another: encrypted to a key whose private half never leaves the receiver.

What Ansible carries is of use to nobody else: X25519 with a key for this one message, HKDF, ChaCha20-Poly1305 (the
construction of HPKE, RFC 9180, with fixed parameters; both public keys are authenticated).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:  # x509.py says so
    pass

_PURPOSE = b"paasta kubernetes shared secrets 1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Broken(Exception):
    """What was sent cannot be opened: it is damaged, or was meant for somebody else."""


def new_key() -> str:
    """A private key for one message, in base64."""
    raw = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    return base64.b64encode(raw).decode()


def public(private: str) -> str:
    """The key to seal with, in base64. Raises ValueError for what is no private key."""
    return base64.b64encode(_raw(X25519PrivateKey.from_private_bytes(base64.b64decode(private)).public_key())).decode()


def seal(files: Mapping[str, str], receiver: str) -> str:
    """Texts by name, encrypted to a public key. Raises ValueError for what is no key."""
    theirs = base64.b64decode(receiver)
    own = X25519PrivateKey.generate()
    sender = _raw(own.public_key())
    secret = own.exchange(X25519PublicKey.from_public_bytes(theirs))
    nonce = os.urandom(_NONCE_BYTES)
    content = json.dumps(dict(files)).encode()
    return base64.b64encode(
        sender + nonce + _cipher(secret, sender + theirs).encrypt(nonce, content, _PURPOSE)
    ).decode()


def opened(sealed: str, private: str) -> dict[str, str]:
    """The texts again. Raises Broken."""
    try:
        data = base64.b64decode(sealed, validate=True)
        own = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
        sender, nonce = data[:_KEY_BYTES], data[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES]
        secret = own.exchange(X25519PublicKey.from_public_bytes(sender))
        cipher = _cipher(secret, sender + _raw(own.public_key()))
        content = cipher.decrypt(nonce, data[_KEY_BYTES + _NONCE_BYTES :], _PURPOSE)
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise Broken("what the host of the authorities sent is damaged, or was meant for another host") from error
    found: dict[str, str] = json.loads(content)
    return found


def _cipher(secret: bytes, keys: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE + keys).derive(secret))


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

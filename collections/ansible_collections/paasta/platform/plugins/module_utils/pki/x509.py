# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, requests and certificates in PEM: made, signed, and looked at. No files.

Works with the ``cryptography`` of Debian 12 (38) and newer ones.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    CRYPTOGRAPHY_MISSING = ""
except ImportError as _error:  # the modules report it with missing_required_lib
    CRYPTOGRAPHY_MISSING = str(_error)

from .entries import Entry

#: Common names of the authorities, and how long they are valid: as kubeadm has it.
AUTHORITY_NAMES = {"ca": "kubernetes", "front-proxy-ca": "kubernetes-front-proxy", "etcd/ca": "etcd"}
AUTHORITY_DAYS = 3650
#: How long other certificates are valid.
DAYS = 365

# Clocks of hosts differ a little.
_BEFORE = datetime.timedelta(minutes=10)

# datetime.UTC came with Python 3.11; hosts with Ubuntu 22.04 have 3.10.
UTC = datetime.timezone.utc  # noqa: UP017

_ISO = "%Y-%m-%dT%H:%M:%SZ"


class Invalid(Exception):
    """A request or a certificate is not what it should be; the text says what is wrong."""


def new_key() -> str:
    """A private key: ECDSA P-256."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def new_service_account_key() -> str:
    """A private key for tokens of service accounts: RSA, which all who verify them know."""
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def public_key(key: str) -> str:
    """The public half of a private key. Raises ValueError for what is none."""
    public = _key(key).public_key()
    encoded: bytes = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def request(key: str, entry: Entry) -> str:
    """The request for a certificate. What it may say is decided by who signs, from the entry."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(entry))
    return builder.sign(_key(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def new_authority(common_name: str, private: str, now: datetime.datetime) -> str:
    """Certificate of an authority that signs only leaves, for a key. Raises ValueError for what is no key."""
    key = _key(private)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usage = _key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, key.public_key(), now, now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return str(certificate.public_bytes(serialization.Encoding.PEM).decode())


def sign(csr: str, entry: Entry, authority: str, authority_key: str, now: datetime.datetime) -> str:
    """A certificate for the key of a request. Subject, names and usages are the entry's, whatever the request says.

    It ends with its authority at the latest.

    :raises Invalid: the request is none, or not signed with its own key.
    """
    try:
        asked = x509.load_pem_x509_csr(csr.encode())
        public = asked.public_key()
        genuine = asked.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise Invalid(f"{entry.name}: this is no request for a certificate: {error}") from error
    if not genuine or not isinstance(public, ec.EllipticCurvePublicKey):
        raise Invalid(f"{entry.name}: the request is not signed with an elliptic-curve key of its own")
    issuer = _certificate(authority)
    end = min(now + datetime.timedelta(days=DAYS), ends(authority))
    oids = {usage: oid for oid, usage in _usages().items()}
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(entry), issuer.subject, public, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([oids[one] for one in entry.usages]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    if names := _alternative_names(entry):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(_key(authority_key), hashes.SHA256())
    return str(signed.public_bytes(serialization.Encoding.PEM).decode())


def why_due(entry: Entry, certificate: str, key: str, authority: str, now: datetime.datetime, renew_days: float) -> str:
    """Why a certificate has to be made anew; empty if it is good. An empty text: there is no such file."""
    if not (certificate and key and authority):
        missing = [
            name for name, text in (("certificate", certificate), ("key", key), ("authority", authority)) if not text
        ]
        return f"there is no {' and no '.join(missing)}"
    try:
        found, issuer, private = _certificate(certificate), _certificate(authority), _key(key)
    except (ValueError, TypeError):  # TypeError: the key has a password
        return "the certificate, its key or its authority cannot be read"
    if _public(private.public_key()) != _public(found.public_key()):
        return "the certificate is of another key"
    if not _signed_by(found, issuer):
        return "the certificate is of another authority"
    if found.subject != _subject(entry):
        return f"the subject is {found.subject.rfc4514_string()} instead of {_subject(entry).rfc4514_string()}"
    if difference := _difference(entry, found):
        return difference
    left = (ends(certificate) - now).total_seconds() / 86400
    # One that ends with its authority gets no longer by a new one.
    if left < renew_days and ends(certificate) < ends(authority):
        return f"it ends in {left:.0f} days" if left > 0 else "it has ended"
    return ""


def ends(certificate: str) -> datetime.datetime:
    """When a certificate ends, in UTC."""
    found = _certificate(certificate)
    if hasattr(found, "not_valid_after_utc"):
        end: datetime.datetime = found.not_valid_after_utc
    else:
        end = found.not_valid_after.replace(tzinfo=UTC)
    return end


def fingerprint(certificate: str) -> str:
    """SHA-256 of a certificate, in hexadecimal digits. Raises ValueError for what is none."""
    return str(_certificate(certificate).fingerprint(hashes.SHA256()).hex())


def is_pair(certificate: str, key: str) -> bool:
    """Whether a certificate is of a private key. Raises ValueError for what is neither."""
    return _public(_key(key).public_key()) == _public(_certificate(certificate).public_key())


def is_signed_by(certificate: str, authority: str) -> bool:
    """Whether an authority has signed a certificate. Raises ValueError for what is neither."""
    return _signed_by(_certificate(certificate), _certificate(authority))


def describe(certificate: str, now: datetime.datetime) -> dict[str, Any]:
    """For people: ``subject``, ``names``, ``usages``, ``issuer``, ``ends`` (ISO 8601) and ``days`` left.

    :raises ValueError: this is no certificate.
    """
    found = _certificate(certificate)
    end = ends(certificate)
    return {
        "subject": found.subject.rfc4514_string(),
        "names": sorted(_names(found)),
        "usages": sorted(_found_usages(found)),
        "issuer": found.issuer.rfc4514_string(),
        "ends": end.strftime(_ISO),
        "days": int((end - now).total_seconds() // 86400),
    }


def foretell(entry: Entry, issuer: str, now: datetime.datetime) -> dict[str, Any]:
    """What :func:`describe` will say of a certificate that is made now, by an authority that lives long enough."""
    return {
        "subject": _subject(entry).rfc4514_string(),
        "names": sorted({*entry.dns_names, *entry.ip_addresses}),
        "usages": list(entry.usages),
        "issuer": issuer,
        "ends": (now + datetime.timedelta(days=DAYS)).strftime(_ISO),
        "days": DAYS,
    }


def _difference(entry: Entry, found: Any) -> str:
    wanted, there = {*entry.dns_names, *entry.ip_addresses}, _names(found)
    if wanted != there:
        more, less = sorted(wanted - there), sorted(there - wanted)
        parts = [f"it lacks {', '.join(more)}"] if more else []
        return " and ".join([*parts, *([f"it has {', '.join(less)} as well"] if less else [])])
    if _found_usages(found) != set(entry.usages):
        return f"it is not for {' and '.join(entry.usages)}"
    return ""


def _usages() -> dict[Any, str]:
    return {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


def _found_usages(found: Any) -> set[str]:
    try:
        extended = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return set()
    return {_usages().get(one, one.dotted_string) for one in extended}


def _names(found: Any) -> set[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def _signed_by(found: Any, issuer: Any) -> bool:
    if found.issuer != issuer.subject:
        return False
    try:
        issuer.public_key().verify(
            found.signature, found.tbs_certificate_bytes, ec.ECDSA(found.signature_hash_algorithm)
        )
    except (InvalidSignature, TypeError, AttributeError):
        return False
    return True


def _builder(subject: Any, issuer: Any, public: Any, now: datetime.datetime, end: datetime.datetime) -> Any:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(end)
    )


def _key_usage(**given: bool) -> Any:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in every})


def _subject(entry: Entry) -> Any:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in entry.organizations]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, entry.common_name)])


def _alternative_names(entry: Entry) -> list[Any]:
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in entry.ip_addresses]
    return [*(x509.DNSName(one) for one in entry.dns_names), *addresses]


def _certificate(text: str) -> Any:
    return x509.load_pem_x509_certificate(text.encode())


def _key(text: str) -> Any:
    return serialization.load_pem_private_key(text.encode(), password=None)


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _pem(key: Any) -> str:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()

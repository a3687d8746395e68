"""One authority and certificates under it, for every server of a test run that speaks TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: What the server's certificate is good for: this machine, and the cloud names that the proxy maps to it.
SERVER_NAMES = (
    "localhost",
    "*.vault.azure.net",
    "login.microsoftonline.com",
    "cloudkms.googleapis.com",
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """What a test run's servers and clients are given; all PEM files.

    Attributes:
        authority: the certificate that clients trust.
        server: for servers on loopback and under the cloud names.
        client: for clients that authenticate with a certificate (mTLS); its common name is ``client``.
        stranger: an authority that signed nothing here, for refusals.
    """

    authority: Path
    server: Pair
    client: Pair
    stranger: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them anew in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, authority_key = _authority("test authority")
    stranger, _ = _authority("stranger")
    return Certificates(
        authority=_write(folder / "authority.pem", authority),
        server=_leaf(folder, "server", authority, authority_key),
        client=_leaf(folder, "client", authority, authority_key),
        stranger=_write(folder / "stranger.pem", stranger),
    )


def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), True
    )
    builder = builder.add_extension(_usage(authority=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _leaf(
    folder: Path, name: str, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    names = [x509.DNSName(host) for host in SERVER_NAMES] if name == "server" else []
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if name == "server" else []
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if name == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(name, str(issuer), key, authority_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file = folder / f"{name}.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(pem)
    return Pair(_write(folder / f"{name}.pem", builder.sign(authority_key, hashes.SHA256())), key_file)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    public, issuer_public = key.public_key(), issuer_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path

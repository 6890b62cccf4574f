"""Certificates for servers of our own: good ones, and each kind that a client must refuse."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: How long a certificate is good: longer than any run.
GOOD_FOR = datetime.timedelta(days=30)

_DAY = datetime.timedelta(days=1)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, until: datetime.timedelta
) -> x509.CertificateBuilder:
    """Return a certificate begun, which is good until so long from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    common = x509.NameOID.COMMON_NAME
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(common, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(common, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + until - GOOD_FOR - _DAY)
        .not_valid_after(now + until)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """An authority of one's own."""

    def __init__(self, name: str = "slsmysql tests") -> None:
        """Make a key, and a certificate for it."""
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(name, name, self._key, GOOD_FOR).add_extension(constraints, critical=True)
        #: The authority's certificate, to verify with.
        self.pem = _pem(made.sign(self._key, hashes.SHA256()))

    def write(
        self,
        folder: Path,
        names: Iterable[str] = ("localhost", "127.0.0.1"),
        *,
        until: datetime.timedelta = GOOD_FOR,
        self_signed: bool = False,
    ) -> None:
        """Write a server's files: ca.pem, server-cert.pem and server-key.pem.

        :param names: whom the certificate is for.
        :param until: when it ends, from now; negative: it has ended.
        :param self_signed: it is signed with its own key, and not by the authority.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = list(names)
        issuer, signer = (names[0], key) if self_signed else (self._name, self._key)
        whom = x509.SubjectAlternativeName(map(_general, names))
        made = _builder(names[0], issuer, key, until).add_extension(whom, critical=False)
        (folder / "ca.pem").write_bytes(self.pem)
        (folder / "server-cert.pem").write_bytes(_pem(made.sign(signer, hashes.SHA256())))
        (folder / "server-key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

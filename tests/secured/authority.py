"""A certificate authority of a test's own: certificates for servers on 127.0.0.1 and for clients, as PEM files. Good for an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(hours=1)
PEM = serialization.Encoding.PEM


class Authority:
    """`certificate` is the file that clients trust."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("hourmark test authority")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        mine = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = self._begun(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        signed = builder.add_extension(usage, critical=True).add_extension(mine, critical=False).sign(self._key, hashes.SHA256())
        self.certificate = home / "ca.pem"
        self.certificate.write_bytes(signed.public_bytes(PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and private key for CN=`name`. As a server's it is one of the address 127.0.0.1, not of any host name."""
        key = ec.generate_private_key(ec.SECP256R1())
        where = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._begun(_named(name), key).add_extension(where, critical=False).add_extension(both, critical=False)
        signed = builder.add_extension(theirs, critical=False).sign(self._key, hashes.SHA256())
        certificate, private = self._home / f"{name}.pem", self._home / f"{name}.key"
        certificate.write_bytes(signed.public_bytes(PEM))
        private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        for file in (certificate, private):
            file.chmod(0o644)  # servers that run as another user read them
        return certificate, private

    def _begun(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - LIFE).not_valid_after(now + LIFE)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

"""How long certificates are good."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kernelbal.health.checks.certificate import certificate_warning

END = datetime(2030, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def der() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, END - timedelta(days=365), END)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("days_before", "warning"),
    [
        (15, ""),
        (14, ""),
        (13.5, "certificate expires on 2030-06-01, in 13 days"),
        (0.5, "certificate expires on 2030-06-01, in 0 days"),
        (-1, "certificate expired on 2030-06-01"),
    ],
)
def test_the_warning(der: bytes, days_before: float, warning: str) -> None:
    assert certificate_warning(der, (END - timedelta(days=days_before)).timestamp(), 14) == warning


def test_zero_days_never_warn(der: bytes) -> None:
    assert certificate_warning(der, END.timestamp() + 1, 0) == ""


def test_what_is_no_certificate(der: bytes) -> None:
    unknown_version = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
    assert unknown_version != der
    for odd in (b"garbage", unknown_version):
        assert certificate_warning(odd, 0, 14) == "certificate cannot be read"

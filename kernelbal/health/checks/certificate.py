"""How long a real server's certificate is still good."""

from __future__ import annotations

_DAY_S = 86400


def certificate_warning(der: bytes, now_wall_s: float, warn_days: int) -> str:
    """Return a warning when a certificate ends soon, else nothing.

    Args:
        der: the certificate in DER.
        now_wall_s: seconds since 1970.
        warn_days: how soon; 0 never warns.
    """
    if not warn_days:
        return ""
    # Here, because it is heavy and only TLS checks need it.
    from cryptography import x509

    try:
        end_at = x509.load_der_x509_certificate(der).not_valid_after_utc
    except Exception:  # noqa: BLE001 - the reader raises many kinds, on bytes that a stranger sent
        return "certificate cannot be read"
    days = (end_at.timestamp() - now_wall_s) / _DAY_S
    if days >= warn_days:
        return ""
    if days < 0:
        return f"certificate expired on {end_at:%Y-%m-%d}"
    return f"certificate expires on {end_at:%Y-%m-%d}, in {int(days)} days"

"""IP addresses as packed bytes."""

import pytest

from kernelbal.model.address import (
    AF_INET,
    AF_INET6,
    family_of,
    format_address,
    format_endpoint,
    host_prefix,
    in_network,
    parse_address,
    with_port,
)

V4, V6 = parse_address("192.0.2.1"), parse_address("2001:db8::1")


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("0.0.0.0", "00000000"),
        ("255.255.255.255", "ffffffff"),
        ("::", "00" * 16),
        ("2001:DB8::0:1", "20010db8000000000000000000000001"),
        ("::ffff:192.0.2.1", "00000000000000000000ffffc0000201"),
    ],
)
def test_address_is_read(text: str, packed: str) -> None:
    assert parse_address(text).hex() == packed


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1.1", "192.0.2.1 ", "1", "0x7f.1", "192.0.2.1/24",
     "2001:db8::1::", "::g", "fe80::1%eth0", "[::1]", "\u0661.0.0.1", "localhost"],
)  # fmt: skip
def test_everything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an IP|has a zone identifier") as caught:
        parse_address(text)
    assert f"`{text}`" in str(caught.value)


def test_canonical_text() -> None:
    assert (format_address(V4), format_address(V6)) == ("192.0.2.1", "2001:db8::1")


def test_family_and_host_prefix() -> None:
    assert (family_of(V4), host_prefix(V4)) == (AF_INET, 32)
    assert (family_of(V6), host_prefix(V6)) == (AF_INET6, 128)


def test_endpoint_brackets_ipv6_and_stars_port_zero() -> None:
    assert (format_endpoint(V4, 80), format_endpoint(V6, 0)) == ("192.0.2.1:80", "[2001:db8::1]:*")


@pytest.mark.parametrize(
    ("address", "network", "prefix", "inside"),
    [
        ("192.0.2.1", "192.0.2.0", 24, True),
        ("192.0.3.1", "192.0.2.0", 24, False),
        ("192.0.3.1", "192.0.2.0", 23, True),
        ("192.0.2.1", "192.0.2.1", 32, True),
        ("192.0.2.2", "192.0.2.1", 32, False),
        ("203.0.113.1", "0.0.0.0", 0, True),
        ("2001:db8:1::1", "2001:db8::", 32, True),
        ("2001:db8::1", "0.0.0.0", 0, False),
    ],
)
def test_membership(address: str, network: str, prefix: int, inside: bool) -> None:
    assert in_network(parse_address(address), parse_address(network), prefix) is inside


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("192.0.2.1", 80, "192.0.2.1:80"),
        ("2001:db8::1", 80, "[2001:db8::1]:80"),
        ("192.0.2.1", 0, "192.0.2.1"),
        ("2001:db8::1", 0, "2001:db8::1"),
    ],
)
def test_port_is_named_where_there_is_one(host: str, port: int, text: str) -> None:
    assert with_port(host, port) == text

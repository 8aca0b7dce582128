"""Addresses that no machine can have, and virtual addresses that are in the way."""

from ipaddress import IPv6Address

import pytest

from kernelbal.config.load import load_site
from tests.unit.config.spec import FILE, V6, Case, messages, one, service, text_of

CASES: dict[str, Case] = {
    "multicast virtual address": one("address: 224.0.0.18 is a multicast address", address="224.0.0.18"),
    "unspecified virtual address": one("address: 0.0.0.0 is the unspecified address", address="0.0.0.0"),
    "reserved virtual address": one(
        "address: 255.255.255.255 is a reserved address", address="255.255.255.255"
    ),
    "link-local virtual address": one(
        "address: fe80::1 is a link-local address", servers='{address: "2001:db8::1"}', address='"fe80::1"'
    ),
    "loopback real server": one(
        "real_servers[0].address: 127.0.0.2 is a loopback address", servers="{address: 127.0.0.2}"
    ),
    "mapped real server": one(
        f"real_servers[0].address: {IPv6Address('::ffff:10.0.0.1')} is an IPv4 address in IPv6 form",
        servers='{address: "::ffff:10.0.0.1"}',
        **V6,
    ),
    "loopback sorry server": one(
        "sorry_server.address: ::1 is a loopback address",
        'sorry_server: {address: "::1"}',
        '{address: "2001:db8::1"}',
        **V6,
    ),
    "shared address of another network": Case(
        """
        networks: {outside: {shared_addresses: [192.0.2.10/24]}, inside: {}}
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80, forwarding: nat, network: inside}
        """,
        (
            "virtual_services[0].network: virtual service `a`: 192.0.2.10 is a shared address of network "
            "`outside` (the shared address: line 1)",
        ),
    ),
    "the partner's port": Case(
        """
        networks: {outside: {shared_addresses: [192.0.2.10/24]}}
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: [80, 6900-7000], forwarding: nat}
          - {name: b, address: 192.0.2.10, ports: 6973, forwarding: nat, protocol: udp}
          - {name: c, address: 192.0.2.11, ports: 6973, forwarding: nat}
        """,
        (
            "virtual_services[0].ports[1]: virtual service `a`: port 6973/tcp of a shared address is "
            "reserved for the partner channel",
        ),
    ),
    "shared addresses": Case(
        """
        networks:
          a: {shared_addresses: [192.0.2.0/24, 192.0.2.255/24, 192.0.2.1/24, 192.0.2.0/31, 127.0.0.1/8]}
          b: {shared_addresses: [192.0.2.1/24, "2001:db8::/64"]}
        """,
        (
            "networks.a.shared_addresses[0]: 192.0.2.0/24 is the network address of its subnet",
            "networks.a.shared_addresses[0]: shared address 192.0.2.0 is given twice (network a: line 2)",
            "networks.a.shared_addresses[1]: 192.0.2.255/24 is the broadcast address of its subnet",
            "networks.a.shared_addresses[2]: shared address 192.0.2.1 is given twice (network b: line 3)",
            "networks.a.shared_addresses[4]: 127.0.0.1 is a loopback address",
        ),
    ),
}

ACCEPTED: dict[str, str] = {
    "ULA real server": service(servers='{address: "fd00::1"}', base=V6),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_together_is_accepted(document: str) -> None:
    assert load_site(text_of(document), FILE).virtual_services

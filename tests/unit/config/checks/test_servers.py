"""Real servers and sorry servers that do not fit their service."""

import pytest

from kernelbal.config.load import load_site
from tests.unit.config.spec import DSR, FILE, TUNNEL, V6, Case, messages, one, service, text_of

CASES: dict[str, Case] = {
    "real server of the other family": one(
        "real_servers[0].address: an IPv6 real server behind an IPv4 virtual address, with forwarding `nat`",
        servers='{address: "2001:db8::1"}',
    ),
    "sorry server of the other family": one(
        "sorry_server.address: an IPv4 sorry server behind an IPv6 virtual address, with forwarding `dsr`",
        "sorry_server: {address: 10.0.0.9}",
        '{address: "2001:db8::1"}',
        **V6,
        **DSR,
    ),
    "port of a dsr real server": one(
        "real_servers[0].port: a port of the real server's own with forwarding `dsr`",
        servers="{address: 10.0.0.1, port: 8080}",
        **DSR,
    ),
    "port of a real server behind several ports": one(
        "real_servers[0].port: a port of the real server's own with several ports",
        servers="{address: 10.0.0.1, port: 8080}",
        ports="[80, 443]",
    ),
    "port of a real server behind a range": one(
        "real_servers[0].port: a port of the real server's own with several ports",
        servers="{address: 10.0.0.1, port: 8080}",
        ports="80-81",
    ),
    "port of a dsr sorry server": one(
        "sorry_server.port: a port of the sorry server's own with forwarding `dsr`",
        "sorry_server: {address: 10.0.0.9, port: 81, forwarding: dsr}",
    ),
    "real server twice": one(
        "real_servers[1]: real server 10.0.0.1 is given twice (the first: line 2)",
        servers="{address: 10.0.0.1}, {address: 10.0.0.1, weight: 3}",
    ),
    "real server twice, once with the service's port": one(
        "real_servers[1]: real server 10.0.0.1:80 is given twice (the first: line 2)",
        servers="{address: 10.0.0.1}, {address: 10.0.0.1, port: 80}",
    ),
    "lower threshold above the upper": one(
        "real_servers[0].lower_threshold: lower threshold 5 above upper threshold 4",
        servers="{address: 10.0.0.1, upper_threshold: 4, lower_threshold: 5}",
    ),
    "lower threshold alone": one(
        "real_servers[0].lower_threshold: a lower threshold without an upper one",
        servers="{address: 10.0.0.1, lower_threshold: 5}",
    ),
    "real server is the virtual address": one(
        "real_servers[1].address: real server 192.0.2.10 is a virtual address of the director (web: line 2)",
        servers="{address: 10.0.0.1}, {address: 192.0.2.10}",
        **DSR,
    ),
    "sorry server is the virtual address": one(
        "sorry_server.address: sorry server 192.0.2.10 is a virtual address of the director (web: line 2)",
        "sorry_server: {address: 192.0.2.10}",
    ),
    "sorry server is a real server": one(
        "sorry_server: sorry server 10.0.0.11 is a real server too (the real server: line 2)",
        "sorry_server: {address: 10.0.0.11}",
    ),
    "real server is another service's address": Case(
        """
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80, forwarding: nat, real_servers: [{address: 192.0.2.11}]}
          - {name: b, address: 192.0.2.11, ports: 80, forwarding: nat}
        """,
        (
            "virtual_services[0].real_servers[0].address: virtual service `a`: real server 192.0.2.11 is a "
            "virtual address of the director (b: line 3)",
        ),
    ),
    "real server is a shared address": Case(
        """
        networks:
          inside: {shared_addresses: [10.0.0.1/24]}
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80, forwarding: nat, real_servers: [{address: 10.0.0.1}]}
        """,
        (
            "virtual_services[0].real_servers[0].address: virtual service `a`: real server 10.0.0.1 is a "
            "shared address of the director (network inside: line 2)",
        ),
    ),
}

ACCEPTED: dict[str, str] = {
    "tunnel to another family": service(servers='{address: "2001:db8::1"}', base=TUNNEL),
    "sorry tunnel to another family": service(
        'sorry_server: {address: "2001:db8::9", forwarding: tunnel}', base=DSR
    ),
    "port of a nat real server": service(servers="{address: 10.0.0.1, port: 8080}"),
    "one machine on two ports": service(
        servers="{address: 10.0.0.1, port: 81}, {address: 10.0.0.1, port: 82}"
    ),
    "sorry server on another port": service("sorry_server: {address: 10.0.0.11, port: 81}"),
    "equal thresholds": service(servers="{address: 10.0.0.1, upper_threshold: 4, lower_threshold: 4}"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_together_is_accepted(document: str) -> None:
    assert load_site(text_of(document), FILE).virtual_services

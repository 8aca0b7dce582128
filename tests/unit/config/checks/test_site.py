"""Virtual services against each other, and the settings of the whole site."""

import pytest

from tests.unit.config.spec import Case, messages

CASES: dict[str, Case] = {
    "name twice": Case(
        """
        virtual_services:
          - {name: web, address: 192.0.2.10, ports: 80, forwarding: nat}
          - {name: web, address: 192.0.2.11, ports: 80, forwarding: nat}
        """,
        ("virtual_services[1].name: virtual service `web`: name `web` is given twice (the first: line 2)",),
    ),
    "mark twice": Case(
        """
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80-81, forwarding: nat, mark: 7}
          - {name: b, address: 192.0.2.11, ports: 80-81, forwarding: nat, mark: 7}
        """,
        ("virtual_services[1].mark: virtual service `b`: mark 7 is taken (a: line 2)",),
    ),
    "ports overlap": Case(
        """
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: [80, 8000-8010], forwarding: nat}
          - {name: b, address: 192.0.2.10, ports: [81, 8010-8020], forwarding: dsr}
          - {name: c, address: 192.0.2.10, ports: all, forwarding: dsr, protocol: udp}
          - {name: d, address: 192.0.2.11, ports: all, forwarding: dsr}
        """,
        (
            "virtual_services[1].ports[1]: virtual service `b`: overlaps virtual service `a` on 192.0.2.10, "
            "tcp port 8010 (there: line 2)",
        ),
    ),
    "all ports overlap every other service": Case(
        """
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: all, forwarding: nat}
          - {name: b, address: 192.0.2.10, ports: [80, 443], forwarding: nat}
        """,
        (
            "virtual_services[1].ports[0]: virtual service `b`: overlaps virtual service `a` on 192.0.2.10, "
            "tcp port 80 (there: line 2)",
            "virtual_services[1].ports[1]: virtual service `b`: overlaps virtual service `a` on 192.0.2.10, "
            "tcp port 443 (there: line 2)",
        ),
    ),
    "timeouts": Case(
        "kernel: {timeouts: {tcp: 300ms, tcp_fin: 0s, udp: 30d}}",
        (
            "kernel.timeouts.tcp: a timeout of 300ms",
            "kernel.timeouts.tcp_fin: a timeout of 0s",
            "kernel.timeouts.udp: a timeout of 30d",
        ),
    ),
    "sysctl names": Case(
        "kernel: {sysctls: {net.ipv4.vs.conntrack: 1, expire_nodest: 1, ip_forward: 1, sloppy_tcp: 1}}",
        (
            "kernel.sysctls.net.ipv4.vs.conntrack: `net.ipv4.vs.conntrack` is no sysctl of `net.ipv4.vs`",
            "kernel.sysctls.expire_nodest: `expire_nodest` is no sysctl of `net.ipv4.vs`",
            "kernel.sysctls.ip_forward: `ip_forward` is no sysctl of `net.ipv4.vs`",
        ),
    ),
    "one-armed without connection tracking": Case(
        """
        kernel: {sysctls: {conntrack: 0}}
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80, forwarding: nat, one_armed: true}
        """,
        ("kernel.sysctls.conntrack: conntrack 0 with a one-armed service (a: line 3)",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems

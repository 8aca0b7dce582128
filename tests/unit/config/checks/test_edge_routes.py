"""Policy routes that the kernel would refuse, or that lead nowhere."""

import pytest

from kernelbal.config.load import load_site, site_warnings
from tests.unit.config.spec import FILE, Case, messages, text_of

BASE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24]}
edge:
  routes:
"""
FAULTS = {
    "name twice": (
        ("{name: a, source: 10.0.0.1}", "{name: a, source: 10.0.0.2}"),
        "[1].name: edge route `a`: name `a` is given twice (the first: line 6)",
    ),
    "for all packets": (("{name: a}",), "[0]: edge route `a`: a policy route for all packets"),
    "for all packets, in other words": (
        ("{name: a, source: 0.0.0.0/0}",),
        "[0]: edge route `a`: a policy route for all packets",
    ),
    "families mixed": (
        ('{name: a, source: 10.0.0.1, gateway: "fe80::1"}',),
        "[0]: edge route `a`: IPv4 and IPv6 addresses in one policy route",
    ),
    "impossible gateway": (
        ("{name: a, source: 10.0.0.1, gateway: 127.0.0.1}",),
        "[0].gateway: edge route `a`: 127.0.0.1 is a loopback address",
    ),
    "the director as gateway": (
        ("{name: a, source: 10.0.0.1, gateway: 192.0.2.10}",),
        "[0].gateway: edge route `a`: 192.0.2.10 is an address of the director itself",
    ),
    "unknown network": (
        ("{name: a, source: 10.0.0.1, network: dmz}",),
        "[0].network: edge route `a`: unknown network `dmz`",
    ),
    "table of the kernel": (
        ("{name: a, source: 10.0.0.1, table: 254}",),
        "[0].table: edge route `a`: table 254 is the kernel's table `main`",
    ),
    "table with two default routes": (
        ("{name: a, source: 10.0.0.1, table: 9}", "{name: b, source: 10.0.0.2, table: 9, network: inside}"),
        "[1].table: edge route `b`: table 9 leads elsewhere already (edge route `a`: line 6)",
    ),
    "priority twice": (
        ("{name: a, source: 10.0.0.1, priority: 9}", "{name: b, source: 10.0.0.2, priority: 9}"),
        "[1].priority: edge route `b`: priority 9 is taken (edge route `a`: line 6)",
    ),
}


def document(routes: tuple[str, ...]) -> str:
    return BASE + "".join(f"    - {route}\n" for route in routes)


CASES = {
    name: Case(document(routes), (f"edge.routes{problem}",)) for name, (routes, problem) in FAULTS.items()
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    text, problems = CASES[name]
    assert messages(text) == problems


def warnings(*routes: str) -> list[str]:
    text = text_of(document(routes))
    return [problem.message for problem in site_warnings(load_site(text, FILE), text, FILE)]


def test_shared_table_and_link_local_gateway_are_accepted() -> None:
    assert (
        warnings(
            "{name: a, source: 10.0.0.1, table: 9, gateway: 192.0.2.1}",
            "{name: b, source: 10.0.0.2, table: 9, gateway: 192.0.2.1}",
            '{name: c, source: "fd00::1", gateway: "fe80::1"}',
        )
        == []
    )


def test_gateway_off_the_link() -> None:
    found = warnings("{name: a, source: 10.0.0.1, gateway: 198.51.100.1}")
    assert found == ["edge route `a`: 198.51.100.1 is in no subnet of network `outside`"]

"""Address translation against virtual services, networks and itself."""

import pytest

from kernelbal.config.load import load_site, site_warnings
from tests.unit.config.spec import FILE, Case, expect, messages, refused, text_of

BASE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
virtual_services:
  - {name: web, address: 192.0.2.80, ports: [80, 8000-8010], forwarding: nat}
edge:
"""


def case(entries: str, *problems: str) -> Case:
    return Case(f"{BASE}{entries}", problems)


ONE = "  one_to_one: [{{name: a, {}}}]\n"
FORWARD = "  forward: [{{name: a, {}}}]\n"
SOURCE = "  source_nat: [{{name: a, {}}}]\n"
CASES: dict[str, Case] = {
    "name twice": case(
        "  one_to_one:\n"
        "    - {name: a, outside: 192.0.2.51, inside: 10.0.0.11}\n"
        "    - {name: a, outside: 192.0.2.52, inside: 10.0.0.12}\n",
        "edge.one_to_one[1].name: one to one `a`: name `a` is given twice (the first: line 8)",
    ),
    "impossible addresses": case(
        ONE.format("outside: 127.0.0.1, inside: 224.0.0.1"),
        "edge.one_to_one[0].outside: one to one `a`: 127.0.0.1 is a loopback address",
        "edge.one_to_one[0].inside: one to one `a`: 224.0.0.1 is a multicast address",
    ),
    "families mixed": case(
        ONE.format('outside: 192.0.2.51, inside: "fd00::11"'),
        "edge.one_to_one[0].inside: one to one `a`: an IPv6 inside address behind an IPv4 outside address",
    ),
    "families mixed in source NAT": case(
        SOURCE.format('inside: 10.0.0.0/24, outside: "2001:db8::1"'),
        "edge.source_nat[0].inside: source nat `a`: an IPv4 inside address behind an IPv6 outside address",
    ),
    "1:1 of a virtual address": case(
        ONE.format("outside: 192.0.2.80, inside: 10.0.0.11"),
        "edge.one_to_one[0].outside: one to one `a`: "
        "192.0.2.80 belongs to virtual service `web` (there: line 5)",
    ),
    "1:1 of a shared address": case(
        ONE.format("outside: 192.0.2.10, inside: 10.0.0.11"),
        "edge.one_to_one[0].outside: one to one `a`: "
        "192.0.2.10 belongs to network `outside`, as a shared address"
        " (there: line 2)",
    ),
    "outside address of two": case(
        "  one_to_one:\n"
        "    - {name: a, outside: 192.0.2.51, inside: 10.0.0.11}\n"
        "    - {name: b, outside: 192.0.2.51, inside: 10.0.0.12}\n"
        "  forward: [{name: c, outside: 192.0.2.51, ports: 22, inside: 10.0.0.13}]\n"
        "  source_nat: [{name: d, inside: 10.0.0.0/24, outside: 192.0.2.51}]\n",
        "edge.one_to_one[1].outside: one to one `b`: 192.0.2.51 belongs to one to one `a` (there: line 8)",
        "edge.forward[0].outside: forward `c`: 192.0.2.51 belongs to one to one `a` (there: line 8)",
        "edge.source_nat[0].outside: source nat `d`: 192.0.2.51 belongs to one to one `a` (there: line 8)",
    ),
    "ports of a virtual service": case(
        FORWARD.format("outside: 192.0.2.80, ports: [443, 8010-8020], inside: 10.0.0.11"),
        "edge.forward[0].ports[1]: forward `a`: overlaps virtual service `web` on 192.0.2.80, tcp port 8010"
        " (there: line 5)",
    ),
    "all ports take those of a virtual service": case(
        FORWARD.format("outside: 192.0.2.80, ports: all, inside: 10.0.0.11"),
        "edge.forward[0].ports: forward `a`: "
        "overlaps virtual service `web` on 192.0.2.80, tcp port 80 (there: line 5)",
        "edge.forward[0].ports: forward `a`: overlaps virtual service `web` on 192.0.2.80, tcp port 8000-8010"
        " (there: line 5)",
    ),
    "ports of two forwards": case(
        "  forward:\n"
        "    - {name: a, outside: 192.0.2.10, ports: 1000-2000, inside: 10.0.0.11}\n"
        "    - {name: b, outside: 192.0.2.10, ports: [22, 1500], inside: 10.0.0.12}\n"
        "    - {name: c, outside: 192.0.2.10, protocol: udp, ports: 1500, inside: 10.0.0.12}\n",
        "edge.forward[1].ports[1]: forward `b`: "
        "overlaps forward `a` on 192.0.2.10, tcp port 1500 (there: line 8)",
    ),
    "the partners' port": case(
        FORWARD.format("outside: 192.0.2.10, ports: 6000-7000, inside: 10.0.0.11"),
        "edge.forward[0].ports: forward `a`: "
        "port 6973/tcp of a shared address is reserved for the partner channel",
    ),
    "inside machine is the director": case(
        FORWARD.format("outside: 192.0.2.10, ports: 22, inside: 192.0.2.80"),
        "edge.forward[0].inside: forward `a`: 192.0.2.80 is an address of the director itself",
    ),
    "inside machine is an outside address": case(
        ONE.format("outside: 192.0.2.51, inside: 192.0.2.51"),
        "edge.one_to_one[0].inside: one to one `a`: 192.0.2.51 is an address of the director itself",
    ),
    "inside machine with two addresses": case(
        "  one_to_one:\n"
        "    - {name: a, outside: 192.0.2.51, inside: 10.0.0.11}\n"
        "    - {name: b, outside: 192.0.2.52, inside: 10.0.0.11}\n",
        "edge.one_to_one[1].inside: one to one `b`: "
        "10.0.0.11 has an outside address already (one to one `a`: line 8)",
    ),
    "one inside port for several": case(
        FORWARD.format("outside: 192.0.2.10, ports: 20-21, inside: 10.0.0.11, inside_port: 21"),
        "edge.forward[0].inside_port: forward `a`: several ports with a single one inside",
    ),
    "source NAT to nothing": case(
        SOURCE.format("inside: 10.0.0.0/24"), "edge.source_nat[0]: source nat `a`: no outside address"
    ),
    "source NAT to both": case(
        SOURCE.format("inside: 10.0.0.0/24, outside: 192.0.2.10, masquerade: true"),
        "edge.source_nat[0]: source nat `a`: both an outside address and masquerading",
    ),
    "unknown network": case(
        SOURCE.format("inside: 10.0.0.0/24, masquerade: true, network: dmz"),
        "edge.source_nat[0].network: source nat `a`: unknown network `dmz`",
    ),
    "shared address of another network": case(
        FORWARD.format("outside: 192.0.2.10, ports: 22, inside: 10.0.0.11, network: inside"),
        "edge.forward[0].network: forward `a`: 192.0.2.10 is a shared address of network `outside`"
        " (the shared address: line 2)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    document, problems = CASES[name]
    assert messages(document) == problems


def test_place_expectation_and_hint() -> None:
    said = refused(BASE + ONE.format("outside: 192.0.2.80, inside: 10.0.0.11"))
    assert said == expect(
        """
        7:35 edge.one_to_one[0].outside: one to one `a`: 192.0.2.80 belongs to \
virtual service `web` (there: line 5)
          = an outside address of its own
          ? take another address, or forward single ports of one that several use
        """
    )


ACCEPTED = """
  one_to_one: [{name: a, outside: 192.0.2.51, inside: 10.0.0.11}]
  forward:
    - {name: a, outside: 192.0.2.10, ports: 22, inside: 10.0.0.12}
    - {name: b, outside: 192.0.2.80, ports: [22, 81-7999], inside: 10.0.0.12}
    - {name: c, outside: 192.0.2.80, protocol: udp, ports: all, inside: 10.0.0.12}
  source_nat:
    - {name: a, inside: 10.0.0.12, outside: 192.0.2.10}
    - {name: b, inside: 10.0.0.0/24, masquerade: true}
"""


def warnings(entries: str) -> tuple[str, ...]:
    text = text_of(BASE + entries)
    return tuple(
        f"{problem.key}: {problem.message}"
        for problem in site_warnings(load_site(text, FILE), text, FILE)
        if problem.key.startswith("edge")
    )


def test_what_fits_together_is_accepted_without_a_warning() -> None:
    assert warnings(ACCEPTED) == ()


@pytest.mark.parametrize(
    ("entries", "warning"),
    [
        (
            ONE.format("outside: 192.0.2.51, inside: 10.9.0.11"),
            "edge.one_to_one[0].inside: one to one `a`: 10.9.0.11 is in the subnet of no shared address",
        ),
        (
            FORWARD.format("outside: 192.0.2.10, ports: 53, inside: 10.0.0.11")
            + SOURCE.format("inside: 0.0.0.0/0, masquerade: true, network: inside"),
            "edge.source_nat[0]: source nat `a`: "
            "hides the clients of forward `a` from 10.0.0.11: it sees the director"
            " instead",
        ),
        (
            "  source_nat:\n"
            "    - {name: a, inside: 10.0.0.0/8, masquerade: true}\n"
            "    - {name: b, inside: 10.0.0.7, outside: 192.0.2.10}\n",
            "edge.source_nat[1].inside: source nat `b`: never used: source nat `a` covers 10.0.0.7/32"
            " (source nat `a`: line 8)",
        ),
    ],
)
def test_hardly_as_intended(entries: str, warning: str) -> None:
    assert warnings(entries) == (warning,)


def test_source_nat_within_the_subnet_or_another_way_hides_nobody() -> None:
    target = FORWARD.format("outside: 192.0.2.10, ports: 53, inside: 10.0.0.11")
    assert warnings(target + SOURCE.format("inside: 10.0.0.0/25, masquerade: true, network: inside")) == ()
    assert warnings(target + SOURCE.format("inside: 0.0.0.0/0, masquerade: true")) == ()


def test_faults_of_the_model_are_told_with_their_places() -> None:
    entries = ONE.format("outside: 192.0.2.x") + SOURCE.format("inside: 10.0.0.1/24")
    assert messages(BASE + entries) == (
        "edge.one_to_one[0].inside: one to one `a`: `inside` is missing",
        "edge.one_to_one[0].outside: one to one `a`: `192.0.2.x` is not an IP address",
        "edge.source_nat[0].inside: source nat `a`: `10.0.0.1/24` has bits set behind its prefix length;"
        " the block is `10.0.0.0/24`",
    )

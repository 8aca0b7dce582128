"""`/proc/net/ip_vs_conn`, parsed."""

from pathlib import Path

import pytest

from kernelbal.errors import NotSupported
from kernelbal.kernel.ipvs.connections import (
    ConnectionFilter,
    count_clients,
    mark_address,
    parse_clients,
    parse_connections,
    read_connections,
)
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import Connection, DestinationKey, ServiceKey

HEADING = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
TEMPLATE = "TCP C6336400 0000 C000020A 0050 0A09000B 0050 NONE             59\n"
TCP = "TCP C6336407 9174 C000020A 0050 0A09000B 0050 ESTABLISHED     899\n"
UDP = "UDP C6336407 C9CB C000020A 0035 0A09000B 14E9 UDP             299\n"
SIP = "UDP C6336408 0000 C000020A 13C4 0A09000B 13C4 UDP              29 sip call id 7@example.net\n"
MARKED = "IP  C6336400 0000 00000007 0000 0A09000C 0000 NONE             30\n"
TCP6 = (
    "TCP 2001:0db8:0000:0000:0000:0000:0000:0099 8B1E 2001:0db8:0000:0000:0000:0000:0000:0010 0050 "
    "fd00:0000:0000:0000:0000:0000:0000:0011 0050 SYN_RECV         59\n"
)
MIXED = TCP.replace("0A09000B", "fd00:0000:0000:0000:0000:0000:0000:0011").replace("C6336407", "C6336409")
ALL = [HEADING, TEMPLATE, TCP, UDP, SIP, MARKED, TCP6, MIXED]

WEB = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
CLIENT = parse_address("198.51.100.7")


def found(wanted: ConnectionFilter) -> list[str]:
    """Which of the lines match."""
    return [line for line in ALL if list(parse_connections([line], wanted))]


def test_clients_are_counted_without_templates() -> None:
    assert parse_clients([*ALL, "cut\n"]) == {
        CLIENT: 2,
        parse_address("198.51.100.9"): 1,
        parse_address("2001:db8::99"): 1,
    }


def test_clients_of_the_first_entries(tmp_path: Path) -> None:
    table = tmp_path / "ip_vs_conn"
    table.write_text("".join([HEADING, TCP, UDP, TCP6]))
    assert count_clients(3, str(table)) == {CLIENT: 2}
    assert count_clients(3, str(tmp_path / "none")) == {}


def test_connection() -> None:
    (connection,) = parse_connections([HEADING, TCP])
    assert connection == Connection(
        protocol=6,
        client=CLIENT,
        client_port=0x9174,
        virtual=parse_address("192.0.2.10"),
        virtual_port=80,
        destination=DestinationKey(parse_address("10.9.0.11"), 80),
        state="ESTABLISHED",
        expires_s=899,
    )
    assert not connection.template


def test_ipv6() -> None:
    (connection,) = parse_connections([TCP6])
    assert connection.client == parse_address("2001:db8::99")
    assert connection.destination == DestinationKey(parse_address("fd00::11"), 80)


def test_families_may_differ_behind_a_tunnel() -> None:
    (connection,) = parse_connections([MIXED])
    assert connection.virtual == parse_address("192.0.2.10")
    assert connection.destination.address == parse_address("fd00::11")


def test_template() -> None:
    (connection,) = parse_connections([TEMPLATE])
    assert connection.template
    assert connection.client == parse_address("198.51.100.0")


def test_engine_data_with_blanks() -> None:
    (connection,) = parse_connections([SIP])
    assert (connection.state, connection.expires_s) == ("UDP", 29)


def test_every_line_but_the_heading_is_an_entry() -> None:
    assert len(list(parse_connections(ALL))) == len(ALL) - 1


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (ConnectionFilter(service=WEB), [TEMPLATE, TCP, MIXED]),
        (ConnectionFilter(service=WEB._replace(protocol=17)), []),
        (ConnectionFilter(service=ServiceKey(AF_INET, 0, Address(b""), 0, 7)), [MARKED]),
        (ConnectionFilter(service=ServiceKey(AF_INET, 0, Address(b""), 0, 8)), []),
        (ConnectionFilter(client=CLIENT), [TCP, UDP]),
        (ConnectionFilter(client=parse_address("2001:db8::99")), [TCP6]),
        (ConnectionFilter(client=parse_address("192.0.2.10")), []),
        (ConnectionFilter(destination=DestinationKey(parse_address("10.9.0.11"), 80)), [TEMPLATE, TCP]),
        (ConnectionFilter(destination=DestinationKey(parse_address("fd00::11"), 80)), [TCP6, MIXED]),
        (ConnectionFilter(templates=True), [TEMPLATE, SIP, MARKED]),
        (ConnectionFilter(templates=False), [TCP, UDP, TCP6, MIXED]),
        (ConnectionFilter(service=WEB, client=CLIENT, templates=False), [TCP]),
    ],
)
def test_filter(wanted: ConnectionFilter, lines: list[str]) -> None:
    assert found(wanted) == lines


def test_line_that_is_cut_off_is_passed_over() -> None:
    assert list(parse_connections([TCP[:40]])) == []


@pytest.mark.parametrize(("family", "text"), [(AF_INET, "0.0.1.2"), (AF_INET6, "0:102::")])
def test_mark_stands_in_the_first_four_bytes(family: int, text: str) -> None:
    assert mark_address(ServiceKey(family, 0, Address(b""), 0, 0x102)) == parse_address(text)


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ip_vs_conn"
    path.write_text("".join(ALL))
    assert read_connections(ConnectionFilter(client=CLIENT), str(path)) == list(parse_connections([TCP, UDP]))


def test_kernel_without_ipvs(tmp_path: Path) -> None:
    with pytest.raises(NotSupported) as refusal:
        read_connections(path=str(tmp_path / "ip_vs_conn"))
    assert refusal.value.hint == "modprobe ip_vs"

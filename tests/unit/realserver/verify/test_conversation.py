"""What is asked, and what answers come to, without a wire."""

from dataclasses import replace

import pytest

from kernelbal.kernel.probe_frames import (
    ARP_REPLY,
    ARP_REQUEST,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
    ArpPacket,
    NeighbourAdvertisement,
    TcpSegment,
    UnreachableError,
    parse_frame,
)
from kernelbal.kernel.traffic_control import arp_for, arp_from, to_hardware
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.network import AddressKey
from kernelbal.realserver.preparation import Method, PortMap
from kernelbal.realserver.verify.conversation import (
    FAR_CLIENTS,
    MOST_PORTS,
    Conversation,
    Place,
    askable,
    spare_address,
)
from kernelbal.realserver.verify.evidence import Answer, Reaction
from tests.support.builders import place
from tests.support.realserver_evidence import CLIENT, CLIENT6, DIRECTOR
from tests.support.realserver_host import HTTP, IPIP, REAL, REAL6, VIP, VIP6, prepared

DOOR, PROBE = bytes.fromhex("525400000001"), bytes.fromhex("024b42000001")
SPARE, SPARE6 = parse_address("10.0.0.253"), parse_address("fd00::77")
PLACE = Place("eth0", DOOR, PROBE, CLIENT, SPARE, REAL, DIRECTOR, 20_000)
PLACE6 = replace(PLACE, client=CLIENT6, spare=SPARE6, control=REAL6)
DNS = PortMap(17, 53, 53)


def talk(*ports: PortMap) -> Conversation:
    return Conversation(prepared(VIP, Method.LOOPBACK, None, *ports), PLACE, ports)


def reply(flags: int, mss_bytes: int = 0) -> TcpSegment:
    return TcpSegment(VIP, CLIENT, 80, 20_000, flags, mss_bytes)


def test_questions() -> None:
    seen = [parse_frame(frame) for frame in talk(HTTP).frames()]
    assert seen[:3] == [
        ArpPacket(ARP_REQUEST, PROBE, parse_address("0.0.0.0"), VIP),
        ArpPacket(ARP_REQUEST, PROBE, parse_address("0.0.0.0"), REAL),
        ArpPacket(ARP_REQUEST, PROBE, SPARE, VIP),
    ]
    assert seen[3:] == [
        TcpSegment(CLIENT, VIP, 20_000, 80, TCP_SYN, 1460),
        TcpSegment(SPARE, VIP, 20_001, 80, TCP_SYN, 1460),
    ]


def test_questions_go_to_the_device_or_to_all() -> None:
    one = prepared(VIP6, Method.LOOPBACK, None, HTTP)
    frames = list(Conversation(one, PLACE6, (HTTP,)).frames())
    assert {frame[6:12] for frame in frames} == {PROBE}
    assert [frame[:6].hex() for frame in frames] == ["3333ff000080", "3333ff000011", *[DOOR.hex()] * 2]


def test_questions_through_a_tunnel_are_wrapped_by_the_director() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP, HTTP)
    *_, client, _ = Conversation(one, PLACE, (HTTP,)).frames()
    assert (client[14 + 9], client[14 + 12 : 14 + 20]) == (4, DIRECTOR + REAL)
    nobody = Conversation(one, replace(PLACE, outer=None), (HTTP,))
    assert len(list(nobody.frames())) == 3
    assert nobody.wire().answers == ()


def test_answered_questions_are_not_repeated() -> None:
    one = talk(HTTP)
    before = len(list(one.frames()))
    one.hear(reply(TCP_SYN | TCP_ACK, 1440))
    assert len(list(one.frames())) == before - 1
    assert one.wire().answers == (Answer(HTTP, Reaction.ACCEPTED, 1440),)


@pytest.mark.parametrize(
    ("seen", "reaction"),
    [
        (reply(TCP_RST | TCP_ACK), Reaction.REFUSED),
        (UnreachableError(13, VIP, VIP, 20_000, 80), Reaction.UNREACHABLE),
        (TcpSegment(CLIENT, VIP, 20_000, 80, TCP_SYN), Reaction.FORWARDED),
        (TcpSegment(CLIENT, VIP, 20_000, 80, TCP_RST), Reaction.SILENT),
        (TcpSegment(VIP, CLIENT, 81, 20_000, TCP_SYN | TCP_ACK), Reaction.SILENT),
        (TcpSegment(REAL, CLIENT, 80, 20_000, TCP_SYN | TCP_ACK), Reaction.SILENT),
        (UnreachableError(13, VIP, VIP, 20_000, 81), Reaction.SILENT),
    ],
)
def test_reactions(seen: TcpSegment | UnreachableError, reaction: Reaction) -> None:
    one = talk(HTTP)
    one.hear(seen)
    assert [answer.reaction for answer in one.wire().answers] == [reaction]


def test_first_word_counts() -> None:
    one = talk(HTTP)
    one.hear(reply(TCP_SYN | TCP_ACK))
    one.hear(reply(TCP_RST))
    assert one.wire().answers[0].reaction is Reaction.ACCEPTED


def test_claims_and_control() -> None:
    one = talk(HTTP)
    one.hear(ArpPacket(ARP_REPLY, DOOR, REAL, parse_address("0.0.0.0")))
    assert (one.wire().control_answered, one.wire().claims) == (True, ())
    for _ in range(2):
        one.hear(ArpPacket(ARP_REPLY, DOOR, VIP, parse_address("0.0.0.0")))
    assert one.wire().claims == ("52:54:00:00:00:01",)
    six = Conversation(prepared(VIP6, Method.LOOPBACK, None, HTTP), PLACE6, (HTTP,))
    six.hear(NeighbourAdvertisement(VIP6, DOOR))
    assert six.wire().claims == ("52:54:00:00:00:01",)


@pytest.mark.parametrize(
    ("sender", "target", "named", "asked"),
    [(VIP, CLIENT, True, True), (REAL, SPARE, False, True), (REAL, CLIENT, False, False)],
)
def test_questions_of_the_host(sender: bytes, target: bytes, *, named: bool, asked: bool) -> None:
    one = talk(HTTP)
    one.hear(ArpPacket(ARP_REQUEST, DOOR, sender, target))
    assert (one.wire().named_sender, one.wire().asked_neighbour) == (named, asked)


def test_both_ways_of_each_flow_are_kept_from_the_wire() -> None:
    captured = list(talk(HTTP, DNS).captured())
    assert captured[:3] == [to_hardware(PROBE), arp_from(VIP), arp_for(SPARE)]
    assert len(captured) == 3 + 2 + 2 * 3


def test_farewell_is_for_tcp_alone() -> None:
    ends = [parse_frame(frame) for frame in talk(DNS, HTTP).farewell()]
    assert ends == [TcpSegment(CLIENT, VIP, 20_001, 80, TCP_RST)]


def test_no_more_ports_than_there_is_room_for() -> None:
    ports = tuple(PortMap(6, number, number) for number in range(1, 40))
    assert len(talk(*ports).wire().answers) == MOST_PORTS
    assert askable((HTTP, PortMap(132, 80, 80), DNS)) == (HTTP, DNS)


# --- addresses that nobody has ---


def spare(own: AddressKey, *taken: str) -> str | None:
    found = spare_address(own, [parse_address(each) for each in taken])
    return format_address(found) if found else None


def test_last_address_of_the_network_that_is_free() -> None:
    own = place("eth0", "10.0.0.11", 24)
    assert spare(own) == "10.0.0.254"
    assert spare(own, "10.0.0.254", "10.0.0.253") == "10.0.0.252"
    assert spare(place("eth0", "10.0.0.254", 24)) == "10.0.0.253"


def test_networks_without_room_have_none() -> None:
    assert spare(place("eth0", "10.0.0.11", 32)) is None
    assert spare(place("eth0", "10.0.0.1", 30)) is None
    full = [f"10.0.0.{number}" for number in range(1, 8)]
    assert spare(place("eth0", "10.0.0.1", 29), *full) is None


def test_ipv6_has_an_interface_identifier_of_its_own() -> None:
    assert spare(place("eth0", "fd00::11", 64)) == "fd00::24b:42ff:fe4b:4277"


def test_clients_far_away_are_those_of_documentation() -> None:
    assert {format_address(each) for each in FAR_CLIENTS.values()} == {"203.0.113.77", "2001:db8:77::77"}

"""What is asked about one virtual address on one interface, and what the answers come to.

Besides the virtual address the host is asked for one of its own: only then does silence prove anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kernelbal.kernel.neighbour_frames import arp_request, solicited_node
from kernelbal.kernel.probe_frames import (
    ARP_REPLY,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
    ArpPacket,
    FlowEnds,
    NeighbourAdvertisement,
    ProbeAnswer,
    TcpSegment,
    UnreachableError,
    datagram,
    frame,
    solicitation_frame,
    tcp_reset,
    tcp_syn,
    wrap,
)
from kernelbal.kernel.traffic_control import (
    FlowerKeys,
    arp_for,
    arp_from,
    flow,
    solicitation_to,
    to_hardware,
    unreachable_to,
)
from kernelbal.model.address import Address
from kernelbal.model.ipvs import Protocol
from kernelbal.model.network import AddressKey
from kernelbal.realserver.preparation import PortMap, Preparation
from kernelbal.realserver.verify.evidence import Answer, Reaction, Wire

SEQUENCE: Final = 0x4B425652
"""Our initial sequence number: the reset of a connection must name the next one."""
MSS_BYTES: Final = 1460
"""What a client on Ethernet says that it takes; the answer does not depend on it."""
MOST_PORTS: Final = 16
"""How many ports of one virtual address are asked for; each takes filters of its own."""
FAR_CLIENTS: Final = {
    4: Address(bytes((203, 0, 113, 77))),
    16: Address(ipaddress.IPv6Address("2001:db8:77::77").packed),
}
"""Clients that stand for all those far away (RFC 5737, RFC 3849), by length of the address."""
_SPARE_TRIED: Final = 64
_INTERFACE_ID: Final = bytes.fromhex("024b42fffe4b4277")
_LINK_LOCAL: Final = bytes.fromhex("fe80000000000000")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation takes place.

    Attributes:
        interface: name of the device.
        door: MAC address by which frames get to it.
        probe: MAC address of the far end of the wire.
        client: who seems to ask.
        spare: an address on the interface's network that nobody has, of the family of the virtual address.
        control: an address of the host on this interface, of the same family.
        outer: who seems to wrap packets: the director.
        first_port: the first of as many ports as there are questions, and one more.
    """

    interface: str
    door: bytes
    probe: bytes
    client: Address
    spare: Address | None
    control: Address | None
    outer: Address | None
    first_port: int


@dataclass(slots=True)
class Conversation:
    """Questions about one virtual address, and what was heard so far.

    Attributes:
        ports: which are asked for; SCTP is not.
    """

    one: Preparation
    place: Place
    ports: tuple[PortMap, ...]
    _claims: dict[str, None] = field(default_factory=dict)
    _control: bool = False
    _named_sender: bool = False
    _asked_neighbour: bool = False
    _answers: dict[PortMap, Answer] = field(default_factory=dict)

    def captured(self) -> Iterator[FlowerKeys]:
        """Yield what must not reach the wire: answers to this conversation, and what betrays the address."""
        yield to_hardware(self.place.probe)
        spare, virtual = self.place.spare, self.one.virtual
        if len(virtual) == 4:
            yield arp_from(virtual)
        if spare is not None:
            yield arp_for(spare) if len(spare) == 4 else solicitation_to(solicited_node(spare))
        for client in self._clients():
            yield unreachable_to(client)
        for port, ends in (*self._flows(), *self._spare_flow()):
            source, destination, source_port, destination_port = ends
            yield flow(port.protocol, destination, source, destination_port, source_port)
            yield flow(port.protocol, *ends)

    def frames(self) -> Iterator[bytes]:
        """Yield the questions that are still open; that for the address itself always is."""
        yield from self._neighbour_questions()
        for port, ends in self._flows():
            if port not in self._answers:
                yield from self._sent(_first(port, ends))
        for port, ends in self._spare_flow():
            yield from self._sent(_first(port, ends))

    def farewell(self) -> Iterator[bytes]:
        """Yield what ends the connections that were asked for."""
        for port, ends in (*self._flows(), *self._spare_flow()):
            if port.protocol == Protocol.TCP:
                yield from self._sent(tcp_reset(ends, SEQUENCE + 1))

    def hear(self, seen: ProbeAnswer) -> None:
        """Take what came out of the wire; what is about something else is passed over."""
        match seen:
            case ArpPacket(operation, hardware, sender, target):
                self._hear_arp(operation, hardware, sender, target)
            case NeighbourAdvertisement(target, hardware):
                self._hear_claim(target, hardware)
            case TcpSegment():
                self._hear_segment(seen)
            case UnreachableError():
                self._hear_unreachable(seen)

    def wire(self) -> Wire:
        """Return what was heard."""
        return Wire(
            interface=self.place.interface,
            claims=tuple(self._claims),
            control=self.place.control,
            control_answered=self._control,
            named_sender=self._named_sender,
            asked_neighbour=self._asked_neighbour,
            answers=tuple(
                self._answers.get(port, Answer(port, Reaction.SILENT)) for port, _ in self._flows()
            ),
        )

    # --- questions ---

    def _neighbour_questions(self) -> Iterator[bytes]:
        probe, virtual = self.place.probe, self.one.virtual
        wanted = [virtual] if self.place.control is None else [virtual, self.place.control]
        if len(virtual) == 16:
            source = Address(_LINK_LOCAL + probe[:3] + b"\xff\xfe" + probe[3:])
            yield from (solicitation_frame(probe, source, each) for each in wanted)
            return
        yield from (arp_request(probe, each) for each in wanted)
        if self.place.spare is not None:
            yield arp_request(probe, virtual, self.place.spare)

    def _clients(self) -> tuple[Address, ...]:
        spare = self.place.spare
        return (self.place.client,) if spare is None else (self.place.client, spare)

    def _flows(self) -> list[tuple[PortMap, FlowEnds]]:
        if self.one.tunnel is not None and self.place.outer is None:
            return []
        numbered = enumerate(self.ports[:MOST_PORTS], self.place.first_port)
        virtual, client = self.one.virtual, self.place.client
        return [(port, FlowEnds(client, virtual, number, port.port)) for number, port in numbered]

    def _spare_flow(self) -> list[tuple[PortMap, FlowEnds]]:
        """A client on the network itself, for whom the host has to ask before it can answer."""
        flows, spare = self._flows(), self.place.spare
        if not flows or spare is None:
            return []
        number = self.place.first_port + len(flows)
        port = flows[0][0]
        return [(port, FlowEnds(spare, self.one.virtual, number, port.port))]

    def _sent(self, packet: bytes) -> Iterator[bytes]:
        tunnel = self.one.tunnel
        if tunnel is not None and self.place.outer is not None:
            packet = wrap(packet, tunnel.kind, tunnel.port, self.place.outer, self.one.real)
        yield frame(self.place.door, self.place.probe, packet)

    # --- answers ---

    def _hear_arp(self, operation: int, hardware: bytes, sender: Address, target: Address) -> None:
        if operation == ARP_REPLY:
            self._hear_claim(sender, hardware)
        elif sender == self.one.virtual:
            self._named_sender = self._asked_neighbour = True
        elif target == self.place.spare:
            self._asked_neighbour = True

    def _hear_claim(self, address: Address, hardware: bytes) -> None:
        if address == self.one.virtual:
            self._claims[hardware.hex(":")] = None
        elif address == self.place.control:
            self._control = True

    def _hear_segment(self, seen: TcpSegment) -> None:
        for port, ends in self._flows():
            if port.protocol != Protocol.TCP:
                continue
            if seen[:4] == ends and not seen.flags & TCP_RST:
                self._note(Answer(port, Reaction.FORWARDED))
            if seen[:4] == (ends[1], ends[0], ends[3], ends[2]):
                self._hear_reply(port, seen)

    def _hear_reply(self, port: PortMap, seen: TcpSegment) -> None:
        if seen.flags & TCP_RST:
            self._note(Answer(port, Reaction.REFUSED))
        elif seen.flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
            self._note(Answer(port, Reaction.ACCEPTED, seen.mss_bytes))

    def _hear_unreachable(self, seen: UnreachableError) -> None:
        for port, ends in self._flows():
            if (seen.source_port, seen.destination_port) == ends[2:]:
                self._note(Answer(port, Reaction.UNREACHABLE, code=seen.code))

    def _note(self, answer: Answer) -> None:
        """The first word counts: what follows is about our own reset."""
        self._answers.setdefault(answer.port, answer)


def _first(port: PortMap, ends: FlowEnds) -> bytes:
    return datagram(ends) if port.protocol == Protocol.UDP else tcp_syn(ends, SEQUENCE, MSS_BYTES)


def askable(ports: Iterable[PortMap]) -> tuple[PortMap, ...]:
    """Return the ports that can be asked for: those of TCP and UDP."""
    return tuple(port for port in ports if port.protocol in (Protocol.TCP, Protocol.UDP))


def spare_address(own: AddressKey, taken: Collection[Address]) -> Address | None:
    """Return an address of the network of `own` that nobody is known to have; None when there is none.

    Args:
        own: an address of this host with its prefix.
        taken: addresses that somebody has.
    """
    network = ipaddress.ip_network((bytes(own.address), own.prefix), strict=False)
    if network.num_addresses < 8:
        return None
    last = int(network.broadcast_address) - 1
    if len(own.address) == 16 and own.prefix <= 64:
        last = int(network.network_address) | int.from_bytes(_INTERFACE_ID)
    for number in range(last, last - min(_SPARE_TRIED, network.num_addresses - 4), -1):
        address = Address(number.to_bytes(len(own.address)))
        if address not in taken and address != own.address:
            return address
    return None

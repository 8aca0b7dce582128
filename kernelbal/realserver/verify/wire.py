"""Asks the host itself, from a scratch namespace: ARP, neighbour discovery, and connections of a client."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.neighbour_table import forget_neighbours, read_neighbours
from kernelbal.kernel.probe_frames import parse_frame
from kernelbal.kernel.routes import route_to
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.scratch_wire import VethAddresses, exclusive, remove_leftovers, scratch_wire
from kernelbal.model.address import Address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol
from kernelbal.model.network import AddressKey, Link
from kernelbal.realserver.preparation import PortMap, Preparation
from kernelbal.realserver.setup import LOOPBACK, HostState
from kernelbal.realserver.verify.conversation import Conversation, Place, askable, spare_address
from kernelbal.realserver.verify.evidence import Path, Wire

ROUNDS: Final = 3
ROUND_S: Final = 0.4
"""Together longer than the second for which a proxy holds its answer back (`proxy_delay`)."""
DISCARD: Final = PortMap(Protocol.TCP, 9, 9)
"""What is asked where neither a port nor a listening socket is known: a refusal shows the way as well."""
FROM_THE_DIRECTOR: Final = "on the director, `kernelbal rs verify` asks by the real wire"
_OURS: Final = b"\x02KB"
"""How MAC addresses of probes begin: administered locally (IEEE 802)."""
_FIRST_PORTS: Final = range(20_000, 30_000)
"""Source ports of probes: below those that Linux gives its own connections."""


class Prober:
    """Asks about all preparations, one interface after the other."""

    def __init__(
        self,
        rtnetlink: RtNetlink,
        host: HostState,
        sockets: Sequence[BoundSocket],
        paths: Mapping[Address, Path],
        director: Address | None,
    ) -> None:
        self._rtnetlink = rtnetlink
        self._host = host
        self._sockets = sockets
        self._paths = paths
        self._director = director

    def ask(self, preparations: Sequence[Preparation]) -> dict[Address, tuple[Wire, ...]]:
        """Return what was heard, or why nothing was asked, by virtual address."""
        heard: defaultdict[Address, list[Wire]] = defaultdict(list)
        for name in sorted({name for one in preparations for name in one.interfaces}):
            concerned = [one for one in preparations if name in one.interfaces]
            for one, wire in zip(concerned, self._ask_on(name, concerned), strict=True):
                heard[one.virtual].append(wire)
        return {virtual: tuple(wires) for virtual, wires in heard.items()}

    def _ask_on(self, name: str, concerned: Sequence[Preparation]) -> Iterable[Wire]:
        link = self._host.link(name)
        if link is None or not link.up or not link.hardware_address:
            why = "there is no such device" if link is None else "it is no Ethernet device that is up"
            return [Wire(name, skipped=f"{why}") for _ in concerned]
        try:
            with exclusive():
                remove_leftovers(self._rtnetlink, self._host.links)
                return [talk.wire() for talk in self._talk(link, concerned)]
        except (KernelError, OSError) as error:
            why = error.message if isinstance(error, KernelError) else str(error.strerror)
            return [Wire(name, skipped=f"{why}; {FROM_THE_DIRECTOR}") for _ in concerned]

    def _talk(self, link: Link, concerned: Sequence[Preparation]) -> list[Conversation]:
        ends = VethAddresses(*(_OURS + os.urandom(2) + bytes((number,)) for number in (0, 1)))
        talks = list(self._conversations(link, concerned, ends))
        captured = list(dict.fromkeys(keys for talk in talks for keys in talk.captured()))
        try:
            with scratch_wire(self._rtnetlink, link, self._exits(concerned), captured, ends) as wire:
                for _ in range(ROUNDS):
                    for frame in [frame for talk in talks for frame in talk.frames()]:
                        wire.send(frame)
                    for data in wire.listen(ROUND_S):
                        if (seen := parse_frame(data)) is not None:
                            for talk in talks:
                                talk.hear(seen)
                for frame in [frame for talk in talks for frame in talk.farewell()]:
                    wire.send(frame)
        finally:
            self._forget(ends.there, talks)
        return talks

    def _conversations(
        self, link: Link, concerned: Sequence[Preparation], ends: VethAddresses
    ) -> Iterator[Conversation]:
        first = _FIRST_PORTS[int.from_bytes(os.urandom(2)) % len(_FIRST_PORTS)]
        for one in concerned:
            spare = self._spare(link.name, len(one.virtual))
            control = self._own(link.name, len(one.virtual))
            ports = askable(one.ports) if one.ports else (self._some_port(one),)
            outer = self._director if len(self._director or b"") == len(one.real) else None
            place = Place(
                interface=link.name,
                door=ends.here,
                probe=ends.there,
                client=self._paths[one.virtual].client,
                spare=spare,
                control=control.address if control else None,
                outer=outer or self._spare(link.name, len(one.real)),
                first_port=first,
            )
            yield Conversation(one, place, ports)
            first += len(ports) + 1

    def _some_port(self, one: Preparation) -> PortMap:
        """A port of TCP that a service listens on, wherever it is."""
        listening = sorted(
            each.port for each in self._sockets if each.takes(Protocol.TCP, one.virtual, each.port)
        )
        return PortMap(Protocol.TCP, listening[0], listening[0]) if listening else DISCARD

    def _own(self, interface: str, length: int) -> AddressKey | None:
        virtual = frozenset(self._paths)
        own = [
            key
            for key, attributes, _ in self._host.addresses
            if key.device == interface and len(key.address) == length and not attributes.deprecated
        ]
        return next((key for key in own if key.address not in virtual), None)

    def _spare(self, interface: str, length: int) -> Address | None:
        own = self._own(interface, length)
        if own is None:
            return None
        taken = {key.address for key, *_ in self._host.addresses} | set(self._paths)
        taken |= {route.gateway for route in self._host.routes if route.gateway is not None}
        taken |= {entry.address for entry in read_neighbours(self._rtnetlink)}
        taken |= {path.client for path in self._paths.values()}
        return spare_address(own, taken | ({self._director} if self._director else set()))

    def _exits(self, concerned: Sequence[Preparation]) -> list[Link]:
        """The devices by which answers leave, and by which the host would send on what is not for it."""
        names: set[str] = set()
        for one in concerned:
            path = self._paths[one.virtual]
            onward = route_to(self._rtnetlink, one.virtual, self._host.links)
            names |= {route.device for route in (path.reply, path.backwards, onward) if route is not None}
        links = map(self._host.link, sorted(names - {LOOPBACK}))
        return [link for link in links if link is not None and link.up and link.hardware_address]

    def _forget(self, probe: bytes, talks: Iterable[Conversation]) -> None:
        spare = {talk.place.spare for talk in talks}
        entries = read_neighbours(self._rtnetlink)
        forget_neighbours(
            self._rtnetlink,
            [entry for entry in entries if entry.hardware_address == probe or entry.address in spare],
        )

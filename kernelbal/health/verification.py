"""What a director demands of a real server, and what it found out about one (`kernelbal rs verify`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.health.path_cause import Symptom, explain_path, symptom
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.headers import packet_bytes, segment_bytes
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.verification import Requirement, RequirementResult, fail, first_of, unknown


class Unreachable(NamedTuple):
    """Why a real server cannot work, and the remedy, as the planner says it."""

    message: str
    hint: str


class Answerer(NamedTuple):
    """Somebody who answers that an address is theirs.

    Attributes:
        hardware: MAC address, such as `52:54:00:12:34:56`.
        vendor: whose device it is, in words for people.
    """

    hardware: str
    vendor: str

    def __str__(self) -> str:
        return f"{self.hardware} ({self.vendor})"


class ProbePair(NamedTuple):
    """Results of one check, by both addresses.

    Attributes:
        port: that was probed; 0 where the check has none.
        own: by the real server's own address.
        virtual: through the virtual address; None where it was not probed so.
        conclusive: whether a good result means that somebody answered.
    """

    port: int
    own: ProbeState
    virtual: ProbeState | None = None
    conclusive: bool = True


class PacketSizes(NamedTuple):
    """How large packets may be; bytes of whole IP packets.

    Attributes:
        largest: what clients can send to the director: the MTU of the device of the virtual address.
        device: MTU of the director's device towards the real server; 0 where there is none.
        path: what gets to the real server unfragmented; None when it does not answer a ping.
        overhead: what a tunnel adds.
        mss: greatest TCP segment that the real server asks for, by the virtual address; None: not known.
    """

    largest: int = 0
    device: int = 0
    path: int | None = None
    overhead: int = 0
    mss: int | None = None

    @property
    def room(self) -> int | None:
        """What a client's packet may have; None when the path is not known."""
        return None if self.path is None else self.path - self.overhead


NO_SIZES: Final = PacketSizes()
"""Packet sizes do not matter, or were not looked at."""


@dataclass(frozen=True, slots=True)
class ServerEvidence:
    """What was found out about one real server of a virtual service.

    Attributes:
        forwarding: of the service.
        virtual: the virtual address.
        options: of `kernelbal realserver` for this service on it, such as `--port 80/tcp`.
        probes: of its checks; none when there is nothing to ask.
        unreachable: why replies or packets cannot take their way, by the director's addresses and routes.
        answers_as: its answer to the question who has the virtual address.
        sizes: of packets.
    """

    forwarding: ForwardingName
    virtual: Address
    options: str = ""
    probes: tuple[ProbePair, ...] = ()
    unreachable: Unreachable | None = None
    answers_as: Answerer | None = None
    sizes: PacketSizes = NO_SIZES

    @property
    def virtual_text(self) -> str:
        """The virtual address."""
        return format_address(self.virtual)

    @property
    def own_failure(self) -> ProbePair | None:
        """The first check that its own address fails."""
        return next((each for each in self.probes if each.own.health is Health.DOWN), None)

    @property
    def virtual_failure(self) -> ProbePair | None:
        """The first check that fails through the virtual address alone."""
        return next((each for each in self.probes if _fails_by_virtual_alone(each)), None)

    @property
    def unprobed(self) -> str:
        """Why something could not be probed; empty when all was."""
        states = (state for each in self.probes for state in (each.own, each.virtual) if state is not None)
        return next(
            (
                state.unable or state.reason or "no result"
                for state in states
                if state.health is Health.UNKNOWN
            ),
            "",
        )

    @property
    def too_large(self) -> int:
        """Length of clients' packets that do not reach it; 0 when all do, or nothing is known."""
        if self.sizes.room is None or self.sizes.mss is None:
            return 0
        sent = min(packet_bytes(self.virtual, self.sizes.mss), self.sizes.largest)
        return sent if sent > self.sizes.room else 0

    def command(self, verb: str) -> str:
        """Return the command to run on the real server."""
        return f"kernelbal realserver {verb} {self.virtual_text} {self.options}".rstrip()


def _fails_by_virtual_alone(pair: ProbePair) -> bool:
    virtual = pair.virtual
    return virtual is not None and virtual.health is Health.DOWN and pair.own.health is not Health.DOWN


def _untried(server: ServerEvidence) -> bool:
    """Whether it forwards by the virtual address, and no probe of that says anything."""
    if server.forwarding is ForwardingName.NAT:
        return not server.probes
    return not any(each.virtual is not None and each.conclusive for each in server.probes)


# --- what is said ---


def _at(pair: ProbePair) -> str:
    return f"port {pair.port}: " if pair.port else ""


_VIRTUAL_FIXES: Final[dict[Symptom, str]] = {
    Symptom.SILENCE: "on the real server: {apply}; if that finds nothing to do, see its packet filter",
    Symptom.RETURNED: "on the real server: {apply}",
    Symptom.REFUSAL: "on the real server: {verify}; let the program listen on {virtual} or on all addresses",
    Symptom.ANSWER: "on the real server: see which program, or virtual host, answers on {virtual}",
    Symptom.NO_ROUTE: "on this director: add a route to {virtual}, such as a default route",
}
_TUNNEL_FIXES: Final = _VIRTUAL_FIXES | {
    Symptom.REFUSAL: (
        "on the real server: {apply}; if that finds nothing to do, {verify}; "
        "let the program listen on {virtual} or on all addresses"
    )
}
"""A kernel without the tunnel device refuses, too, as far as it may send ICMP at that moment."""


def _virtual_fix(server: ServerEvidence, reason: str) -> str:
    fixes = _TUNNEL_FIXES if server.forwarding is ForwardingName.TUNNEL else _VIRTUAL_FIXES
    return fixes[symptom(reason)].format(
        apply=server.command("apply"), verify=server.command("verify"), virtual=server.virtual_text
    )


def _neighbour_message(server: ServerEvidence) -> str:
    what = "ARP" if len(server.virtual) == 4 else "neighbour discovery"
    return (
        f"it answers {what} for {server.virtual_text} as {server.answers_as}: "
        "clients on this segment can reach it past the director"
    )


def _neighbour_fix(server: ServerEvidence) -> str:
    held = "" if len(server.virtual) == 4 else f"hold {server.virtual_text} on `lo` alone; "
    return f"on the real server: {held}{server.command('apply')}"


def _size_message(server: ServerEvidence) -> str:
    sizes = server.sizes
    narrow = f" (its device takes {sizes.device})" if sizes.path != sizes.device else ""
    tunnel = f", of which the tunnel takes {sizes.overhead}" if sizes.overhead else ""
    return (
        f"clients send it packets of up to {server.too_large} bytes, as it asks for segments of {sizes.mss}; "
        f"the path to it takes {sizes.path}{narrow}{tunnel}: {sizes.room} get there"
    )


def _size_fix(server: ServerEvidence) -> str:
    segment = segment_bytes(server.virtual, server.sizes.room or 0)
    clamp = f"on the real server: {server.command('apply')} (clamps the segment size, here to {segment})"
    if server.forwarding is ForwardingName.TUNNEL:
        return clamp
    return "give all devices on this segment the same MTU: `ip link set dev DEVICE mtu BYTES`"


# --- the table ---


def _reachability(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    if server.unreachable is not None:
        yield fail(server.unreachable.message, server.unreachable.hint)


def _real_server(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    broken = server.own_failure
    if broken is not None:
        message = f"{_at(broken)}{broken.own.reason}, by its own address already"
        fix = "on the real server: see whether its program runs, and its packet filter"
        yield fail(message, fix, consequence_of=first_of(("reachability",), failed))


def _virtual_address(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    broken = server.virtual_failure
    if broken is not None and broken.virtual is not None:
        # Both were probed within the same seconds.
        own = broken.own._replace(last_at=broken.virtual.since_at)
        message = _at(broken) + explain_path(broken.virtual, own, server.forwarding)
        fix = _virtual_fix(server, broken.virtual.reason)
        yield fail(message, fix, consequence_of=first_of(("reachability",), failed))


def _neighbours(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    if server.answers_as is not None:
        yield fail(_neighbour_message(server), _neighbour_fix(server))


def _packet_size(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    if server.too_large:
        yield fail(_size_message(server), _size_fix(server))


def _probe(server: ServerEvidence, failed: Collection[str]) -> Iterator[RequirementResult]:
    if server.unprobed:
        yield unknown(server.unprobed, fix="see the message; `kernelbal check` knows more about checks")
    elif _untried(server):
        yield unknown(
            "no check of the service can determine whether it answers by the virtual address",
            fix="give it a check with a port that is answered, such as `tcp`, `dns`, or `udp` with `expect`",
        )


REQUIREMENTS: Final[tuple[Requirement[ServerEvidence], ...]] = (
    Requirement("reachability", "Packets need a way to it, and replies a way back.", _reachability),
    Requirement("real server", "What does not answer by its own address answers by no other.", _real_server),
    Requirement("virtual address", "Clients' packets are addressed to it.", _virtual_address),
    Requirement("neighbours", "Who answers for the address of another gets its packets.", _neighbours),
    Requirement("packet size", "What is longer than the path carries is lost.", _packet_size),
    Requirement("probe", "What was not tried is not proved.", _probe),
)
"""In the order in which they are judged: a later one may be a consequence of those before it."""

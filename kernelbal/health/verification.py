"""What a verification found out about one real server, and the verdict on it.

Rules are a table: each names what it is about, when it applies, and what to say. All that apply are told, in
the order of the table: what comes first explains what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.health.path_cause import Symptom, explain_path, symptom
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.headers import packet_bytes, segment_bytes
from kernelbal.model.health import Health, ProbeState


class Verdict(Enum):
    """What becomes of it all."""

    OK = "ok"
    FAIL = "FAIL"
    UNKNOWN = "unknown"
    """Nothing is wrong as far as could be seen, but the virtual address could not be tried."""


class Subject(Enum):
    """What a finding is about."""

    PROBE = "probe"
    REACHABILITY = "reachability"
    REAL_SERVER = "real server"
    VIRTUAL_ADDRESS = "virtual address"
    NEIGHBOURS = "neighbours"
    PACKET_SIZE = "packet size"


class Finding(NamedTuple):
    """Something that is wrong, or could not be seen.

    Attributes:
        verdict: FAIL or UNKNOWN.
        message: what it is, in one line.
        hint: what to do about it.
    """

    verdict: Verdict
    subject: Subject
    message: str
    hint: str


class Remark(NamedTuple):
    """Why a real server cannot work, and the remedy, as the planner says it."""

    message: str
    hint: str


class Claim(NamedTuple):
    """Somebody says that an address is theirs.

    Attributes:
        hardware: MAC address, such as `52:54:00:12:34:56`.
        vendor: whose device it is, in words for people.
    """

    hardware: str
    vendor: str

    def __str__(self) -> str:
        return f"{self.hardware} ({self.vendor})"


class Outcome(NamedTuple):
    """Results of one check.

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


class Sizes(NamedTuple):
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


NO_SIZES: Final = Sizes()
"""Packet sizes do not matter, or were not looked at."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found out about one real server of a virtual service.

    Attributes:
        forwarding: of the service.
        virtual: the virtual address.
        options: of `kernelbal realserver` for this service on it, such as `--port 80/tcp`.
        outcomes: of its checks; none when there is nothing to ask.
        unreachable: why replies or packets cannot take their way, by the director's addresses and routes.
        claim: its answer to the question who has the virtual address.
        sizes: of packets.
    """

    forwarding: ForwardingName
    virtual: Address
    options: str = ""
    outcomes: tuple[Outcome, ...] = ()
    unreachable: Remark | None = None
    claim: Claim | None = None
    sizes: Sizes = NO_SIZES

    @property
    def virtual_text(self) -> str:
        """The virtual address."""
        return format_address(self.virtual)

    @property
    def own_failure(self) -> Outcome | None:
        """The first check that its own address fails."""
        return next((each for each in self.outcomes if each.own.health is Health.DOWN), None)

    @property
    def virtual_failure(self) -> Outcome | None:
        """The first check that fails through the virtual address alone."""
        return next((each for each in self.outcomes if _fails_by_virtual_alone(each)), None)

    @property
    def unprobed(self) -> str:
        """Why something could not be probed; empty when all was."""
        states = (state for each in self.outcomes for state in (each.own, each.virtual) if state is not None)
        return next((state.reason or "no result" for state in states if state.health is Health.UNKNOWN), "")

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


def _fails_by_virtual_alone(outcome: Outcome) -> bool:
    virtual = outcome.virtual
    return virtual is not None and virtual.health is Health.DOWN and outcome.own.health is not Health.DOWN


def _untried(facts: ServerFacts) -> bool:
    """Whether it forwards by the virtual address, and no probe of that says anything."""
    if facts.forwarding is ForwardingName.NAT:
        return not facts.outcomes
    return not any(each.virtual is not None and each.conclusive for each in facts.outcomes)


# --- what is said ---


def _own_message(facts: ServerFacts) -> str:
    failed = facts.own_failure
    return "" if failed is None else f"{_at(failed)}{failed.own.reason}, by its own address already"


def _virtual_message(facts: ServerFacts) -> str:
    failed = facts.virtual_failure
    if failed is None or failed.virtual is None:
        return ""
    # Both were probed within the same seconds.
    own = failed.own._replace(last_at=failed.virtual.since_at)
    return _at(failed) + explain_path(failed.virtual, own, facts.forwarding)


def _at(outcome: Outcome) -> str:
    return f"port {outcome.port}: " if outcome.port else ""


_VIRTUAL_HINTS: Final[dict[Symptom, str]] = {
    Symptom.SILENCE: "on the real server: {apply}; if that finds nothing to do, see its packet filter",
    Symptom.RETURNED: "on the real server: {apply}",
    Symptom.REFUSAL: "on the real server: {verify}; let the program listen on {virtual} or on all addresses",
    Symptom.ANSWER: "on the real server: see which program, or virtual host, answers on {virtual}",
    Symptom.NO_ROUTE: "on this director: add a route to {virtual}, such as a default route",
}
_TUNNEL_HINTS: Final = _VIRTUAL_HINTS | {
    Symptom.REFUSAL: (
        "on the real server: {apply}; if that finds nothing to do, {verify}; "
        "let the program listen on {virtual} or on all addresses"
    )
}
"""A kernel without the tunnel device refuses, too, as far as it may send ICMP at that moment."""


def _virtual_hint(facts: ServerFacts) -> str:
    failed = facts.virtual_failure
    reason = failed.virtual.reason if failed is not None and failed.virtual is not None else ""
    hints = _TUNNEL_HINTS if facts.forwarding is ForwardingName.TUNNEL else _VIRTUAL_HINTS
    return hints[symptom(reason)].format(
        apply=facts.command("apply"), verify=facts.command("verify"), virtual=facts.virtual_text
    )


def _claim_message(facts: ServerFacts) -> str:
    what = "ARP" if len(facts.virtual) == 4 else "neighbour discovery"
    return (
        f"it answers {what} for {facts.virtual_text} as {facts.claim}: "
        "clients on this segment can reach it past the director"
    )


def _claim_hint(facts: ServerFacts) -> str:
    held = "" if len(facts.virtual) == 4 else f"hold {facts.virtual_text} on `lo` alone; "
    return f"on the real server: {held}{facts.command('apply')}"


def _size_message(facts: ServerFacts) -> str:
    sizes = facts.sizes
    narrow = f" (its device takes {sizes.device})" if sizes.path != sizes.device else ""
    tunnel = f", of which the tunnel takes {sizes.overhead}" if sizes.overhead else ""
    return (
        f"clients send it packets of up to {facts.too_large} bytes, as it asks for segments of {sizes.mss}; "
        f"the path to it takes {sizes.path}{narrow}{tunnel}: {sizes.room} get there"
    )


def _size_hint(facts: ServerFacts) -> str:
    segment = segment_bytes(facts.virtual, facts.sizes.room or 0)
    clamp = f"on the real server: {facts.command('apply')} (clamps the segment size, here to {segment})"
    if facts.forwarding is ForwardingName.TUNNEL:
        return clamp
    return "give all devices on this segment the same MTU: `ip link set dev DEVICE mtu BYTES`"


def _untried_hint(facts: ServerFacts) -> str:
    return "give it a check with a port that is answered, such as `tcp`, `dns`, or `udp` with `expect`"


class Rule(NamedTuple):
    """One thing that can be wrong."""

    verdict: Verdict
    subject: Subject
    applies: Callable[[ServerFacts], bool]
    message: Callable[[ServerFacts], str]
    hint: Callable[[ServerFacts], str]


RULES: Final = (
    Rule(
        Verdict.FAIL,
        Subject.REACHABILITY,
        lambda facts: facts.unreachable is not None,
        lambda facts: facts.unreachable.message if facts.unreachable else "",
        lambda facts: facts.unreachable.hint if facts.unreachable else "",
    ),
    Rule(
        Verdict.FAIL,
        Subject.REAL_SERVER,
        lambda facts: facts.own_failure is not None,
        _own_message,
        lambda _: "on the real server: see whether its program runs, and its packet filter",
    ),
    Rule(
        Verdict.FAIL,
        Subject.VIRTUAL_ADDRESS,
        lambda facts: facts.virtual_failure is not None,
        _virtual_message,
        _virtual_hint,
    ),
    Rule(
        Verdict.FAIL,
        Subject.NEIGHBOURS,
        lambda facts: facts.claim is not None,
        _claim_message,
        _claim_hint,
    ),
    Rule(
        Verdict.FAIL,
        Subject.PACKET_SIZE,
        lambda facts: facts.too_large > 0,
        _size_message,
        _size_hint,
    ),
    Rule(
        Verdict.UNKNOWN,
        Subject.PROBE,
        lambda facts: bool(facts.unprobed),
        lambda facts: facts.unprobed,
        lambda _: "see the message; `kernelbal check` knows more about checks",
    ),
    Rule(
        Verdict.UNKNOWN,
        Subject.PROBE,
        lambda facts: _untried(facts) and not facts.unprobed,
        lambda _: "no check of the service can tell whether it answers by the virtual address",
        _untried_hint,
    ),
)
"""In the order in which they are told."""


def findings(facts: ServerFacts) -> tuple[Finding, ...]:
    """Return everything that is wrong with a real server, or could not be seen."""
    return tuple(
        Finding(rule.verdict, rule.subject, rule.message(facts), rule.hint(facts))
        for rule in RULES
        if rule.applies(facts)
    )


def verdict_of(found: tuple[Finding, ...]) -> Verdict:
    """Return the verdict that follows: one FAIL is enough, and one thing unknown keeps it from being ok."""
    verdicts = {finding.verdict for finding in found}
    return next((each for each in (Verdict.FAIL, Verdict.UNKNOWN) if each in verdicts), Verdict.OK)

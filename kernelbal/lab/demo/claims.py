"""The judge: from what was counted to a verdict. Where nothing was counted, nothing is proved: a FAIL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernelbal.lab.demo.events import Claim
from kernelbal.lab.demo.scenarios import Replies
from kernelbal.model.units import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernelbal.lab.demo.counters import Reading
    from kernelbal.lab.demo.visits import Visits

_OTHER_SHARE: Final = 0.1
"""Share of the replies that other packets (ARP, neighbour discovery) may make up in a count."""
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was counted while the client visited one virtual service.

    Attributes:
        service: its name in the site file.
        weights: weight by real server; equal ones for a scheduler that knows no weights.
        visits: how the requests went.
        packets: packets of each party meanwhile.
    """

    service: str
    weights: Mapping[str, int]
    visits: Visits
    packets: Reading

    def expected(self, server: str) -> float:
        """Return the answers that are a real server's due."""
        return self.visits.wanted * self.weights[server] / sum(self.weights.values())


def all_answered(evidence: Evidence) -> Claim:
    """Every request was answered."""
    visits = evidence.visits
    seen = f"{visits.answers.total()} of {visits.asked} answered"
    if visits.failures:
        reasons = ", ".join(f"{count} times {reason}" for reason, count in sorted(visits.failures.items()))
        seen += f"; {reasons}"
    if visits.asked < visits.wanted:
        seen += f"; {visits.wanted - visits.asked} more were not tried"
    ok = visits.answers.total() == visits.wanted
    return Claim(text=f"{evidence.service}: all {visits.wanted} requests are answered", ok=ok, seen=seen)


def shared_by_weight(evidence: Evidence) -> Claim:
    """Each real server has its share, to less than one request.

    `rr` and `wrr` deal connections out in turn, so there is no chance in it: a dead server cannot hide.
    """
    visits = evidence.visits
    got = {server: visits.answers_of(server) for server in evidence.weights}
    strangers = sorted({answer.server for answer in visits.answers} - evidence.weights.keys())
    ok = not strangers and all(abs(got[server] - evidence.expected(server)) < 1 for server in got)
    seen = ", ".join(f"{server} {count}" for server, count in got.items())
    if strangers:
        seen += f"; and {', '.join(strangers)}, which should not"
    weights = ":".join(str(weight) for weight in evidence.weights.values())
    return Claim(text=f"{evidence.service}: real servers share the requests {weights}", ok=ok, seen=seen)


def client_seen(evidence: Evidence, expected: str, whose: str) -> Claim:
    """Real servers took `expected` for the client, in every answer."""
    seen = sorted({answer.client for answer in evidence.visits.answers})
    return Claim(
        text=f"{evidence.service}: real servers see {whose} address",
        ok=seen == [expected],
        seen=f"{', '.join(seen) or 'nothing'}" + ("" if seen == [expected] else f"; expected {expected}"),
    )


def replies_took(evidence: Evidence, way: Replies) -> Claim:
    """Replies went the way that the forwarding method promises: by the counters of everyone on it."""
    packets = evidence.packets
    replies = packets.client.received
    slack = replies * _OTHER_SHARE
    # What the director sent beyond the client's packets can only be replies.
    forwarded_back = packets.director.sent - packets.client.sent
    if way is Replies.THROUGH:
        ok = packets.ipvs.sent > 0 and forwarded_back >= replies - slack
    else:
        received_extra = packets.director.received - packets.client.sent
        ok = packets.ipvs.sent == 0 and max(forwarded_back, received_extra) <= slack
    delivered = evidence.visits.answers.total() > 0 and packets.real_servers.sent >= replies - slack
    return Claim(
        text=f"{evidence.service}: replies go {way.value}",
        ok=ok and delivered and packets.ipvs.received > 0,
        seen=f"client sent {packets.client.sent} and received {replies}; director sent"
        f" {packets.director.sent}; IPVS forwarded {packets.ipvs.received} in and {packets.ipvs.sent} back",
    )


def only_director_answers_arp(address: str, director: str, answers: Sequence[str]) -> Claim:
    """Of all hosts on the segment, the director alone says that it has the virtual address.

    Args:
        address: the virtual address.
        director: hardware address of the director's device.
        answers: hardware address of every answer to one question.
    """
    others = sorted(set(answers) - {director})
    seen = counted(len(answers), "answer")
    if others:
        seen += f", also from {', '.join(others)}"
    return Claim(
        text=f"only the director answers ARP for {address}", ok=list(answers) == [director], seen=seen
    )


def no_gateway_needed(gateways: Mapping[str, str | None]) -> Claim:
    """Real servers have no route to the client that leads through a gateway.

    Args:
        gateways: by real server, the gateway of its route to the client; None for none.
    """
    through = [f"{server} via {gateway}" for server, gateway in gateways.items() if gateway]
    return Claim(
        text="no real server has a route through the director",
        ok=bool(gateways) and not through,
        seen=", ".join(through) or f"{', '.join(gateways)} reach the client on their own segment",
    )


def applied(status: int) -> Claim:
    """`apply` brought the kernel to what the site file wants."""
    return Claim(
        text="apply makes the kernel match the site file", ok=status == 0, seen=f"exit status {status}"
    )


def nothing_left_to_do(status: int, lines: Sequence[str]) -> Claim:
    """A second `apply` performs no action."""
    first = lines[0] if lines else "nothing printed"
    ok = status == 0 and first.startswith("no changes") and not any("applied" in line for line in lines)
    return Claim(text="a second apply changes nothing", ok=ok, seen=first)


def left_as_found(status: int, differences: Sequence[str], compared: str) -> Claim:
    """`release` took everything away again and restored what had been changed."""
    shown = "; ".join(differences[:_SHOWN])
    more = len(differences) - _SHOWN
    seen = f"different: {shown}" + (f" and {more} more" if more > 0 else "") if shown else f"same: {compared}"
    if status:
        seen = f"exit status {status}; {seen}"
    return Claim(text="release leaves the director as it was", ok=status == 0 and not differences, seen=seen)


def unprepared_servers_answer_arp(address: str, servers: Sequence[str], answers: Sequence[str]) -> Claim:
    """Real servers that merely hold the virtual address take it from the director: the ARP problem.

    Args:
        address: the virtual address.
        servers: names of the real servers that hold it.
        answers: name of the host behind each answer to one question.
    """
    return Claim(
        text=f"unprepared, real servers answer ARP for {address} too",
        ok=set(servers) <= set(answers),
        seen=f"answers from {', '.join(answers) or 'nobody'}",
    )


def servers_done(text: str, statuses: Sequence[int]) -> Claim:
    """A command ended well on every host that it was run on."""
    seen = f"exit status {', '.join(map(str, statuses))}" if statuses else "nowhere run"
    return Claim(text=text, ok=bool(statuses) and not any(statuses), seen=seen)


def servers_left_as_found(statuses: Sequence[int], differences: Mapping[str, Sequence[str]]) -> Claim:
    """`undo` took everything away again and restored what had been changed.

    Args:
        statuses: exit statuses of the commands.
        differences: by real server.
    """
    found = [f"{name}: {each}" for name, all_of_it in differences.items() for each in all_of_it]
    more = len(found) - _SHOWN
    seen = "; ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return Claim(
        text="undo leaves every real server as it was, byte for byte",
        ok=bool(differences) and not found and not any(statuses),
        seen=seen or f"{', '.join(differences)}: same",
    )


def played(failure: str) -> Claim:
    """A scenario that could not be played to its end has failed."""
    return Claim(text="the scenario can be played", ok=False, seen=failure)

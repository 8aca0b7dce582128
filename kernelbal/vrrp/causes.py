"""What usually is behind a packet that does not count: for people who ask why two routers are active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelbal.model.address import AF_INET
from kernelbal.model.headers import transport_checksum
from kernelbal.vrrp import packet as wire
from kernelbal.vrrp.ip import IPPROTO_VRRP
from kernelbal.vrrp.receive import Judgement, Reason

LIKELY: Final[Mapping[Reason, str]] = {
    Reason.LENGTH: "cut short by the capture (take `tcpdump -s 0`), or captured with the link's header",
    Reason.TTL: "a router, a tunnel or a proxy on the way; or a sender that is set to another TTL",
    Reason.VERSION: "one router speaks version 2, the other one version 3",
    Reason.TYPE: "not VRRP, or damaged: advertisements are the only type that there is",
    Reason.CHECKSUM: "damaged, or changed by address translation; or one router sums RFC 5798's "
    "pseudo-header and the other one, after RFC 9568, does not accept it",
    Reason.VRID: "another virtual router on the same segment, or the other family",
    Reason.INTERVAL: "version 2 demands the same interval on all routers, and no version accepts 0",
    Reason.COUNT: "a router without a virtual address",
    Reason.AUTH: "another password, key or type; none where one is demanded",
    Reason.STALE: "clocks that differ by more than the window: look at NTP on both routers",
    Reason.REPLAY: "the packet was sent again, by a loop or by an intruder",
    Reason.DESTINATION: "one router sends by unicast, the other one by multicast",
    Reason.PEER: "the sender is not among the peers, or sends from another of its addresses",
    Reason.SOURCE: "no address that a router has; over IPv6 it is the link-local one of the interface",
    Reason.OWN: "a switch, a bridge or a second interface that sends packets back; or another router "
    "that has the same address",
    Reason.NOT_VRRP: "CARP, which shares protocol and group; or not related at all",
}
"""By reason, the most likely first."""

LEGACY_CHECKSUM: Final = (
    "keepalived 1.3.6 or older, or with `unicast_peer` in its compatibility mode: its unicast packets are "
    "summed as if sent to 224.0.0.18"
)


def likely_cause(judged: Judgement) -> str:
    """Return what usually is behind a judgement, in words; empty: the packet counts."""
    if judged.reason is None:
        return ""
    if judged.reason is Reason.CHECKSUM and _is_summed_for_the_group(judged):
        return LEGACY_CHECKSUM
    return LIKELY[judged.reason]


def _is_summed_for_the_group(judged: Judgement) -> bool:
    """Whether the checksum is right with the group as destination (keepalived `unicast_chksum_compat`)."""
    packet, advert = judged.packet, judged.advert
    if packet is None or advert is None or packet.family != AF_INET or advert.version != 3:
        return False
    message = packet.payload[: wire.message_bytes(3, len(advert.addresses), AF_INET)]
    return not transport_checksum(packet.source, wire.GROUPS[AF_INET], IPPROTO_VRRP, message)

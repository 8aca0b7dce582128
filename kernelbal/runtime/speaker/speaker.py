"""What the speaker does with packets and with time; the clock and the kernel are arguments.

An advertisement is sent before anything else that a change of role asks for: the partner counts from its last
one. Of a flood no more packets are read at once than leave time for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from kernelbal.model.address import Address, format_address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.group import Done, Group, Member, step_group
from kernelbal.vrrp.ip import IpPacket
from kernelbal.vrrp.machine import NEVER
from kernelbal.vrrp.packet import (
    GROUPS,
    LEAVING_PRIORITY,
    OWNER_PRIORITY,
    Advertisement,
    ChecksumStyle,
    build_advertisement,
)
from kernelbal.vrrp.plan import RoleInstance, RolePlan
from kernelbal.vrrp.receive import Judgement, PacketNote, Reason, Verdict, judge_packet
from kernelbal.vrrp.timers import NS_PER_S, down_ns

Held = Sequence[tuple[AddressKey, AddressAttributes]]
REFRESHES_PER_LIFETIME: Final = 3
"""So that one that comes late loses no address."""
EXPIRY_NS: Final = 780_000_000
"""Within a second after the partner took over, addresses of a speaker that does nothing more are gone: the
kernel removes them up to 0.22 s after their time, which is in whole seconds."""
ANNOUNCE_AGAIN_NS: Final = 5 * NS_PER_S
"""After which addresses are announced a second time, as keepalived does: switches may have been blocked."""


class SpeakerKernel(Protocol):
    """What the speaker asks of the kernel; nothing of it raises for what the network or the host is like."""

    def send(self, name: str, payload: bytes) -> None:
        """Send an advertisement of an instance; an error is noted, and the next one is sent in its time."""

    def hold(self, held: Held, lifetime_s: int) -> None:
        """Have addresses for so long from now on, whether they are there already or not."""

    def release(self, held: Held) -> None:
        """Have addresses no more."""

    def announce(self, held: Held) -> None:
        """Send what neighbours learn from."""


def lifetime_of(instance: RoleInstance) -> int:
    """Return for how long an address is there without a refresh, in seconds.

    As long as the takeover allows: a partner has the addresses after its down interval.
    """
    down = down_ns(instance.version, OWNER_PRIORITY, instance.interval_cs)
    return max(1, (down + EXPIRY_NS) // NS_PER_S)


class Surroundings(NamedTuple):
    """What the host has, as far as a role depends on it.

    Attributes:
        devices: names of those that are there, and whether each can send.
        addresses: by the name of their device.
    """

    devices: Mapping[str, bool]
    addresses: Collection[tuple[str, Address]]


def fault_of(instance: RoleInstance, found: Surroundings) -> str:
    """Return why an instance cannot have a role here; empty: it can."""
    if instance.device not in found.devices:
        return f"no device {instance.device}"
    if not found.devices[instance.device]:
        return f"device {instance.device} is down"
    if (instance.device, instance.source) not in found.addresses:
        return f"{format_address(instance.source)} is not on {instance.device}"
    return ""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """One change of one instance's role, for logs and the stream."""

    name: str
    before: VrrpRole
    after: VrrpRole
    why: str
    at_ns: int


@dataclass(slots=True)
class Speaker:
    """All instances of a node.

    Attributes:
        group: members by the name of their instance.
        styles: of the checksum that each instance sends: that of its partner, once heard.
        refused: packets that did not count, by instance and reason.
        changes: that are not yet reported.
        faults: why the node cannot have the role, by instance: one is enough for all of them.
        new_faults: those that are not yet reported.
        restored: addresses that somebody took away, and that are not yet reported.
        worst_late_ns: by how much a timer was late at most.
    """

    plan: RolePlan
    kernel: SpeakerKernel
    group: Group = field(init=False)
    styles: dict[str, ChecksumStyle] = field(init=False)
    refused: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    changes: list[RoleChange] = field(default_factory=list)
    worst_late_ns: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    new_faults: dict[str, str] = field(default_factory=dict)
    restored: list[AddressKey] = field(default_factory=list)
    _instances: dict[str, RoleInstance] = field(init=False)
    _again_at_ns: dict[str, int] = field(default_factory=dict)
    _refresh_at_ns: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._instances = {each.name: each for each in self.plan.instances}
        self.group = {name: Member(each.router) for name, each in self._instances.items()}
        self.styles = {name: each.checksum for name, each in self._instances.items()}

    @property
    def due_at_ns(self) -> int:
        """When `tick` has something to do."""
        members = (member.state.due_at_ns for member in self.group.values())
        return min((*members, *self._again_at_ns.values(), *self._refresh_at_ns.values()), default=NEVER)

    def start(self, found: Surroundings, now_ns: int) -> None:
        """Begin: whatever a speaker before left is released."""
        for each in self.plan.instances:
            self.kernel.release(each.holds)
        self.faults = self._faults(found)
        self.new_faults = dict(self.faults)
        if not self.faults:
            self._happen(Trigger.START, now_ns)

    def look(self, found: Surroundings, now_ns: int) -> None:
        """Take in what the host has now.

        Who cannot send, or has lost its own address, gives up the role, and joins again when that is over.
        Shared addresses that somebody took away are restored without an election.
        """
        before, self.faults = self.faults, self._faults(found)
        self.new_faults = {name: why for name, why in self.faults.items() if before.get(name) != why}
        if self.faults and not before:
            self._happen(Trigger.STOP, now_ns)
        elif before and not self.faults:
            self._happen(Trigger.START, now_ns)
        for name, instance in self._instances.items():
            if self.group[name].state.role is VrrpRole.ACTIVE:
                self._restore(name, instance, found, now_ns)

    def _faults(self, found: Surroundings) -> dict[str, str]:
        return {each.name: fault for each in self.plan.instances if (fault := fault_of(each, found))}

    def _restore(self, name: str, instance: RoleInstance, found: Surroundings, now_ns: int) -> None:
        missing = [key for key, _ in instance.holds if (key.device, key.address) not in found.addresses]
        if missing:
            self._hold(name, now_ns)
            self.kernel.announce([each for each in instance.holds if each[0] in missing])
            self.restored += missing

    def stop(self, now_ns: int) -> None:
        """End: the partner is told, and then the addresses are released."""
        self._happen(Trigger.STOP, now_ns)

    def hand_over(self, now_ns: int, hold_ns: int) -> None:
        """Give the role to the partner, and do not take it back for a time."""
        self._happen(Trigger.HAND_OVER, now_ns, hold_ns)

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        for name in self._instances:
            late_ns = now_ns - self.group[name].state.due_at_ns
            if late_ns >= 0:
                self.worst_late_ns = max(self.worst_late_ns, late_ns)
                self._step(name, RouterEvent(Trigger.TIMER, now_ns))
        for name, at_ns in list(self._again_at_ns.items()):
            if at_ns <= now_ns:
                del self._again_at_ns[name]
                self.kernel.announce(self._instances[name].holds)
        for name, at_ns in self._refresh_at_ns.items():
            if at_ns <= now_ns:
                self._hold(name, now_ns)

    def _hold(self, name: str, now_ns: int) -> None:
        lifetime_s = lifetime_of(self._instances[name])
        self.kernel.hold(self._instances[name].holds, lifetime_s)
        self._refresh_at_ns[name] = now_ns + lifetime_s * NS_PER_S // REFRESHES_PER_LIFETIME

    def hear(self, name: str, packets: Iterable[IpPacket], now_ns: int) -> None:
        """Take in what came to the socket of an instance."""
        instance = self._instances[name]
        for packet in packets:
            judged = judge_packet(packet, instance.receiver)
            if judged.verdict is Verdict.ACCEPT:
                self._accept(name, judged, now_ns)
            elif judged.reason is not None:
                self.refused[name, judged.reason] += 1

    def _accept(self, name: str, judged: Judgement, now_ns: int) -> None:
        advert, packet = judged.advert, judged.packet
        if advert is None or packet is None:
            return
        if judged.checksum is not None:
            self.styles[name] = judged.checksum
        foreign = PacketNote.ADDRESSES_FOREIGN in judged.remarks
        event = RouterEvent(
            Trigger.ADVERT, now_ns, packet.source, advert.priority, advert.interval_cs, foreign
        )
        self._step(name, event)

    def _happen(self, trigger: Trigger, now_ns: int, hold_ns: int = 0) -> None:
        """Something happens to the whole group, by whichever member."""
        self._step(next(iter(self._instances)), RouterEvent(trigger, now_ns, hold_ns=hold_ns))

    def _step(self, name: str, event: RouterEvent) -> None:
        before = self.group
        self.group, done = step_group(before, name, event)
        self._perform(done, event.now_ns)
        for each, member in self.group.items():
            was, now = before[each].state, member.state
            if was.role is not now.role:
                self.changes.append(RoleChange(each, was.role, now.role, now.why, event.now_ns))
                self._again_at_ns.pop(each, None)
                if now.role is not VrrpRole.ACTIVE:
                    self._refresh_at_ns.pop(each, None)
                if now.role is VrrpRole.ACTIVE:
                    self._again_at_ns[each] = event.now_ns + ANNOUNCE_AGAIN_NS

    def _perform(self, done: Sequence[Done], now_ns: int) -> None:
        """Advertisements of all instances first."""
        for each in done:
            instance = self._instances[each.name]
            if RouterEffect.SEND in each.effects:
                self.kernel.send(each.name, self._advertisement(instance, instance.priority))
            if RouterEffect.SEND_LEAVING in each.effects:
                self.kernel.send(each.name, self._advertisement(instance, LEAVING_PRIORITY))
        for each in done:
            if RouterEffect.TAKE in each.effects:
                self._hold(each.name, now_ns)
        for effect, do in (
            (RouterEffect.RELEASE, self.kernel.release),
            (RouterEffect.ANNOUNCE, self.kernel.announce),
        ):
            names = [each.name for each in done if effect in each.effects]
            held = [key for name in names for key in self._instances[name].holds]
            if held:
                do(held)

    def _advertisement(self, instance: RoleInstance, priority: int) -> bytes:
        advert = Advertisement(
            instance.version, instance.vrid, priority, instance.interval_cs, instance.addresses
        )
        return build_advertisement(
            advert, instance.source, GROUPS[instance.family], self.styles[instance.name]
        )

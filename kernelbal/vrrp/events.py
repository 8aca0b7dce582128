"""What happens to a virtual router, and what is to be done: values between the machine and the network."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from kernelbal.model.address import Address


class VrrpRole(StrEnum):
    """State of a virtual router (RFC 9568 6.3); keepalived calls the last one MASTER."""

    INITIALIZE = "initialize"
    BACKUP = "backup"
    ACTIVE = "active"


class Trigger(StrEnum):
    """What happens to a virtual router."""

    START = "start"
    STOP = "stop"
    TIMER = "timer"
    ADVERT = "advertisement"
    HAND_OVER = "hand over"
    FAULT = "fault"
    """It cannot have the role: no link, no address, or something tracked is down."""
    RECOVERY = "end of the fault"
    PRIORITY = "priority changed"
    """`Router.priority` is the new one already; the event has the old one."""
    HEARD_ELSEWHERE = "partner heard on another network"
    LEFT_ELSEWHERE = "partner left on another network"
    LOWER_ELSEWHERE = "lower priority on another network"


class RouterEvent(NamedTuple):
    """One thing that happens.

    Attributes:
        now_ns: on the monotonic clock.
        source: of an advertisement.
        priority: of an advertisement; of `PRIORITY`, which it was before.
        interval_cs: of an advertisement.
        foreign: whether an advertisement shares no address with this virtual router.
        hold_ns: for how long a router that hands over does not preempt the other one.
    """

    trigger: Trigger
    now_ns: int
    source: Address = Address(b"")
    priority: int = 0
    interval_cs: int = 0
    foreign: bool = False
    hold_ns: int = 0


class RouterEffect(Enum):
    """What is to be done, in the order in which it is returned."""

    SEND = "send an advertisement"
    SEND_LEAVING = "send an advertisement of priority 0"
    TAKE = "take the addresses"
    RELEASE = "release the addresses"
    ANNOUNCE = "announce the addresses"
    REPORT_STRANGER = "report the stranger"

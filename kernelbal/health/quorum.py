"""Quorum and mode of a virtual service, by its usable real servers."""

from __future__ import annotations

from kernelbal.model.choices import AllDown, OnDown, ProtocolName, Scheduler
from kernelbal.model.overlay import Mode
from kernelbal.model.site.services import VirtualService


def has_quorum(service: VirtualService, usable: int, before: bool | None) -> bool:
    """Return whether enough real servers are usable.

    As in keepalived it is lost below `quorum` - `hysteresis` and gained at `quorum` + `hysteresis`, here by
    the number of real servers; without any it is always lost.

    Args:
        service: the virtual service.
        usable: how many of its real servers may take connections.
        before: whether it had enough; None when that is not known: then `quorum` alone decides.
    """
    if usable == 0:
        return False
    if before is None:
        return usable >= service.quorum
    if before:
        return usable >= service.quorum - service.hysteresis
    return usable >= service.quorum + service.hysteresis


def mode_of(service: VirtualService, quorum: bool, candidates: bool) -> Mode:
    """Return what the virtual service does.

    Args:
        service: the virtual service.
        quorum: whether enough real servers are usable.
        candidates: whether it has any real server that could be kept in service although it is down.
    """
    if quorum:
        return Mode.SERVING
    all_down = service.all_down
    if all_down is AllDown.WITHDRAW:
        return Mode.WITHDRAWN
    if all_down is AllDown.KEEP and candidates:
        return Mode.KEPT
    if service.sorry_server is None or all_down is AllDown.REFUSE:
        return Mode.REFUSING
    return Mode.SORRY


def removed_on_down(service: VirtualService) -> bool:
    """Return whether a real server that goes down leaves at once, instead of keeping its connections.

    By default only TCP keeps them: clients of other protocols would keep sending to a dead server. The `dh`
    scheduler refuses the clients of a real server of weight 0, and has no flag to fall back.
    """
    if service.on_down is not None:
        return service.on_down is OnDown.REMOVE
    return service.protocol is not ProtocolName.TCP or service.scheduler is Scheduler.DH

"""UDP ports that unwrap generic UDP encapsulation, by generic netlink (`linux/fou.h`)."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.modules import load_module
from kernelbal.kernel.netlink import (
    HEADER_BYTES,
    DumpInterrupted,
    Netlink,
    Refusal,
    attribute,
    attributes,
    messages,
)
from kernelbal.kernel.refusals import read_error, refused
from kernelbal.model.network import GueListener
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.listeners import LISTENERS, CloseListener, OpenListener

FAMILY_NAME: Final = "fou"
MODULES: Final = ("fou", "fou6")
FOU_CMD_ADD: Final = 1
FOU_CMD_DEL: Final = 2
FOU_CMD_GET: Final = 3
FOU_ATTR_PORT: Final = 1
FOU_ATTR_AF: Final = 2
FOU_ATTR_TYPE: Final = 4
FOU_ENCAP_GUE: Final = 2

_PORT: Final = struct.Struct("!H")
_ATTEMPTS: Final = 8


def observe_listeners() -> frozenset[GueListener]:
    """Return the ports of this network namespace that unwrap GUE; none where the module is not loaded.

    Raises:
        KernelError: the kernel does not let itself be read.
    """
    try:
        with closing(Netlink.open()) as netlink:
            family = netlink.family(FAMILY_NAME)
            return frozenset() if family is None else _read(netlink, family)
    except OSError as error:
        raise read_error("GUE listeners", error) from error


def _read(netlink: Netlink, family: int) -> frozenset[GueListener]:
    for _ in range(_ATTEMPTS):
        try:
            parts = netlink.dump(family, FOU_CMD_GET)
        except DumpInterrupted:
            continue
        found = (_parse(part[start:end]) for part in parts for start, end, *_ in messages(part))
        return frozenset(each for each in found if each is not None)
    raise OSError(errno.EAGAIN, "they change all the time")


def _parse(message: bytes) -> GueListener | None:
    found = {kind: message[start:end] for kind, start, end in attributes(message, HEADER_BYTES, len(message))}
    if found.get(FOU_ATTR_TYPE) != bytes([FOU_ENCAP_GUE]) or FOU_ATTR_PORT not in found:
        return None
    return GueListener(_PORT.unpack(found[FOU_ATTR_PORT])[0], found[FOU_ATTR_AF][0])


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    return found if scope is not None else found.having(LISTENERS, dict.fromkeys(observe_listeners()))


def perform_listeners(sockets: Sockets, actions: Sequence[OpenListener | CloseListener]) -> list[Outcome]:
    """Open and close ports; one that fails does not stop the others."""
    try:
        with closing(Netlink.open()) as netlink:
            family = _family(netlink)
            return [_perform(netlink, family, action) for action in actions]
    except OSError as error:
        return [refused(action, error.errno or errno.EIO) for action in actions]


def _family(netlink: Netlink) -> int | None:
    family = netlink.family(FAMILY_NAME)
    if family is None:
        for module in MODULES:
            load_module(module)
        family = netlink.family(FAMILY_NAME)
    return family


def _perform(netlink: Netlink, family: int | None, action: OpenListener | CloseListener) -> Outcome:
    if family is None:
        return refused(action, errno.ENOENT)
    port, address_family = action.key
    body = attribute(FOU_ATTR_PORT, _PORT.pack(port)) + attribute(FOU_ATTR_AF, bytes([address_family]))
    opening = isinstance(action, OpenListener)
    if opening:
        body += attribute(FOU_ATTR_TYPE, bytes([FOU_ENCAP_GUE]))
    answer = netlink.ask(family, FOU_CMD_ADD if opening else FOU_CMD_DEL, body)
    return refused(action, *answer) if isinstance(answer, Refusal) else Outcome(action, Result.DONE)


DRIVER: Final = Driver(_observe, perform_listeners)

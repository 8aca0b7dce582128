"""One rtnetlink socket, shared by the drivers of addresses, links and routes (`linux/rtnetlink.h`).

The few messages that they need are packed here by hand: pyroute2 takes 0.2 s to import and about 0.5 ms per
message, which a site with 10,000 addresses would notice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from kernelbal.kernel.netlink import (
    NETLINK_ROUTE,
    DumpInterrupted,
    Netlink,
    Refusal,
    Verdicts,
    attributes,
    messages,
    request,
)
from kernelbal.kernel.refusals import read_error

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_GETROUTE: Final = 26

NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400

NLMSG_HEADER_BYTES: Final = 16
READ_ATTEMPTS: Final = 8

IFA_MESSAGE: Final = struct.Struct("=BBBBI")
"""`struct ifaddrmsg`: family, prefix length, flags, scope, interface index."""
IFINFO_MESSAGE: Final = struct.Struct("=BxHiII")
"""`struct ifinfomsg`: family, hardware type, interface index, flags, mask of flags to change."""
ROUTE_MESSAGE: Final = struct.Struct("=BBBBBBBBI")
"""`struct rtmsg`: family, destination and source prefix length, TOS, table, protocol, scope, type, flags."""
U32: Final = struct.Struct("=I")


class Request(NamedTuple):
    """One change that is asked of the kernel."""

    kind: int
    flags: int
    payload: bytes


class RtNetlink:
    """An rtnetlink socket in the network namespace of the thread that opened it."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    @classmethod
    def open(cls) -> Self:
        """Open the socket.

        Raises:
            KernelError: the kernel refuses it.
        """
        try:
            return cls(Netlink.open(NETLINK_ROUTE))
        except OSError as error:
            raise read_error("network configuration", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def dump(self, kind: int, payload: bytes, what: str) -> Iterator[bytes]:
        """Yield each message of a complete dump, without its netlink header.

        Args:
            kind: such as `RTM_GETADDR`.
            payload: what follows the netlink header in the request.
            what: what is read, for the words of an error.

        Raises:
            KernelError: the kernel refuses it, or changed during each of several attempts.
        """
        for part in self._whole_dump(kind, payload, what):
            for start, end, _, _, _ in messages(part):
                yield part[start + NLMSG_HEADER_BYTES : end]

    def _whole_dump(self, kind: int, payload: bytes, what: str) -> list[bytes]:
        interrupted = DumpInterrupted("it was never read")
        for _ in range(READ_ATTEMPTS):
            try:
                return self._netlink.dump_plain(kind, payload)
            except DumpInterrupted as fault:
                interrupted = fault
            except OSError as error:
                raise read_error(what, error) from error
        raise read_error(what, OSError(0, f"{interrupted}, {READ_ATTEMPTS} times")) from interrupted

    def ask(self, kind: int, payload: bytes, flags: int = 0) -> bytes | Refusal:
        """Send one request; return its answer without the netlink header, empty for a mere ack."""
        try:
            answer = self._netlink.ask_plain(kind, payload, flags)
        except OSError as error:
            return Refusal(error.errno or 5)
        return answer if isinstance(answer, Refusal) else answer[NLMSG_HEADER_BYTES:]

    def transmit(self, requests: Sequence[Request]) -> Verdicts:
        """Send changes in their order, many per system call; one that is refused does not stop the others."""
        first = self._netlink.reserve(len(requests))
        packed = [
            request(each.kind, each.payload, first + index, each.flags) for index, each in enumerate(requests)
        ]
        return self._netlink.transmit(packed, first)


def attribute_table(data: bytes, start: int) -> dict[int, bytes]:
    """Return payload by type of the attributes in `data` from `start` on; of equal types the last one."""
    return {kind: data[begin:end] for kind, begin, end in attributes(data, start, len(data))}

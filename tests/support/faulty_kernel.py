"""A kernel that answers one call with an error number: a netlink exchange, or a transaction of libnftables.

Nothing of this is in the product: sockets and the library are wrapped in the process of the test, for one
command.
"""

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import nftables
import pytest

from kernelbal.kernel import netlink
from kernelbal.kernel.netlink import NLM_F_DUMP, NLMSG_ERROR, RECEIVE_BYTES, Netlink, RawSocket
from tests.support.kill_points import HEADER, MESSAGES_PER_SEND, Step


class How(StrEnum):
    """What becomes of a call."""

    UNSENT = "unsent"
    """The system call that sends it fails."""
    REFUSED = "refused"
    """The kernel answers its first message with the error, and carries out the others."""
    LOST = "answer lost"
    """The kernel carries it out, and its answer is lost."""


class Fault(NamedTuple):
    """One error number at one place."""

    how: How
    number: int

    def __str__(self) -> str:
        return f"{self.how}, {errno.errorcode[self.number]}"


FAULTS = (
    *(
        Fault(how, number)
        for number in (errno.ENOBUFS, errno.EINTR, errno.EPERM, errno.ENOMEM)
        for how in (How.UNSENT, How.REFUSED)
    ),
    Fault(How.LOST, errno.ENOBUFS),
    Fault(How.LOST, errno.ENOMEM),
)


@dataclass
class FaultyKernel:
    """Counts the calls of this process, and has one of them end with a fault.

    Attributes:
        call: number of the one that does.
        calls: how many there were.
        met: that one; None: there were not so many.
    """

    call: int
    fault: Fault
    calls: int = 0
    met: Step | None = None

    def meets(self, kind: str, what: str) -> bool:
        """Count one call; return whether it is the one."""
        self.calls += 1
        if self.calls - 1 != self.call:
            return False
        self.met = Step(kind, f"{what}: {self.fault}")
        return True

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have every socket and every libnftables context that is opened now behave like that."""
        make, run = Netlink.__init__, nftables.Nftables.cmd

        def faulty(made: Netlink, sock: Any) -> None:  # noqa: ANN401 - a socket of the product
            make(made, _FaultySocket(sock, sock.proto, self))

        def ran(context: nftables.Nftables, document: str) -> tuple[int, str, str]:
            met = self.meets("nftables", document[:60])
            answer = -1, "", ""
            if not met or self.fault.how is How.LOST:
                answer = run(context, document)
            if not met:
                return answer
            return -1, "", f"internal:0:0-0: Error: Could not process rule: {os.strerror(self.fault.number)}"

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(netlink, "MESSAGES_PER_SEND", MESSAGES_PER_SEND)
            patch.setattr(Netlink, "__init__", faulty)
            patch.setattr(nftables.Nftables, "cmd", ran)
            yield


@dataclass
class _FaultySocket:
    """A netlink socket, one call of which may fail."""

    sock: RawSocket
    protocol: int
    kernel: FaultyKernel
    made_up: deque[bytes] = field(default_factory=deque)
    lost: int = 0

    def send(self, data: bytes, /) -> int:
        length: int
        length, kind, flags, number, port, command = HEADER.unpack_from(data)
        what = f"protocol {self.protocol}, type {kind}, command {command}"
        if not self.kernel.meets("netlink", what):
            return self.sock.send(data)
        how, code = self.kernel.fault
        if how is How.UNSENT:
            raise OSError(code, os.strerror(code))
        if how is How.LOST:
            sent = self.sock.send(data)
            if flags & NLM_F_DUMP != NLM_F_DUMP:
                self.sock.recv_into(
                    memoryview(bytearray(RECEIVE_BYTES))
                )  # the kernel keeps back what a dump lost
            self.lost = code
            return sent
        head = HEADER.pack(36, NLMSG_ERROR, 0, number, port, 0)[:16]
        self.made_up.append(head + (-code).to_bytes(4, "little", signed=True) + data[:16])
        rest = data[(length + 3) & ~3 :]
        return length if not rest else length + self.sock.send(rest)

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0, /) -> int:
        if self.lost:
            code, self.lost = self.lost, 0
            raise OSError(code, os.strerror(code))
        if not self.made_up:
            return self.sock.recv_into(buffer, nbytes, flags)
        answer = self.made_up.popleft()
        buffer[: len(answer)] = answer
        return len(answer)

    def close(self) -> None:
        self.sock.close()

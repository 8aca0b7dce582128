"""A host for child processes: starts one, exchanges messages with it, and starts it anew when it is lost.

A child hangs on a socket pair. When this end closes, also because this process was killed, the child ends
(`kernelbal.runtime.parent` is its side). A child that sends what cannot be read, sends nothing for too long,
or ends, is lost with a reason; the next one starts after a back-off, or at once when what it was lost by is
out of the way. Memory that both share says what a lost child was working for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from kernelbal.runtime.parent import MARK_BYTES, READ_BYTES, Frames
from kernelbal.store.codec import Codec, Malformed

UNSTABLE_LOSSES: Final = 3
UNSTABLE_WITHIN_S: Final = 60.0
"""A child that is lost so often within so many seconds is unstable."""

WORTH: Final = 10
"""A child that ran so many times as long as it was waited for was worth it."""

Sent = TypeVar("Sent")
Received = TypeVar("Received")
SentCo = TypeVar("SentCo", covariant=True)
ReceivedContra = TypeVar("ReceivedContra", contravariant=True)


@dataclass(frozen=True, slots=True)
class ChildProgram(Generic[Sent, Received]):
    """A program that runs as a child.

    Attributes:
        name: for messages, such as `checker`.
        command: program and arguments; `--fd=N` and `--mark=N` are added.
        sent: what the child is sent.
        received: what the child sends.
    """

    name: str
    command: Sequence[str]
    sent: Codec[Sent]
    received: Codec[Received]


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """How patient a host is; seconds.

    Attributes:
        first_backoff_s: wait before the first start anew; doubled with each loss.
        last_backoff_s: longest wait.
        silence_s: a child that sends nothing for so long is lost.
        end_s: how long a child may take to end by itself before it is made to.
    """

    first_backoff_s: float = 0.1
    last_backoff_s: float = 30.0
    silence_s: float = 30.0
    end_s: float = 3.0

    def backoff_s(self, last_s: float, ran_s: float) -> float:
        """Return how long to wait before the next start.

        Args:
            last_s: the wait before the child that was lost, 0 for the first one.
            ran_s: how long it ran; after ten times its wait, or the longest one, the back-off starts anew.
        """
        if ran_s > min(WORTH * last_s, self.last_backoff_s):
            return self.first_backoff_s
        return min(max(2 * last_s, self.first_backoff_s), self.last_backoff_s)


class Loss(NamedTuple):
    """Why a child was lost.

    Attributes:
        recent: losses within the last `UNSTABLE_WITHIN_S`, with this one.
        mark: what the child was working for, by a number of its own; 0: nothing.
    """

    reason: str
    recent: int
    mark: int = 0

    @property
    def unstable(self) -> bool:
        """Whether it is lost so often that starting it anew seems to be of no use."""
        return self.recent >= UNSTABLE_LOSSES


class Guest(Protocol[SentCo, ReceivedContra]):
    """What a host runs a child for; all of it is called in the event loop."""

    def messages(self) -> Iterable[SentCo]:
        """Return what the child is to know; asked when a child has started, and after each `refresh`."""
        ...

    def started(self) -> None:
        """A child has started: what the one before began to send will not be continued."""
        ...

    def received(self, message: ReceivedContra) -> None:
        """Take a message.

        Raises:
            Malformed: it contradicts what came before; the child is lost.
        """
        ...

    def lost(self, loss: Loss) -> bool:
        """Take note that a child ended, or could not be started.

        Returns:
            Whether the next one may start at once, as it will not be sent what this one was lost by.
        """
        ...


class ChildHost(Generic[Sent, Received]):
    """Keeps one child running while `run` runs.

    Attributes:
        alive: whether a child runs that has sent a message.
        restarts: how often a child was lost.
    """

    def __init__(
        self,
        program: ChildProgram[Sent, Received],
        guest: Guest[Sent, Received],
        limits: ChildLimits = ChildLimits(),
    ) -> None:
        self._program = program
        self._guest = guest
        self._limits = limits
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._mark = 0
        self._losses: deque[float] = deque(maxlen=UNSTABLE_LOSSES)
        self.alive = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running child, or None."""
        return None if self._process is None else self._process.pid

    @property
    def unstable(self) -> bool:
        """Whether children were lost so often of late that starting anew seems to be of no use."""
        return self._recent(time.monotonic()) >= UNSTABLE_LOSSES

    def refresh(self) -> None:
        """Send the guest's messages; those of a call that is overtaken by the next one may be left out."""
        self._changed.set()

    async def run(self) -> None:
        """Keep a child running until cancelled; then end it."""
        waited_s = 0.0
        while True:
            began_at = time.monotonic()
            reason = await self.run_once()
            ended_at = time.monotonic()
            self.restarts += 1
            if self._guest.lost(Loss(reason, self._count_loss(ended_at), self._mark)):
                continue
            waited_s = self._limits.backoff_s(waited_s, ended_at - began_at)
            await asyncio.sleep(waited_s)

    def _count_loss(self, now: float) -> int:
        self._losses.append(now)
        return self._recent(now)

    def _recent(self, now: float) -> int:
        return sum(lost_at > now - UNSTABLE_WITHIN_S for lost_at in self._losses)

    async def run_once(self) -> str:
        """Run a child to its end and return why it ended; when cancelled, end it."""
        ours, theirs = socket.socketpair()
        with ours, _shared_mark() as mark:
            ours.setblocking(False)
            self._mark = 0
            try:
                with theirs:
                    process = self._process = await self._start(theirs.fileno(), mark)
            except OSError as error:
                return f"the {self._program.name} cannot be started: {error}"
            try:
                reason = await self._attend(ours)
            finally:
                self.alive = False
                ours.close()
                status = await _end(process, self._limits.end_s)
                self._process = None
                self._mark = int.from_bytes(os.pread(mark, MARK_BYTES, 0), sys.byteorder)
        return f"{reason} (exit status {status})"

    async def _start(self, theirs: int, mark: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._program.command,
            f"--fd={theirs}",
            f"--mark={mark}",
            pass_fds=(theirs, mark),
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def _attend(self, ours: socket.socket) -> str:
        self._guest.started()
        self._changed.set()
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send(ours))
            try:
                return await self._receive(ours)
            finally:
                sender.cancel()

    async def _send(self, ours: socket.socket) -> None:
        loop, encode = asyncio.get_running_loop(), self._program.sent.encode
        with contextlib.suppress(ConnectionError):  # the receiver reports it
            while True:
                await self._changed.wait()
                self._changed.clear()
                for message in self._guest.messages():
                    await loop.sock_sendall(ours, encode(message) + b"\n")

    async def _receive(self, ours: socket.socket) -> str:
        name, silence_s = self._program.name, self._limits.silence_s
        loop, frames = asyncio.get_running_loop(), Frames()
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    data = await loop.sock_recv(ours, READ_BYTES)
                if not data:
                    return f"the {name} ended"
                for frame in frames.feed(data):
                    message = self._program.received.decode(frame)
                    self.alive = True
                    self._guest.received(message)
                await asyncio.sleep(0)  # others have their turn, however fast a child sends
        except TimeoutError:
            return f"the {name} sent nothing for {silence_s:g} s"
        except ConnectionError:
            return f"the {name} ended"
        except Malformed as error:
            return f"the {name} sent what cannot be read: {error.message}"


@contextlib.contextmanager
def _shared_mark() -> Iterator[int]:
    """Yield the descriptor of memory for a mark; read as a file, it is safe whatever a child does to it."""
    descriptor = os.memfd_create("mark")
    try:
        os.ftruncate(descriptor, MARK_BYTES)
        yield descriptor
    finally:
        os.close(descriptor)


async def _end(process: asyncio.subprocess.Process, limit_s: float) -> int:
    """Wait until a child that nobody listens to has ended, and end it if it does not."""
    for end in (process.terminate, process.kill):
        try:
            async with asyncio.timeout(limit_s):
                return await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                end()
    return await process.wait()

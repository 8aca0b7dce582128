"""The process inside a lab that stays up: builds the topology, runs what `lab shell` and `lab run` ask for.

`python -m kernelbal.lab.agent --topology NAME --ready FILE (--console DEVICE... | --listen SOCKET)`
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import process
from kernelbal.lab.errors import LabError, SessionError
from kernelbal.lab.frames import (
    Decoder,
    Frame,
    Kind,
    ProgramRequest,
    exit_frame,
    parse_request,
    parse_size,
)
from kernelbal.lab.live import show
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.topology import load_topology
from kernelbal.lab.traffic import NameServers

if TYPE_CHECKING:
    from collections.abc import Callable

CANNOT_START: Final = 127
"""Exit status of a program that could not be started, as in a shell."""
_CHUNK_BYTES: Final = 16384
_NOBODY_THERE_S: Final = 0.2


class Running:
    """A program that runs on a host, with the descriptors of its output."""

    def __init__(self, lab: NamespaceLab, request: ProgramRequest) -> None:
        """Start it.

        Raises:
            LabError: no such host, or it cannot be started where it should be.
        """
        lab.topology.host(request.host)
        show(Path(request.cwd))
        self.terminal: int | None = None
        self.outputs: dict[int, Kind] = {}
        given = self._open_terminal(request) if request.terminal else self._open_pipes()
        argv = ["setsid", "--ctty", "--wait", *request.argv] if request.terminal else list(request.argv)
        try:
            with lab[request.host].inside():
                self.process = process.start(
                    argv,
                    stdin=given[0],
                    stdout=given[1],
                    stderr=given[2],
                    cwd=Path(request.cwd) if Path(request.cwd).is_dir() else Path("/"),
                    env=request.env,
                    new_session=not request.terminal,
                )
        except LabError:
            self.close()
            raise
        finally:
            for descriptor in set(given):
                os.close(descriptor)

    def _open_terminal(self, request: ProgramRequest) -> tuple[int, int, int]:
        ours, theirs = os.openpty()
        self.terminal = ours
        self.outputs = {ours: Kind.STDOUT}
        self.resize(request.rows, request.columns)
        return theirs, theirs, theirs

    def _open_pipes(self) -> tuple[int, int, int]:
        stdin = os.open(os.devnull, os.O_RDONLY)
        out_reading, out_writing = os.pipe()
        err_reading, err_writing = os.pipe()
        self.outputs = {out_reading: Kind.STDOUT, err_reading: Kind.STDERR}
        return stdin, out_writing, err_writing

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of its terminal, if it has one."""
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, descriptor: int) -> bytes:
        """Return output; empty (and the descriptor closed) at its end."""
        try:
            data = os.read(descriptor, _CHUNK_BYTES)
        except OSError:  # EIO: the last one has closed the terminal
            data = b""
        if not data:
            del self.outputs[descriptor]
            os.close(descriptor)
        return data

    def close(self) -> int:
        """End it when it still runs, close its output, and return its exit status."""
        for descriptor in self.outputs:
            os.close(descriptor)
        self.outputs = {}
        started = getattr(self, "process", None)
        return process.stop(started) if started is not None else CANNOT_START


class AgentSession:
    """One byte stream to a client, and what it has started."""

    def __init__(self, lab: NamespaceLab, reading: int, send: Callable[[bytes], None]) -> None:
        self._lab = lab
        self._reading = reading
        self._send = send
        self._decoder = Decoder()
        self._running: Running | None = None

    def serve(self) -> None:
        """Serve until the stream ends."""
        try:
            while self._turn():
                pass
        finally:
            if self._running is not None:
                self._running.close()
                self._running = None

    def _turn(self) -> bool:
        watched = [self._reading]
        ended = None
        if self._running is not None:
            ended = os.pidfd_open(self._running.process.pid)
            watched += [ended, *self._running.outputs]
        try:
            ready = select.select(watched, [], [])[0]
            return self._react(ready, ended)
        finally:
            if ended is not None:
                os.close(ended)

    def _react(self, ready: list[int], ended: int | None) -> bool:
        if self._running is not None:
            for descriptor in [fd for fd in ready if fd in self._running.outputs]:
                self._forward(self._running, descriptor)
            if ended in ready:
                self._drain(self._running)
                self._end()
        return self._receive() if self._reading in ready else True

    def _forward(self, running: Running, descriptor: int) -> None:
        kind = running.outputs[descriptor]
        data = running.read(descriptor)
        if data:
            self._send(Frame(kind, data).encode())

    def _drain(self, running: Running) -> None:
        """Send what is there; a child in the background may hold the output open for ever."""
        while running.outputs:
            ready = select.select(list(running.outputs), [], [], 0)[0]
            if not ready:
                return
            for descriptor in ready:
                self._forward(running, descriptor)

    def _end(self) -> None:
        if self._running is None:
            return
        status = self._running.close()
        self._running = None
        # As a shell says it: 128 + the signal's number.
        self._send(exit_frame(128 - status if status < 0 else status).encode())

    def _receive(self) -> bool:
        data = os.read(self._reading, _CHUNK_BYTES)
        if not data:
            return False
        try:
            for frame in self._decoder.feed(data):
                self._obey(frame)
        except SessionError as error:
            sys.stderr.write(f"agent: {error.message}\n")
        return True

    def _obey(self, frame: Frame) -> None:
        if frame.kind is Kind.REQUEST:
            self._end()  # an earlier client that went away without a word
            self._begin(parse_request(frame))
        elif self._running is None:
            return
        elif frame.kind is Kind.INPUT and self._running.terminal is not None:
            os.write(self._running.terminal, frame.payload)
        elif frame.kind is Kind.RESIZE:
            self._running.resize(*parse_size(frame))
        elif frame.kind is Kind.CANCEL:
            self._end()

    def _begin(self, request: ProgramRequest) -> None:
        self._send(Frame(Kind.STARTED, request.token.encode()).encode())
        try:
            self._running = Running(self._lab, request)
        except LabError as error:
            self._send(Frame(Kind.STDERR, f"{error.message}\n".encode()).encode())
            self._send(exit_frame(CANNOT_START).encode())


def serve_console(lab: NamespaceLab, device: str) -> None:
    """Serve one client after the other on a terminal or serial device, for ever."""
    descriptor = os.open(device, os.O_RDWR | os.O_NOCTTY)
    if os.isatty(descriptor):
        tty.setraw(descriptor)

    def send(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    while True:
        AgentSession(lab, descriptor, send).serve()
        time.sleep(_NOBODY_THERE_S)  # a serial port without a client reads as ended


def serve_socket(lab: NamespaceLab, path: str) -> None:
    """Serve every client that connects to a Unix socket, for ever."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve_connection, args=(lab, connection), daemon=True).start()


def _serve_connection(lab: NamespaceLab, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):  # the client went away
        AgentSession(lab, connection.fileno(), connection.sendall).serve()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kernelbal.lab.agent")
    parser.add_argument("--topology", required=True)
    parser.add_argument("--ready", required=True, type=Path)
    parser.add_argument("--console", action="append", default=[])
    parser.add_argument("--listen")
    return parser.parse_args()


def main() -> None:
    """Build the topology, say so in the file `--ready`, and serve until SIGTERM."""
    given = _arguments()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    with NamespaceLab(load_topology(given.topology)) as lab, NameServers(lab.real_servers):
        for device in given.console:
            threading.Thread(target=serve_console, args=(lab, device), daemon=True).start()
        if given.listen:
            threading.Thread(target=serve_socket, args=(lab, given.listen), daemon=True).start()
        with given.ready.open("w") as file:
            file.write("ready\n")
            file.flush()
            os.fsync(file.fileno())
        stop.wait()


if __name__ == "__main__":
    main()

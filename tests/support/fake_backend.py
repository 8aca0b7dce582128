"""A lab back end that runs a function in place of a guest."""

from collections.abc import Callable
from pathlib import Path

from kernelbal.lab.backends.base import GuestCommand, StandardStreams, Unavailable, Up

Work = Callable[[GuestCommand, int], int]
"""Takes the command and the descriptor of its standard output; returns the exit status."""


class FakeBackend:
    """Does what a test wants; remembers what it was told to run."""

    def __init__(
        self, name: str = "fake", refused: str | None = None, work: Work = lambda command, output: 0
    ) -> None:
        self.name = name
        self._refused = refused
        self._work = work
        self.commands: list[GuestCommand] = []

    def refusal(self) -> Unavailable | None:
        """Refuses with the given reason."""
        return Unavailable(self._refused) if self._refused else None

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        """Does the work."""
        self.commands.append(command)
        return self._work(command, streams.stdout)

    def up(self, topology: str, directory: Path) -> Up:
        """Nothing stays up here."""
        raise NotImplementedError

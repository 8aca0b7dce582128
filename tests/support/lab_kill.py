"""A machine among things of others, on which kernelbal is killed again and again."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from kernelbal.kernel.links import IFF_UP
from kernelbal.kernel.netlink import attributes
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.rtnetlink import IFINFO_MESSAGE, RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RtNetlink
from kernelbal.lab.demo import snapshot
from kernelbal.lab.namespaces import Host
from kernelbal.model.address import AF_INET, AF_INET6
from tests.support.kill_points import Boot, Step, Victims, temporary_files

ALIVE = -1
"""Number of no step."""
PAUSE_S = 0.1
"""The kernel ends duplicate address detection: an address that leaves before takes others' anycast routes
with it (`addrconf_leave_anycast`)."""
RTM_GETRULE = 34
IPVS = Path("/proc/thread-self/net/ip_vs")
IPVS_HEAD_LINES = 3


class Dump(NamedTuple):
    """What is asked of rtnetlink.

    Attributes:
        head_bytes: length of the structure before the attributes.
        moving: attributes that change by themselves: statistics, and how long ago something was used.
    """

    kind: int
    family: int
    head_bytes: int
    moving: tuple[int, ...] = ()


DUMPS = (
    Dump(RTM_GETLINK, 0, 16, (7, 23, 26)),
    *(Dump(RTM_GETADDR, family, 8) for family in (AF_INET, AF_INET6)),
    *(Dump(RTM_GETROUTE, family, 12, (12,)) for family in (AF_INET, AF_INET6)),
    *(Dump(RTM_GETRULE, family, 12) for family in (AF_INET, AF_INET6)),
)
Facts = frozenset[str]


class Stage(NamedTuple):
    """Something that is done, and killed.

    Attributes:
        work: command line that is killed.
        resume: what comes next; None: the work is not killed here.
        check: that the kernel is as it should be then.
        adopts: whether the work takes over what is of others; they have it again when it was resumed.
    """

    name: str
    work: Sequence[str]
    resume: Callable[[], object] | None = None
    check: Callable[[], None] = lambda: None
    adopts: bool = False


@dataclass
class KilledMachine:
    """One host, what it had before kernelbal came, and what is killed on it.

    Attributes:
        folder: state directory and files.
        foreign: shell commands that make what is there of others.
        release: takes back what is kernelbal's.
        rehearsal: command line of something harmless, which loads what others need.
        boot: what it finds in the place of the machine's own files.
    """

    host: Host
    folder: Path
    foreign: str
    release: Callable[[], object]
    rehearsal: Sequence[str]
    boot: Boot | None = None
    before: snapshot.Snapshot = field(init=False)
    theirs: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.host.run(["bash", "-ec", self.foreign])
        snapshot.settle(self.host)
        with self.host.inside():
            self._rtnetlink, self._nftables = RtNetlink.open(), Nftables.open()
        self._victims = Victims(self.host, self.folder, self.rehearsal, self.boot)
        self.before, self.theirs = snapshot.take(self.host), self.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._victims.close()
        self._rtnetlink.close()

    def look(self) -> Facts:
        """Return every object as the kernel shows it: bytes of netlink, lines of /proc, nftables' JSON."""
        with self.host.inside():
            return frozenset((*_ipvs(), *self._network(), *map(str, self._nftables.ruleset())))

    def _network(self) -> Iterator[str]:
        for kind, family, head_bytes, moving in DUMPS:
            for data in self._rtnetlink.dump(kind, bytes([family]) + bytes(head_bytes - 1), "everything"):
                if kind == RTM_GETLINK and not IFINFO_MESSAGE.unpack_from(data)[3] & IFF_UP:
                    continue  # whoever needs a device of a module's own switches it on, and off again
                yield f"{kind} {_lasting(data, head_bytes, moving).hex(' ', 4)}"

    def run(self, line: Sequence[str]) -> None:
        """Run a command line to its end."""
        assert self._victims.kill_at(ALIVE, line) is None

    def kill_everywhere(self, story: Sequence[Stage], *, renames: bool = False) -> list[Step]:
        """Tell a story again and again, each time with every stage killed one step later; return those steps.

        At the end of each telling, and so before the next one, nothing of kernelbal is left.

        Args:
            story: what is done.
            renames: whether files count by their rename alone: what else is done to one is the same in all.
        """
        killed: list[Step] = []
        for number in itertools.count():
            told = [self._kill_once(number, stage, renames=renames) for stage in story]
            steps = [step for step in told if step is not None]
            self._end()
            if not steps:
                break
            killed += steps
        _demand_nothing("changed", snapshot.differences(self.before, snapshot.take(self.host)))
        return killed

    def _kill_once(self, number: int, stage: Stage, *, renames: bool) -> Step | None:
        step = self._victims.kill_at(number if stage.resume else ALIVE, stage.work, renames=renames)
        try:
            if not stage.adopts:
                self._demand_theirs()
            if stage.resume is not None:
                time.sleep(PAUSE_S)
                stage.resume()
                self._demand_theirs()
            stage.check()
        except AssertionError as error:
            error.add_note(f"{stage.name} killed before step {number}: {step}")
            raise
        return step

    def _end(self) -> None:
        time.sleep(PAUSE_S)
        self.release()
        self._demand_theirs()
        _demand_nothing("left of ours", [*self.look() - self.theirs, *temporary_files(self.folder)])

    def _demand_theirs(self) -> None:
        _demand_nothing("changed of others", self.theirs - self.look())


def _demand_nothing(what: str, found: Collection[str]) -> None:
    if found:
        raise AssertionError("\n".join((f"{what}:", *sorted(found))))


def _ipvs() -> Iterator[str]:
    service = ""
    for line in IPVS.read_text(encoding="ascii").splitlines()[IPVS_HEAD_LINES:]:
        service = service if line.startswith("  ->") else line
        yield f"{service}{line}"


def _lasting(data: bytes, head_bytes: int, moving: tuple[int, ...]) -> bytes:
    lasting = (
        data[start:end] for kind, start, end in attributes(data, head_bytes, len(data)) if kind not in moving
    )
    return data[:head_bytes] + b"".join(lasting)

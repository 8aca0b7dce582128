"""The IPVS table of one network namespace: read it whole, change it in bulk.

A system call costs more than what it does here, so programming packs hundreds of messages into a send, and
reading takes the older socket options where they are complete (`kernelbal.kernel.ipvs.sockopt`). What was
read is checked against the kernel's own counts: a dump that runs while the kernel resizes its hash table
comes out short, without any sign of it in the dump.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import repeat
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from kernelbal.errors import KernelError, NotSupported
from kernelbal.kernel.interface import Glance
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.ipvs.pack import Packer
from kernelbal.kernel.ipvs.read import Counters, DestinationReader, ServiceReader
from kernelbal.kernel.ipvs.settle import is_done
from kernelbal.kernel.ipvs.sockopt import Sockopt
from kernelbal.kernel.ipvs.status import StatusFile
from kernelbal.kernel.netlink import (
    HEADER_BYTES,
    DumpInterrupted,
    Netlink,
    Refusal,
    Verdicts,
    attributes,
    messages,
)
from kernelbal.kernel.refusals import error as refusal_error
from kernelbal.kernel.refusals import refused
from kernelbal.model.ipvs import (
    CounterTable,
    Destinations,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.plan.action import Errors, Outcome, Result, failed
from kernelbal.plan.kinds.service_actions import IPVS_ERRORS, DestinationAction, ServiceAction
from kernelbal.plan.kinds.services import service_of

_T = TypeVar("_T")

OPEN: Final = "talk to the kernel"
READ: Final = "read the IPVS table"
IPVS_READ_ERRORS: Final[Errors] = {
    **IPVS_ERRORS,
    errno.ESRCH: failed("the virtual service vanished while it was read", "read again"),
}
READ_ATTEMPTS: Final = 8
ACTIONS_PER_BLOCK: Final = 2048
"""Actions that are packed before they are sent: few enough that the next ones use the same memory again."""


class Info(NamedTuple):
    """What `ipvsadm` prints in its first line.

    Attributes:
        version: of IPVS, such as (1, 2, 1).
        connection_buckets: size of the connection hash table.
    """

    version: tuple[int, int, int]
    connection_buckets: int


def available() -> bool:
    """Return whether the kernel has IPVS; the kernel may load its module for the question."""
    try:
        with Netlink.open() as netlink:
            return netlink.family(wire.FAMILY_NAME) is not None
    except OSError:
        return False


class IpvsTable:
    """The driver. One thread at a time; it stays in the network namespace in which it was opened."""

    def __init__(
        self,
        netlink: Netlink,
        family: int,
        sockopt: Sockopt | None = None,
        status: StatusFile | None = None,
    ) -> None:
        self._netlink = netlink
        self._family = family
        self._sockopt = sockopt
        self._status = status

    @classmethod
    def open(cls) -> Self:
        """Open the table of the calling thread's network namespace.

        Raises:
            NotSupported: the kernel has no IPVS.
            KernelError: the kernel refuses a socket.
        """
        with ExitStack() as opened:
            with _worded(OPEN):
                netlink = opened.enter_context(Netlink.open())
                family = netlink.family(wire.FAMILY_NAME)
            if family is None:
                raise NotSupported(OPEN, "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")
            opened.pop_all()
        return cls(netlink, family, _or_none(Sockopt.open), _or_none(StatusFile.open))

    def close(self) -> None:
        """Close the sockets; the kernel's table stays as it is."""
        self._netlink.close()
        if self._sockopt:
            self._sockopt.close()
        if self._status:
            self._status.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- changing ------------------------------------------------------------------------------------------

    def perform(self, actions: Sequence[ServiceAction | DestinationAction]) -> list[Outcome]:
        """Carry out `actions` in their order and return one outcome each, in the same order.

        An action that fails stops nothing. Where answers were lost the table is read to learn what became of
        the action.

        Raises:
            KernelError: the socket itself failed.
        """
        with _collector_paused():
            with _worded(OPEN):
                verdicts = self._transmit(actions)
            outcomes = list(map(Outcome, actions, repeat(Result.DONE)))
        for index, refusal in verdicts.refused.items():
            outcomes[index] = refused(actions[index], *refusal)
        self._settle(actions, verdicts.unknown, outcomes)
        return outcomes

    def _transmit(self, actions: Sequence[ServiceAction | DestinationAction]) -> Verdicts:
        packer = Packer(self._family)
        verdicts = Verdicts({}, [])
        for start in range(0, len(actions), ACTIONS_PER_BLOCK):
            block = actions[start : start + ACTIONS_PER_BLOCK]
            first = self._netlink.reserve(len(block))
            found = self._netlink.transmit(packer.pack(block, first), first)
            verdicts.refused.update((start + index, refusal) for index, refusal in found.refused.items())
            verdicts.unknown.extend(start + index for index in found.unknown)
        return verdicts

    def _settle(
        self,
        actions: Sequence[ServiceAction | DestinationAction],
        unknown: list[int],
        outcomes: list[Outcome],
    ) -> None:
        if not unknown:
            return
        held = self.read_services({service_of(actions[index]) for index in unknown})
        for index in unknown:
            if not is_done(actions[index], held):
                outcomes[index] = refused(actions[index], errno.ENOBUFS)

    def order(self, command: int, body: bytes) -> Refusal | None:
        """Carry out one command that is not about services; return the kernel's refusal, if it was one.

        Args:
            command: `IPVS_CMD_*` of what is no dump.
            body: its attributes.

        Raises:
            KernelError: the socket itself failed.
        """
        with _worded(OPEN):
            return self._netlink.order(self._family, command, body)

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, *, counters: bool = False) -> tuple[ServiceTable, CounterTable]:
        """Return every service with its destinations, and their counters if asked.

        Args:
            counters: read them too, which takes about three times as long; without, the second table is
                empty. For those of a few services see `read_counters`.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the table kept changing, or the kernel failed.
        """
        with _collector_paused(), _worded(READ):
            return _consistent(lambda: self._read_once(counters))

    def dump(self, command: int) -> list[bytes]:
        """Return what a dump command lists beside services: one whole message for each object.

        Args:
            command: `IPVS_CMD_GET_*`.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the kernel failed.
        """
        with _worded(READ):
            parts = _consistent(lambda: self._netlink.dump(self._family, command))
            return [part[start:end] for part in parts for start, end, *_ in messages(part)]

    def _read_once(self, counters: bool) -> tuple[ServiceTable, CounterTable]:
        services = ServiceReader().parse(self._netlink.dump(self._family, wire.CMD_GET_SERVICE))
        self._check_complete(len(services))
        counts = self._counts()
        reader = DestinationReader()
        table: ServiceTable = {}
        found: CounterTable = {}
        for key, values in services.items():
            if counters:
                into: Counters = {}
                table[key] = VirtualServer(values, self._dump_destinations(reader, key, into))
                found[key] = into
            else:
                table[key] = VirtualServer(values, self._destinations(reader, key, counts.get(key)))
        for key, count in self._counts().items():
            held = table.get(key)
            if held is None or len(held.destinations) != count:
                raise DumpInterrupted("the table changed while it was read")
        return table, found

    def glance(self) -> Glance:
        """Return how many IPv4 services there are, and how many destinations each of them has."""
        number = self._sockopt.number_of_services() if self._sockopt else None
        return Glance(number, self._counts())

    def _counts(self) -> dict[ServiceKey, int]:
        return (self._sockopt.counts() if self._sockopt else None) or {}

    def _check_complete(self, found: int) -> None:
        total = self._status.services() if self._status else None
        if total is not None and total != found:
            raise DumpInterrupted(f"the dump had {found} services, the kernel has {total}")

    def _destinations(self, reader: DestinationReader, key: ServiceKey, count: int | None) -> Destinations:
        if count is not None and self._sockopt:
            found = self._sockopt.destinations(key, count)
            if found is not None:
                return found
        return self._dump_destinations(reader, key, None)

    def _dump_destinations(
        self, reader: DestinationReader, key: ServiceKey, counters: Counters | None
    ) -> Destinations:
        body = wire.service(wire.service_key(key))
        return reader.parse(self._netlink.dump(self._family, wire.CMD_GET_DEST, body), counters)

    def read_services(self, keys: Iterable[ServiceKey]) -> ServiceTable:
        """Return the named services with their destinations; those that the kernel lacks are absent.

        Meant for few: above some thousand, `read` is faster.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the kernel failed.
        """
        services, destinations = ServiceReader(), DestinationReader()
        table: ServiceTable = {}
        for key in keys:
            with _worded(READ, str(key)):
                values = self._service(services, key)
                if values is not None:
                    table[key] = VirtualServer(
                        values, _consistent(partial(self._dump_destinations, destinations, key, None))
                    )
        return table

    def read_counters(self, keys: Iterable[ServiceKey]) -> CounterTable:
        """Return the counters of the named services' destinations; services that the kernel lacks are absent.

        Connections are counted at once; the kernel adds up the totals every two seconds, and not at all where
        the sysctl `net.ipv4.vs.run_estimation` is 0.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the kernel failed.
        """
        services, destinations = ServiceReader(), DestinationReader()
        table: CounterTable = {}
        for key in keys:
            with _worded(READ, str(key)):
                if self._service(services, key) is not None:
                    into = table[key] = {}
                    _consistent(partial(self._dump_destinations, destinations, key, into))
        return table

    def _service(self, reader: ServiceReader, key: ServiceKey) -> ServiceAttributes | None:
        body = wire.service(wire.service_key(key))
        answer = self._netlink.ask(self._family, wire.CMD_GET_SERVICE, body)
        if not isinstance(answer, Refusal):
            return reader.parse_one(answer, HEADER_BYTES + 4, len(answer))[1]
        if answer.errno == errno.ESRCH:
            return None
        raise OSError(answer.errno, answer.text)

    def read_timeouts(self) -> Timeouts:
        """Return the connection timeouts.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the kernel failed.
        """
        values = self._numbers(wire.CMD_GET_CONFIG)
        return Timeouts(
            tcp_s=values[wire.ATTR_TIMEOUT_TCP],
            tcp_fin_s=values[wire.ATTR_TIMEOUT_TCP_FIN],
            udp_s=values[wire.ATTR_TIMEOUT_UDP],
        )

    def read_info(self) -> Info:
        """Return the version of IPVS and the size of its connection table.

        Raises:
            NotPermitted: CAP_NET_ADMIN is missing.
            KernelError: the kernel failed.
        """
        values = self._numbers(wire.CMD_GET_INFO)
        version = values[wire.INFO_VERSION]
        return Info(
            (version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF), values[wire.INFO_CONN_TAB_SIZE]
        )

    def _numbers(self, command: int) -> dict[int, int]:
        with _worded(READ):
            answer = self._netlink.ask(self._family, command, b"")
            if isinstance(answer, Refusal):
                raise OSError(answer.errno, answer.text)
            return {
                kind: wire.number(answer[start:end])
                for kind, start, end in attributes(answer, HEADER_BYTES, len(answer))
            }


def _or_none(opener: Callable[[], _T]) -> _T | None:
    """Open what not every kernel has."""
    try:
        return opener()
    except OSError:
        return None


def _consistent(read: Callable[[], _T]) -> _T:
    """Return the first dump during which nothing changed."""
    fault = ""
    for _ in range(READ_ATTEMPTS):
        try:
            return read()
        except DumpInterrupted as interrupted:
            fault = str(interrupted)
    raise KernelError(
        READ,
        "",
        errno.EAGAIN,
        f"the IPVS table could not be read consistently in {READ_ATTEMPTS} attempts: {fault}",
        "another program keeps changing it; stop that program or try again",
    )


@contextmanager
def _worded(operation: str, target: str = "") -> Iterator[None]:
    """Turn what the sockets raise into errors for users."""
    try:
        yield
    except OSError as error:
        raise refusal_error(operation, target, error.errno or errno.EIO, errors=IPVS_READ_ERRORS) from error


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking 100,000 young tuples repeatedly; none is in a cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

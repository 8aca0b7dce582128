"""The driver against a scripted kernel: faults that a healthy kernel does not show on demand."""

import errno
import itertools
from collections.abc import Iterable

import pytest

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.ipvs.sockopt import Sockopt
from kernelbal.kernel.ipvs.status import StatusFile
from kernelbal.kernel.ipvs.table import ACTIONS_PER_BLOCK, READ_ATTEMPTS, IpvsTable
from kernelbal.kernel.netlink import HEADER_BYTES, NLM_F_DUMP_INTR, Netlink
from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.plan.action import Action, Result
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditDestination,
    RemoveDestination,
)
from tests.unit.kernel import fake_netlink
from tests.unit.kernel.fake_netlink import FAMILY, FakeSocket, Reply, Request, ack, done
from tests.unit.kernel.ipvs import kernel_dump
from tests.unit.kernel.ipvs.test_sockopt import Kernel

WEB = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
WEB6 = ServiceKey(AF_INET6, 6, parse_address("2001:db8::10"), 80)
PLAIN = ServiceAttributes("wlc", 0, 0, 32, "")
PLAIN6 = PLAIN._replace(prefix=128)
PLACE = DestinationKey(parse_address("10.0.0.11"), 80)
PLACE6 = DestinationKey(parse_address("fd00::11"), 80)
NAT = DestinationAttributes(0, 1)
TUNNEL = DestinationAttributes(2, 1, 0, 0, 1, 5555, 1)
PORT_OFFSET = len(wire.service(wire.service_key(WEB)) + wire.DEST_HEADER + wire.destination_key(PLACE)) - 4
"""Where the port of a real server of an IPv4 service is in a request's body."""
ENOBUFS = OSError(errno.ENOBUFS, "No buffer space available")
TIMEOUTS = Timeouts(900, 120, 300)


def tables() -> ServiceTable:
    return {
        WEB: VirtualServer(PLAIN, {PLACE: NAT, PLACE._replace(port=81): NAT}),
        WEB6: VirtualServer(PLAIN6, {PLACE6: NAT}),
        WEB._replace(port=81): VirtualServer(PLAIN, {PLACE: TUNNEL, PLACE6: TUNNEL}),
        WEB._replace(port=82): VirtualServer(PLAIN),
    }


class IpvsKernel:
    """The netlink side of a kernel that holds `tables`; `spoil` says what goes wrong with which dump."""

    def __init__(self, held: ServiceTable) -> None:
        self.held = held
        self.service_dumps = 0
        self.short_dumps = 0
        self.interrupted_dumps = 0
        self.lossy_dumps = 0
        self.loses_acks = False

    def __call__(self, request: Request) -> Iterable[Reply]:
        if request.is_dump:
            return self.dump(request)
        if request.command == wire.CMD_GET_SERVICE:
            return self.one_service(request)
        if request.command == wire.CMD_GET_CONFIG:
            return [fake_netlink.message(request.sequence, wire.timeouts(TIMEOUTS)), ack(request.sequence)]
        if request.wants_ack:
            return [ENOBUFS] if self.loses_acks else [ack(request.sequence)]
        return []

    def named(self, request: Request) -> ServiceKey | None:
        wanted = request.body[4:]
        return next((key for key in self.held if wire.service_key(key) == wanted), None)

    def one_service(self, request: Request) -> Iterable[Reply]:
        key = self.named(request)
        if key is None:
            return [ack(request.sequence, errno.ESRCH)]
        body = kernel_dump.service(key, self.held[key].attributes)
        return [fake_netlink.message(request.sequence, body), ack(request.sequence)]

    def dump(self, request: Request) -> Iterable[Reply]:
        if request.command == wire.CMD_GET_SERVICE:
            self.service_dumps += 1
            return self.dump_services(request)
        key = self.named(request)
        places = self.held[key].destinations if key else {}
        bodies = [kernel_dump.destination(*both, DestinationCounters(*range(8))) for both in places.items()]
        row = kernel_dump.datagram(bodies, request.sequence)
        return [row, done(request.sequence)] if row else [done(request.sequence)]

    def dump_services(self, request: Request) -> Iterable[Reply]:
        bodies = [kernel_dump.service(key, virtual.attributes) for key, virtual in self.held.items()]
        end = done(request.sequence)
        if self.service_dumps <= self.short_dumps:
            bodies = bodies[:-1]
        if self.service_dumps <= self.interrupted_dumps:
            end = done(request.sequence, flags=2 | NLM_F_DUMP_INTR)
        parts: list[Reply] = [kernel_dump.datagram([body], request.sequence) for body in bodies]
        if self.service_dumps <= self.lossy_dumps:
            parts[0] = ENOBUFS
        return [*parts, end]


class FixedStatus(StatusFile):
    """A status file that always says the same."""

    def __init__(self, total: int) -> None:
        self.total = total

    def services(self) -> int:
        return self.total

    def close(self) -> None:
        pass


def opened(kernel: IpvsKernel, sockopt: Sockopt | None = None, status: StatusFile | None = None) -> IpvsTable:
    return IpvsTable(Netlink(FakeSocket(kernel)), FAMILY, sockopt, status)


def ipv4_sockopt(held: ServiceTable) -> Sockopt:
    kernel = Kernel({key: held[key].destinations for key in held if key.family == AF_INET})
    return Sockopt(kernel, lambda: None)


@pytest.mark.parametrize("with_sockopt", [False, True])
def test_whole_table_is_read_the_same_by_either_interface(with_sockopt: bool) -> None:
    held = tables()
    table = opened(IpvsKernel(held), ipv4_sockopt(held) if with_sockopt else None)
    assert table.read() == (held, {})


def test_plain_services_take_no_netlink_dump() -> None:
    held = {WEB: VirtualServer(PLAIN, {PLACE: NAT})}
    kernel = IpvsKernel(held)
    sock = FakeSocket(kernel)
    IpvsTable(Netlink(sock), FAMILY, ipv4_sockopt(held)).read()
    assert [request.command for request in sock.requests] == [wire.CMD_GET_SERVICE]


def test_counters_come_on_request() -> None:
    held = tables()
    services, counters = opened(IpvsKernel(held), ipv4_sockopt(held)).read(counters=True)
    assert services == held
    assert counters[WEB][PLACE] == DestinationCounters(*range(8))
    assert {key: set(found) for key, found in counters.items()} == {
        key: set(virtual.destinations) for key, virtual in held.items()
    }


def test_short_dump_is_noticed_by_the_older_interface_and_read_again() -> None:
    kernel = IpvsKernel(tables())
    kernel.short_dumps = 2
    assert opened(kernel, ipv4_sockopt(kernel.held)).read()[0] == kernel.held
    assert kernel.service_dumps == 3


def test_short_dump_is_noticed_by_the_kernels_count_and_read_again() -> None:
    kernel = IpvsKernel(tables())
    kernel.short_dumps = 2
    assert opened(kernel, status=FixedStatus(4)).read()[0] == kernel.held
    assert kernel.service_dumps == 3


@pytest.mark.parametrize("fault", ["interrupted_dumps", "lossy_dumps"])
def test_interrupted_dump_is_read_again(fault: str) -> None:
    kernel = IpvsKernel(tables())
    setattr(kernel, fault, READ_ATTEMPTS - 1)
    assert opened(kernel).read()[0] == kernel.held
    assert kernel.service_dumps == READ_ATTEMPTS


@pytest.mark.parametrize("fault", ["interrupted_dumps", "lossy_dumps", "short_dumps"])
def test_table_that_never_holds_still_is_an_error(fault: str) -> None:
    kernel = IpvsKernel(tables())
    setattr(kernel, fault, READ_ATTEMPTS)
    with pytest.raises(KernelError, match=f"{READ_ATTEMPTS} attempts") as refusal:
        opened(kernel, status=FixedStatus(4)).read()
    assert refusal.value.hint is not None
    assert kernel.service_dumps == READ_ATTEMPTS


def test_few_services_that_never_hold_still_are_an_error() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        kernel = IpvsKernel(tables())
        return [ENOBUFS, done(request.sequence)] if request.is_dump else kernel(request)

    table = IpvsTable(Netlink(FakeSocket(answer)), FAMILY)
    for read in (table.read_services, table.read_counters):
        with pytest.raises(KernelError, match=f"{READ_ATTEMPTS} attempts"):
            read([WEB])


def test_objects_beside_services_are_listed_message_by_message() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        one, other = (fake_netlink.message(request.sequence, body) for body in (b"12345678", b"1234"))
        return [one + other, done(request.sequence)]

    table = IpvsTable(Netlink(FakeSocket(answer)), FAMILY)
    assert [len(each) - HEADER_BYTES for each in table.dump(wire.CMD_GET_DAEMON)] == [8, 4]


def test_destinations_that_come_while_reading_are_not_missed() -> None:
    held = tables()
    kernel = Kernel({key: dict(held[key].destinations) for key in held if key.family == AF_INET})
    counted = itertools.count()
    late = PLACE._replace(port=99)

    def answer(option: int, buffer: bytearray, length: int) -> int:
        if next(counted) == 4:  # after the counts and the destinations of both plain services were asked for
            kernel.tables[WEB][late] = NAT
            held[WEB].destinations[late] = NAT
        return kernel(option, buffer, length)

    assert opened(IpvsKernel(held), Sockopt(answer, lambda: None)).read()[0][WEB].destinations.keys() == {
        *(PLACE, PLACE._replace(port=81), late)
    }


def test_missing_capability_is_named() -> None:
    table = IpvsTable(Netlink(FakeSocket(lambda request: [ack(request.sequence, errno.EPERM)])), FAMILY)
    for read in (table.read, table.read_timeouts, table.read_info, lambda: table.read_services([WEB])):
        with pytest.raises(NotPermitted, match="CAP_NET_ADMIN"):
            read()


def test_named_services() -> None:
    kernel = IpvsKernel(tables())
    absent = WEB._replace(port=9)
    table = opened(kernel)
    assert table.read_services([WEB6, absent, WEB]) == {key: kernel.held[key] for key in (WEB6, WEB)}
    assert table.read_counters([absent, WEB6]) == {WEB6: {PLACE6: DestinationCounters(*range(8))}}


def test_outcomes_are_in_the_order_of_the_actions() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        refused = {wire.CMD_SET_DEST: errno.ENOENT, wire.CMD_NEW_DEST: errno.EEXIST}.get(request.command, 0)
        return [ack(request.sequence, refused)] if refused or request.wants_ack else []

    actions: list[Action] = [
        AddService(WEB, PLAIN),
        EditDestination(WEB, PLACE, NAT, NAT._replace(weight=2)),
        RemoveDestination(WEB, PLACE),
        AddDestination(WEB, PLACE, NAT),
    ]
    outcomes = IpvsTable(Netlink(FakeSocket(answer)), FAMILY).perform(actions)
    assert [outcome.action for outcome in outcomes] == actions
    assert [outcome.result for outcome in outcomes] == [
        *(Result.DONE, Result.FAILED, Result.DONE, Result.ALREADY)
    ]


@pytest.mark.parametrize(
    "edges", [(0,), (ACTIONS_PER_BLOCK - 1, ACTIONS_PER_BLOCK), (2 * ACTIONS_PER_BLOCK,)]
)
def test_refusals_name_their_actions_in_every_block(edges: tuple[int, ...]) -> None:
    actions: list[Action] = [
        AddDestination(WEB, PLACE._replace(port=1 + index), NAT) for index in range(2 * ACTIONS_PER_BLOCK + 1)
    ]
    refused_ports = {(1 + index).to_bytes(2, "big") for index in edges}

    def answer(request: Request) -> Iterable[Reply]:
        port = request.body[PORT_OFFSET : PORT_OFFSET + 2]
        refused = errno.ENOENT if port in refused_ports else 0
        return [ack(request.sequence, refused)] if refused or request.wants_ack else []

    outcomes = IpvsTable(Netlink(FakeSocket(answer)), FAMILY).perform(actions)
    assert [outcome.action for outcome in outcomes] == actions
    assert [index for index, outcome in enumerate(outcomes) if outcome.result is Result.FAILED] == [*edges]


def test_answers_lost_in_a_later_block_are_settled_too() -> None:
    kernel = IpvsKernel(tables())
    kernel.loses_acks = True
    absent = PLACE._replace(port=7)
    actions: list[Action] = [AddDestination(WEB, PLACE, NAT)] * ACTIONS_PER_BLOCK
    outcomes = opened(kernel).perform([*actions, AddDestination(WEB, absent, NAT)])
    assert [outcome.result for outcome in outcomes] == [Result.DONE] * ACTIONS_PER_BLOCK + [Result.FAILED]
    assert outcomes[-1].action == AddDestination(WEB, absent, NAT)


def test_lost_answers_are_settled_by_reading() -> None:
    kernel = IpvsKernel(tables())
    kernel.loses_acks = True
    actions: list[Action] = [
        AddService(WEB, PLAIN),
        AddDestination(WEB, PLACE, NAT),
        AddDestination(WEB, PLACE._replace(port=7), NAT),
    ]
    outcomes = opened(kernel).perform(actions)
    assert [(outcome.result, outcome.errno) for outcome in outcomes] == [
        (Result.DONE, 0),
        (Result.DONE, 0),
        (Result.FAILED, errno.ENOBUFS),
    ]
    assert "lost" in outcomes[2].message


def test_socket_that_fails_raises() -> None:
    table = IpvsTable(Netlink(FakeSocket(lambda request: [OSError(errno.EBADF, "closed")])), FAMILY)
    with pytest.raises(KernelError) as refusal:
        table.perform([AddService(WEB, PLAIN)])
    assert refusal.value.errno == errno.EBADF


def test_everything_is_closed() -> None:
    closed = []
    sock = FakeSocket()
    with IpvsTable(Netlink(sock), FAMILY, Sockopt(Kernel({}), lambda: closed.append("sockopt"))):
        assert not sock.closed
    assert sock.closed
    assert closed == ["sockopt"]

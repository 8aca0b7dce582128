"""Socket options of IPVS, against structures written down from `linux/ip_vs.h`."""

import ctypes
import errno

import pytest

from kernelbal.kernel.ipvs.sockopt import SO_GET_DESTS, SO_GET_INFO, SO_GET_SERVICES, Sockopt
from kernelbal.model.address import AF_INET, Address, parse_address
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, Destinations, ServiceKey

WEB = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
MARK = ServiceKey(AF_INET, 0, Address(b""), 0, 0x80000007)
NAT = DestinationAttributes(0, 1, 10, 7)
NOOUTPUT = 0x200
"""A connection flag that the kernel keeps beside the forwarding method."""


class Stats(ctypes.Structure):
    """`struct ip_vs_stats_user`."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("conns", "inpkts", "outpkts")),
        *((name, ctypes.c_uint64) for name in ("inbytes", "outbytes")),
        *((name, ctypes.c_uint32) for name in ("cps", "inpps", "outpps", "inbps", "outbps")),
    )


class Info(ctypes.Structure):
    """`struct ip_vs_getinfo`."""

    _fields_ = (("version", ctypes.c_uint32), ("size", ctypes.c_uint32), ("num_services", ctypes.c_uint32))


class ServiceEntry(ctypes.Structure):
    """`struct ip_vs_service_entry`."""

    _fields_ = (
        ("protocol", ctypes.c_uint16),
        ("addr", ctypes.c_uint32.__ctype_be__),
        ("port", ctypes.c_uint16.__ctype_be__),
        ("fwmark", ctypes.c_uint32),
        ("sched_name", ctypes.c_char * 16),
        *((name, ctypes.c_uint32) for name in ("flags", "timeout", "netmask", "num_dests")),
        ("stats", Stats),
    )


class DestinationEntry(ctypes.Structure):
    """`struct ip_vs_dest_entry`."""

    _fields_ = (
        ("addr", ctypes.c_uint32.__ctype_be__),
        ("port", ctypes.c_uint16.__ctype_be__),
        ("conn_flags", ctypes.c_uint32),
        ("weight", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("u_threshold", "l_threshold")),
        *((name, ctypes.c_uint32) for name in ("activeconns", "inactconns", "persistconns")),
        ("stats", Stats),
    )


class ServiceRequest(ctypes.Structure):
    """`struct ip_vs_get_dests` up to its entries."""

    _fields_ = (
        ("protocol", ctypes.c_uint16),
        ("addr", ctypes.c_uint32.__ctype_be__),
        ("port", ctypes.c_uint16.__ctype_be__),
        ("fwmark", ctypes.c_uint32),
        ("num_dests", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


class Kernel:
    """Answers as `do_ip_vs_get_ctl` does."""

    def __init__(self, tables: dict[ServiceKey, Destinations], failing: frozenset[int] = frozenset()) -> None:
        self.tables = tables
        self.failing = failing
        self.calls = 0

    def __call__(self, option: int, buffer: bytearray, length: int) -> int:
        self.calls += 1
        assert len(buffer) >= length
        if option in self.failing:
            return errno.EPERM
        answer = {SO_GET_INFO: self.info, SO_GET_SERVICES: self.services, SO_GET_DESTS: self.destinations}
        return answer[option](buffer, length)

    def info(self, buffer: bytearray, length: int) -> int:
        assert length == ctypes.sizeof(Info)
        buffer[:length] = bytes(Info(0x10201, 4096, len(self.tables)))
        return 0

    def services(self, buffer: bytearray, length: int) -> int:
        room = int.from_bytes(buffer[:4], "little")
        size = ctypes.sizeof(ServiceEntry)
        assert length == 8 + room * size
        for index, (key, places) in list(enumerate(self.tables.items()))[:room]:
            entry = ServiceEntry(
                key.protocol, int.from_bytes(key.address), key.port, key.mark, b"wlc", 2, 300, 0xFFFFFF
            )
            entry.num_dests = len(places)
            entry.stats = Stats(*range(1, 11))
            buffer[8 + index * size : 8 + (index + 1) * size] = bytes(entry)
        return 0

    def destinations(self, buffer: bytearray, length: int) -> int:
        asked = ServiceRequest.from_buffer_copy(buffer)
        size = ctypes.sizeof(DestinationEntry)
        assert length == 24 + asked.num_dests * size
        address = Address(b"" if asked.fwmark else asked.addr.to_bytes(4))
        key = ServiceKey(AF_INET, asked.protocol, address, asked.port, asked.fwmark)
        if key not in self.tables:
            return errno.ESRCH
        same_family = [(place, held) for place, held in self.tables[key].items() if len(place.address) == 4]
        for index, (place, held) in enumerate(same_family[: asked.num_dests]):
            entry = DestinationEntry(
                int.from_bytes(place.address), place.port, held.forwarding | NOOUTPUT, held.weight
            )
            entry.u_threshold, entry.l_threshold = held.upper_threshold, held.lower_threshold
            entry.activeconns, entry.stats = 9, Stats(*range(1, 11))
            buffer[24 + index * size : 24 + (index + 1) * size] = bytes(entry)
        return 0


def opened(kernel: Kernel) -> Sockopt:
    return Sockopt(kernel, lambda: None)


def place(number: int) -> DestinationKey:
    return DestinationKey(Address(bytes([10, 0, number >> 8, number & 255])), 8000 + number)


def test_counts_of_every_service() -> None:
    kernel = Kernel({WEB: {place(1): NAT, place(2): NAT}, MARK: {}, WEB._replace(port=443): {place(3): NAT}})
    assert opened(kernel).counts() == {WEB: 2, MARK: 0, WEB._replace(port=443): 1}
    assert kernel.calls == 2


def test_the_number_of_services_costs_one_call() -> None:
    kernel = Kernel({WEB: {place(1): NAT}, MARK: {}})
    assert opened(kernel).number_of_services() == 2
    assert kernel.calls == 1
    assert opened(Kernel({}, frozenset({SO_GET_INFO}))).number_of_services() is None


def test_no_services() -> None:
    assert opened(Kernel({})).counts() == {}


@pytest.mark.parametrize("key", [WEB, MARK, WEB._replace(protocol=132, port=65535)])
def test_destinations(key: ServiceKey) -> None:
    wanted = {place(1): NAT, place(2): DestinationAttributes(3, 65535), place(3): DestinationAttributes(0, 0)}
    assert opened(Kernel({key: wanted})).destinations(key, 3) == wanted


def test_one_call_reads_all_destinations_of_a_service() -> None:
    wanted = {place(number): NAT for number in range(1, 1500)}
    kernel = Kernel({WEB: wanted})
    found = opened(kernel).destinations(WEB, len(wanted))
    assert found == wanted
    assert {type(key.address) for key in found} == {Address}
    assert kernel.calls == 1


def test_service_without_destinations_costs_no_call() -> None:
    kernel = Kernel({WEB: {}})
    assert opened(kernel).destinations(WEB, 0) == {}
    assert kernel.calls == 0


def test_tunnels_are_left_to_netlink() -> None:
    kernel = Kernel({WEB: {place(1): NAT, place(2): DestinationAttributes(2, 1)}})
    assert opened(kernel).destinations(WEB, 2) is None


def test_other_family_is_left_to_netlink() -> None:
    """The kernel passes such destinations over, so that fewer come than were counted."""
    inside = DestinationKey(parse_address("fd00::11"), 80)
    kernel = Kernel({WEB: {place(1): NAT, inside: NAT}})
    assert opened(kernel).destinations(WEB, 2) is None


def test_what_an_earlier_call_left_is_not_read_again() -> None:
    kernel = Kernel({WEB: {place(1): NAT, place(2): NAT}})
    sockopt = opened(kernel)
    assert sockopt.destinations(WEB, 2) is not None
    del kernel.tables[WEB][place(2)]
    assert sockopt.destinations(WEB, 2) is None


@pytest.mark.parametrize("option", [SO_GET_INFO, SO_GET_SERVICES])
def test_counts_that_the_kernel_refuses_are_none(option: int) -> None:
    assert opened(Kernel({WEB: {}}, frozenset({option}))).counts() is None


def test_destinations_that_the_kernel_refuses_are_none() -> None:
    assert opened(Kernel({})).destinations(WEB, 1) is None


def test_real_socket_reports_errors_as_numbers() -> None:
    """Without privilege or IPVS the kernel refuses; with both it answers."""
    sockopt = Sockopt.open()
    counts = sockopt.counts()
    sockopt.close()
    assert counts is None or isinstance(counts, dict)

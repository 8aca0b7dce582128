"""Addresses, against a scripted kernel; what the real one makes of them is proved in the lab."""

import errno
import struct
from collections.abc import Iterable, Mapping, Sequence

import pytest

from kernelbal.kernel.addresses import (
    AddressAction,
    observe_addresses,
    pack_address,
    parse_address_message,
    perform_addresses,
)
from kernelbal.kernel.links import LinkDetail, observe_links
from kernelbal.kernel.netlink import NLM_F_ACK, attribute
from kernelbal.kernel.rtnetlink import IFA_MESSAGE, RTM_DELADDR, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, U32
from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, AddressKey, ObservedAddress
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kinds.addresses import AddAddress, RemoveAddress, ReplaceAddress
from tests.unit.kernel.fake_netlink import Reply, ack
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink, with_links

V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
KEY4, KEY6 = AddressKey("eth0", V4, 32), AddressKey("eth0", V6, 128)
PLAIN = AddressAttributes()
VIRTUAL6 = AddressAttributes(no_dad=True, deprecated=True)
FOREVER = 0xFFFFFFFF
DEVICES = {1: "lo", 2: "eth0"}
LOST = OSError(errno.ENOBUFS, "No buffer space available")


def lifetimes(preferred_s: int) -> bytes:
    return attribute(6, struct.pack("=IIII", preferred_s, FOREVER, 0, 0))


class TestMessages:
    def test_ipv4_address_with_every_attribute_explicit(self) -> None:
        assert pack_address(KEY4, 2, PLAIN) == (
            IFA_MESSAGE.pack(2, 32, 0, 0, 2)
            + attribute(2, V4)
            + attribute(1, V4)
            + attribute(8, U32.pack(0))
            + lifetimes(FOREVER)
            + attribute(11, b"\x4b")
        )

    def test_virtual_ipv6_address(self) -> None:
        packed = pack_address(KEY6, 2, VIRTUAL6._replace(no_prefix_route=True))
        assert packed.startswith(IFA_MESSAGE.pack(10, 128, 0, 0, 2))
        assert attribute(8, U32.pack(0x202)) in packed
        assert lifetimes(0) in packed

    @pytest.mark.parametrize("attributes", [PLAIN, VIRTUAL6, AddressAttributes(no_prefix_route=True)])
    @pytest.mark.parametrize("key", [KEY4, KEY6])
    def test_what_is_packed_is_parsed(self, key: AddressKey, attributes: AddressAttributes) -> None:
        found = parse_address_message(pack_address(key, 2, attributes), DEVICES)
        assert found == ObservedAddress(key, attributes, ours=True)

    @pytest.mark.parametrize("proto", [b"", attribute(11, b"\0"), attribute(11, b"\x03")])
    def test_address_of_someone_else_or_of_an_old_kernel(self, proto: bytes) -> None:
        data = IFA_MESSAGE.pack(2, 24, 0x80, 0, 2) + attribute(1, V4) + attribute(3, b"eth0\0") + proto
        found = parse_address_message(data, DEVICES)
        assert found == ObservedAddress(AddressKey("eth0", V4, 24), PLAIN, ours=False)

    def test_flags_of_the_header_count_where_there_is_no_longer_field(self) -> None:
        data = IFA_MESSAGE.pack(10, 64, 0x22, 0, 2) + attribute(1, V6)
        assert parse_address_message(data, DEVICES).attributes == VIRTUAL6

    def test_first_flag_is_temporary_for_ipv6_and_secondary_for_ipv4(self) -> None:
        found = [
            parse_address_message(IFA_MESSAGE.pack(family, 24, 0x01, 0, 2) + attribute(1, address), DEVICES)
            for family, address in ((10, V6), (2, V4))
        ]
        assert [each.attributes.temporary for each in found] == [True, False]

    @pytest.mark.parametrize("swapped", [False, True])
    def test_local_end_of_a_point_to_point_address(self, swapped: bool) -> None:
        ends = [attribute(1, parse_address("192.0.2.99")), attribute(2, V4)]
        data = IFA_MESSAGE.pack(2, 32, 0, 0, 2) + b"".join(reversed(ends) if swapped else ends)
        assert parse_address_message(data, DEVICES).key.address == V4


class AddressKernel:
    """A kernel with devices `lo` and `eth0`, some addresses, and refusals by address."""

    def __init__(self, held: Sequence[tuple[AddressKey, AddressAttributes]] = ()) -> None:
        self.refused: dict[bytes, int] = {}
        self.deaf = False
        self.silent = False
        held_payloads = [pack_address(key, 2, attributes) for key, attributes in held]
        self._held = held_payloads
        self.socket, self.fake = rtnetlink(with_links(self._answer, "lo", "eth0"))

    def _answer(self, request: RouteRequest) -> Iterable[Reply]:
        if request.kind == RTM_GETADDR:
            return request.verdict(errno.EPERM) if self.deaf else request.answer(*self._held)
        for address, number in self.refused.items():
            if address in request.payload:
                return [ack(request.sequence, number)]
        if self.silent and request.flags & NLM_F_ACK:
            return [LOST]
        return request.verdict()

    @property
    def changes(self) -> list[int]:
        """The kinds of what changed something."""
        return [request.kind for request in self.fake.asked if request.kind in (RTM_NEWADDR, RTM_DELADDR)]

    def perform(self, *actions: AddressAction) -> list[Outcome]:
        return perform_addresses(self.socket, actions, lambda *_: {})


def results(outcomes: Iterable[Outcome]) -> list[Result]:
    return [outcome.result for outcome in outcomes]


class TestPerform:
    def test_addresses_are_sent_in_one_go(self) -> None:
        kernel = AddressKernel()
        keys = [AddressKey("eth0", parse_address(f"10.0.0.{n}"), 32) for n in range(250)]
        assert set(results(kernel.perform(*(AddAddress(key, PLAIN) for key in keys)))) == {Result.DONE}
        assert sum(1 for request in kernel.fake.asked if request.flags & NLM_F_ACK) == 1

    def test_missing_device_stops_nothing(self) -> None:
        kernel = AddressKernel()
        outcomes = kernel.perform(AddAddress(AddressKey("eth9", V4, 32), PLAIN), AddAddress(KEY6, VIRTUAL6))
        assert results(outcomes) == [Result.FAILED, Result.DONE]
        assert outcomes[0].message == "there is no such device"

    @pytest.mark.parametrize(
        ("held", "result"), [(PLAIN, Result.ALREADY), (AddressAttributes(deprecated=True), Result.FAILED)]
    )
    def test_address_that_exists_is_fine_only_when_equal(
        self, held: AddressAttributes, result: Result
    ) -> None:
        kernel = AddressKernel([(KEY4, held)])
        kernel.refused = {V4: errno.EEXIST}
        assert results(kernel.perform(AddAddress(KEY4, PLAIN), AddAddress(KEY6, VIRTUAL6))) == [
            result,
            Result.DONE,
        ]

    def test_ipv4_keeps_no_flag_for_duplicate_detection(self) -> None:
        kernel = AddressKernel([(KEY4, PLAIN)])
        kernel.refused = {V4: errno.EEXIST}
        assert results(kernel.perform(AddAddress(KEY4, AddressAttributes(no_dad=True)))) == [Result.ALREADY]

    def test_lost_answers_are_settled_by_reading(self) -> None:
        gone = AddressKey("eth0", parse_address("192.0.2.77"), 32)
        kernel = AddressKernel([(KEY4, PLAIN)])
        kernel.silent = True
        outcomes = kernel.perform(RemoveAddress(gone), AddAddress(KEY4, PLAIN), AddAddress(KEY6, VIRTUAL6))
        assert results(outcomes) == [Result.DONE, Result.DONE, Result.FAILED]
        assert outcomes[2].errno == errno.ENOBUFS

    def test_what_cannot_be_settled_stays_failed(self) -> None:
        kernel = AddressKernel([(KEY4, PLAIN)])
        kernel.refused, kernel.deaf = {V4: errno.EEXIST}, True
        assert results(kernel.perform(AddAddress(KEY4, PLAIN))) == [Result.FAILED]

    @pytest.mark.parametrize(("key", "kinds"), [(KEY4, [RTM_DELADDR, RTM_NEWADDR]), (KEY6, [RTM_NEWADDR])])
    def test_ipv4_prefix_route_takes_remove_and_add(self, key: AddressKey, kinds: list[int]) -> None:
        kernel = AddressKernel()
        kernel.perform(ReplaceAddress(key, PLAIN, AddressAttributes(no_prefix_route=True)))
        assert kernel.changes == kinds

    def test_devices_that_cannot_be_read_fail_every_action(self) -> None:
        def deny(request: RouteRequest) -> Iterable[Reply]:
            assert request.kind == RTM_GETLINK
            return request.verdict(errno.EPERM)

        socket, _ = rtnetlink(deny)
        outcomes = perform_addresses(socket, [AddAddress(KEY4, PLAIN), RemoveAddress(KEY6)])
        assert results(outcomes) == [Result.FAILED, Result.FAILED]
        assert "CAP_NET_ADMIN" in outcomes[0].message


class TestAnnouncing:
    def announced(self, kernel: AddressKernel, *actions: AddressAction) -> list[AddressKey]:
        told: list[AddressKey] = []

        def announcer(keys: Sequence[AddressKey], devices: Mapping[str, LinkDetail]) -> dict[AddressKey, str]:
            assert devices.keys() == {"lo", "eth0"}
            told.extend(keys)
            return {}

        perform_addresses(kernel.socket, actions, announcer)
        return told

    def test_only_what_was_added_is_announced(self) -> None:
        kernel = AddressKernel([(KEY4, PLAIN)])
        kernel.refused = {V4: errno.EEXIST}
        actions = [
            AddAddress(KEY4, PLAIN),
            AddAddress(KEY6, VIRTUAL6),
            RemoveAddress(AddressKey("eth0", parse_address("192.0.2.9"), 32)),
            ReplaceAddress(AddressKey("eth0", parse_address("2001:db8::9"), 64), PLAIN, VIRTUAL6),
        ]
        assert self.announced(kernel, *actions) == [KEY6]

    def test_ipv6_address_that_is_still_checked_for_duplicates_is_not_announced(self) -> None:
        assert self.announced(AddressKernel(), AddAddress(KEY6, PLAIN), AddAddress(KEY4, PLAIN)) == [KEY4]

    def test_silence_is_a_failure_that_names_its_reason(self) -> None:
        kernel = AddressKernel()
        outcomes = perform_addresses(
            kernel.socket,
            [AddAddress(KEY4, PLAIN), AddAddress(KEY6, VIRTUAL6)],
            lambda *_: {KEY4: "no cable"},
        )
        assert results(outcomes) == [Result.FAILED, Result.DONE]
        assert outcomes[0].message.endswith("was not announced: no cable")


def test_observed_addresses_name_their_device() -> None:
    kernel = AddressKernel([(KEY4, PLAIN), (KEY6, VIRTUAL6)])
    links = observe_links(kernel.socket)
    assert [each.key for each in observe_addresses(kernel.socket, links)] == [KEY4, KEY6]

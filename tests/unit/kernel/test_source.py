"""Which of its addresses a machine uses, asked of the loopback device and of made-up ones."""

from collections.abc import Callable

import pytest

from kernelbal.kernel import source
from kernelbal.kernel.source import KEPT_S, Sources, first_usable, source_towards
from kernelbal.model.address import Address, parse_address
from kernelbal.model.network import ObservedAddress
from tests.unit.plan.samples import held, place

V4, V6 = parse_address("192.0.2.80"), parse_address("2001:db8::80")
LOOPBACK = parse_address("127.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_the_kernels_choice_towards_the_real_server_counts(address: str) -> None:
    assert source_towards(parse_address(address), V4) == LOOPBACK


def test_an_address_that_the_kernel_cannot_reach_has_no_source() -> None:
    assert source_towards(parse_address("255.255.255.255"), V4) is None


def on(device: str, address: str, *, ours: bool = False, deprecated: bool = False) -> ObservedAddress:
    return held(place(device, address), ours=ours, deprecated=deprecated)


def test_the_first_own_address_of_the_device_and_family_is_used() -> None:
    held_addresses = [
        on("lo", "127.0.0.1"),
        on("eth0", "198.51.100.1"),
        on("eth1", "192.0.2.80"),
        on("eth1", "192.0.2.10", ours=True),
        on("eth1", "192.0.2.1"),
        on("eth1", "192.0.2.2"),
        on("eth1", "fe80::1"),
        on("eth1", "2001:db8::10", deprecated=True),
        on("eth1", "2001:db8::1"),
    ]
    assert first_usable(held_addresses, "eth1", V4) == parse_address("192.0.2.1")
    assert first_usable(held_addresses, "eth1", V6) == parse_address("2001:db8::1")
    assert first_usable(held_addresses, "eth2", V4) is None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Address, Address]]:
    """Counts how often the kernel is asked."""
    questions: list[tuple[Address, Address]] = []
    ask: Callable[[Address, Address], Address | None] = source_towards

    def count(server: Address, virtual: Address) -> Address | None:
        questions.append((server, virtual))
        return ask(server, virtual)

    monkeypatch.setattr(source, "source_towards", count)
    return questions


def test_answers_are_remembered_for_a_while(asked: list[tuple[Address, Address]]) -> None:
    sources = Sources()
    for now in (100.0, 101.0, 100.0 + KEPT_S):
        assert sources.towards(LOOPBACK, V4, now) == LOOPBACK
    assert len(asked) == 1
    sources.towards(LOOPBACK, V4, 100.1 + KEPT_S)
    assert len(asked) == 2


def test_that_there_is_no_source_is_remembered_too(asked: list[tuple[Address, Address]]) -> None:
    sources = Sources()
    nowhere = parse_address("255.255.255.255")
    assert [sources.towards(nowhere, V4, 100.0) for _ in range(2)] == [None, None]
    assert len(asked) == 1

"""Hashes as a kernel (Linux 7.2, x86-64) gave them; `tests/lab/test_explain.py` asks a live one."""

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from kernelbal.model.address import Address, parse_address
from kernelbal.plan.explain import hashing

# Real servers in the kernel's order.
REAL_SERVERS = {
    4: [(parse_address(f"10.0.0.{last}"), 80) for last in (13, 12, 11)],
    6: [(parse_address(f"fd00::{last}"), 80) for last in (13, 12, 11)],
}


def clients(version: int, count: int) -> list[Address]:
    base = ip_address("198.18.0.0" if version == 4 else "2001:db8:99::")
    return [parse_address(str(base + (7919 * number + 1) % 65521)) for number in range(count)]


def everybody(_: int) -> bool:
    return True


def all_but(out: int) -> hashing.Usable:
    return lambda index: index != out


def digits(answers: Iterable[int | None]) -> str:
    return "".join("-" if answer is None else str(answer) for answer in answers)


CLIENT = parse_address("198.18.0.5")
CLIENTS, CLIENTS6 = [(client, 0) for client in clients(4, 24)], [(client, 0) for client in clients(6, 24)]
PORTS = [(CLIENT, port) for port in range(20000, 20024)]


@pytest.mark.parametrize(
    ("weights", "asked", "usable", "fallback", "expected"),
    [
        ((3, 1, 5), CLIENTS, everybody, False, "222211111022220002220000"),
        ((3, 1, 5), CLIENTS6, everybody, False, "202222120022222222022222"),
        ((3, 2, 1), PORTS, everybody, False, "202020000201011010121201"),
        ((3, 0, 2), CLIENTS, all_but(1), True, "000000000200000002220000"),
        ((1, 1), CLIENTS[:1], lambda _: False, True, "-"),
        ((65535, 65535), CLIENTS, everybody, False, "0" * 24),  # the first may fill the whole table
        ((), CLIENTS[:1], everybody, True, "-"),
    ],
)
def test_source_hash(
    weights: tuple[int, ...],
    asked: list[tuple[Address, int]],
    usable: hashing.Usable,
    fallback: bool,
    expected: str,
) -> None:
    answers = (hashing.source_hash(weights, *each, usable, fallback=fallback) for each in asked)
    assert digits(answers) == expected


def test_source_hash_gives_nobody_in_place_of_one_that_is_out() -> None:
    answers = {
        hashing.source_hash((3, 0, 2), each, 0, all_but(1), fallback=False) for each in clients(4, 256)
    }
    assert answers == {0, None, 2}


@pytest.mark.parametrize(
    ("keys", "weights", "asked", "usable", "fallback", "expected"),
    [
        (REAL_SERVERS[4], (7, 50, 100), CLIENTS, everybody, False, "112212222211222221222222"),
        (REAL_SERVERS[6], (7, 50, 100), CLIENTS6, everybody, False, "221111221212212222212021"),
        (REAL_SERVERS[4], (3, 2, 1), PORTS, everybody, False, "000011100021011112000110"),
        (REAL_SERVERS[4], (1, 1, 1), CLIENTS, all_but(2), True, "110001000101010011111010"),
        (REAL_SERVERS[4], (0, 0, 0), CLIENTS[:1], everybody, True, "-"),
        ([], (), CLIENTS[:1], everybody, True, "-"),
    ],
)
def test_maglev_hash(
    keys: list[tuple[Address, int]],
    weights: tuple[int, ...],
    asked: list[tuple[Address, int]],
    usable: hashing.Usable,
    fallback: bool,
    expected: str,
) -> None:
    answers = (hashing.maglev_hash(keys, weights, *each, usable, fallback=fallback) for each in asked)
    assert digits(answers) == expected


def test_maglev_table_is_shared_by_weight() -> None:
    table = hashing.maglev_table(REAL_SERVERS[4], (7, 50, 100))
    assert len(table) == hashing.MAGLEV_BUCKETS
    assert [table.count(index) for index in range(3)] == [159, 1325, 2609]


def test_maglev_scales_great_weights_down_to_63_turns() -> None:
    table = hashing.maglev_table(REAL_SERVERS[4], (3, 1000, 65535))
    assert [table.count(index) for index in range(3)] == [63, 63, 3967]


@pytest.mark.parametrize(("version", "expected"), [(4, "222200000-22"), (6, "00--0-0--2-2")])
def test_destination_hash(version: int, expected: str) -> None:
    assert digits(hashing.destination_hash(3, each, all_but(1)) for each in clients(version, 12)) == expected
    assert hashing.destination_hash(0, CLIENT, everybody) is None


def test_words_of_an_ipv6_address_are_combined() -> None:
    assert (
        hashing.fold(parse_address("1:2:3:4:5:6:7:8"))
        == 0x0001_0002 ^ 0x0003_0004 ^ 0x0005_0006 ^ 0x0007_0008
    )

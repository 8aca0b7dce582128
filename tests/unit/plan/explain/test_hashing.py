"""Hashes as a kernel (Linux 7.2, x86-64) gave them; `tests/lab/test_explain.py` asks a live one."""

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


def digits(answers: list[int | None]) -> str:
    return "".join("-" if answer is None else str(answer) for answer in answers)


@pytest.mark.parametrize(
    ("version", "expected"), [(4, "222211111022220002220000"), (6, "202222120022222222022222")]
)
def test_source_hash(version: int, expected: str) -> None:
    answers = [
        hashing.source_hash((3, 1, 5), client, 0, everybody, fallback=False)
        for client in clients(version, 24)
    ]
    assert digits(answers) == expected


def test_source_hash_with_port() -> None:
    client = parse_address("198.18.0.5")
    answers = [
        hashing.source_hash((3, 2, 1), client, port, everybody, fallback=False)
        for port in range(20000, 20024)
    ]
    assert digits(answers) == "202020000201011010121201"


def test_source_hash_gives_nobody_in_place_of_one_that_is_out() -> None:
    answers = [
        hashing.source_hash((3, 0, 2), client, 0, all_but(1), fallback=False) for client in clients(4, 256)
    ]
    assert set(answers) == {0, None, 2}


def test_source_hash_falls_back() -> None:
    answers = [
        hashing.source_hash((3, 0, 2), client, 0, all_but(1), fallback=True) for client in clients(4, 24)
    ]
    assert digits(answers) == "000000000200000002220000"


def test_source_hash_with_fallback_may_still_find_nobody() -> None:
    assert hashing.source_hash((1, 1), clients(4, 1)[0], 0, lambda _: False, fallback=True) is None


def test_first_real_server_may_fill_the_whole_table() -> None:
    answers = {
        hashing.source_hash((65535, 65535), client, 0, everybody, fallback=False)
        for client in clients(4, 256)
    }
    assert answers == {0}


@pytest.mark.parametrize(
    ("version", "expected"), [(4, "112212222211222221222222"), (6, "221111221212212222212021")]
)
def test_maglev(version: int, expected: str) -> None:
    keys = REAL_SERVERS[version]
    answers = [
        hashing.maglev_hash(keys, (7, 50, 100), client, 0, everybody, fallback=False)
        for client in clients(version, 24)
    ]
    assert digits(answers) == expected


def test_maglev_with_port() -> None:
    client = parse_address("198.18.0.5")
    answers = [
        hashing.maglev_hash(REAL_SERVERS[4], (3, 2, 1), client, port, everybody, fallback=False)
        for port in range(20000, 20024)
    ]
    assert digits(answers) == "000011100021011112000110"


def test_maglev_falls_back() -> None:
    answers = [
        hashing.maglev_hash(REAL_SERVERS[4], (1, 1, 1), client, 0, all_but(2), fallback=True)
        for client in clients(4, 24)
    ]
    assert digits(answers) == "110001000101010011111010"


def test_maglev_table_is_shared_by_weight() -> None:
    table = hashing.maglev_table(REAL_SERVERS[4], (7, 50, 100))
    assert len(table) == hashing.MAGLEV_BUCKETS
    assert [table.count(index) for index in range(3)] == [159, 1325, 2609]


def test_maglev_scales_great_weights_down_to_63_turns() -> None:
    table = hashing.maglev_table(REAL_SERVERS[4], (3, 1000, 65535))
    assert [table.count(index) for index in range(3)] == [63, 63, 3967]


def test_maglev_without_any_weight_gives_nobody() -> None:
    answer = hashing.maglev_hash(REAL_SERVERS[4], (0, 0, 0), clients(4, 1)[0], 0, everybody, fallback=True)
    assert answer is None


@pytest.mark.parametrize(("version", "expected"), [(4, "222200000-22"), (6, "00--0-0--2-2")])
def test_destination_hash(version: int, expected: str) -> None:
    answers = [hashing.destination_hash(3, virtual, all_but(1)) for virtual in clients(version, 12)]
    assert digits(answers) == expected


def test_no_real_servers() -> None:
    client = clients(4, 1)[0]
    assert hashing.source_hash((), client, 0, everybody, fallback=True) is None
    assert hashing.maglev_hash([], (), client, 0, everybody, fallback=True) is None
    assert hashing.destination_hash(0, client, everybody) is None


def test_words_of_an_ipv6_address_are_combined() -> None:
    assert (
        hashing.fold(parse_address("1:2:3:4:5:6:7:8"))
        == 0x0001_0002 ^ 0x0003_0004 ^ 0x0005_0006 ^ 0x0007_0008
    )

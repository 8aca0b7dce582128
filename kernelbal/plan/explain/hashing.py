"""The hashes by which IPVS spreads clients: `sh`, `dh` and `mh`, bit for bit as 64-bit kernels compute them.

Real servers are given by weight, in the order of the kernel's list of destinations; the answers are indexes
into that list. Sources: `net/netfilter/ipvs/ip_vs_sh.c`, `ip_vs_dh.c`, `ip_vs_mh.c` and `linux/hash.h` since
Linux 4.19, and SipHash-1-3 (Aumasson and Bernstein) as `lib/siphash.c` has it for `hsiphash`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from math import gcd

from kernelbal.model.address import Address

BUCKETS = 256
"""Size of the tables of `sh` and `dh` (`IP_VS_SH_TAB_BITS`, `IP_VS_DH_TAB_BITS`)."""
MAGLEV_BUCKETS = 4093
"""Size of the table of `mh` with the default `CONFIG_IP_VS_MH_TAB_INDEX` of 12."""

_GOLDEN_RATIO_32 = 0x61C88647
_BUCKET_BITS = 8
_MAGLEV_WEIGHT_BITS = 6
_MAGLEV_OFFSET_KEY = 2654435761
_MAGLEV_SKIP_KEY = 2654446892
_WORD = 0xFFFFFFFF
_LONG = 0xFFFFFFFFFFFFFFFF
_SIP_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)

Usable = Callable[[int], bool]
"""Whether the real server with this index takes new connections."""


def fold(address: Address) -> int:
    """Return an address as 32 bits; the four words of IPv6 are combined by exclusive or."""
    folded = 0
    for start in range(0, len(address), 4):
        folded ^= int.from_bytes(address[start : start + 4])
    return folded


def bucket_of(address: Address, port: int = 0) -> int:
    """Return the bucket of `sh` (client's address, and port with sh-port) or `dh` (virtual address)."""
    product = ((fold(address) + port) & _WORD) * _GOLDEN_RATIO_32
    return (product & _WORD) >> (32 - _BUCKET_BITS)


def source_hash(
    weights: Sequence[int], client: Address, port: int, usable: Usable, *, fallback: bool
) -> int | None:
    """Return the real server that `sh` gives to a client, or None when it gives none.

    Args:
        weights: share of buckets; weight 0 still holds one bucket in each turn.
        client: source address.
        port: source port with the flag sh-port, else 0.
        usable: whether a real server takes new connections.
        fallback: the flag sh-fallback: go on to other buckets when the first is of no use.
    """
    if not weights:
        return None
    turn = cycle(index for index, weight in enumerate(weights) for _ in range(min(max(weight, 1), BUCKETS)))
    table = list(islice(turn, BUCKETS))
    first = bucket_of(client, port)
    if usable(table[first]):
        return table[first]
    if not fallback:
        return None
    # The kernel adds the hash to an offset that starts at the hash itself, so it goes on from twice the hash.
    tries = (table[(first + first + step) % BUCKETS] for step in range(BUCKETS))
    return next((index for index in tries if usable(index)), None)


def destination_hash(count: int, virtual: Address, usable: Usable) -> int | None:
    """Return the one of `count` real servers that `dh` gives to a virtual address, or None."""
    if not count:
        return None
    index = bucket_of(virtual) % count
    return index if usable(index) else None


def maglev_hash(
    keys: Sequence[tuple[Address, int]],
    weights: Sequence[int],
    client: Address,
    port: int,
    usable: Usable,
    *,
    fallback: bool,
) -> int | None:
    """Return the real server that `mh` gives to a client, or None when it gives none.

    Args:
        keys: address and port of each real server.
        weights: the last weight of each that was not 0.
        client: source address.
        port: source port with the flag mh-port, else 0.
        usable: whether a real server takes new connections.
        fallback: the flag mh-fallback: hash on when the first is of no use.
    """
    table = maglev_table(keys, weights)
    if not table:
        return None
    first = _maglev(client, port, _MAGLEV_OFFSET_KEY) % MAGLEV_BUCKETS
    if usable(table[first]):
        return table[first]
    if not fallback:
        return None
    for step in range(MAGLEV_BUCKETS):
        offset = (first + step) % MAGLEV_BUCKETS
        index = table[_maglev(client, port, _MAGLEV_OFFSET_KEY, offset) % MAGLEV_BUCKETS]
        if usable(index):
            return index
    return None


def maglev_table(keys: Sequence[tuple[Address, int]], weights: Sequence[int]) -> list[int]:
    """Return the lookup table of `mh`; empty when every weight is 0.

    Each real server has its own order of buckets. In turns, as many times as its weight says, each takes the
    first bucket of its order that is still free.
    """
    common = gcd(*weights)
    if common == 0:
        return []
    shift = max(0, (max(weights) // common).bit_length() - _MAGLEV_WEIGHT_BITS)
    turns = [(weight // common >> shift) or int(weight != 0) for weight in weights]
    places = [_maglev(address, port, _MAGLEV_OFFSET_KEY) % MAGLEV_BUCKETS for address, port in keys]
    skips = [_maglev(address, port, _MAGLEV_SKIP_KEY) % (MAGLEV_BUCKETS - 1) + 1 for address, port in keys]
    table = [-1] * MAGLEV_BUCKETS
    order = cycle(index for index, count in enumerate(turns) for _ in range(count))
    for index in islice(order, MAGLEV_BUCKETS):
        while table[places[index]] >= 0:
            places[index] = (places[index] + skips[index]) % MAGLEV_BUCKETS
        table[places[index]] = index
    return table


def _maglev(address: Address, port: int, key: int, offset: int = 0) -> int:
    return hsiphash((offset + port + fold(address)) & _WORD, key)


def hsiphash(value: int, key: int) -> int:
    """Return SipHash-1-3 of a 32-bit value under the key (`key`, `key`), cut to 32 bits."""
    v0, v1, v2, v3 = (start ^ key for start in _SIP_START)
    block = (4 << 56) | value
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3 ^ block)
    v0 ^= block
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return (v0 ^ v1 ^ v2 ^ v3) & _WORD


def _sip_round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _LONG
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 = (v2 + v3) & _LONG
    v3 = _rotate(v3, 16) ^ v2
    v0 = (v0 + v3) & _LONG
    v3 = _rotate(v3, 21) ^ v0
    v2 = (v2 + v1) & _LONG
    v1 = _rotate(v1, 17) ^ v2
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _LONG

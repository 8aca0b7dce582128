"""Values to JSON and back, by their types."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from kernelbal.model.address import Address, AddressOrEmpty, parse_address
from kernelbal.store.codec import LEFT_OUT_IF_DEFAULT, Codec, Malformed

V4, V6 = parse_address("192.0.2.1"), parse_address("2001:db8::1")


class Key(NamedTuple):
    """A key that is no text."""

    address: Address
    port: Annotated[int, Meta(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class Inner:
    """A value with a mapping in it."""

    weights: dict[Key, int] = field(default_factory=dict)


class Span(NamedTuple):
    """A named tuple with a default, in another one."""

    start_s: float
    end_s: float | None = None


class Source(NamedTuple):
    """An address that may be empty, and a part with a default."""

    address: AddressOrEmpty
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Outer:
    """A value with everything that there is."""

    name: str
    inner: Mapping[Key, Inner] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    addresses: frozenset[Key] = frozenset()
    texts: dict[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    nested: tuple[Inner, ...] = ()
    last: Inner | None = None


class Wrapped(NamedTuple):
    """What no codec writes: it would have to rebuild every tuple."""

    inner: Inner


PARTS: Final[dict[str, Any]] = {
    "name": "",
    "inner": [],
    "links": [],
    "addresses": [],
    "texts": {},
    "sources": [],
    "nested": [],
    "last": None,
}
"""What is written of an empty one."""


def written(**parts: object) -> bytes:
    """Return what is written of a value with these parts."""
    return json.dumps({**PARTS, **parts}).encode()


OUTER = Codec(Outer, deterministic=True)
PACKED = (st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)).map(Address)
KEYS = st.builds(Key, PACKED, st.integers(0, 65535))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
INNERS = st.builds(Inner, st.dictionaries(KEYS, st.integers(), max_size=3))
SOURCES = st.builds(
    Source,
    PACKED | st.just(Address()),
    st.lists(st.builds(Span, FINITE, st.none() | FINITE), max_size=2).map(tuple),
)
OUTERS = st.builds(
    Outer,
    st.text(max_size=9),
    st.dictionaries(KEYS, INNERS, max_size=3),
    st.frozensets(st.text(max_size=9), max_size=3),
    st.frozensets(KEYS, max_size=3),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    st.lists(SOURCES, max_size=2).map(tuple),
    st.lists(INNERS, max_size=2).map(tuple),
    st.none() | INNERS,
)


@given(OUTERS)
def test_a_value_comes_back_as_it_was(value: Outer) -> None:
    assert OUTER.decode(OUTER.encode(value)) == value


@given(OUTERS, st.data())
def test_damage_is_malformed_and_nothing_worse(value: Outer, data: st.DataObject) -> None:
    text = OUTER.encode(value)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from([b"x", b'"', b"[", b"{", b"0", b"\xff"])) + text[at + 1 :]
    try:
        OUTER.decode(damaged)
    except Malformed:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_malformed_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(Malformed):
        OUTER.decode(data)


def test_a_value_is_readable_and_its_sets_are_sorted() -> None:
    value = Outer(
        "a", {Key(V6, 80): Inner({Key(V4, 0): 5})}, frozenset("cab"), frozenset((Key(V6, 1), Key(V4, 2)))
    )
    assert OUTER.encode(value) == (
        b'{"name":"a","inner":[[["2001:db8::1",80],{"weights":[[["192.0.2.1",0],5]]}]],'
        b'"links":["a","b","c"],"addresses":[["2001:db8::1",1],["192.0.2.1",2]],"texts":{},'
        b'"sources":[],"nested":[],"last":null}'
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"\xff", "malformed"),
        (b'{"texts":{"":' + b"[" * 100_000, "got `array`"),
        (b'{"name":"\xff"}', "Invalid UTF-8"),
        (written(name=1), "Expected `str`, got `int` - at `$.name`"),
        (written(addresses=[["10.0.0.1", 80], ["10.0.0.01", 80]]), "address - at `$.addresses[1][0]`"),
        (written(addresses=[["fe80::1%eth0", 80]]), "is not an IP address"),
        (written(addresses=[["CgAADAA==", 80]]), "is not an IP address"),
        (written(addresses=[[4, 80]]), "expected an IP address as text - at `$.addresses[0][0]`"),
        (written(addresses=[["10.0.0.1", True]]), "Expected `int`, got `bool`"),
        (written(addresses=[["10.0.0.1", 65536]]), "<= 65535 - at `$.addresses[0][1]`"),
        (written(addresses=[["10.0.0.1"]]), "of length 2"),
        (written(inner=[[["10.0.0.1", 1], {"weights": []}]] * 2), "a key stands twice"),
        (written(addresses=[["", 80]]), "`` is not an IP address - at `$.addresses[0][0]`"),
        (written(sources=[["10.0.0", []]]), "is not an IP address - at `$.sources[0][0]`"),
        (written(sources=[["", [[1e3]]]]), "of length 2 - at `$.sources[0][1][0]`"),
        (written(sources=[["", [[1, None, 2]]]]), "of length 2 - at `$.sources[0][1][0]`"),
        (written(inner=[[["10.0.0.1", 1], {}]]), "missing required field `weights` - at `$.inner[0][1]`"),
        (written(nested=[{}]), "missing required field `weights` - at `$.nested[0]`"),
        (written(last={}), "missing required field `weights` - at `$.last`"),
        (written(more=1), "unknown field `more`"),
        (b'{"name":"' + b"x" * 9999 + b'","links":NaN}', "malformed"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: bytes, complaint: str) -> None:
    with pytest.raises(Malformed) as caught:
        OUTER.decode(text)
    assert complaint in caught.value.message
    assert len(caught.value.message) <= 300


@pytest.mark.parametrize("missing", PARTS)
def test_a_missing_part_is_refused_whatever_default_it_has(missing: str) -> None:
    parts = {name: part for name, part in PARTS.items() if name != missing}
    with pytest.raises(Malformed, match=f"missing required field `{missing}`"):
        OUTER.decode(json.dumps(parts).encode())


@dataclass(frozen=True, slots=True)
class Extended:
    """A value with parts that came later."""

    name: str
    keys: frozenset[Key] = field(default=frozenset(), metadata=LEFT_OUT_IF_DEFAULT)
    inner: Mapping[Key, Inner] = field(default_factory=dict, metadata=LEFT_OUT_IF_DEFAULT)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (Extended("a"), {"name"}),
        (Extended("a", frozenset({Key(V4, 80)}), {Key(V6, 80): Inner()}), {"name", "keys", "inner"}),
    ],
)
def test_a_part_that_came_later_is_written_only_where_it_says_something(
    value: Extended, names: set[str]
) -> None:
    codec = Codec(Extended)
    assert json.loads(codec.encode(value)).keys() == names
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_show_is_refused_before_it_is_written(number: float) -> None:
    for span in (Span(number), Span(1.0, number)):
        with pytest.raises(ValueError, match=rf"sources: spans: \w+: {number} is not a finite number"):
            OUTER.encode(Outer("a", sources=(Source(V4, (span,)),)))


def test_a_data_class_in_a_named_tuple_is_refused_when_the_codec_is_made() -> None:
    with pytest.raises(TypeError, match=r"Wrapped\.inner is in a named tuple"):
        Codec(Wrapped)


@pytest.mark.parametrize("packed", [b"\n\0\0\x0b", bytes(range(16))])
def test_bytes_of_another_class_are_no_lost_address(packed: bytes) -> None:
    codec = Codec(Key)
    found = codec.decode(codec.encode(Key(packed, 80)))  # type: ignore[arg-type]  # what an untyped reader may do
    assert found == (packed, 80)
    assert type(found.address) is Address


def test_a_complaint_is_short_whatever_it_quotes() -> None:
    with pytest.raises(Malformed) as caught:
        Codec(Key).decode(b'["' + b"x" * 9999 + b'", 1]')
    assert len(caught.value.message) <= 400

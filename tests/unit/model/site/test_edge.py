"""Blocks of addresses, and what an entry says of itself."""

import pytest
from pydantic import TypeAdapter, ValidationError

from kernelbal.model.address import parse_address
from kernelbal.model.site.edge import Forward, IpPrefix, Prefix

PREFIX: TypeAdapter[Prefix] = TypeAdapter(IpPrefix)


@pytest.mark.parametrize(
    ("text", "length"),
    [("10.0.0.0/24", 24), ("10.0.0.11", 32), ("0.0.0.0/0", 0), ("fd00::/64", 64), ("fd00::11", 128)],
)
def test_block_as_it_is_written(text: str, length: int) -> None:
    block = PREFIX.validate_python(text)
    assert block.length == length
    assert str(block) == (text if "/" in text else f"{text}/{length}")
    assert PREFIX.validate_python(block) is block
    assert PREFIX.dump_python(block) == str(block)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10.0.0.1/24", "bits set behind its prefix length; the block is `10.0.0.0/24`"),
        ("10.0.0.0/33", "needs a prefix length of 0-32"),
        ("fd00::/x", "needs a prefix length of 0-128"),
        ("10.0.0/24", "not an IP address"),
        (24, "text such as `10.0.0.0/24`"),
    ],
)
def test_impossible_block(value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PREFIX.validate_python(value)


def test_what_a_block_holds() -> None:
    wide, narrow = PREFIX.validate_python("10.0.0.0/8"), PREFIX.validate_python("10.1.0.0/16")
    assert wide.covers(narrow)
    assert wide.covers(wide)
    assert not narrow.covers(wide)
    assert narrow.contains(parse_address("10.1.255.255"))
    assert not narrow.contains(parse_address("10.2.0.0"))
    assert not PREFIX.validate_python("0.0.0.0/0").contains(parse_address("fd00::1"))


def test_protocol_number() -> None:
    entry = {"name": "a", "outside": "192.0.2.1", "ports": 1, "inside": "10.0.0.1"}
    numbers = [Forward.model_validate({**entry, "protocol": name}).number for name in ("tcp", "udp", "sctp")]
    assert numbers == [6, 17, 132]

"""Checks as documents write them; blocks of addresses, and what an entry of the edge says of itself."""

import pytest
from pydantic import TypeAdapter, ValidationError

from kernelbal.model.address import parse_address
from kernelbal.model.site.check import (
    KINDS,
    Check,
    CheckProtocol,
    HttpCheck,
    LdapCheck,
    RadiusCheck,
    TcpCheck,
)
from kernelbal.model.site.edge import Forward, IpPrefix, Prefix
from kernelbal.model.site.services import VirtualService

REQUIRED: dict[str, dict[str, object]] = {"radius": {"secret": "s"}, "script": {"argv": ["/bin/true"]}}
BASE = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}


def check(value: object) -> Check:
    """The check of a virtual service."""
    return VirtualService.model_validate({**BASE, "check": value}).check


@pytest.mark.parametrize("kind", KINDS)
def test_every_protocol_is_a_key_with_settings(kind: str) -> None:
    (protocol,) = check({kind: REQUIRED.get(kind, {})}).protocols
    assert type(protocol) is KINDS[kind]
    assert kind in Check.model_fields


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - REQUIRED.keys()))
def test_name_alone_stands_for_its_defaults(kind: str) -> None:
    assert check(kind) == check({kind: None}) == check({kind: {}})


def test_without_a_protocol_there_is_only_timing() -> None:
    assert check({"interval": "5s"}).protocols == ()
    assert (Check().interval, Check().timeout, Check().rise, Check().fall) == (9.0, 4.0, 1, 3)


def test_services_without_a_check_share_one() -> None:
    first, second = (VirtualService.model_validate(BASE) for _ in range(2))
    assert first.check is second.check


def test_order_of_protocols_is_that_of_the_vocabulary() -> None:
    assert check({"tcp": None, "icmp": None}).protocols == (KINDS["icmp"](), TcpCheck())


@pytest.mark.parametrize(
    ("expect", "statuses"),
    [
        (200, ("200",)),
        ("2xx", ("2xx",)),
        ([200, "300-303"], ("200", "300-303")),
    ],
)
def test_statuses_are_written_in_several_ways(expect: object, statuses: tuple[str, ...]) -> None:
    assert HttpCheck.model_validate({"expect": expect}).expect == statuses


@pytest.mark.parametrize(
    "protocol",
    [
        RadiusCheck(secret="hunter2", user="u", password="hunter2"),
        LdapCheck(dn="cn=probe", password="hunter2"),
        HttpCheck(headers={"Authorization": "hunter2"}),
    ],
)
def test_secrets_are_not_shown(protocol: CheckProtocol) -> None:
    assert "hunter2" not in repr(protocol) + str(protocol)


# --- the edge ---


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

"""Bytes packed by hand, read back by pyroute2's decoder: two programs that share no code."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.netlink import message
from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
)
from tests.unit.kernel.ipvs import strategies as some
from tests.unit.kernel.ipvs.pyroute2_messages import CommandMessage


def decoded(body: bytes) -> CommandMessage:
    """A request as pyroute2 reads it."""
    read = CommandMessage(message(31, wire.CMD_NEW_SERVICE, body, 7, 4))
    read.decode()
    assert read["header"]["length"] == 20 + len(body)
    return read


def attribute_names(values: CommandMessage) -> list[str]:
    return [name.rpartition("_ATTR_")[2] for name, _ in values["attrs"]]


@given(some.service_keys())
def test_service_key(key: ServiceKey) -> None:
    found = decoded(wire.service(wire.service_key(key))).get_attr("IPVS_CMD_ATTR_SERVICE")
    assert found.get_attr("IPVS_SVC_ATTR_AF") == key.family
    if key.mark:
        assert attribute_names(found) == ["AF", "FWMARK"]
        assert found.get_attr("IPVS_SVC_ATTR_FWMARK") == key.mark
    else:
        assert attribute_names(found) == ["AF", "PROTOCOL", "ADDR", "PORT"]
        assert found.get_attr("IPVS_SVC_ATTR_PROTOCOL") == key.protocol
        assert ipaddress.ip_address(found.get_attr("IPVS_SVC_ATTR_ADDR")).packed == key.address
        assert found.get_attr("IPVS_SVC_ATTR_PORT") == key.port


@given(st.data(), some.families)
def test_service_attributes(data: st.DataObject, family: int) -> None:
    wanted: ServiceAttributes = data.draw(some.service_attributes(family))
    found = decoded(wire.service(wire.service_attributes(family, wanted))).get_attr("IPVS_CMD_ATTR_SERVICE")
    assert found.get_attr("IPVS_SVC_ATTR_SCHED_NAME") == wanted.scheduler
    assert found.get_attr("IPVS_SVC_ATTR_FLAGS") == {"flags": wanted.flags, "mask": 0xFFFFFFFF}
    assert found.get_attr("IPVS_SVC_ATTR_TIMEOUT") == wanted.timeout_s
    mask = found.get_attr("IPVS_SVC_ATTR_NETMASK")
    assert some.prefix_of_mask(family, mask) == wanted.prefix
    assert wire.prefix_of(family, mask) == wanted.prefix
    assert found.get_attr("IPVS_SVC_ATTR_PE_NAME") == (wanted.engine or None)


@given(some.destination_keys, some.destination_attributes)
def test_destination(key: DestinationKey, wanted: DestinationAttributes) -> None:
    body = wire.DEST_HEADER + wire.destination_key(key) + wire.destination_attributes(wanted)
    found = decoded(body).get_attr("IPVS_CMD_ATTR_DEST")
    assert found.get_attr("IPVS_DEST_ATTR_ADDR_FAMILY") == (2 if len(key.address) == 4 else 10)
    assert ipaddress.ip_address(found.get_attr("IPVS_DEST_ATTR_ADDR")).packed == key.address
    assert found.get_attr("IPVS_DEST_ATTR_PORT") == key.port
    fields = ["FWD_METHOD", "WEIGHT", "U_THRESH", "L_THRESH", "TUN_TYPE", "TUN_PORT", "TUN_FLAGS"]
    assert tuple(found.get_attr(f"IPVS_DEST_ATTR_{field}") for field in fields) == wanted


@given(some.destination_keys)
def test_destination_key_alone(key: DestinationKey) -> None:
    found = decoded(wire.DEST_KEY_HEADER + wire.destination_key(key)).get_attr("IPVS_CMD_ATTR_DEST")
    assert attribute_names(found) == ["ADDR_FAMILY", "ADDR", "PORT"]


def test_every_attribute_is_explicit() -> None:
    key = DestinationKey(parse_address("10.0.0.11"), 80)
    values = DestinationAttributes(0, 1, tunnel_type=1, tunnel_port=5555, tunnel_flags=1)
    found = decoded(wire.DEST_HEADER + wire.destination_key(key) + wire.destination_attributes(values))
    names = attribute_names(found.get_attr("IPVS_CMD_ATTR_DEST"))
    assert names[:3] == ["ADDR_FAMILY", "ADDR", "PORT"]
    assert sorted(names[3:]) == [
        *("FWD_METHOD", "L_THRESH", "TUN_FLAGS", "TUN_PORT", "TUN_TYPE", "U_THRESH", "WEIGHT")
    ]
    assert found.get_attr("IPVS_CMD_ATTR_DEST").get_attr("IPVS_DEST_ATTR_TUN_PORT") == 0  # no tunnel


@pytest.mark.parametrize(
    ("family", "prefix", "raw"),
    [
        (AF_INET, 32, b"\xff\xff\xff\xff"),
        (AF_INET, 20, b"\xff\xff\xf0\x00"),
        (AF_INET, 1, b"\x80\x00\x00\x00"),
        (AF_INET6, 128, struct.pack("=I", 128)),
        (AF_INET6, 64, struct.pack("=I", 64)),
    ],
)
def test_netmask(family: int, prefix: int, raw: bytes) -> None:
    assert wire.netmask(family, prefix) == raw
    assert wire.prefix_of(family, raw) == prefix


@given(st.builds(Timeouts, some.numbers, some.numbers, some.numbers))
def test_timeouts(wanted: Timeouts) -> None:
    found = decoded(wire.timeouts(wanted))
    fields = ("TIMEOUT_TCP", "TIMEOUT_TCP_FIN", "TIMEOUT_UDP")
    assert tuple(found.get_attr(f"IPVS_CMD_ATTR_{field}") for field in fields) == wanted

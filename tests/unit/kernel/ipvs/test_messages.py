"""pyroute2's classes after correction: what they encode is what `linux/ip_vs.h` says."""

import struct

import pytest

from kernelbal.kernel.ipvs.messages import CommandMessage


def encoded(*attributes: tuple[str, object]) -> bytes:
    """The attributes of a command as bytes."""
    request = CommandMessage()
    request["cmd"], request["version"], request["attrs"] = 9, 1, list(attributes)
    request.encode()
    return bytes(request.data[20:])


def nested(name: str, *attributes: tuple[str, object]) -> bytes:
    return encoded((f"IPVS_CMD_ATTR_{name}", {"attrs": list(attributes)}))[4:]


def test_tunnel_port_is_in_network_order() -> None:
    raw = nested("DEST", ("IPVS_DEST_ATTR_TUN_PORT", 5555))
    assert raw == struct.pack("=HH", 6, 14) + (5555).to_bytes(2, "big") + bytes(2)


def test_sync_port_is_in_host_order() -> None:
    raw = nested("DAEMON", ("IPVS_DAEMON_ATTR_MCAST_PORT", 8848))
    assert raw == struct.pack("=HHHxx", 6, 7, 8848)


def test_netmask_is_raw() -> None:
    raw = nested("SERVICE", ("IPVS_SVC_ATTR_NETMASK", struct.pack("=I", 64)))
    assert raw == struct.pack("=HHI", 8, 9, 64)


@pytest.mark.parametrize(("name", "kind"), [("TCP", 4), ("TCP_FIN", 5), ("UDP", 6)])
def test_timeouts_are_numbers(name: str, kind: int) -> None:
    assert encoded((f"IPVS_CMD_ATTR_TIMEOUT_{name}", 900)) == struct.pack("=HHI", 8, kind, 900)


def test_daemon_has_types() -> None:
    raw = nested(
        "DAEMON",
        ("IPVS_DAEMON_ATTR_STATE", 1),
        ("IPVS_DAEMON_ATTR_MCAST_IFN", "eth0"),
        ("IPVS_DAEMON_ATTR_MCAST_GROUP", "224.0.0.81"),
        ("IPVS_DAEMON_ATTR_MCAST_TTL", 3),
    )
    assert raw == (
        struct.pack("=HHI", 8, 1, 1)
        + struct.pack("=HH5s3x", 9, 2, b"eth0\0")
        + struct.pack("=HH4B", 8, 5, 224, 0, 0, 81)
        + struct.pack("=HHB3x", 5, 8, 3)
    )

"""The IPVS messages of generic netlink, packed by hand (`linux/ip_vs.h`, family "IPVS" version 1).

Only what programming a table needs is here. Every attribute is always sent, so that no default of any kernel
counts: flags with a mask of all ones, the persistence netmask, thresholds, the tunnel's type, port and flags.
IPv4 sends the netmask as an address in network order, IPv6 as a prefix length in host order. Ports are in
network order, the tunnel port too. Left out is a persistence engine of an empty name, which the kernel takes
for a name: its absence means none.
"""

from __future__ import annotations

import struct
from typing import Final

from kernelbal.kernel.netlink import NLA_F_NESTED, attribute, nested
from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
)

FAMILY_NAME: Final = "IPVS"

CMD_NEW_SERVICE: Final = 1
CMD_SET_SERVICE: Final = 2
CMD_DEL_SERVICE: Final = 3
CMD_GET_SERVICE: Final = 4
CMD_NEW_DEST: Final = 5
CMD_SET_DEST: Final = 6
CMD_DEL_DEST: Final = 7
CMD_GET_DEST: Final = 8
CMD_NEW_DAEMON: Final = 9
CMD_DEL_DAEMON: Final = 10
CMD_GET_DAEMON: Final = 11
CMD_SET_CONFIG: Final = 12
CMD_GET_CONFIG: Final = 13
CMD_GET_INFO: Final = 15
CMD_ZERO: Final = 16

ATTR_SERVICE: Final = 1
ATTR_DEST: Final = 2
ATTR_TIMEOUT_TCP: Final = 4
ATTR_TIMEOUT_TCP_FIN: Final = 5
ATTR_TIMEOUT_UDP: Final = 6

INFO_VERSION: Final = 1
INFO_CONN_TAB_SIZE: Final = 2

SVC_AF: Final = 1
SVC_PROTOCOL: Final = 2
SVC_ADDR: Final = 3
SVC_PORT: Final = 4
SVC_FWMARK: Final = 5
SVC_SCHED_NAME: Final = 6
SVC_FLAGS: Final = 7
SVC_TIMEOUT: Final = 8
SVC_NETMASK: Final = 9
SVC_STATS: Final = 10
SVC_PE_NAME: Final = 11

DEST_ADDR: Final = 1
DEST_PORT: Final = 2
DEST_FWD_METHOD: Final = 3
DEST_WEIGHT: Final = 4
DEST_U_THRESH: Final = 5
DEST_L_THRESH: Final = 6
DEST_ACTIVE_CONNS: Final = 7
DEST_INACT_CONNS: Final = 8
DEST_PERSIST_CONNS: Final = 9
DEST_ADDR_FAMILY: Final = 11
DEST_STATS64: Final = 12
DEST_TUN_TYPE: Final = 13
DEST_TUN_PORT: Final = 14
DEST_TUN_FLAGS: Final = 15

STATS_CONNS: Final = 1
STATS_INPKTS: Final = 2
STATS_OUTPKTS: Final = 3
STATS_INBYTES: Final = 4
STATS_OUTBYTES: Final = 5

FLAGS_MASK: Final = 0xFFFFFFFF

_PORT_KEY: Final = struct.Struct("=HHHxx HHHxx HH16s HH2sxx")
_MARK_KEY: Final = struct.Struct("=HHHxx HHI")
_SERVICE_TAIL: Final = struct.Struct("=HHII HHI HH4s")
_DEST_KEY: Final = struct.Struct(">12s16s4sHxx")
_DEST_TAIL: Final = struct.Struct("=HHI HHI HHI HHI HHBxxx HH2sxx HHHxx")
_PORT: Final = struct.Struct(">H")
_U32: Final = struct.Struct("=I")


def netmask(family: int, prefix: int) -> bytes:
    """Return the 4 bytes of a persistence granularity of `prefix` bits."""
    if family == AF_INET:
        return ((0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF).to_bytes(4, "big")
    return _U32.pack(prefix)


def number(raw: bytes) -> int:
    """Return a u32 in host order."""
    return int(_U32.unpack(raw)[0])


def prefix_of(family: int, mask: bytes) -> int:
    """Return the prefix length that `netmask` made `mask` of."""
    if family == AF_INET:
        return int.from_bytes(mask, "big").bit_count()
    return number(mask)


def service_key(key: ServiceKey) -> bytes:
    """Return the attributes that name a service."""
    family, protocol, address, port, mark = key
    if mark:
        return _MARK_KEY.pack(6, SVC_AF, family, 8, SVC_FWMARK, mark)
    return _PORT_KEY.pack(
        *(6, SVC_AF, family),
        *(6, SVC_PROTOCOL, protocol),
        *(20, SVC_ADDR, address),
        *(6, SVC_PORT, _PORT.pack(port)),
    )


def service_attributes(family: int, attributes: ServiceAttributes) -> bytes:
    """Return the attributes of a service of `family` beside its key."""
    scheduler, flags, timeout_s, prefix, engine = attributes
    names = attribute(SVC_SCHED_NAME, scheduler.encode() + b"\0")
    if engine:
        names += attribute(SVC_PE_NAME, engine.encode() + b"\0")
    return names + _SERVICE_TAIL.pack(
        *(12, SVC_FLAGS, flags, FLAGS_MASK),
        *(8, SVC_TIMEOUT, timeout_s),
        *(8, SVC_NETMASK, netmask(family, prefix)),
    )


def service(payload: bytes) -> bytes:
    """Return the service attribute around `service_key` and what follows it."""
    return nested(ATTR_SERVICE, payload)


def _address_prefix(family: int) -> bytes:
    """Return what precedes the bytes of a destination's address: its family, and the attribute's header."""
    return struct.pack("=HHHxx HH", 6, DEST_ADDR_FAMILY, family, 20, DEST_ADDR)


_ADDRESS_PREFIX: Final = {4: _address_prefix(AF_INET), 16: _address_prefix(AF_INET6)}
_PORT_HEADER: Final = struct.pack("=HH", 6, DEST_PORT)


def destination_key(key: DestinationKey) -> bytes:
    """Return the attributes that name a destination."""
    address, port = key
    return _DEST_KEY.pack(_ADDRESS_PREFIX[len(address)], address, _PORT_HEADER, port)


def destination_attributes(attributes: DestinationAttributes) -> bytes:
    """Return the attributes of a destination beside its key; tunnel fields are 0 unless it is a tunnel."""
    forwarding, weight, upper, lower, tunnel, tunnel_port, tunnel_flags = attributes
    if forwarding != Forwarding.TUNNEL:
        tunnel = tunnel_port = tunnel_flags = 0
    return _DEST_TAIL.pack(
        *(8, DEST_FWD_METHOD, forwarding),
        *(8, DEST_WEIGHT, weight),
        *(8, DEST_U_THRESH, upper),
        *(8, DEST_L_THRESH, lower),
        *(5, DEST_TUN_TYPE, tunnel),
        *(6, DEST_TUN_PORT, _PORT.pack(tunnel_port)),
        *(6, DEST_TUN_FLAGS, tunnel_flags),
    )


DEST_KEY_HEADER: Final = struct.pack("=HH", 4 + _DEST_KEY.size, ATTR_DEST | NLA_F_NESTED)
"""Header of a destination attribute that holds only `destination_key`."""
DEST_HEADER: Final = struct.pack("=HH", 4 + _DEST_KEY.size + _DEST_TAIL.size, ATTR_DEST | NLA_F_NESTED)
"""Header of a destination attribute that holds `destination_key` and `destination_attributes`."""


def timeouts(values: Timeouts) -> bytes:
    """Return the body of a request that sets the connection timeouts."""
    return struct.pack(
        "=HHI HHI HHI",
        *(8, ATTR_TIMEOUT_TCP, values.tcp_s),
        *(8, ATTR_TIMEOUT_TCP_FIN, values.tcp_fin_s),
        *(8, ATTR_TIMEOUT_UDP, values.udp_s),
    )

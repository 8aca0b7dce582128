"""Random services and destinations as the kernel can hold them."""

import struct

from hypothesis import strategies as st

from kernelbal.model.address import AF_INET, AF_INET6, Address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceKey,
    TunnelFlag,
    TunnelType,
)

families = st.sampled_from([AF_INET, AF_INET6])
ports = st.integers(0, 65535)
numbers = st.integers(0, 0xFFFFFFFF)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=15)


def addresses(family: int) -> st.SearchStrategy[Address]:
    """Packed addresses of one family."""
    size = 4 if family == AF_INET else 16
    return st.binary(min_size=size, max_size=size).map(Address)


@st.composite
def service_keys(draw: st.DrawFn) -> ServiceKey:
    """Services by port or by firewall mark."""
    family = draw(families)
    if draw(st.booleans()):
        return ServiceKey(family, 0, Address(b""), 0, draw(st.integers(1, 0xFFFFFFFF)))
    protocol = draw(st.sampled_from(list(Protocol)))
    return ServiceKey(family, protocol, draw(addresses(family)), draw(ports))


def service_attributes(family: int) -> st.SearchStrategy[ServiceAttributes]:
    """Attributes of a service of one family."""
    return st.builds(
        ServiceAttributes,
        scheduler=names,
        flags=st.integers(0, 0x3F).map(lambda flags: flags & ~2),
        timeout_s=numbers,
        prefix=st.integers(1, 32 if family == AF_INET else 128),
        engine=st.one_of(st.just(""), names),
    )


destination_keys = st.builds(DestinationKey, families.flatmap(addresses), ports)

plain_destinations = st.builds(
    DestinationAttributes,
    forwarding=st.sampled_from([method for method in Forwarding if method != Forwarding.TUNNEL]),
    weight=numbers,
    upper_threshold=numbers,
    lower_threshold=numbers,
    tunnel_type=st.just(0),
    tunnel_port=st.just(0),
    tunnel_flags=st.just(0),
)
tunnels = st.builds(
    DestinationAttributes,
    forwarding=st.just(Forwarding.TUNNEL),
    weight=numbers,
    upper_threshold=numbers,
    lower_threshold=numbers,
    tunnel_type=st.sampled_from(list(TunnelType)),
    tunnel_port=ports,
    tunnel_flags=st.sampled_from(list(TunnelFlag)),
)
destination_attributes = st.one_of(plain_destinations, tunnels)


def prefix_of_mask(family: int, mask: bytes) -> int:
    """What the four bytes of a netmask mean, worked out without the driver."""
    if family == AF_INET6:
        return int(struct.unpack("=I", mask)[0])
    return "".join(f"{octet:08b}" for octet in mask).rstrip("0").count("1")

"""An ownership record and a kernel state in which every kind of kernel object occurs."""

from typing import Final

from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Drain,
    DrainKey,
    ServiceAttributes,
    ServiceKey,
    ServicePolicy,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, LinkState, Sysctl
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.classifier import build_table
from tests.support.states import desired_of, owned_of

BOOT: Final = "5f1b"
V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
WEB = ServiceKey(AF_INET, 6, V4, 80)
WEB6 = ServiceKey(AF_INET6, 17, V6, 53)
MARKED = ServiceKey(AF_INET6, 0, Address(b""), 0, 0x4B000001)
SERVER = DestinationKey(parse_address("10.0.0.11"), 80)
SERVER6 = DestinationKey(parse_address("fd00::11"), 0)

OWNED = owned_of(
    boot_id=BOOT,
    services=frozenset({WEB, WEB6, MARKED}),
    addresses=frozenset({AddressKey("eth0", V4, 24), AddressKey("eth0.5", V6, 128)}),
    links=frozenset({"tunl0"}),
    sysctls={"net/ipv4/vs/sync_threshold": "3\t50", "net/ipv4/ip_forward": "0"},
    timeouts=Timeouts(900, 120, 300),
    drains={DrainKey(WEB, SERVER): Drain(12.5, 72.5), DrainKey(MARKED, SERVER6): Drain(1.0, 2.0)},
    drain_s={MARKED: 0.0, WEB: 7.5},
)
STATE = desired_of(
    services={
        WEB: VirtualServer(
            ServiceAttributes("wlc", 1, 300, 24, ""),
            {
                SERVER6: DestinationAttributes(2, 0, 0, 0, 1, 5555, 1),
                SERVER: DestinationAttributes(0, 65535, 10, 5),
            },
        ),
        MARKED: VirtualServer(ServiceAttributes("mh", 0x18, 0, 128, "sip")),
    },
    policies={WEB: ServicePolicy("web", 60.0)},
    addresses={AddressKey("eth0", V6, 128): AddressAttributes(no_dad=True, deprecated=True)},
    links=(LinkState("tunl0", "ipip", 1480),),
    sysctls=(Sysctl("net/ipv4/ip_forward", "1", "Replies are routed.", optional=True),),
    nft=build_table({(V4, 6, 80, 443): 1, (V6, 17, 53, 53): 2}, frozenset({1})),
    timeouts=Timeouts(),
    rules=frozenset(
        {Rule(2, 500, 300, V4, 32, ANYWHERE[2], 0), Rule(10, 19200, 19300, ANYWHERE[10], 0, V6, 64)}
    ),
    table_routes={
        TableRouteKey(300, ANYWHERE[2], 0): NextHop(V4, "eth0"),
        TableRouteKey(19300, ANYWHERE[10], 0): NextHop(None, "eth1"),
    },
)

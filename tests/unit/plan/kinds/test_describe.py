"""Actions in one line each, for people."""

import pytest

from kernelbal.model.ipvs import Forwarding, ServiceAttributes, ServiceFlag, Timeouts, TunnelFlag, TunnelType
from kernelbal.model.network import AddressAttributes, LinkState
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Action
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kinds import describe, sign_of
from kernelbal.plan.kinds.addresses import AddAddress, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.links import EnsureLink, RemoveLink
from kernelbal.plan.kinds.routing import AddRoute, AddRule, RemoveRoute, RemoveRule, ReplaceRoute
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    destination_text,
    service_text,
)
from kernelbal.plan.kinds.sysctls import WriteSysctl
from kernelbal.plan.kinds.tables import ReplaceTable
from kernelbal.plan.kinds.timeouts import SetTimeouts
from tests.support.builders import by_mark, place, real, service, weighing

WEB, UNNAMED, MARKED6 = service("192.0.2.10", 80), service("2001:db8::10", 53, "udp"), by_mark(7, 10)
NAMES = {WEB: "web", MARKED6: "tied"}
A = real("10.0.0.11")
VIP6 = place("eth0", "2001:db8::10")
WLC = ServiceAttributes("wlc", 0, 0, 32, "")
STICKY = WLC._replace(flags=int(ServiceFlag.PERSISTENT), timeout_s=300, prefix=24)
TABLE = build_table({(WEB.address, 6, 80, 90): 7}, frozenset())
GUE = weighing(
    1,
    Forwarding.TUNNEL,
    tunnel_type=int(TunnelType.GUE),
    tunnel_port=5555,
    tunnel_flags=int(TunnelFlag.REMCSUM),
)


RULE = Rule(2, 500, 300, ANYWHERE[2], 0, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (AddRule(RULE), "+ rule 500: from all to all lookup 300"),
        (RemoveRule(RULE), "- rule 500: from all to all lookup 300"),
        (AddRoute(KEY, HOP), "+ route default table 300 dev eth0"),
        (ReplaceRoute(KEY, HOP, HOP), "~ route default table 300 dev eth0 -> dev eth0"),
        (RemoveRoute(KEY), "- route default table 300"),
        (AddService(WEB, WLC), "+ service `web` 192.0.2.10:80/tcp wlc"),
        (AddService(UNNAMED, WLC._replace(prefix=128)), "+ service [2001:db8::10]:53/udp wlc"),
        (AddService(MARKED6, WLC._replace(prefix=128)), "+ service `tied` mark 0x7 ipv6 wlc"),
        (AddService(WEB, STICKY), "+ service `web` 192.0.2.10:80/tcp wlc persistent 5m /24"),
        (
            EditService(WEB, WLC, STICKY._replace(scheduler="sh")),
            "~ service `web` 192.0.2.10:80/tcp scheduler wlc -> sh, flags none -> persistent,"
            " timeout 0s -> 300s, prefix /32 -> /24",
        ),
        (RemoveService(WEB), "- service `web` 192.0.2.10:80/tcp and its real servers"),
        (
            AddDestination(WEB, A, weighing(5)),
            "+ real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp nat weight 5",
        ),
        (
            EditDestination(WEB, A, weighing(5), weighing(7, Forwarding.DSR, upper_threshold=9)),
            "~ real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp forwarding nat -> dsr, weight 5 -> 7,"
            " upper_threshold 0 -> 9",
        ),
        (
            QuiesceDestination(WEB, A, weighing(5), 60.0),
            "~ real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp weight 5 -> 0, removed within 60s",
        ),
        (RemoveDestination(WEB, A), "- real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp"),
        (SetTimeouts(None, Timeouts(1, 2, 3)), "~ timeouts tcp 1s tcp_fin 2s udp 3s"),
        (
            SetTimeouts(Timeouts(4, 5, 6), Timeouts(1, 2, 3)),
            "~ timeouts tcp 4s tcp_fin 5s udp 6s -> tcp 1s tcp_fin 2s udp 3s",
        ),
        (
            AddAddress(VIP6, AddressAttributes(no_dad=True, deprecated=True)),
            "+ address 2001:db8::10/128 dev eth0 nodad preferred_lft 0",
        ),
        (
            ReplaceAddress(VIP6, AddressAttributes(), AddressAttributes(no_prefix_route=True)),
            "~ address 2001:db8::10/128 dev eth0 noprefixroute",
        ),
        (RemoveAddress(VIP6), "- address 2001:db8::10/128 dev eth0"),
        (EnsureLink(LinkState("tunl0", "ipip")), "+ link tunl0 up"),
        (RemoveLink("tunl0"), "- link tunl0"),
        (
            WriteSysctl("net/ipv4/ip_forward", "0", "1", "Routes."),
            "~ sysctl net.ipv4.ip_forward 0 -> 1  # Routes.",
        ),
        (WriteSysctl("net/a", "", "1", "New."), "~ sysctl net.a (unset) -> 1  # New."),
        (ReplaceTable(None, TABLE), "+ nftables table inet kernelbal"),
        (ReplaceTable(TABLE, TABLE), "~ nftables table inet kernelbal"),
        (ReplaceTable(TABLE, EMPTY_TABLE), "- nftables table inet kernelbal"),
    ],
)
def test_line(action: Action, line: str) -> None:
    assert " ".join(describe(action, NAMES)) == line
    assert sign_of(action) == line[0]


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (weighing(3, Forwarding.LOCAL), "local weight 3"),
        (weighing(3, upper_threshold=9, lower_threshold=5), "nat weight 3 thresholds 5-9"),
        (weighing(1, Forwarding.TUNNEL), "tunnel ipip weight 1"),
        (GUE, "tunnel gue port 5555 remcsum weight 1"),
    ],
)
def test_real_server(attributes: object, text: str) -> None:
    assert destination_text(attributes) == text


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (ServiceAttributes("sh", 0x18, 0, 32, ""), "sh sh-fallback sh-port"),
        (ServiceAttributes("mh", 0x10, 0, 32, ""), "mh mh-port"),
        (ServiceAttributes("rr", 0x4, 0, 32, ""), "rr one-packet"),
        (ServiceAttributes("rr", 0x1, 90, 32, "sip"), "rr persistent 90s engine sip"),
    ],
)
def test_service(attributes: ServiceAttributes, text: str) -> None:
    assert service_text(attributes, 32) == text

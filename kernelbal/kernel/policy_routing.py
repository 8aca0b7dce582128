"""Rules and tables of policy routing through rtnetlink (`linux/fib_rules.h`, `linux/rtnetlink.h`).

What is ours bears our protocol number. Nothing else is ever changed or removed: a request to remove names the
number, and the kernel takes it as part of what to look for (`fib_nl_delrule`, `fib_table_delete`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.netlink import Refusal, attribute
from kernelbal.kernel.refusals import all_failed, refused
from kernelbal.kernel.routes import (
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTA_TABLE,
    RTM_F_CLONED,
    RTN_UNICAST,
    parse_routes,
)
from kernelbal.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    ROUTE_MESSAGE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    U32,
    Request,
    RtNetlink,
    attribute_table,
)
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.network import Link, Route
from kernelbal.model.policy_route import (
    ANYWHERE,
    PROTOCOL_KERNELBAL,
    NextHop,
    Rule,
    TableRouteKey,
    TableRoutes,
)
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.routing import (
    ROUTING,
    AddRoute,
    AddRule,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    Routing,
)
from kernelbal.plan.kinds.sysctls import ROUTES

RoutingAction = AddRule | RemoveRule | AddRoute | ReplaceRoute | RemoveRoute

RTM_DELROUTE: Final = 25
RTM_NEWRULE: Final = 32
RTM_DELRULE: Final = 33
RTM_GETRULE: Final = 34

FRA_DST: Final = 1
FRA_SRC: Final = 2
FRA_PRIORITY: Final = 6
FRA_TABLE: Final = 15
FRA_PROTOCOL: Final = 21
FR_ACT_TO_TBL: Final = 1
_NO_RULES: Final = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)

RT_TABLE_COMPAT: Final = 252
"""Stands in the header's byte for a table whose number does not fit into it."""
RT_SCOPE_UNIVERSE: Final = 0
RT_SCOPE_LINK: Final = 253
RT_SCOPE_NOWHERE: Final = 255
"""To remove whatever the scope is."""
PROTOCOL_BYTE: Final = 5
"""Where `struct rtmsg` has the protocol."""


def observe_routing(socket: RtNetlink, links: Sequence[Link]) -> tuple[tuple[Route, ...], Routing]:
    """Return the unicast routes of the main table, of everybody, and what is ours beside it.

    Raises:
        KernelError: they cannot be read.
    """
    devices = {link.ifindex: link.name for link in links}
    main: list[Route] = []
    ours: TableRoutes = {}
    for family in (AF_INET, AF_INET6):
        for data in socket.dump(RTM_GETROUTE, ROUTE_MESSAGE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0), "routes"):
            main.extend(parse_routes(data, devices))
            if data[PROTOCOL_BYTE] == PROTOCOL_KERNELBAL:
                ours.update(parse_table_route(data, devices))
    return tuple(main), Routing(frozenset(_observe_rules(socket)), ours)


def _observe_rules(socket: RtNetlink) -> Iterator[Rule]:
    for family in (AF_INET, AF_INET6):
        try:
            dump = list(socket.dump(RTM_GETRULE, ROUTE_MESSAGE.pack(family, *bytes(8)), "routing rules"))
        except KernelError as error:
            if error.errno in _NO_RULES:
                continue  # a kernel without policy routing has none
            raise
        for data in dump:
            rule = parse_rule(data)
            if rule is not None:
                yield rule


def parse_rule(data: bytes) -> Rule | None:
    """Return the rule in an RTM_NEWRULE message without netlink header; None unless it is ours."""
    family, to_bits, from_bits, _, table, _, _, action, _ = ROUTE_MESSAGE.unpack_from(data)
    found = attribute_table(data, ROUTE_MESSAGE.size)
    if found.get(FRA_PROTOCOL) != bytes([PROTOCOL_KERNELBAL]) or action != FR_ACT_TO_TBL:
        return None
    anywhere = ANYWHERE[family]
    return Rule(
        family,
        _number(found, FRA_PRIORITY, 0),
        _number(found, FRA_TABLE, table),
        Address(found.get(FRA_SRC, anywhere)),
        from_bits,
        Address(found.get(FRA_DST, anywhere)),
        to_bits,
    )


def parse_table_route(data: bytes, devices: Mapping[int, str]) -> TableRoutes:
    """Return the route in an RTM_NEWROUTE message without netlink header; nothing unless it is ours."""
    family, prefix, _, _, table, protocol, _, kind, flags = ROUTE_MESSAGE.unpack_from(data)
    found = attribute_table(data, ROUTE_MESSAGE.size)
    number = _number(found, RTA_TABLE, table)
    ours = protocol == PROTOCOL_KERNELBAL and kind == RTN_UNICAST and number != RT_TABLE_MAIN
    if not ours or flags & RTM_F_CLONED or family not in ANYWHERE:
        return {}
    key = TableRouteKey(number, Address(found.get(RTA_DST, ANYWHERE[family])), prefix)
    gateway = Address(found[RTA_GATEWAY]) if RTA_GATEWAY in found else None
    return {key: NextHop(gateway, devices.get(_number(found, RTA_OIF, 0), ""))}


def pack_rule(rule: Rule) -> bytes:
    """Return the payload of a request about a rule; the same to add and to remove it."""
    small = rule.table if rule.table < RT_TABLE_COMPAT else RT_TABLE_COMPAT
    head = ROUTE_MESSAGE.pack(
        rule.family, rule.destination_prefix, rule.source_prefix, 0, small, 0, 0, FR_ACT_TO_TBL, 0
    )
    source = attribute(FRA_SRC, rule.source) if rule.source_prefix else b""
    destination = attribute(FRA_DST, rule.destination) if rule.destination_prefix else b""
    return (
        head
        + destination
        + source
        + attribute(FRA_PRIORITY, U32.pack(rule.priority))
        + attribute(FRA_TABLE, U32.pack(rule.table))
        + attribute(FRA_PROTOCOL, bytes([PROTOCOL_KERNELBAL]))
    )


def pack_route(key: TableRouteKey, hop: NextHop, ifindex: int) -> bytes:
    """Return the payload that adds or replaces a route."""
    on_link = hop.gateway is None and family_of(key.destination) == AF_INET
    scope = RT_SCOPE_LINK if on_link else RT_SCOPE_UNIVERSE
    gateway = attribute(RTA_GATEWAY, hop.gateway) if hop.gateway is not None else b""
    return _route_head(key, scope, RTN_UNICAST) + gateway + attribute(RTA_OIF, U32.pack(ifindex))


def _route_head(key: TableRouteKey, scope: int, kind: int) -> bytes:
    small = key.table if key.table < RT_TABLE_COMPAT else RT_TABLE_COMPAT
    family = family_of(key.destination)
    head = ROUTE_MESSAGE.pack(family, key.prefix, 0, 0, small, PROTOCOL_KERNELBAL, scope, kind, 0)
    destination = attribute(RTA_DST, key.destination) if key.prefix else b""
    return head + destination + attribute(RTA_TABLE, U32.pack(key.table))


def perform_routing(socket: RtNetlink, actions: Sequence[RoutingAction]) -> list[Outcome]:
    """Add and remove rules and routes; one that fails does not stop the others."""
    try:
        devices = {link.name: link.ifindex for link in observe_links(socket)}
    except KernelError as error:
        return all_failed(actions, error)
    return [_perform(socket, action, devices) for action in actions]


def _perform(socket: RtNetlink, action: RoutingAction, devices: Mapping[str, int]) -> Outcome:
    if isinstance(action, AddRoute | ReplaceRoute) and action.hop.device not in devices:
        return refused(action, errno.ENODEV)
    kind, flags, payload = _request(action, devices)
    answer = socket.ask(kind, payload, flags)
    if not isinstance(answer, Refusal):
        return Outcome(action, Result.DONE)
    return refused(action, *answer)


def _request(action: RoutingAction, devices: Mapping[str, int]) -> Request:
    match action:
        case AddRule(rule):
            return Request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, pack_rule(rule))
        case RemoveRule(rule):
            return Request(RTM_DELRULE, 0, pack_rule(rule))
        case AddRoute(key, hop):
            return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, pack_route(key, hop, devices[hop.device]))
        case ReplaceRoute(key, _, hop):
            return Request(
                RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, pack_route(key, hop, devices[hop.device])
            )
        case RemoveRoute(key):
            return Request(RTM_DELROUTE, 0, _route_head(key, RT_SCOPE_NOWHERE, 0))


def _number(found: Mapping[int, bytes], kind: int, default: int) -> int:
    return int(U32.unpack(found[kind])[0]) if kind in found else default


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    links = found.of(LINKS)
    main, ours = observe_routing(sockets.rtnetlink, links)
    return found.having(ROUTES, main).having(ROUTING, ours)


def _perform_all(sockets: Sockets, actions: Sequence[RoutingAction]) -> list[Outcome]:
    return perform_routing(sockets.rtnetlink, actions)


DRIVER: Final = Driver(_observe, _perform_all)

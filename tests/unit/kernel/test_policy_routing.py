"""Rules and tables of policy routing, in messages as the kernel sends and takes them."""

import errno
from collections.abc import Iterable

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel.netlink import NLM_F_ACK, attribute
from kernelbal.kernel.policy_routing import (
    FRA_PROTOCOL,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETRULE,
    RTM_NEWRULE,
    observe_routing,
    pack_route,
    pack_rule,
    parse_rule,
    parse_table_route,
    perform_routing,
)
from kernelbal.kernel.routes import RTA_TABLE
from kernelbal.kernel.rtnetlink import ROUTE_MESSAGE, RTM_GETROUTE, RTM_NEWROUTE, U32
from kernelbal.model.address import parse_address
from kernelbal.model.network import Link, Route
from kernelbal.model.policy_route import ANYWHERE, PROTOCOL_KERNELBAL, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.routing import AddRoute, AddRule, RemoveRoute, RemoveRule, ReplaceRoute, Routing
from tests.unit.kernel.fake_netlink import Reply
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink, with_links

DEVICES = {2: "eth0"}
LINKS = [Link("eth0", 2, True, "", 1500, "")]
SOURCE, THERE, GATEWAY = (parse_address(text) for text in ("10.0.0.11", "198.51.100.0", "192.0.2.1"))
SOURCE6, GATEWAY6 = parse_address("fd00::11"), parse_address("fe80::1")
RULE = Rule(2, 500, 19300, SOURCE, 32, THERE, 24)
RULES = (
    RULE,
    Rule(2, 500, 100, ANYWHERE[2], 0, THERE, 24),
    Rule(10, 32765, 0xFFFFFFFF, SOURCE6, 128, ANYWHERE[10], 0),
)
KEY, KEY6 = TableRouteKey(19300, ANYWHERE[2], 0), TableRouteKey(100, ANYWHERE[10], 0)
HOP = NextHop(GATEWAY, "eth0")
ROUTES = (
    (KEY, HOP),
    (KEY6, NextHop(GATEWAY6, "eth0")),
    (TableRouteKey(300, THERE, 24), NextHop(None, "eth0")),
)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule_reads_as_it_was_packed(rule: Rule) -> None:
    assert parse_rule(pack_rule(rule)) == rule


@pytest.mark.parametrize(("key", "hop"), ROUTES, ids=str)
def test_route_reads_as_it_was_packed(key: TableRouteKey, hop: NextHop) -> None:
    assert parse_table_route(pack_route(key, hop, 2), DEVICES) == {key: hop}


def test_rules_of_others_are_not_ours() -> None:
    mark = attribute(FRA_PROTOCOL, bytes([PROTOCOL_KERNELBAL]))
    packed = pack_rule(RULE)
    assert parse_rule(packed.replace(mark, attribute(FRA_PROTOCOL, b"\3"))) is None
    assert parse_rule(packed.replace(mark, b"")) is None
    blackhole = packed[:7] + bytes([6]) + packed[8:]
    assert parse_rule(blackhole) is None


def test_routes_of_others_and_of_the_main_table_are_not_ours() -> None:
    packed = pack_route(KEY, HOP, 2)
    assert parse_table_route(packed[:5] + bytes([3]) + packed[6:], DEVICES) == {}
    main = attribute(RTA_TABLE, U32.pack(254))
    assert parse_table_route(packed.replace(attribute(RTA_TABLE, U32.pack(19300)), main), DEVICES) == {}


def kernel(request: RouteRequest) -> Iterable[Reply]:
    """Holds the rules and routes above, and one route of the main table."""
    family = request.payload[0]
    if request.kind == RTM_GETRULE:
        return request.answer(*[pack_rule(rule) for rule in RULES if rule.family == family])
    if request.kind == RTM_GETROUTE:
        main = ROUTE_MESSAGE.pack(2, 24, 0, 0, 254, 3, 0, 1, 0) + attribute(1, THERE)
        ours = [pack_route(*route, 2) for route in ROUTES if len(route[0].destination) == 4]
        return request.answer(*(main, *ours) if family == 2 else [pack_route(*ROUTES[1], 2)])
    return request.verdict()


def test_everything_is_read_in_one_pass() -> None:
    socket, fake = rtnetlink(kernel)
    main, ours = observe_routing(socket, LINKS)
    assert main == (Route(THERE, 24, None, "", 0),)
    assert ours == Routing(frozenset(RULES), dict(ROUTES))
    assert [request.kind for request in fake.asked].count(RTM_GETROUTE) == 2


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EAFNOSUPPORT])
def test_kernel_without_policy_routing_has_no_rules(number: int) -> None:
    def answering(request: RouteRequest) -> Iterable[Reply]:
        return request.verdict(number) if request.kind == RTM_GETRULE else request.answer()

    assert observe_routing(rtnetlink(answering)[0], LINKS)[1].rules == frozenset()


def test_kernel_that_refuses_is_an_error() -> None:
    def answering(request: RouteRequest) -> Iterable[Reply]:
        return request.verdict(errno.EPERM) if request.kind == RTM_GETRULE else request.answer()

    with pytest.raises(KernelError, match="CAP_NET_ADMIN"):
        observe_routing(rtnetlink(answering)[0], LINKS)


def test_requests() -> None:
    socket, fake = rtnetlink(with_links(lambda request: request.verdict(), "lo", "eth0"))
    actions = (
        AddRule(RULE),
        AddRoute(KEY, HOP),
        ReplaceRoute(KEY, HOP, HOP),
        RemoveRule(RULE),
        RemoveRoute(KEY),
    )
    outcomes = perform_routing(socket, actions)
    assert [outcome.result for outcome in outcomes] == [Result.DONE] * 5
    assert [(r.kind, r.flags & ~(NLM_F_ACK | 1)) for r in fake.asked if not r.is_dump] == [
        (RTM_NEWRULE, 0x600),
        (RTM_NEWROUTE, 0x600),
        (RTM_NEWROUTE, 0x500),
        (RTM_DELRULE, 0),
        (RTM_DELROUTE, 0),
    ]
    removal = fake.asked[-1].payload
    assert removal[5] == PROTOCOL_KERNELBAL  # so that the kernel looks for ours alone


REFUSALS = (
    (AddRule(RULE), errno.EEXIST, Result.ALREADY, "was there already"),
    (RemoveRule(RULE), errno.ENOENT, Result.ALREADY, "was gone already"),
    (RemoveRoute(KEY), errno.ESRCH, Result.ALREADY, "was gone already"),
    (AddRoute(KEY, HOP), errno.EEXIST, Result.FAILED, "the table holds such a route of someone else"),
    (AddRoute(KEY, HOP), errno.ENETUNREACH, Result.FAILED, "the gateway cannot be reached by this device"),
    (AddRule(RULE), errno.EOPNOTSUPP, Result.FAILED, "the kernel has no policy routing"),
)


@pytest.mark.parametrize(("action", "number", "result", "message"), REFUSALS)
def test_refusals_in_words(
    action: AddRule | RemoveRule | AddRoute | RemoveRoute, number: int, result: Result, message: str
) -> None:
    socket, _ = rtnetlink(with_links(lambda request: request.verdict(number), "lo", "eth0"))
    (outcome,) = perform_routing(socket, [action])
    assert (outcome.result, outcome.errno, outcome.message) == (result, number, message)
    assert bool(outcome.hint) is (result is Result.FAILED)


def test_route_by_a_device_that_is_not_there() -> None:
    socket, fake = rtnetlink(with_links(lambda request: request.verdict(), "lo"))
    (outcome,) = perform_routing(socket, [AddRoute(KEY, HOP)])
    assert (outcome.result, outcome.errno) == (Result.FAILED, errno.ENODEV)
    assert all(request.is_dump for request in fake.asked)


def test_devices_that_cannot_be_read_fail_every_action() -> None:
    socket, _ = rtnetlink(lambda request: request.verdict(errno.EPERM))
    outcomes = perform_routing(socket, [AddRule(RULE), RemoveRule(RULE)])
    assert [outcome.errno for outcome in outcomes] == [errno.EPERM] * 2

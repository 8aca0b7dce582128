"""Telling reverts from changes that follow from a decision."""

import pytest

from kernelbal.model.event import Severity, Topic
from kernelbal.model.ipvs import Timeouts
from kernelbal.model.network import AddressAttributes, LinkState, ObservedAddress
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.addresses import AddAddress
from kernelbal.plan.kinds.links import EnsureLink, RemoveLink
from kernelbal.plan.kinds.routing import AddRoute, AddRule
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, EditDestination, RemoveService
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import WriteSysctl
from kernelbal.plan.kinds.tables import ReplaceTable
from kernelbal.plan.kinds.timeouts import SetTimeouts
from kernelbal.runtime.director.drift import NAMED, revert_event, reverting
from tests.support.builders import link, place, real, service, virtual, weighing
from tests.support.states import observed_of

WEB = service("192.0.2.10", 80)
MAIL = service("192.0.2.11", 25)
A, B = real("10.0.0.11"), real("10.0.0.12")
VIP = place("eth0", "192.0.2.10")
PATH = "net/ipv4/ip_forward"
TABLE = build_table({}, frozenset({7}))
RULE = Rule(2, 500, 300, ANYWHERE[2], 0, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")
PARTS = {
    "services": {WEB: virtual((A, weighing(1)), (B, weighing(1)))},
    "addresses": (ObservedAddress(VIP, AddressAttributes(), ours=True),),
    "links": (link("eth0"),),
    "sysctls": {PATH: "1"},
    "nft": TABLE,
    "timeouts": Timeouts(),
    "rules": frozenset({RULE}),
    "table_routes": {KEY: HOP},
}
LEFT = observed_of(**PARTS)
ATTRIBUTES = LEFT.of(SERVICES)[WEB].attributes


def left(**changes: object) -> ObservedState:
    return observed_of(**{**PARTS, **changes})


def made(*actions: Action) -> list[Outcome]:
    return [Outcome(action, Result.DONE) for action in actions]


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (left(services={}), AddService(WEB, ATTRIBUTES)),
        (left(services={}), AddDestination(WEB, A, weighing(1))),
        (
            left(services={WEB: virtual((A, weighing(9)), (B, weighing(1)))}),
            EditDestination(WEB, A, weighing(9), weighing(1)),
        ),
        (left(addresses=()), AddAddress(VIP, AddressAttributes())),
        (left(links=()), EnsureLink(LinkState("eth0"))),
        (left(links=()), RemoveLink("eth0")),
        (left(sysctls={PATH: "0"}), WriteSysctl(PATH, "0", "1", "Routes.")),
        (left(nft=None), ReplaceTable(None, TABLE)),
        (left(rules=frozenset()), AddRule(RULE)),
        (left(table_routes={}), AddRoute(KEY, HOP)),
        (left(timeouts=Timeouts(1, 1, 1)), SetTimeouts(Timeouts(1, 1, 1), Timeouts())),
    ],
)
def test_what_others_changed_is_reverted_and_what_was_decided_is_not(
    found: ObservedState, action: Action
) -> None:
    assert reverting(LEFT, found, made(action)) == made(action)
    assert reverting(LEFT, LEFT, made(action)) == []


def test_a_weight_that_was_decided_is_no_revert_beside_one() -> None:
    found = left(services={WEB: virtual((B, weighing(1)))})
    put_back = AddDestination(WEB, A, weighing(1))
    decided = EditDestination(WEB, B, weighing(1), weighing(0))
    assert reverting(LEFT, found, made(put_back, decided)) == made(put_back)


def test_the_first_round_reverts_nothing_and_neither_does_a_failure() -> None:
    gone = left(services={})
    add = AddService(WEB, ATTRIBUTES)
    assert reverting(None, gone, made(add)) == []
    assert reverting(LEFT, gone, [Outcome(add, Result.FAILED, 1, "no")]) == []


def test_an_empty_table_that_others_made_is_theirs() -> None:
    found = left(nft=NftTable())
    assert reverting(LEFT, found, made(ReplaceTable(NftTable(), EMPTY_TABLE)))


def test_one_event_names_some_and_counts_all() -> None:
    actions = [
        RemoveService(MAIL),
        *(AddDestination(WEB, real(f"10.0.0.{n}"), weighing(1)) for n in range(9)),
    ]
    event = revert_event(made(*actions), {WEB: "web"})
    assert (event.topic, event.severity, event.service) == (Topic.DRIFT_REVERTED, Severity.WARNING, "web")
    assert event.message.count("10.0.0.") == NAMED - 1
    assert event.message.endswith(", and 7 more")
    assert event.fields == (("reverts", "10"),)


def test_a_link_that_went_down_is_drift() -> None:
    found = left(links=(link("eth0")._replace(up=False),))
    assert reverting(LEFT, found, made(EnsureLink(LinkState("eth0"))))

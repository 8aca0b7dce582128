"""What is ours: claimed before a plan is performed, settled afterwards."""

import pytest

from kernelbal.model.ipvs import Drain, DrainKey, ServicePolicy, Timeouts
from kernelbal.model.network import AddressAttributes, LinkState, Sysctl
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kind import DesiredState, ObservedState, Ownership
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress, RemoveAddress
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.service_actions import AddService, RemoveService
from kernelbal.plan.kinds.services import SERVICES, OwnedServices
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.plan.kinds.timeouts import TIMEOUTS, SetTimeouts
from kernelbal.plan.planning import claim
from tests.support.builders import held, link, place, real, service, virtual
from tests.support.states import desired_of, observed_of, owned_of, plan_of, settled

WEB, OTHER = service("192.0.2.10", 80), service("192.0.2.99", 80)
VIP = place("eth0", "192.0.2.10")
PLAIN = AddressAttributes()
NOBODY = Ownership()
NOTHING = DesiredState()
FORWARD = "net/ipv4/ip_forward"
TUNNEL = LinkState("tunl0", "ipip")


def _claimed(
    *actions: Action,
    ownership: Ownership = NOBODY,
    desired: DesiredState = NOTHING,
    observed: ObservedState | None = None,
) -> Ownership:
    return claim(DIRECTOR, ownership, plan_of(*actions), desired, observed or ObservedState())


# --- before ---


def test_wanted_services_are_claimed_those_found_there_too() -> None:
    desired = desired_of(services={WEB: virtual(), OTHER: virtual()})
    claimed = _claimed(desired=desired, observed=observed_of(services={OTHER: virtual()}))
    assert claimed.of(SERVICES).keys == {WEB, OTHER}


def test_added_address_is_claimed() -> None:
    assert _claimed(AddAddress(VIP, PLAIN)).of(ADDRESSES) == {VIP}


def test_address_of_someone_else_stays_theirs_though_the_site_names_it() -> None:
    claimed = _claimed(
        desired=desired_of(addresses={VIP: PLAIN}), observed=observed_of(addresses=(held(VIP),))
    )
    assert claimed.of(ADDRESSES) == frozenset()


def test_address_that_bears_our_mark_is_claimed_again_after_the_record_was_lost() -> None:
    observed = observed_of(addresses=(held(VIP, ours=True),))
    claimed = _claimed(desired=desired_of(addresses={VIP: PLAIN}), observed=observed)
    assert claimed.of(ADDRESSES) == {VIP}


@pytest.mark.parametrize(
    ("wanted", "present", "claimed"),
    [
        (TUNNEL, (), {"tunl0"}),
        (TUNNEL, (link("tunl0", up=False),), {"tunl0"}),
        (LinkState("kb0", "dummy"), (link("kb0", up=False),), set()),
        (LinkState("eth0"), (), set()),
    ],
    ids=["created", "came with its module", "only brought up", "must exist"],
)
def test_only_a_link_that_we_create_is_claimed(
    wanted: LinkState, present: tuple[object, ...], claimed: set[str]
) -> None:
    assert _claimed(EnsureLink(wanted), observed=observed_of(links=present)).of(LINKS) == claimed


def test_first_value_of_a_sysctl_is_recorded_once() -> None:
    desired = desired_of(sysctls=(Sysctl(FORWARD, "1", "Routes."),))
    first = _claimed(
        WriteSysctl(FORWARD, "0", "1", ""), desired=desired, observed=observed_of(sysctls={FORWARD: "0"})
    )
    assert first.of(SYSCTLS) == {FORWARD: "0"}
    second = _claimed(
        WriteSysctl(FORWARD, "2", "1", ""),
        ownership=first,
        desired=desired,
        observed=observed_of(sysctls={FORWARD: "2"}),
    )
    assert second.of(SYSCTLS) == {FORWARD: "0"}


def test_sysctl_that_the_kernel_lacks_has_no_first_value() -> None:
    write = WriteSysctl(FORWARD, "", "1", "")
    assert _claimed(write, observed=observed_of(sysctls={FORWARD: None})).of(SYSCTLS) == {}
    assert _claimed(write, observed=observed_of(sysctls={FORWARD: ""})).of(SYSCTLS) == {FORWARD: ""}


@pytest.mark.parametrize(
    ("known", "read", "recorded"),
    [
        (None, Timeouts(1, 2, 3), Timeouts(1, 2, 3)),
        (Timeouts(4, 5, 6), Timeouts(1, 2, 3), Timeouts(4, 5, 6)),
        (None, None, Timeouts(900, 120, 300)),  # IPVS was not loaded: it starts with its defaults
    ],
)
def test_first_timeouts_are_recorded_once(
    known: Timeouts | None, read: Timeouts | None, recorded: Timeouts
) -> None:
    wanted = Timeouts(7, 8, 9)
    claimed = _claimed(
        SetTimeouts(read, wanted),
        ownership=owned_of(timeouts=known),
        desired=desired_of(timeouts=wanted),
        observed=observed_of(timeouts=read),
    )
    assert claimed.of(TIMEOUTS) == recorded


def test_drains_are_those_of_the_plan() -> None:
    old, new = DrainKey(WEB, real("10.0.0.11")), DrainKey(WEB, real("10.0.0.12"))
    before = owned_of(drains={old: Drain(0, 60)})
    plan = plan_of(drains={new: Drain(5, 65)})
    assert claim(DIRECTOR, before, plan, NOTHING, ObservedState()).of(SERVICES).drains == {new: Drain(5, 65)}


GONE = owned_of(
    services=frozenset({WEB}),
    addresses=frozenset({VIP}),
    links=frozenset({"tunl0"}),
    sysctls={FORWARD: "0"},
    timeouts=Timeouts(),
)


def test_what_is_gone_and_not_wanted_is_forgotten_so_that_its_next_maker_owns_it() -> None:
    observed = observed_of(sysctls={FORWARD: "0"}, timeouts=Timeouts())
    assert _claimed(ownership=GONE, observed=observed) == Ownership()


def test_what_is_still_there_is_remembered_though_not_wanted() -> None:
    observed = observed_of(
        services={WEB: virtual()},
        addresses=(held(VIP),),
        links=(link("tunl0"),),
        sysctls={FORWARD: "1"},
        timeouts=Timeouts(1, 2, 3),
    )
    assert _claimed(ownership=GONE, observed=observed) == GONE


# --- after ---


@pytest.mark.parametrize("result", list(Result))
@pytest.mark.parametrize(
    ("action", "record"),
    [
        (RemoveService(WEB), GONE.having(SERVICES, OwnedServices())),
        (RemoveAddress(VIP), GONE.having(ADDRESSES, frozenset())),
        (RemoveLink("tunl0"), GONE.having(LINKS, frozenset())),
        (WriteSysctl(FORWARD, "1", "0", ""), GONE.having(SYSCTLS, {})),
        (SetTimeouts(None, Timeouts()), GONE.having(TIMEOUTS, None)),
        (AddService(WEB, virtual().attributes), GONE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, tuple) else "",
)
def test_what_was_removed_is_no_longer_ours(action: Action, record: Ownership, result: Result) -> None:
    removed = result in (Result.DONE, Result.ALREADY)
    assert settled(GONE, [Outcome(action, result)], NOTHING) == (record if removed else GONE)


def test_first_values_stay_recorded_while_ours_are_wanted() -> None:
    desired = desired_of(sysctls=(Sysctl(FORWARD, "1", "Routes."),), timeouts=Timeouts(1, 2, 3))
    outcomes = [
        Outcome(WriteSysctl(FORWARD, "0", "1", ""), Result.DONE),
        Outcome(SetTimeouts(Timeouts(), Timeouts(1, 2, 3)), Result.DONE),
    ]
    assert settled(GONE, outcomes, desired) == GONE


# --- how long removed services drain ---


def test_service_is_remembered_with_its_own_drain_where_that_is_not_the_usual() -> None:
    policies = {WEB: ServicePolicy("web", 7.0), OTHER: ServicePolicy("other", 60.0)}
    desired = desired_of(services={WEB: virtual(), OTHER: virtual()}, policies=policies)
    assert _claimed(desired=desired).of(SERVICES).drain_s == {WEB: 7.0}


def test_drain_is_known_until_the_service_has_gone() -> None:
    known = owned_of(services=frozenset({WEB}), drain_s={WEB: 7.0})
    there = observed_of(services={WEB: virtual()})
    assert _claimed(ownership=known, observed=there).of(SERVICES).drain_s == {WEB: 7.0}
    assert _claimed(ownership=known).of(SERVICES).drain_s == {}
    outcomes = [Outcome(RemoveService(WEB), Result.DONE)]
    assert settled(known, outcomes, NOTHING).of(SERVICES).drain_s == {}


def test_drain_that_became_the_usual_again_is_forgotten() -> None:
    known = owned_of(services=frozenset({WEB}), drain_s={WEB: 7.0})
    desired = desired_of(services={WEB: virtual()}, policies={WEB: ServicePolicy("web", 60.0)})
    there = observed_of(services={WEB: virtual()})
    assert _claimed(ownership=known, desired=desired, observed=there).of(SERVICES).drain_s == {}


def test_plan_is_empty_without_actions_even_while_something_drains() -> None:
    assert plan_of(drains={DrainKey(WEB, real("10.0.0.11")): Drain(0.0, 60.0)}).empty
    assert not plan_of(RemoveService(WEB)).empty

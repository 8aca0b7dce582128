"""Carrying a plan out: what fails holds back itself and what depends on it, and nothing else."""

import errno
from collections.abc import Callable

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Action, ObjectId, Result
from kernelbal.plan.kinds.addresses import AddAddress, RemoveAddress
from kernelbal.plan.kinds.routing import AddRoute, AddRule, RemoveRoute, RemoveRule
from kernelbal.plan.kinds.service_actions import AddDestination, AddService
from kernelbal.reconcile.execute import Execution
from kernelbal.reconcile.retry import FailingObject, all_due, next_attempt_at
from tests.support.builders import link, place, real, service, virtual, weighing
from tests.support.fake_kernel import FakeKernel
from tests.support.states import observed_of, plan_of

WEB, MAIL = service("192.0.2.10", 80), service("192.0.2.10", 25)
A, B = real("10.0.0.11"), real("10.0.0.12")
WLC = virtual().attributes
PLAN = (
    AddService(WEB, WLC),
    AddService(MAIL, WLC),
    AddDestination(WEB, A, weighing(1)),
    AddDestination(WEB, B, weighing(1)),
    AddDestination(MAIL, A, weighing(1)),
)
SERVICE, SERVER = ObjectId("services", WEB), ObjectId("services", (WEB, A))
FAILED, SKIPPED, DONE = Result.FAILED, Result.SKIPPED, Result.DONE
THERE = parse_address("10.0.0.0")
RULE = Rule(2, 500, 300, THERE, 24, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")
OLD, NEW = place("eth0", "192.0.2.10", 24), place("eth1", "192.0.2.10", 24)


def refusing(*kinds: type) -> Callable[[Action], int]:
    return lambda action: errno.EINVAL if isinstance(action, kinds) else 0


def run(*actions: Action, kernel: FakeKernel, **settings: object) -> Execution:
    execution = Execution(kernel, **settings)  # type: ignore[arg-type] # a test gives what it means
    execution.run(plan_of(*actions))
    return execution


def results(execution: Execution) -> list[Result]:
    return [outcome.result for outcome in execution.outcomes]


def test_refused_service_holds_back_its_real_servers_alone() -> None:
    kernel = FakeKernel(refuse=lambda action: errno.ENOENT if action == PLAN[0] else 0)
    execution = run(*PLAN, kernel=kernel)
    assert results(execution) == [FAILED, DONE, SKIPPED, SKIPPED, DONE]
    assert kernel.performed == [PLAN[0], PLAN[1], PLAN[4]]
    (failing,) = execution.failing.values()
    assert (failing.id, failing.attempts, failing.holds_back) == (SERVICE, 1, 2)
    assert execution.outcomes[2].message.startswith(
        "+ service 192.0.2.10:80/tcp wlc failed: the kernel has no scheduler `wlc`"
    )


def test_what_failed_is_not_tried_before_its_time_and_neither_is_what_needs_it() -> None:
    kernel = FakeKernel(refuse=lambda action: errno.ENOENT if action == PLAN[0] else 0)
    first = run(*PLAN, kernel=kernel, now=100.0)
    kernel.performed.clear()
    waiting = run(*PLAN[:1], *PLAN[2:4], kernel=kernel, now=100.5, known=first.failing)
    assert (results(waiting), kernel.performed) == ([SKIPPED] * 3, [])
    assert waiting.failing == first.failing
    assert waiting.outcomes[0].message.endswith("; next attempt in 0s")
    kernel.refuse = lambda _: 0
    due = run(*PLAN[:1], *PLAN[2:4], kernel=kernel, now=101.0, known=first.failing)
    assert (results(due), due.failing) == ([DONE] * 3, {})


def test_another_action_on_the_same_object_is_tried_at_once() -> None:
    kernel = FakeKernel(refuse=lambda action: errno.ENOENT if action == PLAN[0] else 0)
    first = run(PLAN[0], kernel=kernel, now=100.0)
    other = AddService(WEB, WLC._replace(scheduler="rr"))
    assert results(run(other, kernel=kernel, now=100.0, known=first.failing)) == [DONE]


def test_back_off_grows_with_each_attempt_and_remembers_since_when() -> None:
    kernel = FakeKernel(refuse=refusing(AddService))
    now, waits, failing = 100.0, [], {}
    for _ in range(8):
        failing = run(PLAN[0], kernel=kernel, now=now, known=failing).failing
        (one,) = failing.values()
        waits.append(one.next_at - now)
        now = one.next_at
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (one.since_at, one.attempts) == (100.0, 8)


def test_whole_plans_stop_at_the_first_failure() -> None:
    kernel = FakeKernel(refuse=refusing(AddDestination))
    execution = run(*PLAN, kernel=kernel, whole=True)
    assert results(execution) == [DONE, DONE, FAILED]
    assert [one.id for one in execution.failing.values()] == [SERVER]


def test_progress_counts_over_all_batches() -> None:
    seen: list[tuple[int, int]] = []
    run(*PLAN, kernel=FakeKernel(), progress=lambda *counts: seen.append(counts))
    assert seen == [(number, 5) for number in range(1, 6)]


def test_address_that_cannot_come_to_its_new_place_stays_at_the_old_one() -> None:
    kernel = FakeKernel(links={"eth1": link("eth1")}, refuse=refusing(AddAddress))
    other = RemoveAddress(place("eth0", "192.0.2.99", 24))
    execution = run(AddAddress(NEW, AddressAttributes()), RemoveAddress(OLD), other, kernel=kernel)
    assert results(execution)[:2] == [FAILED, SKIPPED]
    assert kernel.performed[-1] == other


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (AddRoute, [FAILED, SKIPPED, SKIPPED, DONE, SKIPPED, DONE]),
        (AddRule, [DONE, FAILED, SKIPPED, DONE, SKIPPED, DONE]),
        (AddService, [DONE] * 6),
    ],
)
def test_packets_keep_their_way_when_the_new_one_cannot_be_added(
    refused: type, expected: list[Result]
) -> None:
    """A renamed entry has another table; what is not replaced leaves all the same."""
    new, other = RULE._replace(table=301), RULE._replace(source_prefix=32, table=302)
    kernel = FakeKernel(
        links={"eth0": link("eth0")},
        rules={RULE, other},
        table_routes={KEY: HOP, KEY._replace(table=302): HOP},
        refuse=refusing(refused),
    )
    actions = (
        AddRoute(KEY._replace(table=301), HOP),
        AddRule(new),
        RemoveRule(RULE),
        RemoveRule(other),
        RemoveRoute(KEY),
        RemoveRoute(KEY._replace(table=302)),
    )
    assert results(run(*actions, kernel=kernel)) == expected


def test_failing_object_names_its_last_attempt() -> None:
    execution = run(PLAN[0], kernel=FakeKernel(refuse=refusing(AddService)), now=5.0)
    (outcome,) = execution.outcomes
    assert execution.failing == {SERVICE: FailingObject(SERVICE, outcome, 5.0, 1, 6.0, 0, (None,))}


def test_object_is_tried_at_once_when_what_it_needs_has_changed() -> None:
    kernel = FakeKernel()
    add = AddAddress(NEW, AddressAttributes())
    absent = observed_of()
    failing = run(add, kernel=kernel, observed=absent, now=100.0).failing
    assert results(run(add, kernel=kernel, observed=absent, now=100.5, known=failing)) == [SKIPPED]
    kernel.links["eth1"] = link("eth1")
    present = observed_of(links=(link("eth1"),))
    assert results(run(add, kernel=kernel, observed=present, now=100.5, known=failing)) == [DONE]


def test_everything_is_tried_at_once_when_somebody_asks_for_it() -> None:
    kernel = FakeKernel(refuse=refusing(AddService))
    failing = run(*PLAN[:2], kernel=kernel, now=100.0).failing
    again = run(*PLAN[:2], kernel=kernel, now=100.1, known=all_due(failing))
    assert results(again) == [FAILED, FAILED]
    assert {(each.attempts, each.next_at) for each in again.failing.values()} == {(2, 102.1)}


def test_next_attempt_is_that_of_whichever_is_due_first() -> None:
    kernel = FakeKernel(refuse=refusing(AddService))
    first = run(PLAN[0], kernel=kernel, now=100.0).failing
    both = run(*PLAN[:2], kernel=kernel, now=100.5, known=first).failing
    assert (next_attempt_at(both), next_attempt_at({})) == (101.0, None)

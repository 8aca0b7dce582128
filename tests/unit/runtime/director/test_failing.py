"""What the kernel refuses: who waits for it, when it is tried again, and what is reported."""

import asyncio
import errno
from collections.abc import Callable, Iterable

import pytest

from kernelbal.kernel.watch import KernelChange
from kernelbal.model.address import parse_address
from kernelbal.model.answers import ExplainRequest
from kernelbal.model.event import Severity
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kinds import object_of
from kernelbal.plan.kinds.service_actions import AddService
from kernelbal.plan.planning import Plan
from kernelbal.reconcile.retry import Failing, FailingObject
from kernelbal.reconcile.round import RoundReport
from kernelbal.runtime.director.failing import NAMED, failing_events
from tests.support.builders import service, virtual
from tests.support.director_harness import SITE, WEB, DirectorHarness, in_virtual_time

MAIL = service("192.0.2.11", 80)
TWO = SITE + SITE.partition("virtual_services:\n")[2].replace("web", "mail").replace(
    "192.0.2.10", "192.0.2.11"
)
NO_SCHEDULER = "the kernel has no scheduler `rr`"


def refusing(address: str, number: int = errno.ENOENT) -> Callable[[Action], int]:
    """Refuse the virtual services of one address."""
    found = parse_address(address)
    return lambda action: number if isinstance(action, AddService) and action.key.address == found else 0


async def begin_refused(harness: DirectorHarness, refuse: Callable[[Action], int] | None = None) -> None:
    """Let the first round meet a kernel that refuses `web`."""
    harness.kernel.refuse = refuse or refusing("192.0.2.10")
    reload = asyncio.ensure_future(_with_two(harness))
    await harness.begin()
    await reload


async def _with_two(harness: DirectorHarness) -> None:
    harness.write(TWO)
    await harness.director.reload("root")


def attempts(harness: DirectorHarness) -> list[Action]:
    return [action for action in harness.kernel.performed if isinstance(action, AddService)]


@in_virtual_time
async def test_refused_service_holds_back_its_real_servers_and_nothing_else(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    assert harness.kernel.services.keys() == {MAIL}
    assert len(harness.weights(MAIL)) == 2
    assert {str(key) for key in harness.kernel.addresses} == {
        "192.0.2.10/32 dev eth0",
        "192.0.2.11/32 dev eth0",
    }


@in_virtual_time
async def test_only_what_is_refused_is_tried_again_ever_more_rarely(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    began_at = harness.loop.now
    seen, times = len(harness.kernel.performed), []

    def refuse(action: Action) -> int:
        times.append(round(harness.loop.now - began_at, 1))
        return refusing("192.0.2.10")(action)

    harness.kernel.refuse = refuse
    await harness.until(began_at + 250)
    assert times == pytest.approx([1, 3, 7, 15, 31, 63, 123, 183, 243], abs=0.5)
    assert {type(action) for action in harness.kernel.performed[seen:]} == {AddService}


@in_virtual_time
async def test_what_begins_changes_and_ends_is_reported_once(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    began_at = harness.loop.now
    await harness.until(began_at + 20)
    harness.kernel.refuse = refusing("192.0.2.10", errno.ENOMEM)
    await harness.until(began_at + 70)
    harness.kernel.refuse = lambda _: 0
    await harness.until(began_at + 130)
    assert harness.kernel.services.keys() == {WEB, MAIL}
    first, second, third = harness.events("object")
    assert [first.topic, second.topic, third.topic] == [
        "object.failing",
        "object.failing",
        "object.recovered",
    ]
    assert {first.service, second.service, third.service} == {"web"}
    assert first.message == (
        f"+ service `web` 192.0.2.10:80/tcp rr: {NO_SCHEDULER} (hint: modprobe ip_vs_rr);"
        " 2 other changes wait for it; retried with back-off"
    )
    assert first.fields == {"error": "ENOENT"}
    assert second.fields == {"error": "ENOMEM"}
    assert (
        third.message == "+ service `web` 192.0.2.10:80/tcp rr: succeeded, after 2m3s and 7 failed attempts"
    )
    assert harness.events("round") == []


@in_virtual_time
async def test_attempts_in_vain_write_no_log_and_waiting_is_no_failure(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    await harness.until(harness.loop.now + 0.2)
    logged, tally = harness.log.getvalue(), harness.known.tally
    await harness.until(harness.loop.now + 63.5)
    assert harness.log.getvalue() == logged
    assert harness.known.tally.failures == tally.failures + 6
    assert harness.known.tally.changes == tally.changes


@in_virtual_time
async def test_status_names_what_is_refused_and_when_it_is_tried_again(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    began_at = harness.loop.now
    await harness.until(began_at + 10)
    reconcile = harness.director.status().summary().reconcile
    assert reconcile is not None
    assert (reconcile.converged, reconcile.error, reconcile.failing) == (False, "", 1)
    (found,) = reconcile.failing_objects
    assert (found.service, found.operation) == ("web", "add virtual service")
    assert found.change == "+ service `web` 192.0.2.10:80/tcp rr"
    assert (found.errno, found.error, found.hint) == ("ENOENT", NO_SCHEDULER, "modprobe ip_vs_rr")
    assert (found.attempts, found.holds_back) == (4, 2)
    assert (found.since_s, found.next_s) == (pytest.approx(10, abs=0.2), pytest.approx(5, abs=0.3))
    harness.kernel.refuse = lambda _: 0
    await harness.until(began_at + 20)
    reconcile = harness.director.status().summary().reconcile
    assert reconcile is not None
    assert (reconcile.converged, reconcile.failing, reconcile.failing_objects) == (True, 0, [])


@in_virtual_time
async def test_explanation_names_what_is_refused_of_its_address_alone(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    harness.context.rounds.connections = lambda _: ()
    web = await harness.director.explain(
        ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.10", port=80)
    )
    assert [each.change for each in web.failing_objects] == ["+ service `web` 192.0.2.10:80/tcp rr"]
    mail = await harness.director.explain(
        ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.11", port=80)
    )
    assert mail.failing_objects == []


@in_virtual_time
async def test_reload_tries_everything_at_once(harness: DirectorHarness) -> None:
    await begin_refused(harness)
    await harness.until(harness.loop.now + 40)
    tried = len(attempts(harness))
    harness.kernel.refuse = lambda _: 0
    assert not (await harness.director.reload("root")).changed
    assert len(attempts(harness)) == tried + 1
    assert harness.kernel.services.keys() == {WEB, MAIL}


@in_virtual_time
async def test_changed_document_tries_at_once_and_a_removed_service_is_no_longer_needed(
    harness: DirectorHarness,
) -> None:
    await begin_refused(harness)
    await harness.until(harness.loop.now + 40)
    harness.kernel.refuse = refusing("192.0.2.99")
    harness.write(TWO.replace("scheduler: rr", "scheduler: wlc"))
    await harness.director.reload("root")
    assert harness.kernel.services.keys() == {WEB, MAIL}
    harness.kernel.refuse = refusing("192.0.2.12")
    harness.write(SITE.replace("192.0.2.10", "192.0.2.12"))
    await harness.director.reload("root")
    harness.write(SITE)
    await harness.director.reload("root")
    assert harness.events("object")[-1].message.endswith("no longer needed, after 0s and 1 failed attempt")


@in_virtual_time
async def test_address_comes_with_its_device(harness: DirectorHarness) -> None:
    outside = harness.kernel.links.pop("eth0")
    await harness.begin()
    await harness.until(harness.loop.now + 33)
    (failing,) = harness.events("object")
    assert failing.message.startswith("+ address 192.0.2.10/32 dev eth0: there is no such device")
    harness.kernel.links["eth0"] = outside
    harness.director.intake.take_notice(KernelChange.CHANGED)
    await harness.until(harness.loop.now + 0.2)
    assert len(harness.kernel.addresses) == 1


def _failing(numbers: Iterable[int], error: str = "no") -> Failing:
    outcomes = [
        Outcome(AddService(service("192.0.2.1", number), virtual().attributes), Result.FAILED, 1, error)
        for number in numbers
    ]
    return {
        object_of(o.action): FailingObject(object_of(o.action), o, since_at=1.0, attempts=1, next_at=2.0)
        for o in outcomes
    }


def test_many_that_begin_to_fail_together_have_a_few_events() -> None:
    all_of_them = _failing(range(1, 5001))
    events = list(failing_events({}, RoundReport(Plan(), (), failing=all_of_them), {}, 9.0))
    assert len(events) == NAMED + 1
    assert events[-1].message == "the same for 4990 more objects: see `kernelbal status`"
    assert {event.severity for event in events} == {Severity.ERROR}
    recovered = list(failing_events(all_of_them, RoundReport(Plan(), ()), {}, 9.0))
    assert len(recovered) == NAMED + 1


def test_what_waits_for_another_object_has_not_recovered() -> None:
    failing = _failing([1])
    (one,) = failing.values()
    waiting = RoundReport(Plan(), (Outcome(one.action, Result.SKIPPED),))
    assert list(failing_events(failing, waiting, {}, 9.0)) == []

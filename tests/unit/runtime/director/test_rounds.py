"""The worker's side of a round."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.errors import KernelError
from kernelbal.health.decision import Decision, Inputs, Memory
from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.network import LinkState
from kernelbal.model.overlay import Overlay
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kinds import object_of
from kernelbal.plan.kinds.addresses import AddAddress
from kernelbal.plan.kinds.links import EnsureLink
from kernelbal.plan.kinds.service_actions import AddService
from kernelbal.plan.planning import Plan
from kernelbal.reconcile.retry import FailingObject
from kernelbal.reconcile.round import RoundReport
from kernelbal.runtime.director.documents import Documents, Paths, parse
from kernelbal.runtime.director.rounds import NO_ROUNDS, RoundResult, Rounds, round_events
from kernelbal.store.daemon import GoodDocuments
from tests.support.director_harness import NODE, SITE, WEB, Kernel, destination, new_kernel
from tests.support.fake_store import MemoryStore

DSR = SITE.replace("forwarding: nat", "forwarding: dsr").replace("one_armed: true\n    ", "")

REFUSED = Outcome(EnsureLink(LinkState("eth0")), Result.FAILED, errno.EINVAL, "no")
FAILING = FailingObject(object_of(REFUSED.action), REFUSED, 1.0, 1, 2.0)


def documents(text: str = SITE) -> Documents:
    return parse(GoodDocuments(text.encode(), NODE.encode()), Paths(Path("site.yaml"), Path("node.yaml")))


def inputs(of: Documents, health: Health = Health.UP) -> Inputs:
    states = {key: ProbeState(health, 1.0, "", 1.0) for key in of.probes.probes}
    return Inputs(of.site, of.node, of.probes, 10.0, 1e9, states)


def rounds(kernel: Kernel | None = None) -> Rounds:
    return Rounds(kernel or new_kernel(), MemoryStore(), lambda: 10.0)


def test_a_round_makes_the_kernel_as_decided_and_the_next_one_does_nothing() -> None:
    worker, site = rounds(), documents()
    first = worker.run(inputs(site))
    assert (first.error, first.reverted) == ("", ())
    assert first.plan.actions
    second = worker.run(inputs(site))
    assert second.plan.actions == ()
    assert second.desired is first.desired, "nothing was decided anew, so nothing is desired anew"


def test_the_table_is_as_it_was_left_until_somebody_changes_it() -> None:
    kernel = new_kernel()
    worker = rounds(kernel)
    assert not worker.changed()
    assert not worker.changed_at_a_glance()
    worker.run(inputs(documents()))
    assert not worker.changed()
    assert not worker.changed_at_a_glance()
    found = kernel.services[WEB].destinations
    found[destination("10.0.0.11")] = found[destination("10.0.0.11")]._replace(weight=3)
    assert worker.changed()
    assert not worker.changed_at_a_glance(), "a glance counts, it does not compare"
    del found[destination("10.0.0.11")]
    assert worker.changed_at_a_glance()
    worker.run(inputs(documents()))
    del kernel.services[WEB]
    assert worker.changed_at_a_glance()


def test_a_glance_knows_ipv4_only_and_takes_ipv6_for_no_change() -> None:
    six = SITE.replace("192.0.2.10", "2001:db8:1::10").replace("10.0.0.1", "fd00::1")
    both = SITE + "\n".join(six.splitlines()[2:]).replace("name: web", "name: six")
    worker = rounds(kernel := new_kernel())
    assert not worker.run(inputs(documents(both))).error
    assert {key.family for key in kernel.services} == {AF_INET, AF_INET6}
    assert not worker.changed_at_a_glance()
    del kernel.services[WEB]
    assert worker.changed_at_a_glance()


def test_a_refused_action_is_named_with_its_remedy() -> None:
    kernel = new_kernel()

    def refuse(action: Action) -> int:
        return errno.ENOENT if isinstance(action, AddService | AddAddress) else 0

    kernel.refuse = refuse
    found = rounds(kernel).run(inputs(documents()))
    assert (found.error, found.converged) == ("", False)
    events = round_events(found, None, {WEB: "web"}, 10.0)
    virtual_service, address = (each.message for each in events if each.topic is Topic.OBJECT_FAILING)
    assert virtual_service == (
        "+ service `web` 192.0.2.10:80/tcp rr: the kernel has no scheduler `rr` (hint: modprobe ip_vs_rr);"
        " 2 other changes wait for it; retried with back-off"
    )
    assert address == "+ address 192.0.2.10/32 dev eth0: no such file or directory; retried with back-off"


def test_a_kernel_that_cannot_be_read_is_the_outcome_and_nothing_is_taken_for_drift_later() -> None:
    kernel, site = new_kernel(), documents()
    worker = rounds(kernel)
    worker.run(inputs(site))
    kernel.fault = KernelError("read", "", errno.EIO, "tired")
    failed = worker.run(inputs(site))
    assert (failed.error, failed.report, failed.fatal) == ("tired", None, None)
    known = {FAILING.id: FAILING}
    assert worker.run(inputs(site), known).failing == known, "what failed before is not forgotten"
    assert failed.decision.servers
    kernel.fault = None
    del kernel.services[WEB]
    assert worker.run(inputs(site)).reverted == ()


def test_probes_find_their_way_before_the_first_round_and_nothing_else_changes() -> None:
    kernel, site = new_kernel(), documents(DSR)
    assert site.probes.paths
    worker = rounds(kernel)
    worker.lead_probes(site)
    assert {key.mark for key in kernel.services} == {path.mark for path in site.probes.paths}
    assert kernel.addresses == {}
    done = len(kernel.performed)
    worker.lead_probes(site)
    assert len(kernel.performed) == done
    worker.run(inputs(site))
    before = {key: replace(server) for key, server in kernel.services.items()}
    worker.lead_probes(site)
    assert kernel.services == before


@pytest.mark.parametrize("fault", [KernelError("read", "", errno.EIO, "tired")])
def test_leading_probes_leaves_a_fault_to_the_first_round(fault: KernelError) -> None:
    kernel = new_kernel()
    kernel.fault = fault
    rounds(kernel).lead_probes(documents(DSR))


def test_rounds_are_added_up() -> None:
    up = EnsureLink(LinkState("eth0"))
    done, failed, waiting = Outcome(up, Result.DONE), REFUSED, Outcome(up, Result.SKIPPED)
    decision = Decision(Overlay(), Memory(), {}, {})
    report = RoundReport(Plan(), (done, done, failed, waiting))
    tally = NO_ROUNDS.after(RoundResult(decision, report=report, reverted=(done,)), 7.0)
    assert (tally.rounds, tally.changes, tally.reverts, tally.failures) == (1, 2, 1, 1)
    again = tally.after(RoundResult(decision), 9.0)
    assert (again.rounds, again.changes, again.ended_at) == (2, 2, 9.0)

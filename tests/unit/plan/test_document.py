"""Plans and what came of them as documents."""

from msgspec import to_builtins

from kernelbal.model.ipvs import ServiceAttributes
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.document import apply_document, outcome_document, plan_document
from kernelbal.plan.kind import Note, ObservedState
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.links import RemoveLink
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, RemoveService
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.planning import Plan
from tests.support.builders import real, service, weighing
from tests.support.states import plan_of

WEB = service("192.0.2.10", 80)
NAMES = {WEB: "web"}
ADD = AddService(WEB, ServiceAttributes("wlc", 0, 0, 32, ""))
ADD_A = AddDestination(WEB, real("10.0.0.11"), weighing(1))
REFUSED = Outcome(ADD, Result.FAILED, 2, "the scheduler is not there", "modprobe ip_vs_wlc")
ORPHAN = Outcome(ADD_A, Result.SKIPPED, 3, "its service could not be added")
DONE = Outcome(RemoveLink("tunl0"), Result.DONE)


def test_a_plan_is_counted_whole_and_named_as_far_as_asked() -> None:
    plan = plan_of(ADD, ADD_A, RemoveService(WEB))
    document = plan_document(plan, NAMES, ObservedState(), most=1)
    assert (document.changes, document.adds, document.edits, document.removes) == (3, 2, 0, 1)
    assert [each.text for each in document.actions] == ["service `web` 192.0.2.10:80/tcp wlc"]
    assert len(plan_document(plan, NAMES, ObservedState()).actions) == 3


def test_names_of_foreign_objects_are_printable() -> None:
    plan = Plan(notes={Note.FOREIGN: {TABLES.name: ("ip \x1b[2J",)}})
    foreign = plan_document(plan, NAMES, ObservedState()).foreign
    assert foreign["nftables_tables"] == [r"ip \x1b[2J"]
    assert list(foreign) == [kind.name for kind in DIRECTOR if kind.notes_foreign]


def test_an_apply_is_counted_whole_and_names_failures_first() -> None:
    outcomes = (DONE, REFUSED, ORPHAN)
    whole = apply_document(outcomes, plan_of(ADD), NAMES, converged=False)
    assert (whole.changes, whole.failed, whole.skipped) == (2, 1, 1)
    assert (len(whole.outcomes), whole.remaining) == (3, 1)
    short = apply_document(outcomes, Plan(), NAMES, converged=False, most=1)
    assert [each.result for each in short.outcomes] == ["failed"]
    assert short.outcomes[0].failed


def test_outcome_as_data() -> None:
    assert to_builtins(outcome_document(REFUSED, NAMES)) == {
        "kind": "AddService",
        "text": "service `web` 192.0.2.10:80/tcp wlc",
        "result": "failed",
        "errno": 2,
        "message": "the scheduler is not there",
        "hint": "modprobe ip_vs_wlc",
    }
    assert to_builtins(outcome_document(DONE, NAMES)) == {
        "kind": "RemoveLink",
        "text": "link tunl0",
        "result": "done",
        "errno": 0,
        "message": None,
        "hint": None,
    }
